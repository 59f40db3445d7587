//! `countersign device watch`: what a phone without notifications does.
//!
//! It listens to the factor's event stream, and comes again when that ends: where it was, and less often when the server
//! is away. A server without such streams is asked again and again instead.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::time::Duration;

use reqwest::Response;
use serde_json::Value;

use super::challenge::{self, ShownChallenge};
use super::error::DeviceError;
use super::events::{EventReader, StreamEvent};
use super::session::DeviceSession;
use crate::cli::output;

/// How to watch.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) device: super::HeldDevice,
    /// Seconds between two looks, at a server that has no event streams.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

pub(super) async fn run(args: &Args, session: &mut DeviceSession<'_>) -> Result<(), DeviceError> {
    let mut shown = HashSet::new();
    let mut last_id: Option<String> = None;
    let mut failures = 0;
    let mut retry = SOON;
    loop {
        let problem = match session.listen(last_id.as_deref()).await {
            Ok(stream) => {
                failures = 0;
                let mut reader = EventReader::default();
                let heard = listen(stream, &mut reader, &mut shown, args.device.json).await;
                last_id = reader.last_id().map(str::to_owned).or(last_id);
                retry = reader.retry_millis().map_or(retry, Duration::from_millis);
                match heard {
                    Ok(()) => None,
                    Err(error @ DeviceError::Network { .. }) => Some(error),
                    Err(error) => return Err(error),
                }
            }
            Err(DeviceError::Refused {
                status: 404 | 406, ..
            }) => return poll(args, session, shown).await,
            // A server that is away or overrun may come back; any other refusal stays one.
            Err(
                error @ (DeviceError::Network { .. }
                | DeviceError::Refused {
                    status: 429 | 500.., ..
                }),
            ) => Some(error),
            Err(error) => return Err(error),
        };
        if let Some(error) = problem {
            if failures == 0 {
                writeln!(io::stderr().lock(), "{error}; still watching")?;
            }
            failures += 1;
        }
        let pause = retry
            .min(LONGEST)
            .saturating_mul(1 << failures.min(6))
            .min(LONGEST);
        tokio::time::sleep(pause).await;
    }
}

/// Prints what a stream tells until it ends. A stream that is silent for long has lost its server.
async fn listen(
    mut stream: Response,
    reader: &mut EventReader,
    shown: &mut HashSet<String>,
    json: bool,
) -> Result<(), DeviceError> {
    let broken = |reason: String, stream: &Response| DeviceError::Network {
        url: stream.url().origin().ascii_serialization(),
        reason,
    };
    loop {
        let piece = match tokio::time::timeout(SILENCE, stream.chunk()).await {
            Ok(Ok(Some(piece))) => piece,
            Ok(Ok(None)) => return Ok(()),
            Ok(Err(error)) => return Err(broken(super::http::reason(&error), &stream)),
            Err(_) => return Err(broken("its event stream went silent".to_owned(), &stream)),
        };
        for event in reader.take(&piece)? {
            show(&event, shown, json)?;
        }
    }
}

fn show(event: &StreamEvent, shown: &mut HashSet<String>, json: bool) -> Result<(), DeviceError> {
    let challenge: Value = serde_json::from_str(&event.data)
        .map_err(|_| DeviceError::Answer("an event of the server's holds no JSON".to_owned()))?;
    let challenge = ShownChallenge::read(&challenge)?;
    if event.name != "challenge.created" {
        // It never waits again, so there is nothing to remember.
        shown.remove(&challenge.sid);
        return Ok(());
    }
    // The server repeats itself rather than leave something out.
    if shown.insert(challenge.sid.clone()) {
        tell(&challenge, json);
    }
    Ok(())
}

/// Prints it at once: as an object on a line if `json`.
fn tell(challenge: &ShownChallenge, json: bool) {
    output::tell(json, || challenge.value(), || format!("{challenge}\n"));
}

async fn poll(
    args: &Args,
    session: &mut DeviceSession<'_>,
    mut shown: HashSet<String>,
) -> Result<(), DeviceError> {
    let mut ticks = tokio::time::interval(Duration::from_secs(args.interval));
    let mut reachable = true;
    loop {
        ticks.tick().await;
        let pending = match challenge::list(session, Some("pending"), usize::MAX).await {
            Ok(pending) => pending,
            // A server that is away may come back; a refusal stays one.
            Err(error @ DeviceError::Network { .. }) => {
                if reachable {
                    writeln!(io::stderr().lock(), "{error}; still watching")?;
                }
                reachable = false;
                continue;
            }
            Err(error) => return Err(error),
        };
        reachable = true;
        for challenge in pending.iter().rev() {
            if !shown.contains(&challenge.sid) {
                tell(challenge, args.device.json);
            }
        }
        // A challenge leaves the pending ones once and for all, so only those of the last look are remembered.
        shown = pending.into_iter().map(|challenge| challenge.sid).collect();
    }
}

const SOON: Duration = Duration::from_secs(1);
const LONGEST: Duration = Duration::from_secs(30);
/// Twice as long as a server of this kind is silent, and some more.
const SILENCE: Duration = Duration::from_secs(45);
