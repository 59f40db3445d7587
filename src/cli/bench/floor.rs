//! The floor: a bare handler in a process of its own, under the same load. It reads a form and answers 600 bytes of
//! JSON; what a server that decides and stores reaches is said as a part of it.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::serve::ListenerExt as _;
use tokio::net::TcpListener;

use super::LoadArgs;
use super::cost::{Purse, RequestCost};
use super::load::{self, LoadLimit, LoadOutcome, Work};
use super::measure::RoundArgs;
use super::pool::ClientPool;
use super::report::Report;
use super::target::{AccountCredentials, PreparedRequest, Target};
use super::totp;
use crate::web::process::process_metrics;

#[derive(Debug, clap::Args)]
pub(super) struct FloorArgs {
    /// A bare handler that is there already, which `countersign bench floor-server` is until its standard input ends, instead of one of
    /// this command's own.
    #[arg(long)]
    url: Option<String>,
    #[command(flatten)]
    load: LoadArgs,
    #[command(flatten)]
    round: RoundArgs,
}

/// What was measured of the handler.
pub(super) struct FloorOutcome {
    pub(super) outcome: LoadOutcome,
    /// What a request took, if that was asked for.
    pub(super) cost: Option<RequestCost>,
}

/// Loads a handler, and prints the report.
pub(super) fn run(args: &FloorArgs) -> Result<(), String> {
    let FloorArgs { url, load, round } = args;
    let server = url.is_none().then(FloorServer::start).transpose()?;
    let url = url
        .as_deref()
        .or(server.as_ref().map(|server| server.url.as_str()));
    let target = Target::parse(url.unwrap_or_default())?;
    let outcome = round.run(|| load_it(&target, load.pool(), round.limit(*load)))?;
    Report::new(&outcome).print(load.json)
}

/// Starts the handler, loads it and stops it.
pub(super) fn measure(pool: ClientPool, limit: LoadLimit, with_cost: bool) -> Result<FloorOutcome, String> {
    let server = FloorServer::start()?;
    let target = Target::parse(&server.url)?;
    if !with_cost {
        let outcome = load_it(&target, pool, limit)?;
        return Ok(FloorOutcome { outcome, cost: None });
    }
    let purse = Purse::new(server.process.id(), target.clone());
    let before = purse.spent()?;
    let outcome = load_it(&target, pool, limit)?;
    let cost = purse.spent()?.since(&before, outcome.sent)?;
    Ok(FloorOutcome {
        outcome,
        cost: Some(cost),
    })
}

fn load_it(target: &Target, pool: ClientPool, limit: LoadLimit) -> Result<LoadOutcome, String> {
    let mut request = Vec::new();
    let parts = PreparedRequest {
        method: "POST",
        path: PATH,
        form: FORM,
    };
    target.write(&mut request, &AccountCredentials::new(SID, SID), &parts);
    load::run(
        pool,
        std::slice::from_ref(target),
        &Arc::new(Repeat(request)),
        totp::APPROVED,
        limit,
    )
}

/// The hidden command that is the handler: it announces its address and runs until its standard input ends, so that it
/// cannot outlive whoever measures it.
pub(super) async fn serve() -> Result<(), String> {
    let text = |error: io::Error| error.to_string();
    let listener = TcpListener::bind("127.0.0.1:0").await.map_err(text)?;
    let address = listener.local_addr().map_err(text)?;
    writeln!(io::stdout().lock(), "listening on http://{address}").map_err(text)?;
    let listener = listener.tap_io(|stream| {
        // Without it the measurement is a little slower and still right.
        let _ = stream.set_nodelay(true);
    });
    let router = Router::new()
        .route(PATH, post(handle))
        .route("/metrics", get(async || process_metrics()));
    let end = tokio::task::spawn_blocking(|| io::stdin().lock().read_to_end(&mut Vec::new()));
    tokio::select! {
        served = axum::serve(listener, router) => served.map_err(text),
        _ = end => Ok(()),
    }
}

async fn handle(body: Bytes) -> Response {
    let (mut factor, mut code) = (None, None);
    for (name, value) in form_urlencoded::parse(&body) {
        match name.as_ref() {
            "FactorSid" => factor = Some(value),
            "AuthPayload" => code = Some(value),
            _ => {}
        }
    }
    if factor.is_none() || code.is_none() {
        return StatusCode::BAD_REQUEST.into_response();
    }
    let answer = [(CONTENT_TYPE, "application/json")];
    (StatusCode::CREATED, answer, ANSWER).into_response()
}

struct FloorServer {
    process: Child,
    // Closing it ends the process.
    input: Option<ChildStdin>,
    url: String,
}

impl FloorServer {
    fn start() -> Result<Self, String> {
        let text = |error: io::Error| format!("cannot start the floor's process: {error}");
        let program = std::env::current_exe().map_err(text)?;
        let mut process = Command::new(program)
            .args(["bench", "floor-server"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(text)?;
        let input = process.stdin.take();
        let mut line = String::new();
        if let Some(output) = process.stdout.take() {
            BufReader::new(output).read_line(&mut line).map_err(text)?;
        }
        let url = line
            .trim_end()
            .strip_prefix("listening on ")
            .unwrap_or_default()
            .to_owned();
        Ok(Self { process, input, url })
    }
}

impl Drop for FloorServer {
    fn drop(&mut self) {
        self.input = None;
        // A process that is gone already is what is wanted.
        let _ = self.process.wait();
    }
}

/// The same request for ever.
struct Repeat(Vec<u8>);

impl Work for Repeat {
    type Piece = ();

    fn take(&self, request: &mut Vec<u8>) -> Option<()> {
        request.clear();
        request.extend_from_slice(&self.0);
        Some(())
    }

    fn give_back(&self, (): ()) {}
}

const SID: &str = "AC00000000000000000000000000000000";
const PATH: &str = "/v2/Services/VA00000000000000000000000000000000/Entities/bench-0/Challenges";
const FORM: &str = "FactorSid=YF00000000000000000000000000000000&AuthPayload=123456";

/// 600 bytes.
const ANSWER: &str = concat!(
    r#"{"sid":"YC00000000000000000000000000000000","account_sid":"AC00000000000000000000000000000000","#,
    r#""service_sid":"VA00000000000000000000000000000000","entity_sid":"YE00000000000000000000000000000000","#,
    r#""identity":"bench-0","factor_sid":"YF00000000000000000000000000000000","status":"approved","#,
    r#""date_created":"2015-07-30T20:00:00Z","date_updated":"2015-07-30T20:00:00Z","#,
    r#""date_responded":"2015-07-30T20:00:00Z","expiration_date":"2015-07-30T20:05:00Z","#,
    r#""responded_reason":null,"details":null,"hidden_details":null,"metadata":null,"factor_type":"totp","#,
    r#""url":"http://example.com","links":{"notifications":null}}"#
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_has_600_bytes_and_is_json() {
        assert_eq!(ANSWER.len(), 600);
        serde_json::from_str::<serde_json::Value>(ANSWER).unwrap();
    }
}
