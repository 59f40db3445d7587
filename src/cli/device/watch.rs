//! `countersign device watch`: what a phone without notifications does.

use std::collections::HashSet;
use std::io::{self, Write as _};
use std::time::Duration;

use super::challenge;
use super::error::Error;
use super::session::Session;

/// How to watch.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) device: super::Device,
    /// Seconds between two looks.
    #[arg(long, value_name = "SECONDS", default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..))]
    interval: u64,
}

pub(super) async fn run(args: &Args, session: &mut Session<'_>) -> Result<(), Error> {
    let mut ticks = tokio::time::interval(Duration::from_secs(args.interval));
    let mut shown = HashSet::new();
    let mut reachable = true;
    loop {
        ticks.tick().await;
        let pending = match challenge::list(session, Some("pending"), usize::MAX).await {
            Ok(pending) => pending,
            // A server that is away may come back; a refusal stays one.
            Err(error @ Error::Network { .. }) => {
                if reachable {
                    writeln!(io::stderr().lock(), "{error}; still watching")?;
                }
                reachable = false;
                continue;
            }
            Err(error) => return Err(error),
        };
        reachable = true;
        let mut out = io::stdout().lock();
        for challenge in pending.iter().rev() {
            if !shown.contains(&challenge.sid) {
                writeln!(out, "{challenge}")?;
            }
        }
        out.flush()?;
        // A challenge leaves the pending ones once and for all, so only those of the last look are remembered.
        shown = pending.into_iter().map(|challenge| challenge.sid).collect();
    }
}
