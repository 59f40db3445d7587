//! stand-in until the server branch lands
use bytes::Bytes;
use http_body_util::{BodyExt, Limited};
pub enum BodyError {
    TooLarge,
    TimedOut,
    Broken,
}
pub async fn read(body: axum::body::Body) -> Result<Bytes, BodyError> {
    match Limited::new(body, 65536).collect().await {
        Ok(b) => Ok(b.to_bytes()),
        Err(_) => Err(BodyError::TooLarge),
    }
}
