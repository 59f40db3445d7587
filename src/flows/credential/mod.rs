//! Credentials: the keys that push providers gave an account.
//!
//! A service that names a credential needs it, so it cannot be deleted. Whoever makes a service name one commits the
//! credential's record anew (`hold`); a deletion, which looks through the account's services first, asserts the version
//! that it read before it looked, and begins again when somebody was faster.

pub mod create_credential;
pub mod delete_credential;
pub mod fetch_credential;
pub mod list_credentials;
pub mod update_credential;

use zeroize::Zeroizing;

use self::fetch_credential::read_credential;
use crate::app::App;
use crate::crypto::sealed::SealError;
use crate::crypto::service_account::ServiceAccount;
use crate::domain::credential::{Credential, CredentialKey, PushProvider};
use crate::domain::opaque::Sealed;
use crate::domain::refusal::Refusal;
use crate::domain::service::{Change, ServiceChanges};
use crate::domain::sid::{AccountSid, CredentialSid};
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Writes into `batch` that the credentials which a service is to name are there when it applies, and cannot be deleted
/// unnoticed.
pub(crate) async fn hold(
    app: &App,
    account: AccountSid,
    changes: &ServiceChanges,
    mut batch: Batch,
) -> Result<Batch, Error> {
    let wanted = [
        (
            &changes.push_apn_credential_sid,
            PushProvider::Apn,
            NO_APN_CREDENTIAL,
        ),
        (
            &changes.push_fcm_credential_sid,
            PushProvider::Fcm,
            NO_FCM_CREDENTIAL,
        ),
    ];
    for (change, provider, refusal) in wanted {
        let Change::Set(sid) = change else {
            continue;
        };
        let found = match read_credential(app, account, *sid).await {
            Ok(found) if found.record.provider() == provider => found,
            Ok(_) | Err(Error::Refused(_)) => return Err(refusal.into()),
            Err(error) => return Err(error),
        };
        let key = keys::credential(account, *sid);
        batch = batch.assert_read(&key, &found).put_record(key, &found.record)?;
    }
    Ok(batch)
}

const NO_APN_CREDENTIAL: Refusal = Refusal::Parameter {
    parameter: "Push.ApnCredentialSid",
    why: "must be the SID of one of the account's credentials of type apn; create one with POST /v1/Credentials",
};
const NO_FCM_CREDENTIAL: Refusal = Refusal::Parameter {
    parameter: "Push.FcmCredentialSid",
    why: "must be the SID of one of the account's credentials of type fcm; create one with POST /v1/Credentials",
};

/// What is secret in the credential.
///
/// # Errors
/// [`SealError`], when it was sealed with another master key or for another credential.
pub(crate) fn open_key(app: &App, credential: &Credential) -> Result<Zeroizing<String>, SealError> {
    let place = keys::credential(credential.account, credential.sid);
    let sealed = match &credential.key {
        CredentialKey::Apn(apn) => &apn.private_key,
        CredentialKey::Fcm { service_account } => service_account,
    };
    let mut bytes = app.vault.open(place.bytes(), sealed)?;
    // Only texts are sealed here.
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|_| SealError::NotAuthentic)
}

fn seal(app: &App, (account, sid): (AccountSid, CredentialSid), secret: &str) -> Sealed {
    let place = keys::credential(account, sid);
    app.vault
        .seal(app.entropy.as_ref(), place.bytes(), secret.as_bytes())
}

/// A service account that wants its tokens from somebody else than Google is refused: nobody would ask there.
fn require_known_token_uri(app: &App, account: &ServiceAccount) -> Result<(), Refusal> {
    match &account.token_uri {
        Some(uri) if !app.senders.push.fcm.accepts_token_uri(uri) => Err(Refusal::Parameter {
            parameter: "Secret",
            why: "must have no other token_uri than https://oauth2.googleapis.com/token, where tokens are asked for \
                  unless the operator says otherwise (fcm_token_url)",
        }),
        _ => Ok(()),
    }
}
