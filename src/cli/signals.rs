//! How the operating system asks a server to stop.

use std::io;

use super::ExitStatus;
use tokio::signal::unix::{Signal, SignalKind, signal};

/// SIGTERM and SIGINT, counted from the moment this was made.
pub(super) struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    pub(super) fn new() -> io::Result<Self> {
        Ok(Self {
            terminate: signal(SignalKind::terminate())?,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    /// Waits for the first; the second one ends the process on the spot.
    pub(super) async fn stop(mut self) {
        self.next().await;
        tracing::info!("stopping once the requests in flight are answered; a second signal stops at once");
        tokio::spawn(async move {
            self.next().await;
            tracing::warn!("stopping at once");
            ExitStatus::Stopped.exit();
        });
    }

    /// Waits for one, which does not count for [`Signals::stop`] then.
    pub(super) async fn next(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
