//! Keys that clients and this server agreed on: kept, used, logged in with, forgotten.
//!
//! Invariant: the code that logs a client in is accepted in the commit that notes the login.

use zeroize::Zeroizing;

use crate::app::App;
use crate::domain::client_key::{ClientKey, ClientLogin, KeyLives, Refusal};
use crate::domain::opaque::Fingerprint;
use crate::domain::sealing::SealedField;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::text::DialectName;
use crate::domain::time::Timestamp;
use crate::domain::verification;
use crate::flows::reading::Reading;
use crate::flows::verification::{Guess, check_within};
use crate::flows::{Error, Fault, SealedReads, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a key is found by. It stands in the store as a digest, which tells nobody what clients send in the clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientKeyName(Fingerprint);

impl ClientKeyName {
    /// The key that clients of `dialect` call so.
    #[must_use]
    pub fn of(app: &App, dialect: &DialectName, id: &[u8]) -> Self {
        Self(app.vault.fingerprint(dialect.as_str().as_bytes(), id))
    }
}

/// A key that is in use.
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct OpenedKey {
    pub key: Zeroizing<Vec<u8>>,
    pub login: Option<ClientLogin>,
}

/// The key stays out of logs.
impl std::fmt::Debug for OpenedKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("OpenedKey")
            .field("login", &self.login)
            .finish_non_exhaustive()
    }
}

/// Keeps a key that was agreed on a moment ago; until `expires_at`, if the client said so.
///
/// # Errors
/// [`Refusal::Taken`] if there is another one of this name, [`Error::Failed`].
pub async fn keep(
    app: &App,
    name: ClientKeyName,
    key: &[u8],
    lives: KeyLives,
    expires_at: Option<Timestamp>,
) -> Result<(), Error<Refusal>> {
    let now = app.clock.now();
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let place = keys::client_key(&name.0);
        if reading.contains(&place).await? {
            return Err(Refusal::Taken.into());
        }
        // Sealed anew in each attempt: what is sealed with a key that is gone by now is not written.
        let entropy = app.entropy.as_ref();
        let record = ClientKey {
            key: app
                .vault
                .seal(entropy, place.bytes(), SealedField::ClientKey, key),
            login: None,
            version: None,
            date_created: now,
            last_used: now,
            expires_at,
        };
        let batch = Batch::new().put_record_until(place, &record, record.forgotten_at(lives))?;
        Ok(reading.commit(batch).await?)
    })
    .await
}

/// Opens a key for somebody who says its name, which is no use of it yet: others may have seen the name.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn open(app: &App, name: ClientKeyName, lives: KeyLives) -> Result<OpenedKey, Error<Refusal>> {
    let place = keys::client_key(&name.0);
    let mut sealed = SealedReads::default();
    loop {
        let record = find(app, &mut Reading::new(app), name, lives).await?;
        let opened = app.vault.open(place.bytes(), SealedField::ClientKey, &record.key);
        let fault = match opened {
            Ok(key) => {
                return Ok(OpenedKey {
                    key,
                    login: record.login,
                });
            }
            Err(error) => Fault::unopened("a client's key cannot be opened", error),
        };
        if !sealed.is_to_be_read_again(&fault) {
            return Err(fault.into());
        }
    }
}

/// What is known of whoever speaks with a key.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct KnownClient {
    pub login: Option<ClientLogin>,
    /// Which version of its protocol it speaks, if it ever said so.
    pub version: Option<u32>,
}

/// What is known of whoever uses a key, which is noted, and `version`, if the client says now which one it speaks; that is kept.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn known(
    app: &App,
    name: ClientKeyName,
    lives: KeyLives,
    version: Option<u32>,
) -> Result<KnownClient, Error<Refusal>> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let mut record = find(app, &mut reading, name, lives).await?;
        let now = app.clock.now();
        let (is_used, is_said) = (
            record.used(now, lives),
            version.is_some_and(|version| record.speaks(version, now)),
        );
        if is_used || is_said {
            let place = keys::client_key(&name.0);
            let batch = Batch::new().put_record_until(place, &record, record.forgotten_at(lives))?;
            reading.commit(batch).await?;
        }
        Ok(KnownClient {
            login: record.login,
            version: version.or(record.version.map(|known| known.number)),
        })
    })
    .await
}

