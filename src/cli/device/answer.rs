//! `countersign device approve` and `deny`: read the challenge, sign what the server names, send it, read it again.

use std::io::{self, IsTerminal as _, Write as _};

use reqwest::Method;
use serde_json::json;

use super::challenge;
use super::error::DeviceError;
use super::http::DeviceAnswer;
use super::session::DeviceSession;
use crate::cli::output;

/// Which challenge to approve, and with which number.
#[derive(Debug, clap::Args)]
pub(super) struct ApproveArgs {
    #[command(flatten)]
    pub(super) which: WhichChallenge,
    /// The number that the login page shows, if the challenge asks for one; without it, a terminal is asked.
    #[arg(long, value_name = "DIGITS")]
    number: Option<String>,
}

/// Which challenge to deny, and why.
#[derive(Debug, clap::Args)]
pub(super) struct DenyArgs {
    #[command(flatten)]
    pub(super) which: WhichChallenge,
    /// Report that somebody else asked: the server pauses this device's challenges.
    #[arg(long, value_enum)]
    reason: Option<ReasonArg>,
}

/// Which challenge to answer.
#[derive(Debug, clap::Args)]
pub(super) struct WhichChallenge {
    #[command(flatten)]
    pub(super) device: super::HeldDevice,
    /// The challenge's SID (YC...); without it, the only pending one.
    sid: Option<String>,
}

/// Why a challenge is denied.
#[derive(Clone, Copy, Debug, clap::ValueEnum)]
enum ReasonArg {
    /// I did not ask for it.
    NotMe,
}

pub(super) async fn approve(args: &ApproveArgs, session: &mut DeviceSession<'_>) -> Result<(), DeviceError> {
    let challenge = pending(&args.which, session).await?;
    let number = match (challenge::digits_of(&challenge.body), &args.number) {
        (None, None) => None,
        (None, Some(_)) => {
            let why = "this challenge asks for no number: leave --number out";
            return Err(DeviceError::Input(why.to_owned()));
        }
        (Some(_), Some(number)) => Some(number.clone()),
        (Some(digits), None) => Some(ask_for_number(digits)?),
    };
    let number = number.as_deref().map(|number| ("number", number));
    send(&challenge, "approved", number, session, args.which.device.json).await
}

pub(super) async fn deny(args: &DenyArgs, session: &mut DeviceSession<'_>) -> Result<(), DeviceError> {
    let challenge = pending(&args.which, session).await?;
    let reason = args.reason.map(|ReasonArg::NotMe| ("reason", "not_me"));
    send(&challenge, "denied", reason, session, args.which.device.json).await
}

/// The challenge, if it is this device's and takes an answer.
async fn pending(
    which: &WhichChallenge,
    session: &mut DeviceSession<'_>,
) -> Result<DeviceAnswer, DeviceError> {
    let sid = match &which.sid {
        Some(sid) => sid.clone(),
        None => only_pending(session).await?,
    };
    let path = session.challenges(Some(&sid));
    let challenge = session.send(Method::GET, path, &[]).await?;
    let factor = challenge.text("/factor_sid")?;
    if factor != session.state.factor_sid {
        return Err(DeviceError::Answer(format!(
            "{sid} belongs to the factor {factor}, not to this device"
        )));
    }
    let status = challenge.text("/status")?;
    if status != "pending" {
        return Err(DeviceError::Answer(format!(
            "{sid} is {status} and takes no more answer"
        )));
    }
    Ok(challenge)
}

async fn send(
    challenge: &DeviceAnswer,
    wanted: &str,
    added: Option<(&str, &str)>,
    session: &mut DeviceSession<'_>,
    json: bool,
) -> Result<(), DeviceError> {
    let sid = challenge.text("/sid")?;
    let path = session.challenges(Some(&sid));
    let fields = challenge.signature_fields.as_deref().ok_or_else(|| {
        DeviceError::Answer(
            "the server does not say what to sign (Twilio-Verify-Signature-Fields)".to_owned(),
        )
    })?;
    let payload = session
        .key()
        .answer_jwt(&challenge.body, fields, wanted, added)
        .map_err(|error| DeviceError::Answer(error.to_string()))?;
    session
        .send(Method::POST, path.clone(), &[("AuthPayload", payload)])
        .await?;
    let answered = session.send(Method::GET, path, &[]).await?;
    let status = answered.text("/status")?;
    if status != wanted {
        let why = match answered.body["deny_reason"].as_str() {
            Some("wrong_number") => "the number was wrong; start the login again".to_owned(),
            _ => format!("the server took the answer, yet {sid} is {status}"),
        };
        return Err(DeviceError::Answer(why));
    }
    output::tell(
        json,
        || json!({"sid": sid, "status": status}),
        || format!("{sid} {status}\n"),
    );
    Ok(())
}

/// Asks whoever sits at the terminal.
fn ask_for_number(digits: u64) -> Result<String, DeviceError> {
    let input = io::stdin();
    if !input.is_terminal() {
        return Err(DeviceError::Input(format!(
            "this challenge asks for the {digits}-digit number that the login page shows: give it with --number"
        )));
    }
    let mut prompt = io::stderr().lock();
    write!(prompt, "The {digits}-digit number that the login page shows: ")?;
    prompt.flush()?;
    let mut line = String::new();
    input.read_line(&mut line)?;
    Ok(line.trim().to_owned())
}

async fn only_pending(session: &mut DeviceSession<'_>) -> Result<String, DeviceError> {
    let mut pending = challenge::list(session, Some("pending"), 20).await?;
    match pending.len() {
        0 => Err(DeviceError::Input("no challenge is pending".to_owned())),
        1 => Ok(pending.remove(0).sid),
        _ => {
            let lines: Vec<_> = pending.iter().map(ToString::to_string).collect();
            Err(DeviceError::Input(format!(
                "several challenges are pending, name one of them:\n{}",
                lines.join("\n")
            )))
        }
    }
}
