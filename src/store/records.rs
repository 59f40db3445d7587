//! Values: how records become bytes, and typed reading and writing of them.
//!
//! A stored record is one byte for its kind, one for the version of its format, and the record in `MessagePack`, its
//! fields in their order and without their names: every byte is written and synced with each use of a factor. A field
//! that a later version adds comes last in its struct and has a default, so that old records read as they are; any other
//! change gets a new version number and a conversion. Every released format stays in `tests/data`.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::keys::Key;
use super::{Batch, Store, StoreError, Version};
use crate::domain::entity::EntityScope;
use crate::domain::key_ring::StoreIdentity;
use crate::domain::opaque::{DevicePublicKey, P256Point, Sealed};
use crate::domain::sealing::{HoldsSealed, SealedField};
use crate::domain::sid::{
    AccountSid, ApiKeySid, ChallengeSid, EntitySid, FactorSid, ServiceSid, VerificationSid,
};
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;

/// Something that is stored; the table in [`kinds`](super::kinds) has its row.
pub trait Record: Serialize + DeserializeOwned {
    /// The letter of its kind, so that a record under a wrong key is noticed.
    const KIND: u8;
    /// The version of the format that is written.
    const VERSION: u8 = 1;

    /// Makes it what it is worth in `epoch`, which began behind it.
    fn void(&mut self, epoch: StoreEpoch) {
        let _ = epoch;
    }

    /// Has each sealed value in it looked at.
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        let _ = look;
    }

    /// Has each sealed value in it replaced, or left.
    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        let _ = change;
    }
}

/// Records and marks whose entries stay until somebody deletes them.
#[diagnostic::on_unimplemented(
    message = "the table of kinds says that entries of `{Self}` end",
    note = "say when, with `put_record_until` or one like it"
)]
pub trait Stays {}

/// Records and marks whose entries end by themselves.
#[diagnostic::on_unimplemented(message = "the table of kinds says that entries of `{Self}` stay")]
pub trait Ends {}

/// Stands for entries that hold nothing: the key says it all.
pub trait Mark {}

/// Where the factor is that a device's `kid` means.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct DeviceAddress {
    pub account: AccountSid,
    pub service: ServiceSid,
    pub identity: Identity,
    pub entity: EntitySid,
    pub factor: FactorSid,
}

impl DeviceAddress {
    /// The entity that the device belongs to.
    #[must_use]
    pub fn scope(&self) -> EntityScope {
        EntityScope {
            account: self.account,
            service: self.service,
            identity: self.identity.clone(),
            entity: self.entity,
        }
    }
}

/// What a device's `kid` means.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceRecord {
    /// Where its factor is.
    pub address: DeviceAddress,
    /// The factor's, which never changes. It stands here, too, so that a wrong signature is refused before anything is read
    /// that there is only for devices that exist.
    pub public_key: DevicePublicKey,
}

/// A challenge whose expiry somebody wants to hear of.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ChallengeTimer {
    pub account: AccountSid,
    pub service: ServiceSid,
    pub identity: Identity,
    pub entity: EntitySid,
    pub challenge: ChallengeSid,
}

impl ChallengeTimer {
    /// The entity that the challenge belongs to.
    #[must_use]
    pub fn scope(&self) -> EntityScope {
        EntityScope {
            account: self.account,
            service: self.service,
            identity: self.identity.clone(),
            entity: self.entity,
        }
    }
}

/// Which API key goes by a name that it brought along.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ImportedKey {
    pub key: ApiKeySid,
}

/// A verification whose plan goes on by itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct VerificationTimer {
    pub account: AccountSid,
    pub service: ServiceSid,
    pub verification: VerificationSid,
    /// How long the wait is that ends then, in seconds.
    pub wait: u32,
}

/// A deleted service whose records are still to be reclaimed.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Purge {
    /// When the service was deleted.
    pub since: Timestamp,
}

/// How many entities and factors an account created within a second.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct CreationRate {
    /// Which second (since the epoch).
    pub second: u64,
    pub count: u32,
}

/// How many services an account has; there is none of an account without services.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the field says what it is")]
pub struct ServiceCount {
    pub count: u32,
}

/// Which service an account's requests in a protocol belong to that knows no services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the field says what it is")]
pub struct DialectServiceRecord {
    pub service: ServiceSid,
}

