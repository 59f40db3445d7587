//! Creates a credential.

use super::{require_known_token_uri, seal};
use crate::app::App;
use crate::crypto::provider_key::P256Pem;
use crate::crypto::service_account::ServiceAccount;
use crate::domain::credential::{ApnCredential, Credential, CredentialKey};
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::domain::text::{ApnsIdentifier, AppId, FriendlyName};
use crate::flows::Error;
use crate::store::{Batch, keys};

/// What a caller wants of a new credential.
#[derive(Debug)]
pub struct NewCredential {
    /// See [`Credential::friendly_name`].
    pub friendly_name: Option<FriendlyName>,
    /// The key.
    pub key: NewKey,
}

/// A key of one of the providers.
#[derive(Debug)]
pub enum NewKey {
    /// Apple's.
    Apn {
        /// See [`ApnCredential::private_key`].
        private_key: P256Pem,
        /// See [`ApnCredential::key_id`].
        key_id: ApnsIdentifier,
        /// See [`ApnCredential::team_id`].
        team_id: ApnsIdentifier,
        /// See [`ApnCredential::topic`].
        topic: Option<AppId>,
        /// See [`ApnCredential::sandbox`].
        sandbox: bool,
    },
    /// Google's.
    Fcm(ServiceAccount),
}

/// Creates a credential of `account`.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::Parameter`] for a service account whose tokens are not Google's,
/// [`Error::Failed`].
pub async fn create_credential(
    app: &App,
    account: AccountSid,
    new: NewCredential,
) -> Result<Credential, Error> {
    let now = app.clock.now();
    let sid = CredentialSid::generate(now, app.entropy.as_ref());
    let place = (account, sid);
    let key = match new.key {
        NewKey::Apn {
            private_key,
            key_id,
            team_id,
            topic,
            sandbox,
        } => CredentialKey::Apn(ApnCredential {
            private_key: seal(app, place, private_key.reveal()),
            key_id,
            team_id,
            topic,
            sandbox,
        }),
        NewKey::Fcm(file) => {
            require_known_token_uri(app, &file)?;
            let service_account = seal(app, place, &file.to_json());
            CredentialKey::Fcm { service_account }
        }
    };
    let credential = Credential {
        sid,
        account,
        friendly_name: new.friendly_name,
        key,
        date_created: now,
        date_updated: now,
    };
    let batch = Batch::new().put_new_record(keys::credential(account, sid), &credential)?;
    app.store.commit(batch).await?;
    Ok(credential)
}
