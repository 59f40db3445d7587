//! Reading a request's body, within limits.

use std::io;

use axum::body::{Body, HttpBody as _};
use axum::http::request::Parts;
use bytes::Bytes;
use http_body_util::{BodyExt as _, LengthLimitError, Limited};

use super::arrival::Arrival;
use crate::dialect::{HttpFailure, Stage};

/// The longest body that is read.
pub const MAX_BODY_BYTES: usize = 64 * 1024;

/// The whole body of the request that began with `parts`.
///
/// # Errors
/// [`HttpFailure::BodyBroken`], [`HttpFailure::BodyTimedOut`], [`HttpFailure::BodyTooLarge`].
pub async fn read(parts: &Parts, body: Body) -> Result<Bytes, HttpFailure<'static>> {
    let bytes = read_body(body).await;
    // The client has done its part, so the listener gives the answer as long as it takes.
    if let Some(arrival) = parts.extensions.get::<Arrival>() {
        arrival.stage.reach(Stage::Answering);
    }
    bytes
}

async fn read_body(body: Body) -> Result<Bytes, HttpFailure<'static>> {
    if body.is_end_stream() {
        return Ok(Bytes::new());
    }
    // Do not ask for a body that says that it is too long.
    if body.size_hint().lower() > MAX_BODY_BYTES as u64 {
        return Err(TOO_LARGE);
    }
    match Limited::new(body, MAX_BODY_BYTES).collect().await {
        Ok(collected) => Ok(collected.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(TOO_LARGE),
        Err(error) => Err(kind(error.as_ref())),
    }
}

/// The listener fails reads of the socket when the client's time is up.
fn kind(error: &(dyn std::error::Error + 'static)) -> HttpFailure<'static> {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<io::Error>()
            && error.kind() == io::ErrorKind::TimedOut
        {
            return HttpFailure::BodyTimedOut;
        }
        cause = error.source();
    }
    HttpFailure::BodyBroken
}

const TOO_LARGE: HttpFailure<'static> = HttpFailure::BodyTooLarge { most: MAX_BODY_BYTES };

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    async fn read_back(body: Body) -> Result<Bytes, HttpFailure<'static>> {
        let (parts, body) = Request::new(body).into_parts();
        read(&parts, body).await
    }

    #[tokio::test]
    async fn bodies_up_to_the_limit_are_read() {
        for length in [0, 1, MAX_BODY_BYTES] {
            assert_eq!(
                read_back(Body::from(vec![b'x'; length])).await.unwrap().len(),
                length
            );
        }
    }

    #[tokio::test]
    async fn longer_bodies_are_refused_with_and_without_a_length() {
        let long = vec![b'x'; MAX_BODY_BYTES + 1];
        assert_eq!(read_back(Body::from(long.clone())).await, Err(TOO_LARGE));
        let unannounced = Body::new(Body::from(long).map_frame(|frame| frame).boxed_unsync());
        assert_eq!(read_back(unannounced).await, Err(TOO_LARGE));
    }
}
