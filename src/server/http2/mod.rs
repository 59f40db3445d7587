//! HTTP/2: many requests at once on one connection, each with the time and the room of one in HTTP/1.1.
//!
//! The library `h2` knows the protocol and its floods. What is limited here is what a client may have at work, for how
//! long, and how much of it: [`in_flight`] counts requests, [`request`] gives each body its deadline, [`leftover`] is what
//! comes of a body that nobody wants, [`answer`] gives up one that nobody reads, [`frames`] ends a connection that brings
//! little but work.
//!
//! What a connection may hold in memory is bounded: [`MOST_HEAD_BYTES`] for the head that is being read, the windows for
//! bodies that nobody has read yet, and for heads, bodies and answers what [`in_flight`] says.

mod answer;
mod date;
mod frames;
mod in_flight;
mod leftover;
mod pulse;
mod request;

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use h2::server::{Builder, Connection, SendResponse};
use h2::{Reason, RecvStream};
use hyper::Request;
use hyper::body::Body as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, sleep_until};

use self::frames::Counting;
use self::in_flight::{Counted, InFlight};
use self::pulse::{Beat, Pulse};
use self::request::Received;
use super::ClientLimits;
use super::connection::HttpPeer;
use super::patience::{PREFACE_BYTES, Patient};
use crate::dialect::{Drain, HttpFailure, RequestStage, Stranger};
use crate::web::arrival::Origin;
use crate::web::boundary::head_bytes;

/// What a client sends first that speaks HTTP/2 without having asked whether it may (RFC 9113, 3.3 and 3.4).
pub(super) const PREFACE: &[u8; PREFACE_BYTES] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Answers requests until one side has enough.
pub(super) async fn serve<Stream>(
    client: HttpPeer,
    stream: Patient<Stream>,
    limits: Arc<ClientLimits>,
    mut draining: Drain,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let handshake = protocol(&limits).handshake(Counting::new(stream));
    let shaken = tokio::select! {
        biased;
        shaken = handshake => shaken,
        // Nothing was asked yet.
        () = draining.begun() => return,
    };
    let ended = match shaken {
        Ok(connection) => Client { client, limits }.drive(connection, draining).await,
        Err(error) => Err(CutOff::Broken(error)),
    };
    if let Err(end) = ended {
        tracing::debug!("a connection ended early: {end}");
    }
}

/// Why a connection ended before its time.
#[derive(Debug, thiserror::Error)]
enum CutOff {
    #[error(transparent)]
    Broken(#[from] h2::Error),
    #[error("the client does not answer")]
    Gone,
}

fn protocol(limits: &ClientLimits) -> Builder {
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(limits.streams)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_frame_size(FRAME_BYTES)
        .max_header_list_size(MOST_HEAD_BYTES)
        .max_send_buffer_size(FRAME_BYTES as usize)
        .max_pending_accept_reset_streams(MOST_RESET_UNSEEN)
        .max_local_error_reset_streams(Some(MOST_ERRORS));
    builder
}

/// Who asks, and what may be asked.
struct Client {
    client: HttpPeer,
    limits: Arc<ClientLimits>,
}

impl Client {
    /// Takes in requests, which are answered beside each other, until one side has enough.
    async fn drive<Stream>(
        self,
        mut connection: Connection<Counting<Stream>, Bytes>,
        mut draining: Drain,
    ) -> Result<(), CutOff>
    where
        Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    {
        let requests = InFlight::new(Arc::clone(&self.client.occupied));
        let mut pulse = Pulse::new(
            Arc::clone(&self.limits),
            connection.ping_pong(),
            Arc::clone(&requests),
        );
        let mut alarm = pin!(sleep_until(pulse.next));
        loop {
            tokio::select! {
                biased;
                () = draining.begun(), if !pulse.is_leaving() => {
                    pulse.leave();
                    connection.graceful_shutdown();
                }
                accepted = connection.accept() => match accepted.transpose()? {
                    Some((request, respond)) => self.begin(&requests, &draining, request, respond),
                    None => return Ok(()),
                },
                answered = pulse.answered() => answered?,
                () = requests.stranger_asked() => pulse.hurry(),
                () = &mut alarm => match pulse.beat(connection.has_streams())? {
                    Beat::GoesOn => {}
                    Beat::Idle => connection.graceful_shutdown(),
                    Beat::Over => connection.abrupt_shutdown(Reason::NO_ERROR),
                },
            }
            if alarm.deadline() != pulse.next {
                alarm.as_mut().reset(pulse.next);
            }
        }
    }

