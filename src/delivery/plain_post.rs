//! Posts JSON to a URL: stands in for the webhook sender until that is here. It guards against nothing.

use std::sync::OnceLock;
use std::time::Duration;

use reqwest::redirect::Policy;

/// Posts `body`; the status of the answer.
///
/// # Errors
/// What went wrong, for the operator.
pub async fn post_json(url: &str, body: String, patience: Duration) -> Result<u16, String> {
    static CLIENT: OnceLock<Option<reqwest::Client>> = OnceLock::new();
    let client = CLIENT.get_or_init(|| {
        let _installed_before = rustls::crypto::aws_lc_rs::default_provider().install_default();
        reqwest::Client::builder()
            .no_proxy()
            .redirect(Policy::none())
            .build()
            .ok()
    });
    let client = client.as_ref().ok_or("there is no HTTP client")?;
    let request = client.post(url).header("Content-Type", "application/json");
    let answer = request.timeout(patience).body(body).send().await;
    let explain = |error: reqwest::Error| error.without_url().to_string();
    answer.map(|answer| answer.status().as_u16()).map_err(explain)
}
