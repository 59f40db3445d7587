//! A connection by HTTP/2, with one request on the way at a time, and the load that goes over several of them.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use axum::http::{HeaderMap, Request, StatusCode};
use bytes::Bytes;
use h2::client::SendRequest;
use tokio::net::TcpStream;
use tokio::sync::Barrier;

use super::histogram::Histogram;
use super::load::LoadOutcome;
use super::pool::ClientPool;
use super::target::Target;

/// What is done again and again, each time with several requests, one after the other.
pub(super) trait Chain: Send + Sync + 'static {
    /// Does it once. An error is an answer that was no success.
    fn run(&self, lane: &mut Http2Lane) -> impl Future<Output = Result<(), String>> + Send;
}

/// One connection, and what is measured on it.
pub(super) struct Http2Lane {
    requests: SendRequest<Bytes>,
    started: Instant,
    duration: Duration,
    latencies: Histogram,
    last_answer: Duration,
}

/// A whole answer.
pub(super) struct Http2Answer {
    pub(super) status: StatusCode,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
    pub(super) trailers: HeaderMap,
}

impl Http2Lane {
    /// Sends one request and waits for its whole answer, which is one measurement if the time is not up.
    pub(super) async fn exchange(
        &mut self,
        request: Request<()>,
        body: Bytes,
    ) -> Result<Http2Answer, String> {
        let sent = self.started.elapsed();
        let answer = self
            .send(request, body)
            .await
            .map_err(|error| format!("the connection broke: {error}"))?;
        let answered = self.started.elapsed();
        if answered <= self.duration {
            self.latencies.record(answered.saturating_sub(sent));
            self.last_answer = answered;
        }
        Ok(answer)
    }

    async fn send(&mut self, request: Request<()>, body: Bytes) -> Result<Http2Answer, h2::Error> {
        let mut requests = self.requests.clone().ready().await?;
        let (answer, mut out) = requests.send_request(request, false)?;
        out.send_data(body, true)?;
        let (head, mut body) = answer.await?.into_parts();
        let mut bytes = Vec::new();
        while let Some(piece) = body.data().await {
            let piece = piece?;
            body.flow_control().release_capacity(piece.len())?;
            bytes.extend_from_slice(&piece);
        }
        Ok(Http2Answer {
            status: head.status,
            headers: head.headers,
            body: bytes,
            trailers: body.trailers().await?.unwrap_or_default(),
        })
    }
}

/// Loads `target` for `duration`.
pub(super) fn run<C: Chain>(
    pool: ClientPool,
    target: &Target,
    chain: &Arc<C>,
    duration: Duration,
) -> Result<LoadOutcome, String> {
    let round = Arc::new(ChainRound {
        chain: Arc::clone(chain),
        address: target.address,
        duration,
        ready: Barrier::new(pool.connections),
        started: OnceLock::new(),
    });
    let lanes = pool.work(&Arc::new(AtomicBool::new(false)), |_| {
        Arc::clone(&round).run_lane()
    })?;
    let mut outcome = LoadOutcome {
        latencies: Histogram::new(),
        elapsed: duration,
        errors: 0,
        sample_error: None,
        ran_out: false,
    };
    for (lane, errors, sample_error) in lanes {
        outcome.latencies.merge(&lane.latencies);
        outcome.errors += errors;
        outcome.sample_error = outcome.sample_error.or(sample_error);
        outcome.elapsed = outcome.elapsed.max(lane.last_answer);
    }
    Ok(outcome)
}

struct ChainRound<C> {
    chain: Arc<C>,
    address: SocketAddr,
    duration: Duration,
    ready: Barrier,
    started: OnceLock<Instant>,
}

impl<C: Chain> ChainRound<C> {
    /// What was measured, how many errors there were, and one of them.
    async fn run_lane(self: Arc<Self>) -> Result<(Http2Lane, u64, Option<String>), String> {
        let requests = connect(self.address)
            .await
            .map_err(|error| format!("cannot connect to {} by HTTP/2: {error}", self.address))?;
        tokio::time::timeout(PATIENCE, self.ready.wait())
            .await
            .map_err(|_| "the server does not take so many connections".to_owned())?;
        let mut lane = Http2Lane {
            requests,
            started: *self.started.get_or_init(Instant::now),
            duration: self.duration,
            latencies: Histogram::new(),
            last_answer: Duration::ZERO,
        };
        let (mut errors, mut sample_error) = (0, None);
        while lane.started.elapsed() < self.duration {
            if let Err(error) = self.chain.run(&mut lane).await {
                errors += 1;
                sample_error.get_or_insert(error);
                if lane.requests.clone().ready().await.is_err() {
                    return Err("the server ended a connection".to_owned());
                }
            }
        }
        Ok((lane, errors, sample_error))
    }
}

async fn connect(address: SocketAddr) -> io::Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (requests, connection) = h2::client::handshake(stream).await.map_err(io::Error::other)?;
    // It ends with the requests.
    tokio::spawn(connection);
    Ok(requests)
}

/// How long all connections may take to open.
const PATIENCE: Duration = Duration::from_secs(20);
