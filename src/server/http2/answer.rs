//! The answer to one request, as fast as its client reads it.

use std::future::poll_fn;
use std::time::Duration;

use axum::body::Body;
use bytes::Bytes;
use h2::server::SendResponse;
use h2::{Reason, SendStream};
use http_body_util::BodyExt as _;
use hyper::body::Body as _;
use hyper::header::{
    CONNECTION, CONTENT_LENGTH, DATE, HeaderName, HeaderValue, TE, TRANSFER_ENCODING, UPGRADE,
};
use hyper::{HeaderMap, Response, StatusCode};

use super::date;

/// Why an answer was not sent to its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsent {
    /// The client wants it no more, or is gone.
    #[error("the client gave up: {0}")]
    GivenUp(#[from] h2::Error),
    /// There is no more to come, though more was promised.
    #[error("the answer ended early")]
    EndedEarly,
    /// The client took too long.
    #[error("the client did not read the answer")]
    Unread,
}

/// Sends an answer whose client may leave each piece of it unread for `patience`.
pub(super) async fn send(
    mut respond: SendResponse<Bytes>,
    response: Response<Body>,
    patience: Duration,
) -> Result<(), Unsent> {
    let (mut head, mut body) = response.into_parts();
    complete_head(head.status, &mut head.headers, &body);
    let head = Response::from_parts(head, ());
    if body.is_end_stream() {
        respond.send_response(head, true)?;
        return Ok(());
    }
    let mut out = respond.send_response(head, false)?;
    let sent = send_body(&mut out, &mut body, patience).await;
    match sent {
        Err(Unsent::EndedEarly) => out.send_reset(Reason::INTERNAL_ERROR),
        Err(Unsent::Unread) => out.send_reset(Reason::CANCEL),
        Err(Unsent::GivenUp(_)) | Ok(()) => {}
    }
    sent
}

async fn send_body(out: &mut SendStream<Bytes>, body: &mut Body, patience: Duration) -> Result<(), Unsent> {
    loop {
        let frame = tokio::select! {
            biased;
            frame = body.frame() => frame,
            reset = poll_fn(|cx| out.poll_reset(cx)) => return Err(h2::Error::from(reset?).into()),
        };
        let frame = match frame {
            None => return Ok(out.send_data(Bytes::new(), true)?),
            Some(Err(_)) => return Err(Unsent::EndedEarly),
            Some(Ok(frame)) => frame,
        };
        match frame.into_data() {
            Ok(mut data) => {
                let is_last = body.is_end_stream();
                loop {
                    let piece = data.split_to(data.len().min(PIECE_BYTES));
                    let ends = is_last && data.is_empty();
                    tokio::time::timeout(patience, send_piece(out, piece, ends))
                        .await
                        .map_err(|_| Unsent::Unread)??;
                    if data.is_empty() {
                        break;
                    }
                }
                if is_last {
                    return Ok(());
                }
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    return Ok(out.send_trailers(trailers)?);
                }
            }
        }
    }
}

/// Hands over what the client has room for, again and again, so that nothing waits elsewhere, where nobody would see how
/// long.
async fn send_piece(out: &mut SendStream<Bytes>, mut piece: Bytes, ends: bool) -> Result<(), h2::Error> {
    while !piece.is_empty() {
        out.reserve_capacity(piece.len());
        let mut room = out.capacity();
        while room == 0 {
            let more = poll_fn(|cx| out.poll_capacity(cx)).await;
            room = more.unwrap_or_else(|| Err(Reason::STREAM_CLOSED.into()))?;
        }
        let now = piece.split_to(room.min(piece.len()));
        out.send_data(now, ends && piece.is_empty())?;
    }
    Ok(())
}

/// Adds what every answer has and takes away what is about connections: in HTTP/2, those have frames of their own.
fn complete_head(status: StatusCode, headers: &mut HeaderMap, body: &Body) {
    if let Some(named) = headers.remove(CONNECTION) {
        let names = named.to_str().unwrap_or_default().split(',');
        for name in names.map(str::trim).filter(|name| !name.is_empty()) {
            headers.remove(name);
        }
    }
    for name in ABOUT_CONNECTIONS {
        headers.remove(name);
    }
    if let (false, Some(date)) = (headers.contains_key(DATE), date::now()) {
        headers.insert(DATE, date);
    }
    let has_no_length = status.is_informational() || status == StatusCode::NO_CONTENT;
    if let (false, false, Some(length)) = (has_no_length, body.is_end_stream(), body.size_hint().exact()) {
        headers
            .entry(CONTENT_LENGTH)
            .or_insert_with(|| HeaderValue::from(length));
    }
}

/// RFC 9113, 8.2.2.
const ABOUT_CONNECTIONS: [HeaderName; 5] = [
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    TE,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Every so many bytes have to be read in time. As much as a frame holds.
const PIECE_BYTES: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers_about_connections_stay_out_of_http_2() {
        let mut headers = HeaderMap::new();
        for (name, value) in [
            ("connection", "close, x-hop"),
            ("x-hop", "1"),
            ("keep-alive", "timeout=5"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "h2c"),
            ("content-type", "text/plain"),
        ] {
            headers.insert(name, value.parse().unwrap());
        }
        complete_head(StatusCode::OK, &mut headers, &Body::from("fine"));
        let mut names: Vec<_> = headers.keys().map(HeaderName::as_str).collect();
        names.sort_unstable();
        assert_eq!(names, ["content-length", "content-type", "date"]);
        assert_eq!(headers["content-length"], "4");
    }
}
