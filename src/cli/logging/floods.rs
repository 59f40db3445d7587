//! Warnings that are said again and again: some are written, the rest is counted.

use std::collections::HashMap;
use std::fmt::{self, Write as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use tracing::callsite::Identifier;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata};
use tracing_subscriber::layer::{Context, Filter};

/// Leaves out of the log what has been said often enough in this [`WINDOW`]: the same line, and lines of one place in the program,
/// for whoever can cause many can make them differ. Lines below warnings are each somebody's only trace, and stay.
#[derive(Clone, Default)]
pub(super) struct Floods(Arc<Mutex<HashMap<Identifier, FloodedPlace>>>);

/// What was said at one place of the program.
#[derive(Default)]
struct FloodedPlace {
    /// How often each line was said.
    said: HashMap<String, u32>,
    /// How many more lines there were, and the last of them.
    left_out: u64,
    last: String,
}

impl Floods {
    /// Says every [`WINDOW`] how much was left out, and how many lines were lost on the way, of which `lost` knows the sum.
    pub(super) fn tell_every_window(&self, lost: impl Fn() -> usize + Send + 'static) {
        let floods = self.clone();
        let telling = move || {
            let mut lost_before = 0;
            loop {
                thread::sleep(WINDOW);
                let lost_now = lost();
                floods.tell(lost_now - lost_before);
                lost_before = lost_now;
            }
        };
        if let Err(error) = thread::Builder::new()
            .name("log floods".to_owned())
            .spawn(telling)
        {
            tracing::warn!("what is left out of the log will not be counted: {error}");
        }
    }

    /// Says what was left out since this was last done; all may be said again.
    pub(super) fn tell(&self, lost: usize) {
        let places = std::mem::take(&mut *self.places());
        for FloodedPlace { left_out, last, .. } in places.into_values().filter(|place| place.left_out > 0) {
            tracing::warn!("{left_out} more lines like this one were left out of the log: {last}");
        }
        if lost > 0 {
            tracing::warn!(
                "{lost} lines were lost because nobody reads standard error as fast as it is written"
            );
        }
    }

    fn admits(&self, event: &Event<'_>) -> bool {
        let mut line = LineText(String::new());
        event.record(&mut line);
        let mut places = self.places();
        let place = places.entry(event.metadata().callsite()).or_default();
        let known = place.said.len();
        let admitted = match place.said.get_mut(&line.0) {
            Some(times) => {
                *times += 1;
                *times <= MOST_TIMES
            }
            None => known < MOST_LINES,
        };
        if admitted {
            place.said.entry(line.0).or_insert(1);
        } else {
            place.left_out += 1;
            place.last = line.0;
        }
        admitted
    }

    fn places(&self) -> MutexGuard<'_, HashMap<Identifier, FloodedPlace>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Filter<S> for Floods {
    fn enabled(&self, _: &Metadata<'_>, _: &Context<'_, S>) -> bool {
        true
    }

    fn event_enabled(&self, event: &Event<'_>, _: &Context<'_, S>) -> bool {
        *event.metadata().level() > Level::WARN || self.admits(event)
    }
}

/// What an event says, without its other fields: they may be a request's identifier, which is never the same.
struct LineText(String);

impl Visit for LineText {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            let _ = write!(self.0, "{value:?}");
        }
    }
}

/// After how long what was left out is told, and lines are written again.
pub(super) const WINDOW: Duration = Duration::from_mins(1);

/// How often a line is written in a window.
const MOST_TIMES: u32 = 5;

/// How many different lines of one place in the program are written in a window.
const MOST_LINES: usize = 500;

#[cfg(test)]
mod tests {
    use tracing_subscriber::layer::{Layer as _, SubscriberExt as _};

    use super::*;

    /// What was written.
    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Written {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(log: impl FnOnce(&Floods)) -> String {
        let (floods, written) = (Floods::default(), Written::default());
        let to = written.clone();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(move || to.clone())
            .with_filter(floods.clone());
        tracing::subscriber::with_default(tracing_subscriber::registry().with(lines), || log(&floods));
        String::from_utf8(written.0.lock().unwrap().clone()).unwrap()
    }

    fn times(log: &str, part: &str) -> usize {
        log.lines().filter(|line| line.contains(part)).count()
    }

    #[test]
    fn a_line_that_is_said_again_and_again_is_counted_and_said_anew_later() {
        let log = logged(|floods| {
            for number in 0..1600 {
                tracing::warn!(number, "the provider does not answer");
            }
            tracing::warn!("something else");
            floods.tell(0);
            tracing::warn!("the provider does not answer");
        });
        assert_eq!(times(&log, "the provider does not answer"), 5 + 1 + 1, "{log}");
        assert_eq!(
            times(&log, "1595 more lines like this one were left out"),
            1,
            "{log}"
        );
        assert_eq!(times(&log, "something else"), 1);
    }

    #[test]
    fn lines_that_differ_are_a_flood_too_and_take_no_other_ones_place() {
        let log = logged(|floods| {
            for number in 0..1600 {
                tracing::error!("receiver {number} takes nothing");
            }
            for number in 0..40 {
                tracing::error!("store {number} is full");
            }
            floods.tell(3);
        });
        assert_eq!(times(&log, "takes nothing"), 500 + 1, "{log}");
        assert_eq!(times(&log, "1100 more lines"), 1, "{log}");
        assert_eq!(times(&log, "is full"), 40);
        assert_eq!(times(&log, "3 lines were lost"), 1);
    }

    #[test]
    fn what_was_decided_is_said_each_time() {
        let log = logged(|_| {
            for _ in 0..1000 {
                tracing::info!("check_code refused");
            }
        });
        assert_eq!(times(&log, "check_code refused"), 1000);
    }
}
