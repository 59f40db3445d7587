//! `countersign store convert`: a store is copied to another place, and its master key with it where both are directories.

use std::fmt::{self, Write as _};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;

use serde_json::json;
use zeroize::Zeroizing;

use super::admin::client;
use super::data_directory::{DataDirectory, has_store, require_store_in};
use super::open::{around, open_store};
use super::progress::{ProgressLine, ProgressUnit};
use super::store::report_left_out;
use super::{Failure, key_file, output};
use crate::app::Policy;
use crate::crypto::key_ring::{KeyRing, KeyRingError};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::domain::key_ring::SealedKeyRing;
use crate::domain::time::{Clock as _, SystemClock};
use crate::flows::audit::{AuditScope, record_conversion, within};
use crate::flows::store_format::{self, UnusableStore};
use crate::store::authentic::read_unverified;
use crate::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use crate::store::sled::Options;
use crate::store::transfer::{self, Checksum, ConvertError, ConvertStage, LeftOut, Progress, Sieve};
use crate::store::{Store, keys};

/// Where a store is said to be.
#[derive(Clone)]
pub(super) enum StorePlace {
    /// In a data directory.
    Directory(PathBuf),
    /// In the database with this URL, in which a password may be.
    Database(String),
}

impl FromStr for StorePlace {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if PostgresAddress::is_meant_by(text) {
            return Ok(Self::Database(text.to_owned()));
        }
        if text.is_empty() || text.contains("://") {
            return Err("must be a data directory or postgres://USER@HOST/DATABASE");
        }
        Ok(Self::Directory(text.into()))
    }
}

impl fmt::Debug for StorePlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory(path) => path.fmt(f),
            Self::Database(_) => f.write_str("a database"),
        }
    }
}

/// A place that this process has, as far as it can be had: other servers may use a database.
enum TakenPlace {
    Directory {
        taken: DataDirectory,
        /// As it was given.
        shown: PathBuf,
    },
    Database(Box<PostgresAddress>),
}

impl StorePlace {
    /// Takes the place that is copied from, where there must be a store.
    fn take_source(&self, password_file: Option<&Path>) -> Result<TakenPlace, Failure> {
        if let Self::Directory(path) = self {
            require_store_in(path)?;
        }
        self.take(password_file)
    }

    /// Takes the place that is copied to.
    fn take_target(&self, source: &TakenPlace, password_file: Option<&Path>) -> Result<TakenPlace, Failure> {
        let same = |what: &str| {
            Err(Failure::misused(format!(
                "--from and --to are the same {what}: give another"
            )))
        };
        if let (Self::Directory(path), TakenPlace::Directory { taken, .. }) = (self, source)
            && path.canonicalize().is_ok_and(|path| path == taken.path())
        {
            return same("directory");
        }
        let target = self.take(password_file)?;
        match (&target, source) {
            (TakenPlace::Database(target), TakenPlace::Database(source))
                if target.to_string() == source.to_string() =>
            {
                same("database")
            }
            _ => Ok(target),
        }
    }

    fn take(&self, password_file: Option<&Path>) -> Result<TakenPlace, Failure> {
        match self {
            Self::Directory(path) => Ok(TakenPlace::Directory {
                taken: DataDirectory::take(path)?,
                shown: path.clone(),
            }),
            Self::Database(url) => {
                let address = PostgresAddress::parse(url, password_file.map(Path::to_owned));
                let address = address.map_err(|error| Failure::misused(error.to_string()))?;
                Ok(TakenPlace::Database(Box::new(address)))
            }
        }
    }
}

impl TakenPlace {
    async fn open(&self) -> Result<Arc<dyn Store>, Failure> {
        match self {
            Self::Directory { taken, .. } => Ok(Arc::new(open_store(Options::new(taken.store())).await?)),
            Self::Database(address) => {
                let options = PostgresOptions::new(PostgresAddress::clone(address));
                let opened = PostgresStore::open(&options, Arc::new(SystemClock)).await;
                let failure = |error| Failure::new(format!("cannot use the store in {address}: {error}"));
                Ok(Arc::new(opened.map_err(failure)?))
            }
        }
    }

