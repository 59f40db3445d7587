//! What the service manager is told (`sd_notify(3)`): that the server serves, how it is, that it ends, and, for its watchdog, that
//! it still works. Where nobody listens nothing is said.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;

use crate::app::App;
use crate::domain::store_condition::StoreCondition;
use crate::flows::store_format;

/// Requests are served from now on.
pub(super) fn tell_ready() {
    tell(&[NotifyState::Ready]);
}

/// The server ends.
pub(super) fn tell_ending() {
    tell(&[NotifyState::Stopping, NotifyState::Status("shutting down")]);
}

/// How it is, for whoever looks at the service.
pub(super) fn tell_status(status: &str) {
    tell(&[NotifyState::Status(status)]);
}

fn tell(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager does not hear how the server is: {error}");
    }
}

/// Tells the watchdog that the server works, as long as it does. It ends at once where there is no watchdog.
pub(super) async fn keep_up(app: Arc<App>) {
    if let Some(limit) = sd_notify::watchdog_enabled() {
        tell_while_it_works(&app, limit, || tell(&[NotifyState::Watchdog])).await;
    }
}

async fn tell_while_it_works(app: &App, limit: Duration, tell_watchdog: impl Fn()) {
    // Twice within the limit, although looking may take as long as the pause.
    let period = limit / 4;
    let mut was_well = true;
    loop {
        let is_well = works(app, period).await;
        if is_well {
            tell_watchdog();
        } else if was_well {
            tracing::error!(
                "the store has taken no change for {} s, so the service manager's watchdog is not told that the server works",
                period.as_secs()
            );
        }
        was_well = is_well;
        tokio::time::sleep(period).await;
    }
}

/// Whether the store of this process takes a change within its `patience`. One whose disk is full refuses those and goes on by itself,
/// and a database that is away is none of this process' faults: another start would mend neither.
async fn works(app: &App, patience: Duration) -> bool {
    match app.engine.condition() {
        StoreCondition::Failed(_) => false,
        StoreCondition::Full(_) => true,
        StoreCondition::Working if app.shares_store() => true,
        // A refusal comes from a store that works.
        StoreCondition::Working => tokio::time::timeout(patience, store_format::write_anew(app))
            .await
            .is_ok(),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::future::pending;

    use tokio::time::Instant;

    use super::*;
    use crate::doubles::TestParts;
    use crate::store::Store;
    use crate::store::gated::{GatedStore, StoreOperation};
    use crate::store::memory::MemoryStore;

    const PATIENCE: Duration = Duration::from_secs(15);

    /// A server on a store whose next commit is never done.
    async fn stuck(is_exclusive: bool) -> App {
        let inner: Arc<dyn Store> = Arc::new(MemoryStore::new());
        let gate = Arc::new(if is_exclusive {
            GatedStore::exclusive(inner)
        } else {
            GatedStore::new(inner)
        });
        let engine: Arc<dyn Store> = Arc::clone(&gate) as _;
        let app = TestParts {
            store: engine,
            ..TestParts::default()
        }
        .wire();
        store_format::check(&app).await.unwrap();
        assert!(works(&app, PATIENCE).await);
        gate.at_next(StoreOperation::Commit, pending());
        app
    }

    #[tokio::test(start_paused = true)]
    async fn a_store_that_takes_no_change_is_found_although_it_is_read() {
        let app = stuck(true).await;
        assert!(!works(&app, PATIENCE).await);
        store_format::check(&app).await.unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn the_watchdog_hears_nothing_while_the_store_takes_no_change() {
        let app = stuck(true).await;
        let begun = Instant::now();
        let told = RefCell::new(Vec::new());
        let telling = tell_while_it_works(&app, PATIENCE, || told.borrow_mut().push(begun.elapsed()));
        let _never_ends = tokio::time::timeout(PATIENCE, telling).await;
        // The first change hangs for the whole of its patience, and a pause follows; the next one is taken.
        assert_eq!(told.borrow().first(), Some(&(PATIENCE / 2)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_hangs_is_no_fault_of_the_process() {
        let app = stuck(false).await;
        assert!(works(&app, PATIENCE).await);
    }
}
