//! How long a client may keep the server waiting.
//!
//! A read or write that waits longer than the connection's stage allows fails. One timer per connection is moved when a
//! wait begins; a wait that ends before its time, as nearly all do, leaves it where it is.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::ClientLimits;
use crate::dialect::{RequestStage, Stage};

/// As long as the longest beginning that is looked for.
pub(super) const PREFACE_BYTES: usize = 24;

/// For how long a client that was answered early may go on sending, so that it comes to read its answer.
pub(super) const LINGER: Duration = Duration::from_secs(1);

/// How much it may send then, in bytes. It costs little to throw away, and a proxy takes an end in the middle of what it still
/// sends for a failure.
pub(super) const LINGER_BYTES: usize = 4 * 1024 * 1024;

/// A stream that fails when the client takes too long.
pub(super) struct Patient<Stream> {
    stream: Stream,
    stage: Arc<RequestStage>,
    limits: Arc<ClientLimits>,
    timer: Pin<Box<Sleep>>,
    /// The stage that reads wait in, and since when.
    reading: (Stage, Instant),
    /// Since when a write has waited.
    writing: Option<Instant>,
    ended: bool,
    ahead: ReadAhead,
}

/// What was read to see what the client speaks, to be read again.
#[derive(Default)]
struct ReadAhead {
    bytes: [u8; PREFACE_BYTES],
    filled: usize,
    given: usize,
}

impl<Stream> Patient<Stream> {
    pub(super) fn new(stream: Stream, stage: Arc<RequestStage>, limits: Arc<ClientLimits>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            stage,
            timer: Box::pin(sleep_until(now + limits.head)),
            limits,
            reading: (Stage::Head, now),
            writing: None,
            ended: false,
            ahead: ReadAhead::default(),
        }
    }

    /// Begins a stage, anew if it is the same.
    pub(super) fn begin(&mut self, stage: Stage) {
        self.stage.reach(stage);
        self.reading = (stage, Instant::now());
    }

    /// Whether the client may still be sending: it neither closed its side nor ran out of time.
    pub(super) fn is_worth_lingering(&self) -> bool {
        !self.ended
    }

    /// When the wait for the client's next bytes is over.
    fn read_deadline(&mut self) -> Option<Instant> {
        let stage = self.stage.stage();
        if stage != self.reading.0 {
            self.reading = (stage, Instant::now());
        }
        let since = self.reading.1;
        match stage {
            Stage::Head => Some(since + self.limits.head),
            Stage::Body => Some(since + self.limits.body),
            Stage::Answering => None,
            Stage::Idle => Some(since + self.limits.idle),
            Stage::Stranger => Some(since + self.limits.stranger),
        }
    }

    /// Fails once `deadline` is over, and sees to it that the task is woken then.
    fn wait<T>(&mut self, cx: &mut Context<'_>, deadline: Instant) -> Poll<io::Result<T>> {
        loop {
            // An earlier alarm is left alone: it finds nothing to do and is put off.
            if self.timer.deadline() > deadline {
                self.timer.as_mut().reset(deadline);
            }
            ready!(self.timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                self.ended = true;
                return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
            }
            self.timer.as_mut().reset(deadline);
        }
    }

    /// An answer that is still being sent is no idleness: that begins anew behind each piece. Nor does the client owe anything
    /// while it is answered: where the same is owed again behind the answer, the time for that begins anew.
    fn send_on(&mut self) {
        if is_between(self.reading.0) || self.stage.stage() == Stage::Answering {
            self.reading.0 = Stage::Answering;
        }
    }

    /// Lets a write that cannot go on wait for as long as it may.
    fn written<T>(&mut self, cx: &mut Context<'_>, polled: Poll<io::Result<T>>) -> Poll<io::Result<T>> {
        if polled.is_ready() {
            self.writing = None;
            return polled;
        }
        let since = *self.writing.get_or_insert_with(Instant::now);
        self.wait(cx, since + self.limits.write)
    }
}

/// Whether the last request was answered and the next one has not come.
fn is_between(stage: Stage) -> bool {
    matches!(stage, Stage::Idle | Stage::Stranger)
}

