//! What the service manager is told (`sd_notify(3)`): that the server serves, how it is, that it ends, and, for its watchdog, that
//! it still works. Where nobody listens nothing is said.

use std::sync::Arc;
use std::time::Duration;

use sd_notify::NotifyState;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::app::App;
use crate::domain::store_condition::StoreCondition;
use crate::flows::store_format;
use crate::web::process;

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

/// Asks for more time for as long as it is kept: for a start or an end that takes longer than the service manager would wait.
#[derive(Debug)]
pub(super) struct MoreTime(JoinHandle<()>);

impl MoreTime {
    /// For a start: as long as the process is at work. One that hangs is not kept alive.
    pub(super) fn to_start() -> Self {
        Self(tokio::spawn(async {
            if is_heard() {
                let at_work = AtWork::of_this_process(process::cpu_seconds);
                ask_while(at_work, || tell_more_time("starting: the store is being opened")).await;
            }
        }))
    }

    /// For an end: for so long, which it may take, and then as long as the process is at work.
    pub(super) fn to_end(allowed: Duration) -> Self {
        tell_more_time("shutting down");
        Self(tokio::spawn(async move {
            if !is_heard() {
                return;
            }
            let until = Instant::now() + allowed;
            let mut at_work = AtWork::of_this_process(process::cpu_seconds);
            ask_while_either(&mut at_work, until, || tell_more_time("shutting down")).await;
        }))
    }
}

impl Drop for MoreTime {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Within so long it is asked for again.
const MORE: Duration = Duration::from_secs(20);

/// How often it is asked for.
const ASKED_EVERY: Duration = Duration::from_secs(5);

fn tell_more_time(status: &str) {
    let micros = u32::try_from(MORE.as_micros()).unwrap_or(u32::MAX);
    tell(&[
        NotifyState::ExtendTimeoutUsec(micros),
        NotifyState::Status(status),
    ]);
}

/// Whether there is a service manager that listens: without one nobody's time is looked at.
fn is_heard() -> bool {
    std::env::var_os("NOTIFY_SOCKET").is_some()
}

async fn ask_while(mut at_work: AtWork<impl Fn() -> Option<f64>>, ask: impl Fn()) {
    ask_while_either(&mut at_work, Instant::now(), ask).await;
}

/// Asks again and again before `until`, and afterwards only if the process was at work since it asked last.
async fn ask_while_either(at_work: &mut AtWork<impl Fn() -> Option<f64>>, until: Instant, ask: impl Fn()) {
    loop {
        tokio::time::sleep(ASKED_EVERY).await;
        let has_worked = at_work.since_last();
        if has_worked || Instant::now() < until {
            ask();
        }
    }
}

/// Whether a process gets on with something, as far as one sees from its processor time.
struct AtWork<F> {
    cpu_seconds: F,
    before: Option<f64>,
}

impl<F: Fn() -> Option<f64>> AtWork<F> {
    fn of_this_process(cpu_seconds: F) -> Self {
        Self {
            before: cpu_seconds(),
            cpu_seconds,
        }
    }

    fn since_last(&mut self) -> bool {
        let now = (self.cpu_seconds)();
        let before = std::mem::replace(&mut self.before, now);
        // Who waits for a slow disk still has a hundredth of a processor; asking takes less.
        now.zip(before)
            .is_some_and(|(now, before)| now - before >= ASKED_EVERY.as_secs_f64() / 100.0)
    }
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
    async fn more_time_is_asked_for_as_long_as_there_is_progress_and_no_longer() {
        let begun = Instant::now();
        let told = RefCell::new(Vec::new());
        // At work for a minute, then it hangs.
        let cpu = || Some(begun.elapsed().as_secs_f64().min(60.0) / 50.0);
        let at_work = AtWork::of_this_process(cpu);
        let asking = ask_while(at_work, || told.borrow_mut().push(begun.elapsed().as_secs()));
        let _never_ends = tokio::time::timeout(Duration::from_hours(1), asking).await;
        let every_five: Vec<_> = (1..=12).map(|number| number * 5).collect();
        assert_eq!(*told.borrow(), every_five);

        // An end may take what it was told to take, at work or not.
        let (begun, told) = (Instant::now(), RefCell::new(Vec::new()));
        let mut at_work = AtWork::of_this_process(|| Some(1.0));
        let until = begun + Duration::from_secs(12);
        let asking = ask_while_either(&mut at_work, until, || {
            told.borrow_mut().push(begun.elapsed().as_secs());
        });
        let _never_ends = tokio::time::timeout(Duration::from_hours(1), asking).await;
        assert_eq!(*told.borrow(), [5, 10]);
        // Where the system says nothing, nothing is asked for.
        let mut silent = AtWork::of_this_process(|| None);
        assert!(!silent.since_last() && !silent.since_last());
        assert!(process::cpu_seconds().is_some_and(|seconds| seconds > 0.0));
    }

    #[tokio::test(start_paused = true)]
    async fn a_database_that_hangs_is_no_fault_of_the_process() {
        let app = stuck(false).await;
        assert!(works(&app, PATIENCE).await);
    }
}
