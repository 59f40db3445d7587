//! The log: lines on standard error.

mod floods;

use std::io::Write;
use std::sync::{Mutex, PoisonError};

use tracing_appender::non_blocking::{NonBlocking, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Layer, SubscriberExt as _};
use tracing_subscriber::registry::Registry;
use tracing_subscriber::util::SubscriberInitExt as _;

use self::floods::Floods;
use crate::config::{LogDirectives, LogFormat};

/// Starts logging for a command. Only this program's own lines: what its libraries would write at the finer levels may quote
/// requests.
pub(super) fn start(directives: &LogDirectives) {
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_target(false);
    init(lines, directives.targets());
}

/// The same for a server: no request waits for whoever reads the lines. What is more than is written meanwhile is left out, and so
/// is what is said again and again; how much that was is said later.
pub(super) fn start_server(directives: &LogDirectives, format: LogFormat) {
    let (writer, guard) = unhurried(std::io::stderr());
    let lost = writer.error_counter();
    let floods = Floods::default();
    floods.tell_every_window(move || lost.dropped_lines());
    let lines = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => init(lines.with_target(false).with_filter(floods), directives.targets()),
        LogFormat::Json => init(
            lines.json().flatten_event(true).with_filter(floods),
            directives.targets(),
        ),
    }
    *UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
}

/// What takes lines that are written to `target` when that takes them; of more than [`MOST_UNWRITTEN`] it takes none.
fn unhurried(target: impl Write + Send + 'static) -> (NonBlocking, WorkerGuard) {
    NonBlockingBuilder::default()
        .buffered_lines_limit(MOST_UNWRITTEN)
        .lossy(true)
        .thread_name("log")
        .finish(target)
}

/// Calls [`finish`] when it is dropped.
pub(super) struct WrittenAtEnd;

impl Drop for WrittenAtEnd {
    fn drop(&mut self) {
        finish();
    }
}

/// Writes what is not written yet, within a second. Whoever ends the process calls this first.
pub(super) fn finish() {
    drop(UNWRITTEN.lock().unwrap_or_else(PoisonError::into_inner).take());
}

fn init(lines: impl Layer<Registry> + Send + Sync, directives: Targets) {
    let _started_before = tracing_subscriber::registry()
        .with(lines)
        .with(directives)
        .try_init();
    crate::web::log_panics();
}

/// What writes a server's lines, and goes on until all are written when it is dropped.
static UNWRITTEN: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// How many lines wait to be written at the most.
const MOST_UNWRITTEN: usize = 20_000;

#[cfg(test)]
mod tests {
    use std::io;
    use std::sync::Arc;
    use std::time::Duration;

    use super::*;

    /// Takes nothing as long as somebody holds it.
    #[derive(Clone, Default)]
    struct Held {
        gate: Arc<Mutex<()>>,
        taken: Arc<Mutex<Vec<u8>>>,
    }

    impl Write for Held {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _open = self.gate.lock().unwrap();
            self.taken.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Held {
        fn lines(&self) -> Vec<String> {
            let taken = self.taken.lock().unwrap();
            let text = std::str::from_utf8(&taken).unwrap();
            text.lines().map(str::to_owned).collect()
        }
    }

    /// Nobody waits, as many as fit are there in their order when somebody reads again, and how many were lost is told.
    #[test]
    fn of_more_lines_than_may_wait_the_rest_is_lost_and_counted() {
        const SAID: usize = 2 * MOST_UNWRITTEN;
        let target = Held::default();
        let held = target.gate.lock().unwrap();
        let (writer, _guard) = unhurried(target.clone());
        let lost = writer.error_counter();
        let floods = Floods::default();
        let lines = tracing_subscriber::fmt::layer()
            .with_writer(writer)
            .with_filter(floods.clone());
        let subscriber = tracing_subscriber::registry().with(lines);
        tracing::subscriber::with_default(subscriber, || {
            for number in 0..SAID {
                tracing::info!("line {number} of them");
            }
            let missing = lost.dropped_lines();
            // One may be in the hands of whoever writes.
            let kept = SAID - missing;
            assert!((MOST_UNWRITTEN..=MOST_UNWRITTEN + 1).contains(&kept), "{kept}");
            drop(held);
            while target.lines().len() < kept {
                std::thread::sleep(Duration::from_millis(10));
            }
            floods.tell(missing);
            while target.lines().len() == kept {
                std::thread::sleep(Duration::from_millis(10));
            }
            let written = target.lines();
            for (number, line) in written[..kept].iter().enumerate() {
                assert!(
                    line.ends_with(&format!("line {number} of them")),
                    "{number}: {line}"
                );
            }
            let told = format!("{missing} lines were lost because nobody reads standard error");
            assert!(written[kept].contains(&told), "{}", written[kept]);
            tracing::info!("the next one");
            while target.lines().len() == kept + 1 {
                std::thread::sleep(Duration::from_millis(10));
            }
            assert_eq!(lost.dropped_lines(), missing, "from now on all are written again");
        });
    }
}
