//! Writing an export.

use std::io::{self, Write};

use aws_lc_rs::digest::{Context, SHA256};

use super::verify::{LeftOut, Sieve, Sifted};
use super::{FORMAT, Header, Row, Trailer, VERSION, hexadecimal};
use crate::domain::time::Timestamp;
use crate::store::records::{self, Filling, Stored};
use crate::store::{Store, StoreError, keys};

/// Why an export was not completed. What was written by then has no last line, and an import refuses it.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The store is not whole, and what is in it is of no use without the rest.
    #[error("the store is not whole yet: {0}")]
    HalfFilled(Filling),
    /// The output could not be written.
    #[error("cannot write the export: {0}")]
    Write(#[from] io::Error),
}

/// What was exported.
#[derive(Debug)]
pub struct ExportSummary {
    /// How many entries.
    pub entries: u64,
    /// And which not.
    pub left_out: LeftOut,
}

/// Writes all entries of this moment that `sieve` lets pass to `output`. Commits go on meanwhile.
///
/// `output` is flushed, but syncing it is the caller's business.
///
/// # Errors
/// [`ExportError`] when the store or `output` fails.
pub async fn export(
    store: &dyn Store,
    sieve: Option<&Sieve>,
    output: &mut (dyn Write + Send),
) -> Result<ExportSummary, ExportError> {
    let mark = keys::filling();
    if let Some(Stored { record, .. }) = records::read(store, &mark).await? {
        return Err(ExportError::HalfFilled(record));
    }
    let mut entries = store.export().await?;
    // Of that moment. One of them may be taken away while this is written.
    let keys = sieve.map(Sieve::known_keys);
    let mut lines = LinesOut {
        output,
        digest: Context::new(&SHA256),
        buffer: Vec::new(),
    };
    let (mut count, mut left_out) = (0, LeftOut::default());
    lines.write(&Header {
        format: FORMAT.into(),
        version: VERSION,
    })?;
    while let Some(piece) = entries.next().await? {
        for (key, mut entry) in piece {
            if key == mark.bytes() {
                // Somebody began to fill the store since.
                return Err(ExportError::HalfFilled(records::decode(&entry.value)?));
            }
            let sifted = sieve.zip(keys.as_ref()).map(|(sieve, [before, then])| {
                sieve.sift_of(&[before.as_ref(), then.as_ref()], &key, &entry)
            });
            if let Some(Sifted::Forged(name, instead)) = sifted {
                left_out.add(name);
                match instead {
                    Some(instead) => entry = instead,
                    None => continue,
                }
            }
            lines.write(&Row {
                key,
                value: entry.value,
                expires_at: entry.expires_at.map(Timestamp::millis),
            })?;
            count += 1;
        }
    }
    let sha256 = hexadecimal(lines.digest.clone().finish().as_ref());
    lines.write(&Trailer {
        entries: count,
        left_out: left_out.clone(),
        sha256,
    })?;
    lines.output.flush()?;
    Ok(ExportSummary {
        entries: count,
        left_out,
    })
}

/// Writes lines and digests them on the way.
struct LinesOut<'o> {
    output: &'o mut (dyn Write + Send),
    digest: Context,
    buffer: Vec<u8>,
}

impl LinesOut<'_> {
    fn write(&mut self, line: &impl serde::Serialize) -> io::Result<()> {
        self.buffer.clear();
        serde_json::to_writer(&mut self.buffer, line)?;
        self.buffer.push(b'\n');
        self.digest.update(&self.buffer);
        self.output.write_all(&self.buffer)
    }
}
