//! Reading an export: once to verify all of it, and only then once more to write it.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;

use super::{FORMAT, Header, MAX_LINE_BYTES, Row, Trailer, VERSION, hexadecimal};
use crate::domain::time::Timestamp;
use crate::store::{Batch, CommitError, MAX_KEY_BYTES, MAX_VALUE_BYTES, Order, Scan, Store, StoreError};

/// Why nothing was imported, or, for [`ImportError::Commit`] alone, not everything.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The checksum is wrong.
    #[error("the export was changed after it was written, its checksum does not match: use another copy")]
    Checksum,
    /// The store failed while the entries were written.
    #[error("the import stopped half-way ({0}): remove the data directory it was to fill and import again")]
    Commit(CommitError),
    /// A line is not what it must be.
    #[error("line {line} of the export is damaged ({detail}): use another copy")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// The first line is not an export's.
    #[error("this is no export of Countersign: give the file that `countersign store export` wrote")]
    NotAnExport,
    /// There are entries already.
    #[error("the store already holds entries: import into an empty data directory")]
    NotEmpty,
    /// The file cannot be read.
    #[error("cannot read the export: {0}")]
    Read(#[from] io::Error),
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The last line is missing.
    #[error("the export ends before its last line: copy the file again, or export again")]
    Truncated,
    /// Another release wrote it.
    #[error(
        "the export has version {found}, this release reads version {expected}: import it with the release that wrote it"
    )]
    Version {
        /// The version found.
        found: u32,
        /// The version that can be read.
        expected: u32,
    },
}

/// Fills the empty `store` from `input` and returns how many entries there are.
///
/// # Errors
/// [`ImportError`]; nothing was written unless it is [`ImportError::Commit`].
pub async fn import<R: BufRead + Seek + Send>(store: &dyn Store, input: &mut R) -> Result<u64, ImportError> {
    let start = input.stream_position()?;
    let count = verify(&mut LinesIn::new(input))?;
    if !is_empty(store).await? {
        return Err(ImportError::NotEmpty);
    }
    input.seek(SeekFrom::Start(start))?;
    let mut lines = LinesIn::new(input);
    lines.header()?;
    let mut batch = Batch::new();
    let mut bytes = 0;
    while let Line::Row(row) = lines.next()? {
        bytes += row.key.len() + row.value.len();
        batch = match row.expires_at {
            Some(millis) => batch.put_until(row.key, row.value, Timestamp::from_millis(millis)),
            None => batch.put(row.key, row.value),
        };
        if bytes >= BATCH_BYTES {
            store
                .commit(std::mem::take(&mut batch))
                .await
                .map_err(ImportError::Commit)?;
            bytes = 0;
        }
    }
    store.commit(batch).await.map_err(ImportError::Commit)?;
    Ok(count)
}

/// Reads everything and returns the number of entries.
fn verify<R: BufRead>(lines: &mut LinesIn<'_, R>) -> Result<u64, ImportError> {
    lines.header()?;
    let mut count = 0;
    let mut last_key: Option<Vec<u8>> = None;
    loop {
        let digest = lines.digest.clone();
        match lines.next()? {
            Line::Row(row) => {
                let oversized = row.key.len() > MAX_KEY_BYTES || row.value.len() > MAX_VALUE_BYTES;
                if oversized
                    || row
                        .expires_at
                        .is_some_and(|millis| millis > Timestamp::MAX.millis())
                {
                    return Err(lines.damaged("it is beyond the limits of the store"));
                }
                if last_key.is_some_and(|last| last >= row.key) {
                    return Err(lines.damaged("its key does not follow the one before"));
                }
                last_key = Some(row.key);
                count += 1;
            }
            Line::Trailer(trailer) => {
                if trailer.entries != count || trailer.sha256 != hexadecimal(&digest.finish()) {
                    return Err(ImportError::Checksum);
                }
                return if lines.read()? {
                    Err(lines.damaged("it is behind the last line"))
                } else {
                    Ok(count)
                };
            }
        }
    }
}

async fn is_empty(store: &dyn Store) -> Result<bool, StoreError> {
    let first = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: 1,
    };
    Ok(store.scan(first).await?.is_empty())
}

/// Any line but the first.
#[derive(Deserialize)]
#[serde(untagged)]
enum Line {
    Row(Row),
    Trailer(Trailer),
}

/// Reads lines of bounded length and digests them on the way.
struct LinesIn<'i, R> {
    input: &'i mut R,
    digest: Context,
    line: Vec<u8>,
    number: u64,
}

impl<'i, R: BufRead> LinesIn<'i, R> {
    fn new(input: &'i mut R) -> Self {
        Self {
            input,
            digest: Context::new(&SHA256),
            line: Vec::new(),
            number: 0,
        }
    }

    fn header(&mut self) -> Result<(), ImportError> {
        if !self.read()? {
            return Err(ImportError::Truncated);
        }
        let header: Header = serde_json::from_slice(&self.line).map_err(|_| ImportError::NotAnExport)?;
        match header {
            Header { format, .. } if format != FORMAT => Err(ImportError::NotAnExport),
            Header { version: VERSION, .. } => Ok(()),
            Header { version, .. } => Err(ImportError::Version {
                found: version,
                expected: VERSION,
            }),
        }
    }

    fn next(&mut self) -> Result<Line, ImportError> {
        if !self.read()? {
            return Err(ImportError::Truncated);
        }
        serde_json::from_slice(&self.line).map_err(|_| self.damaged("it is neither an entry nor the end"))
    }

    /// Reads a line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, ImportError> {
        self.line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = Read::take(&mut *self.input, limit).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(false);
        }
        self.number += 1;
        if self.line.ends_with(b"\n") {
            self.digest.update(&self.line);
            return Ok(true);
        }
        Err(match (self.number, read > MAX_LINE_BYTES) {
            (1, true) => ImportError::NotAnExport,
            (_, true) => self.damaged("it is too long"),
            (_, false) => ImportError::Truncated,
        })
    }

    fn damaged(&self, detail: &str) -> ImportError {
        ImportError::Line {
            line: self.number,
            detail: detail.into(),
        }
    }
}

/// How many bytes of keys and values go into one commit.
const BATCH_BYTES: usize = 256 * 1024;
