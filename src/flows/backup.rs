//! Backups: exports that are compressed and sealed in the age format, and what is to be known after a restore.
//!
//! `age --decrypt` and `gunzip` make a plain export of a backup.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Seek as _, SeekFrom, Write};

use flate2::Compression;
use flate2::bufread::MultiGzDecoder;
use flate2::write::GzEncoder;

use crate::app::App;
use crate::crypto::age::{AgeIdentity, AgeReader, AgeRecipient, AgeWriter};
use crate::domain::account::{Account, AccountStatus, ApiKey};
use crate::domain::bearer_token::BearerToken;
use crate::domain::entropy::Entropy;
use crate::domain::factor::{Factor, FactorType};
use crate::store::keys::{KeyParts, Owner};
use crate::store::records;
use crate::store::transfer::Rewind;
use crate::store::{StoreError, authentic};

/// What an export is written to. Without [`BackupWriter::finish`] it is no backup.
pub struct BackupWriter<W: Write>(GzEncoder<AgeWriter<W>>);

impl<W: Write> BackupWriter<W> {
    /// Begins a backup that each of `recipients` can open.
    ///
    /// # Errors
    /// As [`AgeWriter::begin`].
    pub fn begin(output: W, recipients: &[AgeRecipient], entropy: &dyn Entropy) -> io::Result<Self> {
        let sealed = AgeWriter::begin(output, recipients, entropy)?;
        Ok(Self(GzEncoder::new(sealed, Compression::default())))
    }

    /// Writes the end.
    ///
    /// # Errors
    /// As the output.
    pub fn finish(self) -> io::Result<W> {
        self.0.finish()?.finish()
    }
}

impl<W: Write> Write for BackupWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes)
    }

    /// The compression goes on: what was written is in the file once it is finished.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A backup that is read.
#[derive(Debug)]
pub struct BackupFile {
    file: File,
    identity: AgeIdentity,
}

impl BackupFile {
    /// The backup in `file`, which can be read more than once.
    #[must_use]
    pub fn new(file: File, identity: AgeIdentity) -> Self {
        Self { file, identity }
    }
}

impl Rewind for BackupFile {
    fn rewound(&mut self) -> io::Result<Box<dyn BufRead + Send + '_>> {
        self.file.seek(SeekFrom::Start(0))?;
        let sealed = AgeReader::begin(BufReader::with_capacity(PIECE, &self.file), &self.identity)?;
        // It reads on to the end of what is sealed, so that a missing end is noticed.
        let export = MultiGzDecoder::new(sealed);
        Ok(Box::new(BufReader::with_capacity(PIECE, export)))
    }
}

/// Something that lets somebody in, and that may have been revoked after a backup was made.
#[derive(Clone, Debug)]
pub enum LetsIn {
    /// The auth token of an account; whether the account is active.
    Account(Box<Account>, bool),
    /// An API key.
    ApiKey(Box<ApiKey>),
    /// A bearer token.
    BearerToken(Box<BearerToken>),
    /// A factor: an app or a device.
    Factor(Owner, FactorType, Box<Factor>),
}

/// Shows everything in the store that lets somebody in, in the order of their keys, and decides nothing.
///
/// # Errors
/// [`StoreError`].
pub async fn show_what_lets_in(app: &App, show: &mut (dyn FnMut(LetsIn) + Send)) -> Result<(), StoreError> {
    let mut entries = app.store.export().await?;
    while let Some(piece) = entries.next().await? {
        for (key, entry) in piece {
            // What does not verify lets nobody in.
            let Ok(entry) = authentic::verified(&app.vault, &key, entry) else {
                continue;
            };
            let found = match KeyParts::parse(&key) {
                Some(KeyParts::Account(_)) => {
                    let account: Account = records::decode(&entry.value)?;
                    let is_active = account.status == AccountStatus::Active;
                    LetsIn::Account(Box::new(account), is_active)
                }
                Some(KeyParts::ApiKey(_)) => LetsIn::ApiKey(Box::new(records::decode(&entry.value)?)),
                Some(KeyParts::BearerToken(_)) => {
                    LetsIn::BearerToken(Box::new(records::decode(&entry.value)?))
                }
                Some(KeyParts::Factor(owner, _)) => {
                    let factor: Factor = records::decode(&entry.value)?;
                    LetsIn::Factor(owner, factor.factor_type(), Box::new(factor))
                }
                _ => continue,
            };
            show(found);
        }
    }
    Ok(())
}

const PIECE: usize = 64 * 1024;