impl<Stream: AsyncRead + Unpin> Patient<Stream> {
    /// Whether the first that the client sends is `preface`; all of it is still to be read then.
    ///
    /// # Errors
    /// When it sends too little for too long, or the connection broke.
    pub(super) async fn begins_with(&mut self, preface: &[u8; PREFACE_BYTES]) -> io::Result<bool> {
        let mut ahead = ReadAhead::default();
        while ahead.filled < PREFACE_BYTES && preface.starts_with(&ahead.bytes[..ahead.filled]) {
            match self.read(&mut ahead.bytes[ahead.filled..]).await? {
                0 => break,
                more => ahead.filled += more,
            }
        }
        self.ahead = ahead;
        Ok(self.ahead.bytes == *preface)
    }
}

impl ReadAhead {
    /// Gives what is left of it, as far as there is room.
    fn give(&mut self, buf: &mut ReadBuf<'_>) {
        let left = &self.bytes[self.given..self.filled];
        let given = left.len().min(buf.remaining());
        buf.put_slice(&left[..given]);
        self.given += given;
    }
}

impl<Stream: AsyncRead + Unpin> AsyncRead for Patient<Stream> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.given < self.ahead.filled {
            self.ahead.give(buf);
            return Poll::Ready(Ok(()));
        }
        let before = buf.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(cx, buf);
        match &polled {
            Poll::Ready(Ok(())) if buf.filled().len() == before => self.ended = true,
            Poll::Ready(Ok(())) => {
                if is_between(self.stage.stage()) {
                    self.stage.reach(Stage::Head);
                    self.reading = (Stage::Head, Instant::now());
                }
            }
            Poll::Ready(Err(_)) => self.ended = true,
            Poll::Pending => {
                if let Some(deadline) = self.read_deadline() {
                    return self.wait(cx, deadline);
                }
            }
        }
        polled
    }
}

impl<Stream: AsyncWrite + Unpin> AsyncWrite for Patient<Stream> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.send_on();
        let polled = Pin::new(&mut self.stream).poll_write(cx, buf);
        self.written(cx, polled)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.send_on();
        let polled = Pin::new(&mut self.stream).poll_write_vectored(cx, bufs);
        self.written(cx, polled)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_flush(cx);
        if polled.is_ready() && is_between(self.stage.stage()) && !is_between(self.reading.0) {
            // hyper does not read again behind an answer if a read is waiting already, so the wait for the next request
            // begins here.
            if let Some(deadline) = self.read_deadline() {
                let _only_begun = self.wait::<()>(cx, deadline);
            }
        }
        self.written(cx, polled)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let polled = Pin::new(&mut self.stream).poll_shutdown(cx);
        self.written(cx, polled)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncWriteExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_the_client_waits_for_is_none_of_its_time() {
        let (mut client, server) = tokio::io::duplex(64);
        let stage = Arc::<RequestStage>::default();
        let limits = Arc::new(ClientLimits::default());
        let mut patient = Patient::new(server, Arc::clone(&stage), Arc::clone(&limits));
        let almost = limits.body.checked_sub(Duration::from_secs(1)).unwrap();
        stage.reach(Stage::Body);
        // Three times it takes nearly as long as it may, and waits for its answer for longer than that.
        for _ in 0..3 {
            let sends = async {
                tokio::time::sleep(almost).await;
                client.write_all(b"x").await.unwrap();
            };
            let (read, ()) = tokio::join!(patient.read_u8(), sends);
            assert_eq!(read.unwrap(), b'x');
            stage.reach(Stage::Answering);
            tokio::time::sleep(limits.body * 3).await;
            patient.write_all(b"y").await.unwrap();
            stage.reach(Stage::Body);
        }
        // What it leaves unsaid ends it all the same.
        let begun = Instant::now();
        let ended = patient.read_u8().await.unwrap_err();
        assert_eq!(ended.kind(), io::ErrorKind::TimedOut);
        assert_eq!(begun.elapsed().as_secs(), limits.body.as_secs());
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_is_not_given_yet_gives_no_time() {
        let (mut client, server) = tokio::io::duplex(64);
        let stage = Arc::<RequestStage>::default();
        let limits = Arc::new(ClientLimits::default());
        let mut patient = Patient::new(server, Arc::clone(&stage), Arc::clone(&limits));
        stage.reach(Stage::Body);
        let drips = async {
            loop {
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.write_all(b"x").await.unwrap();
            }
        };
        let reads = async {
            while patient.read_u8().await.is_ok() {}
            Instant::now()
        };
        let begun = Instant::now();
        tokio::select! {
            ended = reads => assert_eq!((ended - begun).as_secs(), limits.body.as_secs()),
            () = drips => {}
        }
    }
}
