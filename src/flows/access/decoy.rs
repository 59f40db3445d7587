//! What is decoded for a caller that does not exist: a record of the kind that one who does has.
//!
//! Whoever is looked for and not found costs less by the time that decoding takes, which is enough to be measured by
//! somebody who asks often. What stands here is as long as records of callers usually are; how long one is exactly still
//! shows in some nanoseconds.

use std::hint::black_box;
use std::sync::LazyLock;

use crate::app::App;
use crate::domain::account::{Account, AccountStatus, ApiKey};
use crate::domain::bearer_token::BearerToken;
use crate::domain::opaque::{DevicePublicKey, Sealed, TokenHash};
use crate::domain::sid::{AccountSid, ApiKeySid, BearerTokenSid, EntitySid, FactorSid, ServiceSid};
use crate::domain::text::{DialectName, FriendlyName, Identity};
use crate::domain::time::Timestamp;
use crate::domain::webhook_secrets::WebhookSecrets;
use crate::flows::Fault;
use crate::store::authentic::decoy;
use crate::store::records::{self, DeviceAddress, DeviceRecord, ImportedKey, Record};
use crate::store::{Entry, KeptVerdict, Version};

/// A record that a caller is let in by.
pub(super) trait Decoy: Record {
    /// One that is nobody's, as it would come out of a store.
    fn entry() -> &'static Entry;
}

/// What was found, or else what stands in for it, and whether it was found. A decoy is copied and decoded as what comes out
/// of the store is, and its MAC verified if theirs is each time, so that nothing that follows has to know which of both it has.
///
/// # Errors
/// [`Fault::Corrupt`], which no decoy of ours is.
pub(super) fn or_decoy<T: Decoy>(app: &App, found: Option<T>) -> Result<(T, bool), Fault> {
    if let Some(found) = found {
        return Ok((found, true));
    }
    let kept = app.store.keeps_verdicts();
    let value = black_box(decoy(&app.vault, &USUAL_KEY, &T::entry().value, kept));
    Ok((records::decode(&value)?, false))
}

/// As long as the keys of most callers' entries.
const USUAL_KEY: [u8; 17] = [0; 17];

macro_rules! decoys {
    ($($kind:ty: $record:expr;)+) => {$(
        impl Decoy for $kind {
            fn entry() -> &'static Entry {
                static ENTRY: LazyLock<Entry> = LazyLock::new(|| encoded::<$kind>($record));
                &ENTRY
            }
        }
    )+};
}

decoys! {
    Account: FriendlyName::parse("Owl Bank").ok().map(|friendly_name| Account {
        sid: AccountSid::from_bytes([0; 16]),
        friendly_name,
        token: TokenHash([0; 32]),
        status: AccountStatus::Active,
        date_created: Timestamp::from_seconds(1_700_000_000),
        webhook_secrets: WebhookSecrets::new(Sealed::from_bytes(vec![0; 65]), true),
    });
    ApiKey: FriendlyName::parse("backend").ok().map(|friendly_name| ApiKey {
        sid: ApiKeySid::from_bytes([0; 16]),
        account: AccountSid::from_bytes([0; 16]),
        imported: None,
        friendly_name,
        secret: TokenHash([0; 32]),
        date_created: Timestamp::from_seconds(1_700_000_000),
    });
    ImportedKey: Some(ImportedKey {
        key: ApiKeySid::from_bytes([0; 16]),
    });
    BearerToken: DialectName::parse("dialect").ok().zip(FriendlyName::parse("backend").ok()).map(|(dialect, friendly_name)| {
        BearerToken {
            sid: BearerTokenSid::from_bytes([0; 16]),
            account: AccountSid::from_bytes([0; 16]),
            dialect,
            user: None,
            friendly_name,
            secret: TokenHash([0; 32]),
            date_created: Timestamp::from_seconds(1_700_000_000),
            expires_at: None,
        }
    });
    DeviceRecord: Identity::parse("0123456789abcdef0123456789abcdef").ok().map(|identity| DeviceRecord {
        address: DeviceAddress {
            account: AccountSid::from_bytes([0; 16]),
            service: ServiceSid::from_bytes([0; 16]),
            identity,
            entity: EntitySid::from_bytes([0; 16]),
            factor: FactorSid::from_bytes([0; 16]),
        },
        public_key: DevicePublicKey::OF_NOBODY,
    });
}

fn encoded<T: Record>(record: Option<T>) -> Entry {
    Entry {
        value: record
            .and_then(|record| records::encode(&record).ok())
            .unwrap_or_default(),
        version: Version(0),
        expires_at: None,
        verdict: KeptVerdict::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::TestParts;
    use crate::flows::bearer_token::{self, NewBearerToken};
    use crate::flows::{account, api_key};

    /// One that could not be read would be read in no time.
    #[test]
    fn every_decoy_is_a_record() {
        fn is_one<T: Decoy>() {
            assert!(records::decode::<T>(&T::entry().value).is_ok());
        }
        is_one::<Account>();
        is_one::<ApiKey>();
        is_one::<BearerToken>();
        is_one::<DeviceRecord>();
    }

    #[tokio::test]
    async fn decoys_are_as_long_as_what_they_stand_for() {
        let app = TestParts::default().wire();
        let name = FriendlyName::parse("Owl Bank").unwrap();
        let account = account::create(&app, name.clone()).await.unwrap().account;
        let (key, _) = api_key::create(&app, account.sid, name).await.unwrap();
        let new = NewBearerToken {
            dialect: DialectName::parse("example").unwrap(),
            user: None,
            friendly_name: FriendlyName::parse("Owl Bank").unwrap(),
            life: None,
        };
        let (token, _) = bearer_token::create(&app, account.sid, new).await.unwrap();
        for (decoy, real) in [
            (&BearerToken::entry().value, records::encode(&token).unwrap()),
            (&Account::entry().value, records::encode(&account).unwrap()),
            (&ApiKey::entry().value, records::encode(&key).unwrap()),
        ] {
            assert!(
                decoy.len().abs_diff(real.len()) < 8,
                "{} and {}",
                decoy.len(),
                real.len()
            );
        }
    }
}