    fn directory(&self) -> Option<&DataDirectory> {
        match self {
            Self::Directory { taken, .. } => Some(taken),
            Self::Database(_) => None,
        }
    }
}

impl fmt::Display for TakenPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory { shown, .. } => shown.display().fmt(f),
            Self::Database(address) => address.fmt(f),
        }
    }
}

/// What becomes of the master key.
enum KeyOutcome {
    /// A file was copied, or was the right one already.
    InPlace(PathBuf),
    /// It is kept elsewhere.
    Elsewhere,
}

/// What opens the places.
pub(super) struct ConversionKeys<'k> {
    /// Where passwords for databases are, if their URLs do not say.
    pub(super) password_file: Option<&'k Path>,
    /// The master key, if it is kept elsewhere than beside the store.
    pub(super) given: Option<MasterKey>,
}

/// How it is converted.
pub(super) struct HowToConvert {
    pub(super) policy: Policy,
    /// What no server of the store wrote is no reason to refuse, but to be left out.
    pub(super) leave_out_forged: bool,
    /// Whether it is told in JSON.
    pub(super) json: bool,
}

/// Copies the store at `from` to `to`, verifies the copy and says what there is to know.
pub(super) async fn convert(
    from: &StorePlace,
    to: &StorePlace,
    keys: ConversionKeys<'_>,
    how: HowToConvert,
) -> Result<(), Failure> {
    let HowToConvert {
        policy,
        leave_out_forged,
        json,
    } = how;
    let ConversionKeys { password_file, given } = keys;
    let source_place = from.take_source(password_file)?;
    let target_place = to.take_target(&source_place, password_file)?;
    let source = source_place.open().await?;
    let places = [&source_place, &target_place];
    let converted = fill(source.as_ref(), given, places, leave_out_forged).await;
    if let Ok(Copied {
        vault: Some(vault),
        target,
        ..
    }) = &converted
    {
        // After both were compared. Whoever takes a store elsewhere is told of where it was, and where it is now.
        let (source, target) = (Arc::clone(&source), Arc::clone(target));
        note(source, vault, &policy, &format!("to {target_place}")).await;
        note(target, vault, &policy, &format!("from {source_place}")).await;
    }
    let closed = source.close().await;
    let Copied {
        sum,
        key,
        left_out,
        vault: _,
        target,
    } = converted?;
    let target_closed = target.close().await;
    target_closed.map_err(|error| Failure::new(format!("closing the store failed: {error}")))?;
    // Whatever becomes of the source: the copy is whole.
    if let Err(error) = closed {
        tracing::warn!("closing the store in {source_place} failed: {error}");
    }
    let Checksum { entries, .. } = sum;
    output::tell(
        json,
        || {
            let beside = match &key {
                KeyOutcome::InPlace(path) => Some(path.display().to_string()),
                KeyOutcome::Elsewhere => None,
            };
            json!({
                "entries": entries, "to": target_place.to_string(), "origin_verified": left_out.is_some(),
                "left_out": left_out.as_ref().map(|left_out| left_out.count), "master_key_file": beside,
            })
        },
        || converted_text(entries, &target_place, left_out.is_some(), &key),
    );
    report_left_out(&left_out.unwrap_or_default())
}

fn converted_text(entries: u64, target: &TakenPlace, origin_verified: bool, key: &KeyOutcome) -> String {
    let mut text = format!("{entries} entries copied to {target} and verified\n");
    if !origin_verified {
        text.push_str(
            "whether a server of the store wrote them was not verified, for the master key is not at hand: \
             `countersign store check` does it where the key is\n",
        );
    }
    let _ = match key {
        KeyOutcome::InPlace(path) => writeln!(text, "the master key is in {}", path.display()),
        KeyOutcome::Elsewhere => writeln!(
            text,
            "its secrets are sealed as before: start the server with the same master key"
        ),
    };
    text
}

