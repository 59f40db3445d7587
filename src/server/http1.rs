//! HTTP/1.1: one request after another, and an end that lets the client read the last answer.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, HeaderValue};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite};

use super::connection::HttpPeer;
use super::patience::{LINGER, LINGER_BYTES, Patient};
use super::requests::RequestPlace;
use crate::dialect::{Drain, HttpFailure, RequestStage, Stage, Stranger};
use crate::web::arrival::Origin;

/// Answers requests until one side has enough.
pub(super) async fn serve<Stream>(
    client: HttpPeer,
    stream: Patient<Stream>,
    stage: Arc<RequestStage>,
    mut draining: Drain,
) where
    Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let HttpPeer {
        boundary,
        entrance,
        peer,
        occupied,
        requests,
    } = client;
    // What one client of a proxy may not do says nothing of the others, whose requests come over the same connection.
    let is_own = !requests.is_of_proxy(peer);
    let awaited = draining.clone();
    let answer = |request: Request<Incoming>| {
        let (boundary, stage) = (boundary.clone(), Arc::clone(&stage));
        let occupied = Arc::clone(&occupied);
        occupied.reach(Stage::Answering);
        let requests = Arc::clone(&requests);
        let place = requests.begin(peer, request.headers(), &awaited).map(Arc::new);
        async move {
            let mut response = if let Some(place) = &place {
                let origin = Origin {
                    entrance,
                    peer,
                    stage: Arc::clone(&stage),
                    held: Arc::<RequestPlace>::clone(place),
                };
                boundary.answer(request, origin).await
            } else {
                boundary.refuse(&request, HttpFailure::Overloaded)
            };
            let endless = is_last_and_endless(&response);
            if requests.sends_away() {
                response
                    .headers_mut()
                    .insert(CONNECTION, HeaderValue::from_static("close"));
            }
            if !endless {
                stage.reach(if is_own && response.extensions().get::<Stranger>().is_some() {
                    Stage::Stranger
                } else {
                    Stage::Idle
                });
                occupied.reach(Stage::Idle);
            }
            let response = response.map(|body| Placed { body, _place: place });
            Ok::<Response<_>, Infallible>(response)
        }
    };
    let mut connection = http1::Builder::new()
        .title_case_headers(true)
        .max_buf_size(BUFFER_BYTES)
        .max_headers(MOST_HEADERS)
        .serve_connection(TokioIo::new(stream), service_fn(answer));
    let ended = tokio::select! {
        biased;
        ended = &mut connection => ended,
        () = draining.begun() => {
            std::pin::Pin::new(&mut connection).graceful_shutdown();
            (&mut connection).await
        }
    };
    if let Err(error) = ended {
        tracing::debug!("a connection ended early: {error}");
    }
    let mut stream = connection.into_parts().io.into_inner();
    if stream.is_worth_lingering() {
        let _gone = tokio::time::timeout(LINGER, discard(&mut stream)).await;
    }
}

/// The body of an answer, whose request has its place until all of it was handed over.
struct Placed<B> {
    body: B,
    _place: Option<Arc<RequestPlace>>,
}

impl<B: Body + Unpin> Body for Placed<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// Whether this is a stream that the connection ends with: its client owes nothing for as long as it lasts.
fn is_last_and_endless<B: Body>(response: &Response<B>) -> bool {
    let closes = response
        .headers()
        .get(CONNECTION)
        .is_some_and(|value| value == "close");
    closes && response.body().size_hint().exact().is_none()
}

/// Reads on for a moment what a client sends that has been answered already, as when its request is too large. Closing a
/// socket with unread data resets the connection, and a reset takes the answer away before the client has read it.
async fn discard<Stream: AsyncRead + Unpin>(stream: &mut Stream) {
    // On the heap: it would be part of every connection from its beginning.
    let mut scrap = vec![0; 16 * 1024];
    let mut left = LINGER_BYTES;
    while let Ok(read @ 1..) = stream.read(&mut scrap).await {
        left = left.saturating_sub(read);
        if left == 0 {
            return;
        }
    }
}

/// Larger than the largest head that is answered, so that one that is too long gets a proper answer; heads beyond
/// it get hyper's.
const BUFFER_BYTES: usize = 64 * 1024;

/// More than clients and proxies send, so that it is the length of a head that counts; hyper's own 100 are not.
const MOST_HEADERS: usize = 256;
