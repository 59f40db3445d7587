//! How far a long command is: a bar on standard error, if that is a terminal; nothing elsewhere, where nobody would look.

use std::borrow::Cow;
use std::io::{self, BufRead, Read, Write};

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

use crate::store::transfer::Rewind;

/// What is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProgressUnit {
    /// Bytes.
    Bytes,
    /// Entries, factors, or whatever else is done one after the other.
    Pieces,
    /// Nothing: the words say it all.
    Words,
}

/// A bar that says how far a command is. It is taken away when it is dropped.
pub(super) struct ProgressLine {
    bar: ProgressBar,
    unit: ProgressUnit,
}

impl ProgressLine {
    /// Nothing is shown yet, and how much there is to do is not known.
    pub(super) fn begin(what: impl Into<Cow<'static, str>>, unit: ProgressUnit) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        let line = Self {
            bar: bar.with_finish(ProgressFinish::AndClear).with_message(what),
            unit,
        };
        line.bar.set_style(style(match unit {
            ProgressUnit::Bytes => "{spinner} {msg}: {decimal_bytes}, {decimal_bytes_per_sec}, {elapsed}",
            ProgressUnit::Pieces => "{spinner} {msg}: {human_pos}, {per_sec}, {elapsed}",
            ProgressUnit::Words => "{spinner} {msg}",
        }));
        line
    }

    /// How much there is to do in all.
    pub(super) fn of(&self, total: u64) {
        self.bar.set_length(total);
        self.bar.set_style(style(match self.unit {
            ProgressUnit::Bytes => {
                "{msg} [{bar:30}] {percent} %, {decimal_bytes} of {decimal_total_bytes}, {decimal_bytes_per_sec}, {eta} left"
            }
            ProgressUnit::Pieces => {
                "{msg} [{bar:30}] {percent} %, {human_pos} of {human_len}, {per_sec}, {eta} left"
            }
            ProgressUnit::Words => "{msg} [{bar:30}] {percent} %",
        }));
    }

    /// How much is done.
    pub(super) fn at(&self, done: u64) {
        self.bar.set_position(done);
    }

    /// What is done now, and that nothing of it is done yet.
    pub(super) fn next(&self, what: impl Into<Cow<'static, str>>) {
        self.bar.reset();
        self.bar.set_message(what);
    }

    /// What is said instead.
    pub(super) fn say(&self, what: impl Into<Cow<'static, str>>) {
        self.bar.set_message(what);
        self.bar.tick();
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &'static str) -> ProgressStyle {
    // The templates are tested.
    let style = ProgressStyle::with_template(template);
    style
        .unwrap_or_else(|_| ProgressStyle::default_bar())
        .progress_chars("=> ")
}

/// Shows how much was written.
pub(super) struct WatchedWriter<W> {
    pub(super) inner: W,
    line: ProgressLine,
    bytes: u64,
}

impl<W> WatchedWriter<W> {
    /// Nothing is written yet.
    pub(super) fn begin(what: &'static str, inner: W) -> Self {
        Self {
            inner,
            line: ProgressLine::begin(what, ProgressUnit::Bytes),
            bytes: 0,
        }
    }

    /// Takes the bar away.
    pub(super) fn end(self) -> W {
        self.line.end();
        self.inner
    }
}

impl<W: Write> Write for WatchedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        self.line.at(self.bytes);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// Shows how much was read of an export, each time that it is read.
pub(super) struct WatchedExport<R> {
    inner: R,
    line: ProgressLine,
    /// How long it is, if that is known before it is read.
    length: Option<u64>,
    times: u32,
}

impl<R> WatchedExport<R> {
    /// Nothing is read yet.
    pub(super) fn begin(inner: R, length: Option<u64>) -> Self {
        let line = ProgressLine::begin("reading", ProgressUnit::Bytes);
        if let Some(length) = length {
            line.of(length);
        }
        Self {
            inner,
            line,
            length,
            times: 0,
        }
    }

    /// Takes the bar away.
    pub(super) fn end(&self) {
        self.line.end();
    }
}

impl<R: Rewind> Rewind for WatchedExport<R> {
    fn rewound(&mut self) -> io::Result<Box<dyn BufRead + Send + '_>> {
        self.times += 1;
        self.line.next(match self.times {
            1 => Cow::Borrowed("reading"),
            times => Cow::Owned(format!("reading for the {times}. time")),
        });
        if let Some(length) = self.length {
            self.line.of(length);
        }
        Ok(Box::new(WatchedReader {
            inner: self.inner.rewound()?,
            line: &self.line,
            bytes: 0,
        }))
    }
}

struct WatchedReader<'r> {
    inner: Box<dyn BufRead + Send + 'r>,
    line: &'r ProgressLine,
    bytes: u64,
}

impl Read for WatchedReader<'_> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(bytes)?;
        self.bytes += read as u64;
        self.line.at(self.bytes);
        Ok(read)
    }
}

impl BufRead for WatchedReader<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        self.inner.fill_buf()
    }

    fn consume(&mut self, read: usize) {
        self.inner.consume(read);
        self.bytes += read as u64;
        self.line.at(self.bytes);
    }
}
