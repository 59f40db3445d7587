//! `countersign device enroll`: create the push factor, then prove that its key is held.

use std::io::{self, Read as _};
use std::path::PathBuf;

use reqwest::Method;
use serde_json::json;

use crate::cli::output;
use crate::domain::time::Clock;

use super::error::DeviceError;
use super::http::{DeviceRequest, ServerUrl, read_certificate};
use super::key::{HeldKey, UnusableKey};
use super::session::{DeviceSession, entity_path};
use super::state::{DeviceState, HeldSecret, StateFile};

/// What a phone app is given, and how the phone presents itself.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The server, like <https://verify.example.com>.
    #[arg(long, value_name = "BASE")]
    url: String,
    /// The service's SID (VA...).
    #[arg(long, value_name = "SID")]
    service: String,
    /// The user's identity in that service.
    #[arg(long)]
    identity: String,
    /// The access token that the backend made for this identity; `-` reads it from the standard input, which keeps it
    /// out of process lists.
    #[arg(
        long,
        value_name = "TOKEN",
        env = "COUNTERSIGN_ACCESS_TOKEN",
        hide_env_values = true
    )]
    access_token: Token,
    /// The device's name, as the user will see it.
    #[arg(long)]
    name: String,
    /// Where to keep the device; the file must not exist.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// Who delivers notifications to the device.
    #[arg(long, value_enum, default_value_t = PlatformArg::None)]
    platform: PlatformArg,
    /// The device's address at that platform.
    #[arg(
        long,
        value_name = "T",
        required_if_eq_any([("platform", "fcm"), ("platform", "apn")])
    )]
    push_token: Option<String>,
    /// The application's identifier.
    #[arg(long, value_name = "ID", default_value = "dev.countersign.device")]
    app_id: String,
    /// A PEM certificate to trust instead of the system's roots; it is kept in the state file.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum PlatformArg {
    /// Apple.
    Apn,
    /// Google.
    Fcm,
    /// Nobody: the device asks.
    None,
}

/// An access token from the command line; it does not print.
#[derive(Clone)]
struct Token(String);

impl From<&str> for Token {
    fn from(text: &str) -> Self {
        Self(text.to_owned())
    }
}

impl std::fmt::Debug for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Token(..)")
    }
}

pub(super) async fn run(args: Args, clock: &dyn Clock) -> Result<(), DeviceError> {
    let token = match args.access_token.0.as_str() {
        "-" => read_token()?,
        given => given.to_owned(),
    };
    let ca = args.ca.as_deref().map(read_certificate).transpose()?;
    let server = ServerUrl::new(&args.url, ca.as_deref())?;
    let key = HeldKey::generate().map_err(bad_key)?;
    let file = StateFile::reserve(&args.state)?;
    let state = match create_factor(&args, &server, &key, &token).await {
        Ok(created) => DeviceState {
            url: server.base().to_owned(),
            ca_certificate: ca,
            service_sid: args.service,
            identity: args.identity,
            private_key: HeldSecret(key.secret().to_string()),
            clock_offset_seconds: 0,
            account_sid: created.account,
            factor_sid: created.factor,
            credential_sid: created.credential,
        },
        Err(error) => {
            file.remove()?;
            return Err(error);
        }
    };
    file.save(&state)?;
    let mut session = DeviceSession::new(server, key, clock, state, file);
    verify(&mut session).await.map_err(|error| {
        DeviceError::Answer(format!(
            "the factor {} was created but not verified: {error}; `countersign device remove --state {}` deletes it",
            session.state.factor_sid,
            session.file.path().display()
        ))
    })?;
    let (sid, identity) = (&session.state.factor_sid, &session.state.identity);
    output::tell(
        args.json,
        || json!({"factor_sid": sid, "identity": identity, "name": args.name}),
        || format!("enrolled {sid} of {identity} as {}\n", args.name),
    );
    Ok(())
}

// The SIDs that the server gave.
struct Created {
    account: String,
    factor: String,
    credential: String,
}

async fn create_factor(
    args: &Args,
    server: &ServerUrl,
    key: &HeldKey,
    token: &str,
) -> Result<Created, DeviceError> {
    let mut form = vec![
        ("FriendlyName", args.name.clone()),
        ("FactorType", "push".to_owned()),
        ("Binding.PublicKey", key.public_key().map_err(bad_key)?),
        ("Binding.Alg", "ES256".to_owned()),
        ("Config.SdkVersion", env!("CARGO_PKG_VERSION").to_owned()),
        ("Config.AppId", args.app_id.clone()),
        ("Config.NotificationPlatform", args.platform.wire().to_owned()),
    ];
    if let (PlatformArg::Apn | PlatformArg::Fcm, Some(address)) = (args.platform, &args.push_token) {
        form.push(("Config.NotificationToken", address.clone()));
    }
    let request = DeviceRequest {
        method: Method::POST,
        path: format!("{}/Factors", entity_path(&args.service, &args.identity)),
        pairs: &form,
    };
    let answer = server.send(&request, token).await?.success()?;
    Ok(Created {
        account: answer.text("/account_sid")?,
        factor: answer.text("/sid")?,
        credential: answer.text("/config/credential_sid")?,
    })
}

async fn verify(session: &mut DeviceSession<'_>) -> Result<(), DeviceError> {
    let proof = session
        .key()
        .factor_proof(&session.state.factor_sid)
        .map_err(bad_key)?;
    let answer = session
        .send(Method::POST, session.factor(), &[("AuthPayload", proof)])
        .await?;
    match answer.text("/status")?.as_str() {
        "verified" => Ok(()),
        other => Err(DeviceError::Answer(format!("the server leaves it {other:?}"))),
    }
}

fn read_token() -> Result<String, DeviceError> {
    let mut text = String::new();
    io::stdin()
        .lock()
        .read_to_string(&mut text)
        .map_err(|error| DeviceError::Input(format!("cannot read the access token: {error}")))?;
    Ok(text.trim().to_owned())
}

fn bad_key(error: UnusableKey) -> DeviceError {
    DeviceError::Input(error.to_string())
}

impl PlatformArg {
    fn wire(self) -> &'static str {
        match self {
            Self::Apn => "apn",
            Self::Fcm => "fcm",
            Self::None => "none",
        }
    }
}
