//! Logging in with a code: `auth.sendCode`, `auth.resendCode`, `auth.signIn`, `auth.cancelCode`.

use std::time::Duration;

use subtle::ConstantTimeEq as _;

use super::RpcCaller;
use super::account::UserForm;
use super::errors::RpcError;
use super::numbers::{attempt, attempt_name, phone};
use super::policy::{ATTEMPTS_OF_A_NUMBER, next_way, policy};
use crate::dialect::telegram::schema::{
    AUTH_AUTHORIZATION, AUTH_AUTHORIZATION_SIGN_UP_REQUIRED, AUTH_RESEND_CODE, AUTH_SENT_CODE, AUTH_SIGN_IN,
    BOOL_TRUE, CODE_TYPE_CALL, CODE_TYPE_SMS, SENT_CODE_TYPE_CALL, SENT_CODE_TYPE_SMS,
};
use crate::dialect::telegram::tl::{MalformedTl, TlReader, TlWriter};
use crate::domain::account::Account;
use crate::domain::audit::Author;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::service::Refusal as ServiceRefusal;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::text::{DialectName, ServiceName};
use crate::domain::verification::{Content, Refusal, Verification};
use crate::flows::client_key::{LoginAttempt, log_in};
use crate::flows::reading::{Admitted, Foreseen};
use crate::flows::verification::{
    self, Guess, Resend, SessionDraft, SessionPermits, Settlement, VerificationName,
};
use crate::flows::{Error, account, audit, dialect_service};

impl From<MalformedTl> for RpcError {
    fn from(_: MalformedTl) -> Self {
        Self::INPUT_FETCH_ERROR
    }
}

/// `auth.sendCode`: a new attempt, and its code on its way.
pub(super) async fn send_code(caller: &RpcCaller, mut reader: TlReader<'_>) -> Result<Vec<u8>, RpcError> {
    let number = reader.string()?;
    let (api_id, api_hash) = (reader.int()?, reader.string()?);
    // What the client would rather have instead of a text message is not to be had here.
    let _settings = reader.word()?;
    require_app(caller, api_id, api_hash)?;
    let destination = Destination::Phone(phone(number, caller.layer)?);
    // Before the store is asked for anything.
    caller
        .gate
        .send_code(caller.peer, caller.app.clock.now())
        .map_err(RpcError::flood_wait)?;
    let (account, service) = owner(caller).await?;
    let new = SessionDraft {
        destination,
        policy: policy(),
        permits: vec![SessionPermits {
            rule: ATTEMPTS_OF_A_NUMBER,
            apart: None,
        }],
    };
    let ways = ways(caller, Channel::Sms);
    let sent = verification::create_and_send(&caller.app, account, service, &new, &ways).await;
    let sent = sent.map_err(|error| match error {
        // Its service was deleted a moment ago: the next call makes another one.
        Error::Refused(Refusal::NotFound) => RpcError::AUTH_RESTART,
        error => RpcError::of_sending(&error),
    })?;
    Ok(sent_code(caller, &sent))
}

/// `auth.resendCode`: the code of an attempt by the way that is next.
pub(super) async fn resend_code(
    caller: &RpcCaller,
    constructor: u32,
    mut reader: TlReader<'_>,
) -> Result<Vec<u8>, RpcError> {
    const REASON: u32 = 1;
    let flags = if constructor == AUTH_RESEND_CODE {
        reader.word()?
    } else {
        0
    };
    let (number, name) = (reader.string()?, reader.string()?);
    if flags & REASON != 0 {
        // Whatever kept the code from arriving, the next way is another one.
        reader.bytes()?;
    }
    let destination = Destination::Phone(phone(number, caller.layer)?);
    let sid = attempt(name)?;
    let (account, service) = owner(caller).await?;
    let who = account.who;
    let named = VerificationName::Sid(sid);
    let (_, found) = verification::fetch(&caller.app, account, service, &named)
        .await
        .map_err(|error| RpcError::of_sending(&error))?;
    let now = caller.app.clock.now();
    if !found.destination.is_same(&destination) || !found.is_pending(now) {
        return Err(RpcError::PHONE_CODE_EXPIRED);
    }
    let (channel, _) = next_way(&caller.app, &found, now).ok_or(RpcError::SEND_CODE_UNAVAILABLE)?;
    let sent = send(caller, who, service, &found, channel).await?;
    Ok(sent_code(caller, &sent))
}

