//! `countersign config`: what settings there are.

use clap::Subcommand;

use super::output;
use crate::config::reference;

/// What is asked about settings.
#[derive(Clone, Copy, Debug, Subcommand)]
pub(super) enum Command {
    /// Print the reference of all settings (Markdown), a page of the manual.
    Reference,
}

impl Command {
    pub(super) fn run(self) {
        match self {
            Self::Reference => output::say(&reference()),
        }
    }
}
