//! The body of one request, which has a deadline of its own.

use std::future::Future as _;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use h2::{Reason, RecvStream};
use hyper::HeaderMap;
use hyper::body::{Body, Frame, SizeHint};
use hyper::header::CONTENT_LENGTH;
use tokio::time::{Instant, Sleep, sleep_until};

use super::in_flight::Counted;
use super::leftover::{Leave, Leftover};

/// A body that fails with `TimedOut` when it is not complete in time; the other requests of the connection go on.
pub(super) struct Received {
    /// Until it is left to somebody else.
    stream: Option<RecvStream>,
    /// None if there is no body.
    leave: Option<Leave>,
    announced: Option<u64>,
    deadline: Instant,
    counted: Arc<Counted>,
    /// Made by the first read that has to wait.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Received {
    /// What `stream` brings behind a head with these headers, and where the rest of it is once nobody wants it.
    pub(super) fn new(
        stream: RecvStream,
        headers: &HeaderMap,
        deadline: Instant,
        counted: Arc<Counted>,
    ) -> (Self, Leftover) {
        // What is no number, or two, was refused before.
        let announced = headers.get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
        let (leave, leftover) = if stream.is_end_stream() {
            (None, Leftover::none())
        } else {
            let (leave, leftover) = Leftover::new();
            (Some(leave), leftover)
        };
        let received = Self {
            announced: announced.and_then(|length| length.parse().ok()),
            stream: Some(stream),
            leave,
            deadline,
            counted,
            timer: None,
        };
        (received, leftover)
    }

    fn wait(&mut self, cx: &mut Context<'_>) -> Poll<io::Error> {
        let deadline = self.deadline;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(io::ErrorKind::TimedOut.into())
    }
}

impl Body for Received {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let Some(stream) = &mut self.stream else {
            return Poll::Ready(None);
        };
        let Poll::Ready(read) = stream.poll_data(cx) else {
            return self.wait(cx).map(|error| Some(Err(error)));
        };
        Poll::Ready(match read {
            Some(Ok(bytes)) => {
                // Fails only if more was given back than was taken.
                let _given_back = stream.flow_control().release_capacity(bytes.len());
                self.counted.add(bytes.len());
                Some(Ok(Frame::data(bytes)))
            }
            // The client has its answer and wants nothing more: that is the end of what it sends.
            Some(Err(error)) if error.reason() == Some(Reason::NO_ERROR) => None,
            Some(Err(error)) => Some(Err(io::Error::other(error))),
            None => None,
        })
    }

    fn is_end_stream(&self) -> bool {
        self.stream.as_ref().is_none_or(RecvStream::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        match self.announced {
            Some(length) => SizeHint::with_exact(length),
            None if self.is_end_stream() => SizeHint::with_exact(0),
            None => SizeHint::default(),
        }
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let (Some(stream), Some(leave)) = (self.stream.take(), self.leave.take())
            && !stream.is_end_stream()
        {
            // Nobody is there whose answer was given up.
            let _not_wanted = leave.send(stream);
        }
    }
}