/// What a store says of itself.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoreFormat {
    /// The version of the key map.
    pub version: u32,
}

/// That a store is not whole yet: what fills it, and how far it has got. It comes with the first entries and goes with the
/// last ones.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filling {
    /// Where the entries come from; nothing else may go on.
    pub source: FillSource,
    /// How many entries there are by now.
    pub entries: u64,
    /// The key of the last of them.
    #[serde(with = "serde_bytes")]
    pub last_key: Vec<u8>,
}

/// What a store is filled from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum FillSource {
    /// Another store.
    Conversion {
        /// Which one.
        store: StoreIdentity,
    },
    /// An export.
    Import {
        /// The checksum on its last line.
        #[serde(with = "serde_bytes")]
        sha256: [u8; 32],
    },
}

/// The key that push services know this server by (VAPID, RFC 8292).
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct VapidKeyRecord {
    /// What apps subscribe with.
    pub public_key: P256Point,
    /// The other half, sealed for this record.
    pub private_key: Sealed,
}

impl HoldsSealed for VapidKeyRecord {
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        look(&self.private_key);
    }

    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        change(SealedField::VapidKey, &mut self.private_key);
    }
}

/// A record as it was read, with what to assert when a decision rests on it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Stored<T> {
    pub record: T,
    pub version: Version,
}

/// The bytes of `record`.
///
/// # Errors
/// [`StoreError::Corrupt`] if it cannot be written as `MessagePack`, which no record of ours brings about.
pub fn encode<T: Record>(record: &T) -> Result<Vec<u8>, StoreError> {
    let mut bytes = Vec::with_capacity(512);
    bytes.extend_from_slice(&[T::KIND, T::VERSION]);
    rmp_serde::encode::write(&mut bytes, record)
        .map_err(|error| StoreError::Corrupt(format!("kind {}: {error}", char::from(T::KIND))))?;
    Ok(bytes)
}

/// The record in `bytes`.
///
/// # Errors
/// [`StoreError::Corrupt`] if it is of another kind, of a later version, or damaged.
pub fn decode<T: Record>(bytes: &[u8]) -> Result<T, StoreError> {
    let corrupt = |why: String| StoreError::Corrupt(format!("kind {}: {why}", char::from(T::KIND)));
    match bytes {
        [kind, ..] if *kind != T::KIND => Err(corrupt(format!("found kind {}", kind.escape_ascii()))),
        [_, version, body @ ..] if *version == T::VERSION => {
            let mut reader = rmp_serde::Deserializer::from_read_ref(body);
            let record = T::deserialize(&mut reader).map_err(|error| corrupt(error.to_string()))?;
            Ok(record)
        }
        [_, version, ..] => Err(corrupt(format!(
            "format version {version} is not one that this program knows"
        ))),
        _ => Err(corrupt("cut short".to_owned())),
    }
}

/// Reads the record in `bytes`, only to see whether it can be read.
pub(super) fn read_only<T: Record>(bytes: &[u8]) -> Result<(), StoreError> {
    decode::<T>(bytes).map(drop)
}

/// How a record's bytes are written anew: what is older than an epoch that voids it is so from then on, and what is sealed in it
/// may be sealed anew.
pub type WriteAnew =
    fn(&[u8], Option<StoreEpoch>, &mut dyn FnMut(SealedField, &mut Sealed)) -> Result<Vec<u8>, StoreError>;

pub(super) fn write_anew<T: Record>(
    bytes: &[u8],
    voids: Option<StoreEpoch>,
    change: &mut dyn FnMut(SealedField, &mut Sealed),
) -> Result<Vec<u8>, StoreError> {
    let mut record = decode::<T>(bytes)?;
    if let Some(epoch) = voids {
        record.void(epoch);
    }
    record.change_sealed(change);
    encode(&record)
}

/// Has each sealed value in a record's bytes looked at.
pub type LookAtSealed = fn(&[u8], &mut dyn FnMut(&Sealed)) -> Result<(), StoreError>;

pub(super) fn look_at_sealed<T: Record>(
    bytes: &[u8],
    look: &mut dyn FnMut(&Sealed),
) -> Result<(), StoreError> {
    decode::<T>(bytes)?.look_at_sealed(look);
    Ok(())
}