/// What became of a conversion.
struct Copied {
    sum: Checksum,
    key: KeyOutcome,
    /// What no server of the store wrote; `None` if nobody looked.
    left_out: Option<LeftOut>,
    /// The keys of both, if they are at hand.
    vault: Option<Arc<Vault>>,
    target: Arc<dyn Store>,
}

/// Has the audit log of a store tell of the conversion. It is done, whether that can be written or not.
async fn note(engine: Arc<dyn Store>, vault: &Arc<Vault>, policy: &Policy, which_way: &str) {
    let app = around(engine, Arc::clone(vault), policy.clone(), Arc::default());
    let scope = AuditScope::of_operator(client::own_user());
    let told = async {
        store_format::check(&app).await?;
        record_conversion(&app, which_way).await;
        Ok::<_, UnusableStore>(())
    };
    if let Err(error) = Box::pin(within(scope, told)).await {
        tracing::warn!("the conversion {which_way} is not in the audit log: {error}");
    }
}

async fn fill(
    source: &dyn Store,
    given: Option<MasterKey>,
    [source_place, target_place]: [&TakenPlace; 2],
    leave_out_forged: bool,
) -> Result<Copied, Failure> {
    let failure = |error: ConvertError| Failure::new(error.to_string());
    let ring = read_unverified(source, &keys::key_ring()).await;
    let ring = ring.map_err(|error| failure(ConvertError::Source(error)))?;
    let ring = ring.ok_or_else(|| failure(ConvertError::NoKeys))?;
    let fits = |key: &MasterKey| KeyRing::open(ring.clone(), key).is_ok();
    let places = [source_place.directory(), target_place.directory()];
    let vault = vault(&ring, given, places)?.map(Arc::new);
    let (sieve, left_out) = match &vault {
        Some(vault) => {
            let sieve = Sieve::new(Arc::clone(vault), SystemClock.now());
            let sieve = sieve.map_err(|error| Failure::new(error.to_string()))?;
            let left_out = transfer::verify_store(source, &sieve).await;
            let left_out = left_out.map_err(|error| failure(ConvertError::Source(error)))?;
            if !leave_out_forged {
                let refused = |error| Failure::new(format!("{source_place} is not copied: {error}"));
                left_out.refuse().map_err(refused)?;
            }
            (Some(sieve), Some(left_out))
        }
        None if leave_out_forged => {
            return Err(Failure::misused(
                "--leave-out-forged needs the master key, which tells what was forged: give it with COUNTERSIGN_MASTER_KEY or \
                 COUNTERSIGN_MASTER_KEY_FILE",
            ));
        }
        None => (None, None),
    };
    let key = bring_key(fits, source_place.directory(), target_place.directory())?;
    let target = target_place.open().await?;
    let mut shown = ShownProgress::begin();
    let mut show = |progress| shown.show(progress);
    let converted = transfer::convert(source, target.as_ref(), sieve.as_ref(), &mut show).await;
    shown.end();
    match converted {
        Ok(sum) => Ok(Copied {
            sum,
            key,
            left_out,
            vault,
            target,
        }),
        Err(error) => {
            let _failed_before = target.close().await;
            Err(failure(error))
        }
    }
}

/// The keys of the store, if the master key was given or is beside one of the stores.
fn vault(
    ring: &SealedKeyRing,
    given: Option<MasterKey>,
    places: [Option<&DataDirectory>; 2],
) -> Result<Option<Vault>, Failure> {
    let open = |key: &MasterKey| KeyRing::open(ring.clone(), key);
    if let Some(key) = given {
        let opened = open(&key).map_err(|error| Failure::new(format!("nothing is copied: {error}")))?;
        return Ok(Some(Vault::new(&opened)));
    }
    for place in places.into_iter().flatten() {
        let beside = key_file::read(&place.master_key())?;
        match beside.map(|key| open(&key)) {
            Some(Ok(opened)) => return Ok(Some(Vault::new(&opened))),
            // Nobody could use the copy either.
            Some(Err(error @ KeyRingError::Damaged)) => {
                return Err(Failure::new(format!("nothing is copied: {error}")));
            }
            Some(Err(KeyRingError::OtherMasterKey { .. })) | None => {}
        }
    }
    Ok(None)
}