/// Who is logged in with a key that somebody uses, which is noted: only for whoever has shown that he has it.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn login(
    app: &App,
    name: ClientKeyName,
    lives: KeyLives,
) -> Result<Option<ClientLogin>, Error<Refusal>> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let mut record = find(app, &mut reading, name, lives).await?;
        if record.used(app.clock.now(), lives) {
            let place = keys::client_key(&name.0);
            let batch = Batch::new().put_record_until(place, &record, record.forgotten_at(lives))?;
            reading.commit(batch).await?;
        }
        Ok(record.login)
    })
    .await
}

/// Ends the login; the key can be used for another one. Says whether there was one.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn log_out(app: &App, name: ClientKeyName, lives: KeyLives) -> Result<bool, Error<Refusal>> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        let mut record = find(app, &mut reading, name, lives).await?;
        if record.login.take().is_none() {
            return Ok(false);
        }
        let place = keys::client_key(&name.0);
        let batch = Batch::new().put_record_until(place, &record, record.forgotten_at(lives))?;
        reading.commit(batch).await?;
        Ok(true)
    })
    .await
}

/// Forgets a key.
///
/// # Errors
/// [`Refusal::NotFound`] without such a key, [`Error::Failed`].
pub async fn forget(app: &App, name: ClientKeyName, lives: KeyLives) -> Result<(), Error<Refusal>> {
    retry_on_conflict(app, || async {
        let mut reading = Reading::new(app);
        find(app, &mut reading, name, lives).await?;
        let batch = Batch::new().delete(keys::client_key(&name.0).into_bytes());
        Ok(reading.commit(batch).await?)
    })
    .await
}

/// Who wants to log in with which key, and what the code is for.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct LoginAttempt {
    pub name: ClientKeyName,
    pub lives: KeyLives,
    pub account: AccountSid,
    pub service: ServiceSid,
    pub verification: VerificationSid,
}

/// Logs in whoever has the right code; `None` if it is wrong. Without `binds` the code is used, and nobody logged in.
///
/// # Errors
/// As [`check`](crate::flows::verification::check); [`verification::Refusal::NotFound`] without such a key, too.
pub async fn log_in(
    app: &App,
    attempt: &LoginAttempt,
    guess: &Guess<'_>,
    binds: bool,
) -> Result<Option<ClientLogin>, Error<verification::Refusal>> {
    retry_on_conflict(app, || log_in_once(app, attempt, guess, binds)).await
}

async fn log_in_once(
    app: &App,
    attempt: &LoginAttempt,
    guess: &Guess<'_>,
    binds: bool,
) -> Result<Option<ClientLogin>, Error<verification::Refusal>> {
    let LoginAttempt {
        name,
        lives,
        account,
        service,
        verification,
    } = *attempt;
    let mut reading = Reading::new(app);
    let found = find(app, &mut reading, name, lives).await;
    let mut record = found.map_err(|error| match error {
        Error::Refused(_) => Error::Refused(verification::Refusal::NotFound),
        Error::Failed(fault) => Error::Failed(fault),
    })?;
    let checked = check_within(app, &mut reading, account, service, verification, guess).await?;
    if !checked.is_right() {
        checked.commit(app, reading, Batch::new()).await?;
        return Ok(None);
    }
    let destination = checked.verification.destination.clone();
    let now = app.clock.now();
    let login = ClientLogin {
        account,
        user: user_number(app, account, &destination.to_key()),
        destination,
        since: now,
    };
    let mut batch = Batch::new();
    if binds {
        record.login = Some(login.clone());
        record.last_used = now;
        let place = keys::client_key(&name.0);
        batch = batch.put_record_until(place, &record, record.forgotten_at(lives))?;
    }
    checked.commit(app, reading, batch).await?;
    Ok(Some(login))
}

/// 40 bits of a keyed digest, and never 0: whoever sees it learns no destination.
fn user_number(app: &App, account: AccountSid, destination: &[u8]) -> u64 {
    let digest = app.vault.fingerprint(account.as_bytes(), destination);
    let bytes = digest.as_bytes()[..5].iter();
    bytes
        .fold(0, |number, byte| number << 8 | u64::from(*byte))
        .max(1)
}

async fn find(
    app: &App,
    reading: &mut Reading<'_>,
    name: ClientKeyName,
    lives: KeyLives,
) -> Result<ClientKey, Error<Refusal>> {
    let record = reading.require(&keys::client_key(&name.0)).await?;
    if app.clock.now() >= record.forgotten_at(lives) {
        return Err(Refusal::NotFound.into());
    }
    Ok(record)
}
