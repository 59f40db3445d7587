//! The log: lines on standard error.

mod floods;

use std::sync::{Mutex, PoisonError};

use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
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
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(MOST_UNWRITTEN)
        .lossy(true)
        .thread_name("log")
        .finish(std::io::stderr());
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