/// `auth.signIn`: whoever has the code is logged in. Versions of the schema whose form of a user is not known are told that the
/// code was right.
pub(super) async fn sign_in(
    caller: &RpcCaller,
    constructor: u32,
    mut reader: TlReader<'_>,
) -> Result<Vec<u8>, RpcError> {
    const CODE: u32 = 1;
    let flags = if constructor == AUTH_SIGN_IN {
        reader.word()?
    } else {
        CODE
    };
    let (number, name) = (reader.string()?, reader.string()?);
    let code = if flags & CODE != 0 { reader.string()? } else { "" };
    // Before the code counts for anything: in which form it is answered depends on it.
    let layer = caller.layer.ok_or(RpcError::CONNECTION_NOT_INITED)?;
    let form = UserForm::of(layer);
    let destination = Destination::Phone(phone(number, caller.layer)?);
    let verification = attempt(name)?;
    if code.is_empty() {
        return Err(RpcError::PHONE_CODE_EMPTY);
    }
    let (account, service) = owner(caller).await?;
    let guess = Guess {
        code: Some(code),
        ip: Some(caller.peer.to_string()),
        destination: Some(destination),
        ..Guess::default()
    };
    let login = LoginAttempt {
        name: caller.key,
        lives: caller.settings.key_lives,
        account: account.who,
        service,
        verification,
    };
    let login = log_in(&caller.app, &login, &guess, form.is_some())
        .await
        .map_err(|error| RpcError::of_checking(&error))?
        .ok_or(RpcError::PHONE_CODE_INVALID)?;
    let signed_in = match form {
        Some(form) => TlWriter::of(AUTH_AUTHORIZATION).word(0).raw(&form.write(&login)),
        None => TlWriter::of(AUTH_AUTHORIZATION_SIGN_UP_REQUIRED).word(0),
    };
    Ok(signed_in.done())
}

/// `auth.cancelCode`: the attempt is over.
pub(super) async fn cancel_code(caller: &RpcCaller, mut reader: TlReader<'_>) -> Result<Vec<u8>, RpcError> {
    let (number, name) = (reader.string()?, reader.string()?);
    let destination = Destination::Phone(phone(number, caller.layer)?);
    let named = VerificationName::Sid(attempt(name)?);
    let (account, service) = owner(caller).await?;
    let who = account.who;
    let (_, found) = verification::fetch(&caller.app, account, service, &named)
        .await
        .map_err(|error| RpcError::of_checking(&error))?;
    if !found.destination.is_same(&destination) {
        return Err(RpcError::PHONE_CODE_EXPIRED);
    }
    verification::settle(&caller.app, who, service, &named, Settlement::Cancel)
        .await
        .map_err(|error| RpcError::of_checking(&error))?;
    Ok(TlWriter::of(BOOL_TRUE).done())
}

fn require_app(caller: &RpcCaller, api_id: i32, api_hash: &str) -> Result<(), RpcError> {
    let apps = &caller.settings.apps;
    let is_known = apps.iter().any(|app| {
        let is_hash: bool = app.api_hash.as_bytes().ct_eq(api_hash.as_bytes()).into();
        app.api_id == api_id && is_hash
    });
    if is_known || apps.is_empty() {
        Ok(())
    } else {
        Err(RpcError::API_ID_INVALID)
    }
}

