//! What a browser and a newcomer's first call are told.

use tempfile::TempDir;

use std::io::{Read as _, Write as _};

use super::process::{Process, connect, get};

/// The answer to these bytes.
fn ask(address: &str, request: &str) -> String {
    let mut stream = connect(address);
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    String::from_utf8(answer).unwrap()
}

fn browse(address: &str, path: &str) -> String {
    ask(
        address,
        &format!(
            "GET {path} HTTP/1.1\r\nHost: x\r\nAccept: text/html, */*;q=0.8\r\nConnection: close\r\n\r\n"
        ),
    )
}

#[test]
fn a_browser_sees_a_page_and_a_client_what_it_always_saw() {
    let directory = TempDir::new().unwrap();
    let server = Process::start_with(directory.path(), &["--ops-listen", "127.0.0.1:0"], &[]);
    let line = server.wait_for_log("serving /health");
    let ops = line.split(" on ").last().unwrap().to_owned();
    let page = browse(&server.url, "/");
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("<h1>Countersign</h1>"),
        "{page}"
    );
    assert!(!page.contains("Twilio-Request-Id"), "{page}");
    let json = server.get("/");
    assert!(
        json.starts_with("HTTP/1.1 404 ") && json.contains("\"code\":20404"),
        "{json}"
    );
    let more = "\"more_info\":\"http://x/docs/errors/20404\"";
    assert!(json.contains(more), "{json}");
    // The link of the error is served where the error came from.
    let page = server.get("/docs/errors/20404");
    assert!(
        page.starts_with("HTTP/1.1 200 ") && page.contains("<h1>Error 20404</h1>"),
        "{page}"
    );
    assert!(server.get("/docs/settings").starts_with("HTTP/1.1 404 "));
    assert!(get(&ops, "/docs/settings").starts_with("HTTP/1.1 200 "));
    assert!(browse(&ops, "/").contains("href=\"docs/\""));
}

#[test]
fn errors_lead_to_the_public_url_and_the_manual_is_served_where_it_is_wanted() {
    let directory = TempDir::new().unwrap();
    let arguments = ["--public-docs", "--public-url", "https://2fa.example.com/verify"];
    let server = Process::start_with(directory.path(), &arguments, &[]);
    let json = server.get("/v2/Nothing");
    let more = "\"more_info\":\"https://2fa.example.com/verify/docs/errors/20404\"";
    assert!(json.contains(more), "{json}");
    assert!(server.get("/docs/settings").starts_with("HTTP/1.1 200 "));
    assert!(browse(&server.url, "/").contains("href=\"docs/\""));
    // What fails before a request is understood, too.
    let long = "x".repeat(40 * 1024);
    let json = ask(
        &server.url,
        &format!("GET / HTTP/1.1\r\nHost: a\r\nX-Long: {long}\r\nConnection: close\r\n\r\n"),
    );
    assert!(
        json.contains("https://2fa.example.com/verify/docs/errors/60306"),
        "{json}"
    );
}