/// The record at `key`.
///
/// # Errors
/// [`StoreError`] if the store cannot read or what it reads is damaged.
pub async fn read<T: Record>(store: &dyn Store, key: &Key<T>) -> Result<Option<Stored<T>>, StoreError> {
    match store.get(key.bytes()).await? {
        Some(entry) => Ok(Some(Stored {
            record: decode(&entry.value)?,
            version: entry.version,
        })),
        None => Ok(None),
    }
}

/// Writing records into a batch, each with an end or without one as the table of kinds says:
///
/// ```compile_fail,E0277
/// use countersign::domain::challenge::Challenge;
/// use countersign::store::{Batch, keys::Key};
///
/// fn challenges_end(key: Key<Challenge>, challenge: &Challenge) {
///     let _without_an_end = Batch::new().put_record(key, challenge);
/// }
/// ```
impl Batch {
    /// Writes `record` at `key`.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put_record<T: Record + Stays>(self, key: Key<T>, record: &T) -> Result<Self, StoreError> {
        Ok(self.noting_seals(record).put(key.into_bytes(), encode(record)?))
    }

    /// Writes `record` at `key`, to be reclaimed at `expires_at`.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put_record_until<T: Record + Ends>(
        self,
        key: Key<T>,
        record: &T,
        expires_at: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(self
            .noting_seals(record)
            .put_until(key.into_bytes(), encode(record)?, expires_at))
    }

    /// Writes `record` at `key`, to be reclaimed at `end` if it has one.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put_record_with_end<T: Record + Stays + Ends>(
        self,
        key: Key<T>,
        record: &T,
        end: Option<Timestamp>,
    ) -> Result<Self, StoreError> {
        match end {
            Some(end) => self.put_record_until(key, record, end),
            None => self.put_record(key, record),
        }
    }

    /// Writes `record` at `key`, which was never used before; see [`Batch::put_new`].
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put_new_record<T: Record + Stays>(self, key: Key<T>, record: &T) -> Result<Self, StoreError> {
        Ok(self
            .noting_seals(record)
            .put_new(key.into_bytes(), encode(record)?))
    }

    /// As [`Batch::put_new_record`], to be reclaimed at `end` if it has one.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put_new_record_with_end<T: Record + Stays + Ends>(
        self,
        key: Key<T>,
        record: &T,
        end: Option<Timestamp>,
    ) -> Result<Self, StoreError> {
        match end {
            Some(end) => self.put_new_record_until(key, record, end),
            None => self.put_new_record(key, record),
        }
    }

    /// As [`Batch::put_new_record`], to be reclaimed at `expires_at`.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn put_new_record_until<T: Record + Ends>(
        self,
        key: Key<T>,
        record: &T,
        expires_at: Timestamp,
    ) -> Result<Self, StoreError> {
        Ok(self
            .noting_seals(record)
            .put_new_until(key.into_bytes(), encode(record)?, expires_at))
    }

    /// Notes which keys seal what is in `record`: should one of them be on its way out, the batch does not apply.
    fn noting_seals<T: Record>(mut self, record: &T) -> Self {
        record.look_at_sealed(&mut |sealed| {
            if let Some(number) = sealed.key_number()
                && !self.sealed_with.contains(&number)
            {
                self.sealed_with.push(number);
            }
        });
        self
    }

    /// As [`Batch::put_new_record_until`], of what is read with its neighbours only, by scans: an engine that keeps what was written
    /// lately at hand need not keep this.
    ///
    /// # Errors
    /// As [`encode`].
    pub fn append_record_until<T: Record + Ends>(
        self,
        key: Key<T>,
        record: &T,
        expires_at: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut batch = self.put_new_record_until(key, record, expires_at)?;
        if let Some(put) = batch.puts.last_mut() {
            put.appended = true;
        }
        Ok(batch)
    }

    /// Writes a key that says it all.
    pub fn mark<T: Mark + Stays>(self, key: Key<T>) -> Self {
        self.put(key.into_bytes(), Vec::new())
    }

    /// Writes a key that says it all and was never used before, to be reclaimed at `expires_at`; see
    /// [`Batch::put_new`].
    pub fn mark_new_until<T: Mark + Ends>(self, key: Key<T>, expires_at: Timestamp) -> Self {
        self.put_new_until(key.into_bytes(), Vec::new(), expires_at)
    }
}
