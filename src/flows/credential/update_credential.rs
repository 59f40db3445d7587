//! Changes a credential.

use super::fetch_credential::read_credential;
use super::{require_known_token_uri, seal};
use crate::app::App;
use crate::crypto::provider_key::P256Pem;
use crate::crypto::service_account::ServiceAccount;
use crate::domain::credential::{Credential, CredentialKey};
use crate::domain::service::Change;
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::domain::text::{ApnsIdentifier, AppId, FriendlyName};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a caller wants changed; `None` and [`Change::Keep`] leave it as it is. What belongs to the other provider is
/// ignored.
#[derive(Debug, Default)]
pub struct CredentialChanges {
    /// See [`Credential::friendly_name`].
    pub friendly_name: Change<FriendlyName>,
    /// Of Apple's: the key.
    pub private_key: Option<P256Pem>,
    /// Of Apple's: what Apple calls the key.
    pub key_id: Option<ApnsIdentifier>,
    /// Of Apple's: the team that the key belongs to.
    pub team_id: Option<ApnsIdentifier>,
    /// Of Apple's: the app that is woken.
    pub topic: Change<AppId>,
    /// Of Apple's: whether the development environment is meant.
    pub sandbox: Option<bool>,
    /// Of Google's: the service account's key.
    pub service_account: Option<ServiceAccount>,
}

/// Changes what `changes` names and leaves the rest.
///
/// # Errors
/// [`crate::domain::refusal::Refusal::NotFound`], [`crate::domain::refusal::Refusal::Parameter`] for a service account
/// whose tokens are not Google's, [`Error::Failed`].
pub async fn update_credential(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
    changes: CredentialChanges,
) -> Result<Credential, Error> {
    retry_on_conflict(|| update(app, account, sid, &changes)).await
}

async fn update(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
    changes: &CredentialChanges,
) -> Result<Credential, Error> {
    let found = read_credential(app, account, sid).await?;
    let mut credential = found.record.clone();
    changes.friendly_name.clone().apply(&mut credential.friendly_name);
    match &mut credential.key {
        CredentialKey::Apn(apn) => {
            if let Some(private_key) = &changes.private_key {
                apn.private_key = seal(app, (account, sid), private_key.reveal());
            }
            if let Some(key_id) = &changes.key_id {
                apn.key_id = key_id.clone();
            }
            if let Some(team_id) = &changes.team_id {
                apn.team_id = team_id.clone();
            }
            changes.topic.clone().apply(&mut apn.topic);
            apn.sandbox = changes.sandbox.unwrap_or(apn.sandbox);
        }
        CredentialKey::Fcm { service_account } => {
            if let Some(file) = &changes.service_account {
                require_known_token_uri(app, file)?;
                *service_account = seal(app, (account, sid), &file.to_json());
            }
        }
    }
    credential.date_updated = app.clock.now();
    let key = keys::credential(account, sid);
    let batch = Batch::new()
        .assert_read(&key, &found)
        .put_record(key, &credential)?;
    app.store.commit(batch).await?;
    Ok(credential)
}
