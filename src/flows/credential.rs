//! Credentials: the keys that push providers gave an account.
//!
//! A service that names a credential needs it, so it cannot be deleted. Whoever makes a service name one commits the
//! credential's record anew; a deletion, which looks through the account's services first, asserts the version
//! that it read before it looked, and begins again when somebody was faster.

use zeroize::Zeroizing;

use crate::app::App;
use crate::crypto::provider_key::P256Pem;
use crate::crypto::sealed::SealError;
use crate::crypto::service_account::ServiceAccount;
use crate::domain::credential::{ApnCredential, Credential, CredentialKey, Refusal};
use crate::domain::opaque::Sealed;
use crate::domain::sealing::SealedField;
use crate::domain::service::{Change, Service};
use crate::domain::sid::{AccountSid, CredentialSid, ServiceSid};
use crate::domain::text::{ApnsIdentifier, ApnsTopic, FriendlyName};
use crate::flows::page::{Page, PageRequest, page};
use crate::flows::reading::{Prior, Reading};
use crate::flows::{Error, Fault, SealedReads, retry_on_conflict};
use crate::store::keys::{self, Key};
use crate::store::records;
use crate::store::{Batch, Order, Scan};

/// What a caller wants of a new [`Credential`].
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct NewCredential {
    pub friendly_name: Option<FriendlyName>,
    pub key: NewKey,
}

/// A key of one of the providers; the parts of Apple's are the fields of an [`ApnCredential`].
#[derive(Debug)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum NewKey {
    /// Apple's.
    Apn {
        private_key: P256Pem,
        key_id: ApnsIdentifier,
        team_id: ApnsIdentifier,
        topic: Option<ApnsTopic>,
        sandbox: bool,
    },
    /// Google's.
    Fcm(ServiceAccount),
}

/// Creates a credential of `account`.
///
/// # Errors
/// [`Refusal::UnknownTokenUri`], [`Error::Failed`].
pub async fn create(
    app: &App,
    account: AccountSid,
    new: NewCredential,
) -> Result<Credential, Error<Refusal>> {
    // Sealed anew in each attempt: what is sealed with a key that is gone by now is not written.
    retry_on_conflict(app, || create_once(app, account, &new)).await
}

async fn create_once(
    app: &App,
    account: AccountSid,
    new: &NewCredential,
) -> Result<Credential, Error<Refusal>> {
    let now = app.clock.now();
    let sid = CredentialSid::generate(now, app.sids.as_ref());
    let place = keys::credential(account, sid);
    let key = match &new.key {
        NewKey::Apn {
            private_key,
            key_id,
            team_id,
            topic,
            sandbox,
        } => CredentialKey::Apn(ApnCredential {
            private_key: seal(app, &place, private_key.reveal()),
            key_id: key_id.clone(),
            team_id: team_id.clone(),
            topic: topic.clone(),
            sandbox: *sandbox,
        }),
        NewKey::Fcm(file) => {
            require_known_token_uri(app, file)?;
            let service_account = seal(app, &place, &file.to_json());
            CredentialKey::Fcm { service_account }
        }
    };
    let credential = Credential {
        sid,
        account,
        friendly_name: new.friendly_name.clone(),
        key,
        date_created: now,
        date_updated: now,
    };
    let batch = Batch::new().put_new_record(place, &credential)?;
    Reading::new(app).commit(batch).await?;
    Ok(credential)
}

/// The credential, if it is one of the account's.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn fetch(app: &App, account: AccountSid, sid: CredentialSid) -> Result<Credential, Error<Refusal>> {
    let key = keys::credential(account, sid);
    Ok(Reading::new(app).require(&key).await?)
}

/// The credential, if it is one of the account's, for who changes it next: [`update`] goes on with what was read.
///
/// # Errors
/// As [`fetch`].
pub async fn find(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
) -> Result<(Credential, Prior), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let credential = reading.require(&keys::credential(account, sid)).await?;
    Ok((credential, Prior::of(reading)))
}

/// What a caller wants changed; `None` and [`Change::Keep`] leave it as it is. What belongs to the other provider is
/// ignored.
#[derive(Debug, Default)]
pub struct CredentialChanges {
    /// Of either.
    pub friendly_name: Change<FriendlyName>,
    /// Of Apple's: the key.
    pub private_key: Option<P256Pem>,
    /// Of Apple's: what Apple calls the key.
    pub key_id: Option<ApnsIdentifier>,
    /// Of Apple's: the team that the key belongs to.
    pub team_id: Option<ApnsIdentifier>,
    /// Of Apple's: the app that is woken.
    pub topic: Change<ApnsTopic>,
    /// Of Apple's: whether the development environment is meant.
    pub sandbox: Option<bool>,
    /// Of Google's: the service account's key.
    pub service_account: Option<ServiceAccount>,
}

