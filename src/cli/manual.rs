//! `countersign manual`.

use std::io::{IsTerminal as _, Write as _};
use std::process::{Command, Stdio};

use tokio::signal::unix::{SignalKind, signal};

use super::{Failure, output};
use crate::manual::{self, INDEX, PAGES};

/// Read the manual
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The page; without it, the list of all pages
    #[arg(value_name = "PAGE")]
    page: Option<String>,
}

/// Shows a page: through a pager on a terminal, else as it is.
#[expect(
    clippy::unused_async,
    reason = "signals are only caught where there is a runtime"
)]
pub(super) async fn run(args: Args) -> Result<(), Failure> {
    let name = args.page.as_deref().unwrap_or(INDEX.name);
    let Some(page) = manual::page(name) else {
        let names: Vec<_> = PAGES.iter().map(|page| page.name).collect();
        let names = names.join(", ");
        return Err(Failure::misused(format!(
            "there is no page {name:?} in the manual; its pages are {names}"
        )));
    };
    if !(std::io::stdout().is_terminal() && page_through(page.text)) {
        output::say(page.text);
    }
    Ok(())
}

/// Whether a pager showed the text: the user's, or one that most systems have.
fn page_through(text: &str) -> bool {
    // Ctrl-C is for the pager, which goes on: it must not lose the one that feeds it.
    let _interrupts = signal(SignalKind::interrupt());
    let own = std::env::var("PAGER").ok();
    let own = own.as_deref().map(str::trim).filter(|pager| !pager.is_empty());
    match own {
        Some(pager) => show(Command::new("sh").args(["-c", pager]), text),
        None => show(Command::new("less").arg("-R"), text) || show(&mut Command::new("more"), text),
    }
}

/// Whether the pager could be started and was content. One that is left before the end is content.
fn show(pager: &mut Command, text: &str) -> bool {
    let Ok(mut running) = pager.stdin(Stdio::piped()).spawn() else {
        return false;
    };
    if let Some(mut input) = running.stdin.take() {
        let _left_early = input.write_all(text.as_bytes());
    }
    running.wait().is_ok_and(|status| status.success())
}
