//! `countersign device list`.

use std::io::{self, Write as _};

use super::challenge;
use super::error::DeviceError;
use super::session::DeviceSession;

/// Which challenges to print.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) device: super::HeldDevice,
    /// Only those with this status.
    #[arg(long, value_parser = ["pending", "approved", "denied", "expired"])]
    status: Option<String>,
    /// How many at most.
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: usize,
}

pub(super) async fn run(args: &Args, session: &mut DeviceSession<'_>) -> Result<(), DeviceError> {
    let challenges = challenge::list(session, args.status.as_deref(), args.limit).await?;
    let mut out = io::stdout().lock();
    for challenge in challenges {
        writeln!(out, "{challenge}")?;
    }
    Ok(())
}