/// Changes what `changes` names and leaves the rest; `prior` is what [`find`] has read.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::UnknownTokenUri`], [`Error::Failed`].
pub async fn update(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
    mut prior: Prior,
    changes: CredentialChanges,
) -> Result<Credential, Error<Refusal>> {
    retry_on_conflict(app, || {
        update_once(app, prior.reading(app), account, sid, &changes)
    })
    .await
}

async fn update_once(
    app: &App,
    mut reading: Reading<'_>,
    account: AccountSid,
    sid: CredentialSid,
    changes: &CredentialChanges,
) -> Result<Credential, Error<Refusal>> {
    let key = keys::credential(account, sid);
    let mut credential = reading.require(&key).await?;
    changes.friendly_name.clone().apply(&mut credential.friendly_name);
    match &mut credential.key {
        CredentialKey::Apn(apn) => {
            if let Some(private_key) = &changes.private_key {
                apn.private_key = seal(app, &key, private_key.reveal());
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
                *service_account = seal(app, &key, &file.to_json());
            }
        }
    }
    credential.date_updated = app.clock.now();
    reading.commit(Batch::new().put_record(key, &credential)?).await?;
    Ok(credential)
}

/// Deletes a credential that no service uses.
///
/// # Errors
/// [`Refusal::NotFound`], [`Refusal::InUse`], [`Error::Failed`].
pub async fn delete(app: &App, account: AccountSid, sid: CredentialSid) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || delete_once(app, account, sid)).await
}

async fn delete_once(app: &App, account: AccountSid, sid: CredentialSid) -> Result<(), Error<Refusal>> {
    let mut reading = Reading::new(app);
    let key = keys::credential(account, sid);
    reading.require(&key).await?;
    // A service that comes to use it from here on writes its record anew, and the commit below fails.
    if let Some(service) = user(&reading, account, sid).await? {
        return Err(Refusal::InUse { service }.into());
    }
    Ok(reading.commit(Batch::new().delete(key.into_bytes())).await?)
}

/// A service that uses the credential.
async fn user(
    reading: &Reading<'_>,
    account: AccountSid,
    sid: CredentialSid,
) -> Result<Option<ServiceSid>, Fault> {
    const CHUNK: usize = 200;
    let prefix = keys::services(account).bytes().to_vec();
    let mut after = None;
    loop {
        let services = reading
            .scan(Scan {
                prefix: prefix.clone(),
                after,
                order: Order::Ascending,
                limit: CHUNK,
            })
            .await?;
        for (_, entry) in &services {
            let service: Service = records::decode(&entry.value)?;
            let push = &service.settings.push;
            if [push.apn_credential_sid, push.fcm_credential_sid].contains(&Some(sid)) {
                return Ok(Some(service.sid));
            }
        }
        match services.last() {
            Some((key, _)) if services.len() == CHUNK => after = Some(key.clone()),
            _ => return Ok(None),
        }
    }
}

/// A page of the account's credentials, in the order of their creation.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    request: PageRequest,
) -> Result<Page<Credential>, Error<Refusal>> {
    let raw = page(app, &keys::credentials(account), request).await?;
    Ok(raw.decoded(app)?)
}

/// The credential with what is secret in it, if there is such a credential.
///
/// # Errors
/// [`Fault`].
pub(crate) async fn opened(
    app: &App,
    account: AccountSid,
    sid: CredentialSid,
) -> Result<Option<(Credential, Zeroizing<String>)>, Fault> {
    let mut sealed = SealedReads::default();
    loop {
        let found = Reading::new(app).glance(&keys::credential(account, sid)).await?;
        let Some(credential) = found else {
            return Ok(None);
        };
        let fault = match open_key(app, &credential) {
            Ok(secret) => return Ok(Some((credential, secret))),
            Err(error) => Fault::unopened(format!("the key of credential {sid} does not open"), error),
        };
        if !sealed.is_to_be_read_again(&fault) {
            return Err(fault);
        }
    }
}

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
    let mut bytes = app
        .vault
        .open(place.bytes(), SealedField::CredentialKey, sealed)?;
    // Only texts are sealed here.
    String::from_utf8(std::mem::take(&mut *bytes))
        .map(Zeroizing::new)
        .map_err(|_| SealError::NotAuthentic)
}

fn seal(app: &App, place: &Key<Credential>, secret: &str) -> Sealed {
    app.vault.seal(
        app.entropy.as_ref(),
        place.bytes(),
        SealedField::CredentialKey,
        secret.as_bytes(),
    )
}

/// A service account that wants its tokens from somebody else than Google is refused: nobody would ask there.
fn require_known_token_uri(app: &App, account: &ServiceAccount) -> Result<(), Refusal> {
    match &account.token_uri {
        Some(uri) if !app.senders.push.fcm.accepts_token_uri(uri) => Err(Refusal::UnknownTokenUri),
        _ => Ok(()),
    }
}