    /// Answers a request while others are answered.
    fn begin(
        &self,
        requests: &Arc<InFlight>,
        draining: &Drain,
        request: Request<RecvStream>,
        mut respond: SendResponse<Bytes>,
    ) {
        let HttpPeer {
            boundary,
            entrance,
            peer,
            occupied: _,
            requests: of_everybody,
        } = &self.client;
        let patience = self.limits.write;
        // Some may be over for the client that are not yet over for us.
        let most = 2 * usize::try_from(self.limits.streams).unwrap_or(usize::MAX / 2);
        let place = of_everybody.begin(*peer, request.headers(), draining);
        // What one client of a proxy may not do says nothing of the others.
        let is_own = !of_everybody.is_of_proxy(*peer);
        let counted = place.and_then(|place| requests.begin(head_bytes(&request), most, place));
        let Some(counted) = counted else {
            let response = boundary.refuse(&request, HttpFailure::Overloaded);
            let body = request.into_body();
            tokio::spawn(async move {
                if is_sent(answer::send(respond, response, patience).await) {
                    leftover::discard(body).await;
                }
            });
            return;
        };
        let (head, stream) = request.into_parts();
        let deadline = Instant::now() + self.limits.body;
        let (body, leftover) = Received::new(stream, &head.headers, deadline, Arc::clone(&counted));
        let request = Request::from_parts(head, body);
        let origin = Origin {
            entrance: *entrance,
            peer: *peer,
            stage: Arc::<RequestStage>::default(),
            held: Arc::<Counted>::clone(&counted),
        };
        let boundary = boundary.clone();
        tokio::spawn(async move {
            let response = tokio::select! {
                biased;
                response = boundary.answer(request, origin) => response,
                // Reset, or the connection is gone. A change is carried on where it is made.
                _ = poll_fn(|cx| respond.poll_reset(cx)) => return,
            };
            counted.answered_a_stranger(is_own && response.extensions().get::<Stranger>().is_some());
            let length = response.body().size_hint().exact();
            counted.weigh(
                length
                    .and_then(|length| usize::try_from(length).ok())
                    .unwrap_or(FRAME_BYTES as usize),
            );
            if is_sent(answer::send(respond, response, patience).await)
                && let Some(rest) = leftover.take()
            {
                leftover::discard(rest).await;
            }
        });
    }
}

fn is_sent(sent: Result<(), answer::Unsent>) -> bool {
    sent.inspect_err(|unsent| tracing::debug!("an answer was not sent to its end: {unsent}"))
        .is_ok()
}

/// Two frames with the longest head that is answered, so that one that is too long gets a proper answer; heads beyond it
/// get the library's, and four times as much ends the connection.
const MOST_HEAD_BYTES: u32 = 64 * 1024;

/// A whole body of the longest that are read.
const STREAM_WINDOW_BYTES: u32 = 64 * 1024;

/// All bodies that nobody has read yet.
const CONNECTION_WINDOW_BYTES: u32 = 256 * 1024;

/// The smallest that the protocol has.
const FRAME_BYTES: u32 = 16 * 1024;

/// Streams that were reset before anybody saw them: the "rapid reset" (CVE-2023-44487).
const MOST_RESET_UNSEEN: usize = 20;

/// Streams that we have to reset because of what the client sends on them.
const MOST_ERRORS: usize = 200;