/// Brings the master key along, before there is a store that would be of no use without it. None is ever replaced.
fn bring_key(
    fits: impl Fn(&MasterKey) -> bool,
    source: Option<&DataDirectory>,
    target: Option<&DataDirectory>,
) -> Result<KeyOutcome, Failure> {
    let Some(target) = target else {
        return Ok(KeyOutcome::Elsewhere);
    };
    let path = target.master_key();
    if let Some(key) = key_file::read(&path)? {
        return if fits(&key) {
            Ok(KeyOutcome::InPlace(path))
        } else {
            Err(Failure::new(format!(
                "the master key in {} is another one than that of the store that is copied: put it aside",
                path.display(),
            )))
        };
    }
    // A store without its key beside it has it elsewhere, and so does one whose key is not the one beside it.
    let beside = source.map(|source| key_file::read(&source.master_key()));
    match beside.transpose()?.flatten() {
        Some(key) if !has_store(target.path()) => {
            let text = Zeroizing::new(format!("{}\n", key.to_text().as_str()));
            if !fits(&key) {
                return Ok(KeyOutcome::Elsewhere);
            }
            key_file::write_secret(&path, &text).map_err(|error| {
                Failure::new(format!(
                    "cannot write the master key to {}: {error}",
                    path.display()
                ))
            })?;
            Ok(KeyOutcome::InPlace(path))
        }
        _ => Ok(KeyOutcome::Elsewhere),
    }
}

/// How far it is, on a terminal.
struct ShownProgress {
    line: ProgressLine,
    stage: Option<ConvertStage>,
}

impl ShownProgress {
    fn begin() -> Self {
        Self {
            line: ProgressLine::begin("reading", ProgressUnit::Bytes),
            stage: None,
        }
    }

    fn show(&mut self, progress: Progress) {
        if self.stage != Some(progress.stage) {
            self.stage = Some(progress.stage);
            self.line.next(match progress.stage {
                ConvertStage::Reading => "reading",
                ConvertStage::Copying => "copying",
                ConvertStage::Verifying => "verifying",
            });
            if let Some(bytes) = progress.of_bytes {
                self.line.of(bytes);
            }
        }
        self.line.at(progress.bytes);
    }

    /// Takes the line away.
    fn end(&self) {
        self.line.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_ring::KeyNumber;
    use crate::domain::time::Timestamp;
    use crate::doubles::SeededEntropy;

    /// The master key is at hand, so a ring that it does not open was changed, and what else was is not known.
    #[test]
    fn a_store_whose_key_ring_was_changed_is_not_copied_unverified() {
        let directory = tempfile::tempdir().unwrap();
        let place = DataDirectory::take(directory.path()).unwrap();
        let entropy = SeededEntropy::new(5);
        let key = key_file::generate(&place.master_key(), &entropy).unwrap();
        let ring = KeyRing::generate(&key, &entropy, Timestamp::from_seconds(1));
        let mut sealed = ring.sealed().clone();
        assert!(vault(&sealed, None, [Some(&place), None]).unwrap().is_some());
        assert!(vault(&sealed, None, [None, None]).unwrap().is_none());
        sealed.data[0].number = KeyNumber(9);
        assert!(vault(&sealed, None, [Some(&place), None]).is_err());
        // One of another store says nothing of this one.
        let other = KeyRing::generate(
            &MasterKey::generate(&entropy),
            &entropy,
            Timestamp::from_seconds(1),
        );
        assert!(
            vault(other.sealed(), None, [Some(&place), None])
                .unwrap()
                .is_none()
        );
    }

    #[test]
    fn a_place_is_a_directory_or_a_database() {
        assert!(matches!("a/b".parse(), Ok(StorePlace::Directory(path)) if path.as_os_str() == "a/b"));
        let database: StorePlace = "postgres://me:hush@host/name".parse().unwrap();
        assert!(!format!("{database:?}").contains("hush"));
        for wrong in ["", "mysql://host/name"] {
            assert!(wrong.parse::<StorePlace>().is_err(), "{wrong}");
        }
    }
}
