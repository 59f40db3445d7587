//! Checks of verifications: is this the code?

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::destinations::destination;
use super::error::{ApiError, Parameter};
use super::form::{Form, sid};
use super::json::{self, Text};
use super::verification_parameters::{code, payment};
use super::verifications::status;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::{Payment, SilentFailure, Verification, VerificationStatus};
use crate::flows::verification::{self, AgreedPayment, Guess, VerificationName};

/// `POST /v2/Services/{ServiceSid}/VerificationCheck`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let given = Given::read(&call.form).map_err(ApiError::in_service)?;
    let service = call.sid("ServiceSid")?;
    let guess = Guess {
        code: call.form.filled("Code"),
        payment: AgreedPayment::Named(given.payment),
        sna_client_token: call.form.filled("SnaClientToken"),
        ip: None,
        destination: given.to,
        compares_approved: false,
    };
    let checked = verification::check(call.app(), account, service, &given.which, &guess).await;
    let checked = call.settle_verification(checked)?;
    let mut json = CheckJson::new(&call, &checked.verification);
    json.codes_paused_until = checked.paused_until.map(Text);
    Ok(json::resource(StatusCode::CREATED, &json))
}

/// What is checked besides the code.
struct Given {
    which: VerificationName,
    /// Where the code went, if that was given; of two names, both hold.
    to: Option<Destination>,
    payment: Option<Payment>,
}

impl Given {
    fn read(form: &Form) -> Result<Self, ApiError> {
        // What cannot be a code is refused before it counts as one.
        form.parsed(Parameter::CODE, code)?;
        form.parsed(Parameter::SNA_CLIENT_TOKEN, sna_client_token)?;
        let verification = form.parsed(Parameter::VERIFICATION_SID, sid("must be VE and 32 hex digits"))?;
        let to = form.parsed(Parameter::TO, destination)?;
        let which = match (verification, &to) {
            (Some(verification), _) => VerificationName::Sid(verification),
            (None, Some(to)) => VerificationName::To(to.clone()),
            (None, None) => return Err(ApiError::verification_unnamed()),
        };
        Ok(Self {
            which,
            to,
            payment: payment(form)?,
        })
    }
}

fn sna_client_token(text: &str) -> Result<(), &'static str> {
    if text.len() <= 256 && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(())
    } else {
        Err("must be one that the SNA URL has answered")
    }
}

#[derive(Serialize)]
struct CheckJson<'a> {
    sid: Text<VerificationSid>,
    service_sid: Text<ServiceSid>,
    account_sid: Text<AccountSid>,
    to: &'a str,
    channel: Option<&'static str>,
    status: &'static str,
    valid: bool,
    amount: Option<&'a str>,
    payee: Option<&'a str>,
    sna_attempts_error_codes: Vec<SnaErrorJson>,
    /// Only of a wrong code behind which none is looked at for a while (not part of Twilio's API).
    #[serde(skip_serializing_if = "Option::is_none")]
    codes_paused_until: Option<Text<Timestamp>>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
}

#[derive(Serialize)]
struct SnaErrorJson {
    attempt_sid: Text<AttemptSid>,
    code: u32,
}

impl<'a> CheckJson<'a> {
    fn new(call: &Call, verification: &'a Verification) -> Self {
        let now = verification.status(call.now());
        let payment = verification.content.payment.as_ref();
        Self {
            sid: Text(verification.sid),
            service_sid: Text(verification.service),
            account_sid: Text(verification.account),
            to: verification.destination.as_str(),
            channel: verification.channel().map(Channel::name),
            status: status(now),
            valid: now == VerificationStatus::Approved,
            amount: payment.map(|payment| payment.amount.as_str()),
            payee: payment.map(|payment| payment.payee.as_str()),
            sna_attempts_error_codes: sna_errors(verification, now),
            codes_paused_until: None,
            date_created: Text(verification.date_created),
            date_updated: Text(verification.date_updated),
        }
    }
}

/// What went wrong when the URL of silent authentication was called, the first time first; and last, 60519, if nobody has called
/// it yet, or the network has not answered.
fn sna_errors(verification: &Verification, now: VerificationStatus) -> Vec<SnaErrorJson> {
    let errors = verification.silent.iter().flat_map(|silent| &silent.errors);
    let waits = now == VerificationStatus::Pending
        && verification.silent.as_ref().is_some_and(|silent| {
            let failed = u32::try_from(silent.errors.len()).unwrap_or(u32::MAX);
            !silent.confirmed && (silent.calls == 0 || silent.calls > failed)
        });
    let last = verification
        .sends
        .iter()
        .rev()
        .find(|send| send.channel == Channel::Sna);
    let attempt = last.and_then(|send| send.tries.last()).filter(|_| waits);
    let pending = attempt.map(|attempt| SnaErrorJson {
        attempt_sid: Text(attempt.attempt),
        code: 60519,
    });
    errors
        .map(|error| SnaErrorJson {
            attempt_sid: Text(error.attempt),
            code: match error.why {
                SilentFailure::Mismatch => 60500,
                SilentFailure::Undecided => 60510,
            },
        })
        .chain(pending)
        .collect()
}
