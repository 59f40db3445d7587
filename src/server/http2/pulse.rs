//! Looking after a connection on which nothing happens: is it idle, and is the client still there?

use std::future::poll_fn;
use std::sync::Arc;
use std::time::Duration;

use h2::{Ping, PingPong};
use tokio::time::Instant;

use super::CutOff;
use super::in_flight::InFlight;
use crate::server::ClientLimits;

/// Looks after a connection again and again: one on which nobody waits for anything is closed after a while, and a client
/// that waits must still be there.
pub(super) struct Pulse {
    limits: Arc<ClientLimits>,
    requests: Arc<InFlight>,
    pings: Option<PingPong>,
    /// A ping is on its way.
    asked: bool,
    leaving: Leaving,
    /// When to look again.
    pub(super) next: Instant,
    next_ping: Instant,
}

/// Whether the client was told to ask for nothing more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Leaving {
    No,
    Told,
    /// The connection is closed as soon as what was sent is on its way.
    Over,
}

/// What comes of looking after a connection.
pub(super) enum Beat {
    GoesOn,
    /// Nothing was asked for a long time.
    Idle,
    /// The client was told to go, has all its answers, and stays.
    Over,
}

impl Pulse {
    pub(super) fn new(limits: Arc<ClientLimits>, pings: Option<PingPong>, requests: Arc<InFlight>) -> Self {
        let now = Instant::now();
        let next_ping = now + limits.ping;
        Self {
            pings,
            asked: false,
            leaving: Leaving::No,
            next: next_ping.min(now + limits.idle),
            next_ping,
            limits,
            requests,
        }
    }

    /// Somebody who is not known was answered: the connection may be idle sooner.
    pub(super) fn hurry(&mut self) {
        if self.leaving == Leaving::No && !self.asked {
            self.next = self.next.min(Instant::now() + self.limits.stranger);
        }
    }

    /// Whether the client was told to go.
    pub(super) fn is_leaving(&self) -> bool {
        self.leaving != Leaving::No
    }

    /// The client was told to go. Most say at once that they heard it, and are gone then.
    pub(super) fn leave(&mut self) {
        self.leaving = Leaving::Told;
        self.next = Instant::now() + LINGER;
    }

    /// Looks at the connection.
    ///
    /// # Errors
    /// When the client is gone, though nobody said so.
    pub(super) fn beat(&mut self, has_streams: bool) -> Result<Beat, CutOff> {
        let (now, limits) = (Instant::now(), &self.limits);
        let patience = self.requests.patience(limits);
        match (self.leaving, self.requests.idle_since(), &mut self.pings) {
            (Leaving::No, ..) if self.asked => return Err(CutOff::Gone),
            (Leaving::No, Some(since), _) if since + patience <= now => {
                self.leave();
                return Ok(Beat::Idle);
            }
            (Leaving::No, Some(since), _) => self.next = since + patience,
            (Leaving::No, None, Some(pings)) if self.next_ping <= now => {
                pings.send_ping(Ping::opaque())?;
                self.asked = true;
                self.next = now + limits.pong;
                self.next_ping = now + limits.ping;
            }
            (Leaving::No, None, _) => self.next = self.next_look(now),
            (Leaving::Told, Some(_), _) if !has_streams => {
                self.leaving = Leaving::Over;
                self.next = now + limits.write;
                return Ok(Beat::Over);
            }
            (Leaving::Told, ..) => self.next = now + LINGER,
            (Leaving::Over, ..) => return Err(CutOff::Gone),
        }
        Ok(Beat::GoesOn)
    }

    /// Waits for the answer to a ping, if one is on its way.
    pub(super) async fn answered(&mut self) -> Result<(), h2::Error> {
        match &mut self.pings {
            Some(pings) if self.asked => poll_fn(|cx| pings.poll_pong(cx)).await?,
            _ => std::future::pending().await,
        };
        self.asked = false;
        if self.leaving == Leaving::No {
            self.next = self.next_look(Instant::now());
        }
        Ok(())
    }

    /// When the connection may be idle, or its client is to be asked again.
    fn next_look(&self, now: Instant) -> Instant {
        let next = now + self.requests.patience(&self.limits);
        if self.next_ping > now {
            next.min(self.next_ping)
        } else {
            next
        }
    }
}

/// How long a client that was told to go has for saying that it heard it.
const LINGER: Duration = Duration::from_secs(1);
