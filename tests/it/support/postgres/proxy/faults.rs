//! Which faults to make, and what was counted.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::watch;

/// What a test and the connections share.
#[derive(Debug)]
pub(super) struct Controls {
    faults: watch::Sender<Faults>,
    next_cut: Mutex<Option<CutMoment>>,
    pub(super) failing_statements: OneIn,
    pub(super) failing_commits: OneIn,
    pub(super) round_trips: Count,
    pub(super) statements: Count,
    pub(super) connections: Count,
    pub(super) cuts_at_commits: Count,
}

/// Faults that last.
#[derive(Clone, Debug)]
pub(super) struct Faults {
    pub(super) server: SocketAddr,
    /// How often all connections were cut.
    pub(super) cuts: usize,
    pub(super) delay: Duration,
    pub(super) is_frozen: bool,
    pub(super) is_refusing: bool,
}

/// When a connection is cut that commits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CutMoment {
    AfterCommit,
    BeforeCommit,
}

impl Controls {
    pub(super) fn new(server: SocketAddr) -> Self {
        let faults = Faults {
            server,
            cuts: 0,
            delay: Duration::ZERO,
            is_frozen: false,
            is_refusing: false,
        };
        Self {
            faults: watch::Sender::new(faults),
            next_cut: Mutex::default(),
            failing_statements: OneIn::default(),
            failing_commits: OneIn::default(),
            round_trips: Count::default(),
            statements: Count::default(),
            connections: Count::default(),
            cuts_at_commits: Count::default(),
        }
    }

    pub(super) fn faults(&self) -> Faults {
        self.faults.borrow().clone()
    }

    pub(super) fn change(&self, change: impl FnOnce(&mut Faults)) {
        self.faults.send_modify(change);
    }

    pub(super) fn cut_at(&self, moment: CutMoment) {
        *self.next_cut.lock().unwrap_or_else(PoisonError::into_inner) = Some(moment);
    }

    /// The cut that was ordered, which is made once.
    pub(super) fn take_cut(&self) -> Option<CutMoment> {
        self.next_cut
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take()
    }

    /// Waits while everything stands still.
    pub(super) async fn thawed(&self) {
        self.until(|faults| !faults.is_frozen).await;
    }

    /// Waits until all connections are cut of which one was made when so many had been.
    pub(super) async fn cut_again(&self, cuts: usize) {
        self.until(|faults| faults.cuts > cuts).await;
    }

    async fn until(&self, holds: impl FnMut(&Faults) -> bool) {
        let mut faults = self.faults.subscribe();
        // It fails without a sender, which is this object's own.
        let _faults = faults.wait_for(holds).await;
    }
}

/// Every so many-th of something fails.
#[derive(Debug, Default)]
pub(super) struct OneIn {
    number: AtomicUsize,
    asked: AtomicUsize,
    failures: Count,
}

impl OneIn {
    pub(super) fn set(&self, number: usize) {
        self.asked.store(0, Ordering::SeqCst);
        self.number.store(number, Ordering::SeqCst);
    }

    /// Whether this one fails.
    pub(super) fn fails(&self) -> bool {
        let number = self.number.load(Ordering::SeqCst);
        let fails = number > 0 && (self.asked.fetch_add(1, Ordering::SeqCst) + 1).is_multiple_of(number);
        if fails {
            self.failures.add();
        }
        fails
    }

    pub(super) fn failures(&self) -> usize {
        self.failures.get()
    }
}

#[derive(Debug, Default)]
pub(super) struct Count(AtomicUsize);

impl Count {
    pub(super) fn add(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}