/// The account that calls act for, and its service for logging in.
async fn owner(caller: &RpcCaller) -> Result<(Admitted<AccountSid>, ServiceSid), RpcError> {
    let app = caller.app.as_ref();
    let found = account::find(app, caller.settings.account).await;
    let mut account = match found.map_err(|fault| RpcError::of_fault(&fault))? {
        account::FoundAccount::One(found) if Account::is_active(&found) => {
            audit::note_author(found.sid, Author::Anyone);
            Admitted::from(found.sid)
        }
        account::FoundAccount::One(_) => {
            return Err(unconfigured("the account that clients log in for is suspended"));
        }
        account::FoundAccount::None => {
            return Err(unconfigured("there is no account that clients could log in for"));
        }
        account::FoundAccount::Several => {
            return Err(unconfigured(
                "there are several accounts; say in the setting telegram_account which one clients log in for",
            ));
        }
    };
    let (Ok(dialect), Ok(name)) = (
        DialectName::parse(super::super::NAME),
        ServiceName::parse(SERVICE_NAME),
    ) else {
        return Err(unconfigured("the names of the service are no names"));
    };
    let nothing = |_| Foreseen::default();
    let service = dialect_service::service_of(app, &mut account, &dialect, &name, nothing)
        .await
        .map_err(|error| match error {
            Error::Refused(ServiceRefusal::NotFound) => RpcError::AUTH_RESTART,
            Error::Refused(refusal) => unconfigured(&refusal.to_string()),
            Error::Failed(fault) => RpcError::of_fault(&fault),
        })?;
    Ok((account, service))
}

fn unconfigured(why: &str) -> RpcError {
    RpcError::internal(format!("a login was refused: {why}"))
}

/// The ways that a code is sent: over `channel`, or over another one if nobody can send it so.
fn ways(caller: &RpcCaller, channel: Channel) -> [Resend; 2] {
    let other = match channel {
        Channel::Sms => Channel::Call,
        _ => Channel::Sms,
    };
    [channel, other].map(|channel| Resend {
        channel,
        content: Content {
            device_ip: Some(caller.peer),
            ..Content::default()
        },
        risk_check: true,
        sender: None,
    })
}

/// Sends the code of an attempt over `channel`, or over another one if nobody can send it so.
async fn send(
    caller: &RpcCaller,
    account: AccountSid,
    service: ServiceSid,
    attempt: &Verification,
    channel: Channel,
) -> Result<Verification, RpcError> {
    let mut first = None;
    for wanted in ways(caller, channel) {
        let sent = verification::resend(&caller.app, account, service, attempt.sid, &wanted).await;
        match sent {
            Ok(sent) => return Ok(sent),
            Err(error) => {
                let may_go_otherwise = matches!(
                    &error,
                    Error::Refused(Refusal::LandlineSms | Refusal::NoSender { .. })
                );
                let told = first.get_or_insert_with(|| RpcError::of_sending(&error)).clone();
                if !may_go_otherwise {
                    return Err(told);
                }
            }
        }
    }
    Err(first.unwrap_or(RpcError::SMS_CODE_CREATE_FAILED))
}

/// How the code was sent, which way it goes next, and when that may be asked for.
fn sent_code(caller: &RpcCaller, attempt: &Verification) -> Vec<u8> {
    const NEXT_TYPE: u32 = 1 << 1;
    const TIMEOUT: u32 = 1 << 2;
    let now = caller.app.clock.now();
    let next = next_way(&caller.app, attempt, now);
    let flags = next.map_or(0, |_| NEXT_TYPE | TIMEOUT);
    let sent_as = match attempt.channel() {
        Some(Channel::Call) => SENT_CODE_TYPE_CALL,
        _ => SENT_CODE_TYPE_SMS,
    };
    let written = TlWriter::of(AUTH_SENT_CODE)
        .word(flags)
        .word(sent_as)
        .int(i32::from(attempt.policy.code_length.get()))
        .string(&attempt_name(attempt.sid));
    let Some((channel, moment)) = next else {
        return written.done();
    };
    let next_type = match channel {
        Channel::Call => CODE_TYPE_CALL,
        _ => CODE_TYPE_SMS,
    };
    written
        .word(next_type)
        .int(whole_seconds(moment.since(now)))
        .done()
}

/// Rounded up: whoever waits so long is not too early.
fn whole_seconds(wait: Duration) -> i32 {
    i32::try_from(wait.as_millis().div_ceil(1000)).unwrap_or(i32::MAX)
}

/// What users are shown as whoever writes to them, until the service is given another name.
const SERVICE_NAME: &str = "Telegram";
