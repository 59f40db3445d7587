//! What a server tells at `/metrics`.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::connection::Connection;
use super::pool::ClientPool;
use super::target::{AccountCredentials, PreparedRequest, Target};

/// The figures of one moment.
pub(super) struct MetricsText {
    /// By their names without labels; those that differ in labels only, together.
    sums: HashMap<String, f64>,
}

impl MetricsText {
    fn parse(text: &str) -> Self {
        let mut sums = HashMap::new();
        let lines = text.lines().filter(|line| !line.starts_with('#'));
        for (name, value) in lines.filter_map(figure) {
            *sums.entry(name.to_owned()).or_insert(0.0) += value;
        }
        Self { sums }
    }

    /// All figures of this name together; none if there are none.
    pub(super) fn sum(&self, name: &str) -> Option<f64> {
        self.sums.get(name).copied()
    }
}

/// What the server at `metrics` tells now.
///
/// # Errors
/// It does not.
pub(super) fn fetch(metrics: &Target) -> Result<MetricsText, String> {
    let one = ClientPool {
        connections: 1,
        threads: 1,
    };
    let fetched = one.work(&Arc::new(AtomicBool::new(false)), |_| fetch_text(metrics.clone()))?;
    let text = fetched.concat();
    Ok(MetricsText::parse(&text))
}

async fn fetch_text(metrics: Target) -> Result<String, String> {
    let host = &metrics.host;
    let broke = |error: std::io::Error| format!("{host} does not tell: {error}");
    let mut request = Vec::new();
    let get = PreparedRequest {
        method: "GET",
        path: "/metrics",
        form: "",
    };
    // It asks for no credentials, so it gets none.
    metrics.write(&mut request, &AccountCredentials::new("", ""), &get);
    let mut connection = Connection::open(metrics.address).await.map_err(broke)?;
    let answer = connection.exchange(&request).await.map_err(broke)?;
    if answer.status != 200 {
        return Err(format!(
            "http://{host}/metrics answers {}; is it the `ops_listen` of the server?",
            answer.excerpt()
        ));
    }
    Ok(String::from_utf8_lossy(answer.body).into_owned())
}

/// `name{labels} value`. A label's value may have spaces in it, a figure has none.
fn figure(line: &str) -> Option<(&str, f64)> {
    let (series, value) = line.rsplit_once(' ')?;
    let name = series.split_once('{').map_or(series, |(name, _)| name);
    Some((name, value.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_that_differ_in_labels_are_one() {
        let text = "# HELP a_total What.\n# TYPE a counter\na_total{s=\"2xx\"} 5\na_total{s=\"4 x\"} 2\nb 1.5\nb_total 7\n# EOF\n";
        let told = MetricsText::parse(text);
        assert_eq!(told.sum("a_total"), Some(7.0));
        assert_eq!(told.sum("b"), Some(1.5));
        assert_eq!(told.sum("a"), None);
    }
}
