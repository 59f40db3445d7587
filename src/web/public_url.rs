//! stand-in until the server branch lands
use axum::http::request::Parts;
#[derive(Clone, Debug)]
pub struct PublicUrl(pub Option<String>);
impl PublicUrl {
    pub fn base(&self, parts: &Parts) -> String {
        self.0.clone().unwrap_or_else(|| {
            format!(
                "http://{}",
                parts
                    .headers
                    .get("host")
                    .and_then(|h| h.to_str().ok())
                    .unwrap_or("localhost")
            )
        })
    }
}
