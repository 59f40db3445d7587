//! Where a witness is.

use std::fmt;
use std::path::Path;

use super::file::WitnessFile;
use super::{NotRaised, taken};
use crate::cli::Failure;
use crate::config::{Storage, WitnessSetting};
use crate::domain::key_ring::StoreIdentity;
use crate::store::postgres::{PostgresAddress, PostgresBounds, RowFailure, WitnessRow};

/// Where a witness is; this process has it as long as this is there.
#[derive(Debug)]
pub(in crate::cli) enum WitnessPlace {
    File(WitnessFile),
    /// In a database that is not the store's.
    Row(Box<WitnessRow>),
}

impl WitnessPlace {
    /// Takes the place that the settings name for the store in `data`, if they do.
    pub(in crate::cli) async fn take(
        storage: &Storage,
        data: &Path,
        store: StoreIdentity,
    ) -> Result<Option<Self>, Failure> {
        match &storage.witness {
            None => Ok(None),
            Some(WitnessSetting::File(path)) => Ok(Some(Self::File(WitnessFile::take(path, data)?))),
            Some(WitnessSetting::Database(url)) => {
                let address =
                    PostgresAddress::parse(url, storage.password_file.clone()).map_err(|error| {
                        Failure::new(format!("witness (--witness, COUNTERSIGN_WITNESS): {error}"))
                    })?;
                let shown = address.to_string();
                let bounds = PostgresBounds::default();
                let row = Box::pin(WitnessRow::take(address, bounds, store.to_string())).await;
                match row {
                    Ok(row) => Ok(Some(Self::Row(Box::new(row)))),
                    Err(RowFailure::Taken) => Err(taken(&shown)),
                    Err(failure) => Err(Failure::new(format!(
                        "cannot use the witness in {shown}: {failure}"
                    ))),
                }
            }
        }
    }

    /// What stands there; `None` if nothing does.
    pub(super) async fn read(&mut self) -> Result<Option<String>, NotRaised> {
        let read = match self {
            Self::File(file) => file.read().await.map_err(|error| error.to_string()),
            Self::Row(row) => Box::pin(row.read()).await.map_err(|error| error.to_string()),
        };
        read.map_err(|why| NotRaised::Unreadable(self.to_string(), why))
    }

    /// Puts `text` in the place of what was read.
    pub(super) async fn replace(&mut self, read: Option<&str>, text: String) -> Result<(), NotRaised> {
        let replaced = match self {
            Self::File(file) => file.replace(text).await.map_err(|error| error.to_string()),
            Self::Row(row) => {
                let replaced = Box::pin(row.replace(read, &text)).await;
                replaced.map_err(|error| error.to_string())
            }
        };
        replaced.map_err(|why| NotRaised::Unwritten(self.to_string(), why))
    }

    /// That something can be put there. What is there stays as it is.
    pub(super) async fn require_writable(&mut self) -> Result<(), NotRaised> {
        let writable = match self {
            Self::File(file) => file.require_writable().await.map_err(|error| error.to_string()),
            Self::Row(row) => {
                let writable = Box::pin(row.require_writable()).await;
                writable.map_err(|error| error.to_string())
            }
        };
        writable.map_err(|why| NotRaised::Unwritten(self.to_string(), why))
    }
}

/// Shows where it is, never a password.
impl fmt::Display for WitnessPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(file) => file.fmt(f),
            Self::Row(row) => row.fmt(f),
        }
    }
}
