//! `countersign device approve` and `deny`: read the challenge, sign what the server names, send it, read it again.

use std::io::{self, Write as _};

use reqwest::Method;

use super::challenge;
use super::error::Error;
use super::session::Session;

/// Which challenge to answer.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) device: super::Device,
    /// The challenge's SID (YC...); without it, the only pending one.
    sid: Option<String>,
}

/// What to sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Approved,
    Denied,
}

pub(super) async fn run(args: &Args, answer: Answer, session: &mut Session<'_>) -> Result<(), Error> {
    let sid = match &args.sid {
        Some(sid) => sid.clone(),
        None => only_pending(session).await?,
    };
    let path = session.challenges(Some(&sid));
    let challenge = session.send(Method::GET, path.clone(), &[]).await?;
    let factor = challenge.text("/factor_sid")?;
    if factor != session.state.factor_sid {
        return Err(Error::Answer(format!(
            "{sid} belongs to the factor {factor}, not to this device"
        )));
    }
    let status = challenge.text("/status")?;
    if status != "pending" {
        return Err(Error::Answer(format!(
            "{sid} is {status} and takes no more answer"
        )));
    }
    let fields = challenge.signature_fields.as_deref().ok_or_else(|| {
        Error::Answer("the server does not say what to sign (Twilio-Verify-Signature-Fields)".to_owned())
    })?;
    let payload = session
        .key()
        .answer_jwt(&challenge.body, fields, answer.wire())
        .map_err(|error| Error::Answer(error.to_string()))?;
    session
        .send(Method::POST, path.clone(), &[("AuthPayload", payload)])
        .await?;
    let status = session.send(Method::GET, path, &[]).await?.text("/status")?;
    if status != answer.wire() {
        return Err(Error::Answer(format!(
            "the server took the answer, yet {sid} is {status}"
        )));
    }
    writeln!(io::stdout().lock(), "{sid} {status}")?;
    Ok(())
}

async fn only_pending(session: &mut Session<'_>) -> Result<String, Error> {
    let mut pending = challenge::list(session, Some("pending"), 20).await?;
    match pending.len() {
        0 => Err(Error::Input("no challenge is pending".to_owned())),
        1 => Ok(pending.remove(0).sid),
        _ => {
            let lines: Vec<_> = pending.iter().map(ToString::to_string).collect();
            Err(Error::Input(format!(
                "several challenges are pending, name one of them:\n{}",
                lines.join("\n")
            )))
        }
    }
}

impl Answer {
    fn wire(self) -> &'static str {
        match self {
            Self::Approved => "approved",
            Self::Denied => "denied",
        }
    }
}
