//! `countersign device`: a phone without a phone.
//!
//! It enrols a push factor and answers its challenges over the same wire protocol as the mobile SDKs, so a backend can
//! be tried from end to end on one machine.
//!
//! Invariant: nothing here imports the server's dialect, flows or store. What this device and the server agree on is
//! the protocol alone, which is what makes it a test of the server.

mod answer;
mod challenge;
mod enroll;
mod error;
mod events;
mod http;
pub(in crate::cli) mod key;
mod list;
mod remove;
mod session;
mod state;
mod watch;

use std::path::PathBuf;

use crate::domain::time::SystemClock;

use self::session::DeviceSession;

/// Play a phone: enrol a push factor and answer its challenges.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// Make a key pair, register it as a push factor with an access token, and prove that it is held.
    Enroll(enroll::Args),
    /// Print the challenges of this device, the newest first.
    List(list::Args),
    /// Wait for challenges and print each pending one once, until stopped.
    Watch(watch::Args),
    /// Sign "approved" for a challenge.
    Approve(answer::ApproveArgs),
    /// Sign "denied" for a challenge.
    Deny(answer::DenyArgs),
    /// Delete the factor on the server, then the state file.
    Remove(HeldDevice),
}

/// Which device a command plays.
#[derive(Debug, clap::Args)]
struct HeldDevice {
    /// The device's state file, which holds its private key.
    #[arg(long, value_name = "FILE")]
    state: PathBuf,
    /// A PEM certificate to trust instead of the one named at enrolment.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
}

/// Runs one `countersign device` command.
///
/// # Errors
/// A sentence for the terminal: what was refused or unreachable and, where there is one, the next step.
pub(super) async fn run(args: Args) -> Result<(), String> {
    let clock = &SystemClock;
    let outcome = match args.command {
        Command::Enroll(args) => enroll::run(args, clock).await,
        Command::List(args) => list::run(&args, &mut DeviceSession::open(&args.device, clock)?).await,
        Command::Watch(args) => watch::run(&args, &mut DeviceSession::open(&args.device, clock)?).await,
        Command::Approve(args) => {
            answer::approve(&args, &mut DeviceSession::open(&args.which.device, clock)?).await
        }
        Command::Deny(args) => {
            answer::deny(&args, &mut DeviceSession::open(&args.which.device, clock)?).await
        }
        Command::Remove(device) => remove::run(DeviceSession::open(&device, clock)?, device.json).await,
    };
    Ok(outcome?)
}
