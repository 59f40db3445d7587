//! The operators' endpoints.

use tempfile::TempDir;

use super::process::{Process, get};

#[test]
fn health_readiness_and_metrics_are_served_on_their_own_listener_only() {
    let directory = TempDir::new().unwrap();
    let server = Process::start_with(directory.path(), &["--ops-listen", "127.0.0.1:0"], &[]);
    let line = server.wait_for_log("serving /health");
    let ops = line.split(" on ").last().unwrap();
    assert!(get(ops, "/health").starts_with("HTTP/1.1 200 "));
    assert!(get(ops, "/ready").starts_with("HTTP/1.1 200 "));
    assert!(get(ops, "/v2/Services").starts_with("HTTP/1.1 404 "));
    for path in ["/health", "/ready", "/metrics"] {
        assert!(!server.get(path).starts_with("HTTP/1.1 200 "), "{path}");
    }
    let metrics = get(ops, "/metrics");
    assert!(
        metrics.contains("\r\nContent-Type: text/plain; version=0.0.4\r\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ncountersign_http_requests_total{status=\"4xx\"} 3\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ncountersign_store_commits_total 2\n"),
        "{metrics}"
    );
    for name in [
        "delivered_total",
        "failed_total",
        "dead_letters_total",
        "obsolete_total",
        "waiting_receivers",
    ] {
        let line = format!("\ncountersign_outbox_{name} 0\n");
        assert!(metrics.contains(&line), "{metrics}");
    }
    assert!(
        metrics.contains("\ncountersign_totp_clock_hints_total 0\n"),
        "{metrics}"
    );
    assert!(
        metrics.contains("\ncountersign_codes_blocked_total{reason=\"low_conversion\"} 0\n"),
        "{metrics}"
    );
    let build = concat!(
        "\ncountersign_build_info{version=\"",
        env!("CARGO_PKG_VERSION"),
        "\",commit=\""
    );
    assert!(metrics.contains(build), "{metrics}");
    assert!(
        metrics.contains("\ncountersign_process_resident_memory_bytes "),
        "{metrics}"
    );
    assert!(metrics.ends_with("\n# EOF\n"), "{metrics}");
}
