//! Reading an export: once to verify all of it, and only then once more to write it.

use std::io::{self, BufRead, Read, Seek, SeekFrom};

use aws_lc_rs::digest::{Context, SHA256};
use serde::Deserialize;

use super::filling::{BATCH_BYTES, FillError, Filler};
use super::verify::{EpochAfterImport, Sieve};
use super::{FORMAT, Header, MAX_LINE_BYTES, Row, Trailer, VERSION, hexadecimal};
use crate::domain::time::Timestamp;
use crate::store::records::FillSource;
use crate::store::{Entry, KeptVerdict, MAX_KEY_BYTES, MAX_VALUE_BYTES, Store, Version, keys};

/// An export that is read more than once: to verify all of it, and to write it.
pub trait Rewind: Send {
    /// The export from its beginning.
    ///
    /// # Errors
    /// When it cannot be read.
    fn rewound(&mut self) -> io::Result<Box<dyn BufRead + Send + '_>>;
}

impl<R: BufRead + Seek + Send> Rewind for R {
    fn rewound(&mut self) -> io::Result<Box<dyn BufRead + Send + '_>> {
        self.seek(SeekFrom::Start(0))?;
        Ok(Box::new(self))
    }
}

/// Why nothing was imported, or, for [`ImportError::Fill`] and [`ImportError::Replaced`] alone, not everything.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// The checksum is wrong.
    #[error("the export was changed after it was written, its checksum does not match: use another copy")]
    Checksum,
    /// The store is not to be filled, or failed while it was.
    #[error(transparent)]
    Fill(#[from] FillError),
    /// A line is not what it must be.
    #[error("line {line} of the export is damaged ({detail}): use another copy")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        detail: String,
    },
    /// It is not what it was when it was verified.
    #[error(
        "the export changed while it was imported: what is in the store is not whole, so remove it, and import a file that \
         stays as it is"
    )]
    Replaced,
    /// The first line is not an export's.
    #[error("this is no export of Countersign: give the file that `countersign store export` wrote")]
    NotAnExport,
    /// The file cannot be read.
    #[error("cannot read the export: {0}")]
    Read(#[from] io::Error),
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

/// Fills the empty `store` from `input` with the entries that `sieve` lets pass, which are those that were
/// [verified](super::verify_export), and returns how many these are. In a store that was half filled from the same export, it goes
/// on behind the last entry. An `epoch` begins behind them all, unless nothing can have been decided since the export.
///
/// # Errors
/// [`ImportError`]; nothing was written unless it is [`ImportError::Fill`] or [`ImportError::Replaced`].
pub async fn import(
    store: &dyn Store,
    input: &mut impl Rewind,
    sieve: Option<&Sieve>,
    epoch: Option<EpochAfterImport<'_>>,
) -> Result<u64, ImportError> {
    import_in_batches(store, input, sieve, epoch, BATCH_BYTES).await
}

/// Reads all of an export, whoever wrote its entries, and returns how many there are.
///
/// # Errors
/// [`ImportError`].
pub fn read_through(input: &mut impl Rewind) -> Result<u64, ImportError> {
    Ok(verify(&mut LinesIn::new(input.rewound()?))?.entries)
}

pub(super) async fn import_in_batches(
    store: &dyn Store,
    input: &mut impl Rewind,
    sieve: Option<&Sieve>,
    epoch: Option<EpochAfterImport<'_>>,
    batch_bytes: usize,
) -> Result<u64, ImportError> {
    let sha256 = verify(&mut LinesIn::new(input.rewound()?))?.sha256;
    let mut filler = Filler::begin(store, FillSource::Import { sha256 }, batch_bytes).await?;
    let mut lines = LinesIn::new(input.rewound()?);
    lines.header()?;
    let mut count = 0;
    let read = loop {
        let digest = lines.digest.clone();
        let Line::Row(row) = lines.next()? else {
            break digest;
        };
        let (key, entry) = row.into_entry();
        for (key, entry) in Sieve::pass(sieve, vec![(key, entry)]) {
            count += 1;
            if !filler.has_passed(&key) {
                filler.put(key, entry.value, entry.expires_at).await?;
            }
        }
    };
    if read.finish().as_ref() != sha256 {
        return Err(ImportError::Replaced);
    }
    match epoch {
        Some(epoch) => filler.finish_in_new_epoch(epoch).await?,
        None => filler.finish().await?,
    }
    Ok(count)
}

/// What was read and found sound.
struct SoundExport {
    entries: u64,
    /// Which export it is.
    sha256: [u8; 32],
}

/// Reads everything.
fn verify<R: BufRead>(lines: &mut LinesIn<R>) -> Result<SoundExport, ImportError> {
    let mark = keys::filling();
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
                if row.key == mark.bytes() {
                    return Err(lines.damaged("it is the mark of a store that was not whole"));
                }
                if last_key.is_some_and(|last| last >= row.key) {
                    return Err(lines.damaged("its key does not follow the one before"));
                }
                last_key = Some(row.key);
                count += 1;
            }
            Line::Trailer(trailer) => {
                let digest = digest.finish();
                let Ok(sha256) = digest.as_ref().try_into() else {
                    return Err(ImportError::Checksum);
                };
                if trailer.entries != count || trailer.sha256 != hexadecimal(digest.as_ref()) {
                    return Err(ImportError::Checksum);
                }
                return if lines.read()? {
                    Err(lines.damaged("it is behind the last line"))
                } else {
                    Ok(SoundExport {
                        entries: count,
                        sha256,
                    })
                };
            }
        }
    }
}

impl Row {
    /// The entry, which has no version yet.
    pub(super) fn into_entry(self) -> (Vec<u8>, Entry) {
        let entry = Entry {
            value: self.value,
            version: Version(0),
            expires_at: self.expires_at.map(Timestamp::from_millis),
            verdict: KeptVerdict::default(),
        };
        (self.key, entry)
    }
}

/// Any line but the first.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Line {
    Row(Row),
    Trailer(Trailer),
}

/// Reads lines of bounded length and digests them on the way.
pub(super) struct LinesIn<R> {
    input: R,
    digest: Context,
    line: Vec<u8>,
    number: u64,
}

impl<R: BufRead> LinesIn<R> {
    pub(super) fn new(input: R) -> Self {
        Self {
            input,
            digest: Context::new(&SHA256),
            line: Vec::new(),
            number: 0,
        }
    }

    pub(super) fn header(&mut self) -> Result<(), ImportError> {
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

    pub(super) fn next(&mut self) -> Result<Line, ImportError> {
        if !self.read()? {
            return Err(ImportError::Truncated);
        }
        serde_json::from_slice(&self.line).map_err(|_| self.damaged("it is neither an entry nor the end"))
    }

    /// Reads a line; `false` at the end of the file.
    fn read(&mut self) -> Result<bool, ImportError> {
        self.line.clear();
        let limit = MAX_LINE_BYTES as u64 + 1;
        let read = Read::take(&mut self.input, limit).read_until(b'\n', &mut self.line)?;
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

    pub(super) fn damaged(&self, detail: &str) -> ImportError {
        ImportError::Line {
            line: self.number,
            detail: detail.into(),
        }
    }
}
