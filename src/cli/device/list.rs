//! `countersign device list`.

use super::challenge::{self, HEADER, ShownChallenge};
use super::error::DeviceError;
use super::session::DeviceSession;
use crate::cli::output;

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
    output::tell(
        args.device.json,
        || challenges.iter().map(ShownChallenge::value).collect(),
        || {
            if challenges.is_empty() {
                return "No challenges.\n".to_owned();
            }
            let lines = challenges.iter().map(|challenge| format!("{challenge}\n"));
            std::iter::once(HEADER.to_owned()).chain(lines).collect()
        },
    );
    Ok(())
}
