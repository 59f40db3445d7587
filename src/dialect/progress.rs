//! How far a request has come: what a dialect tells the listener, so that a client gets as much time as it deserves.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far one request has come, shared by whoever reads the connection and whoever answers. Costs the answering side one
/// store of a byte for each change.
///
/// Where requests follow each other on a connection, the next one takes over the last one's.
#[derive(Debug, Default)]
pub struct RequestStage(AtomicU8);

/// What a request is about.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Stage {
    /// The beginning of a request is awaited. A new connection owes it at once.
    #[default]
    Head,
    /// The rest of a request is awaited.
    Body,
    /// A request is complete and being answered: the client owes nothing.
    Answering,
    /// The last request was answered; another one may come.
    Idle,
    /// The last request was answered, and nobody known had asked; whoever tries again does that soon.
    Stranger,
}

impl RequestStage {
    /// The stage.
    #[must_use]
    pub fn stage(&self) -> Stage {
        match self.0.load(Ordering::Relaxed) {
            0 => Stage::Head,
            1 => Stage::Body,
            2 => Stage::Answering,
            3 => Stage::Idle,
            _ => Stage::Stranger,
        }
    }

    /// Goes to another stage.
    pub fn reach(&self, stage: Stage) {
        let number = match stage {
            Stage::Head => 0,
            Stage::Body => 1,
            Stage::Answering => 2,
            Stage::Idle => 3,
            Stage::Stranger => 4,
        };
        self.0.store(number, Ordering::Relaxed);
    }
}
