//! The first start and those after it.

use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::process::{Process, basic, complaint, run, stdout_of};

const BOOTSTRAP: &str = "AC0123456789abcdef0123456789abcdef:a-token-of-our-own";

#[test]
fn the_first_start_prints_an_account_once() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let mut server = Process::start(&data);
    let (sid, token) = server.credentials();
    assert!(sid.len() == 34 && sid.starts_with("AC"), "{sid}");
    assert!(
        token.len() == 32 && token.bytes().all(|b| b.is_ascii_hexdigit()),
        "{token}"
    );
    let rest = server.rest_after_sigterm();
    let lines: Vec<_> = rest.lines().filter(|line| line.contains("curl ")).collect();
    assert_eq!(lines.len(), 3, "{rest}");
    assert!(
        lines
            .iter()
            .all(|line| line.contains(&format!("-u {sid}:{token} http://127.0.0.1:"))),
        "{rest}"
    );
    assert_eq!(data.metadata().unwrap().permissions().mode() & 0o777, 0o700);

    assert_eq!(Process::start(&data).rest_after_sigterm(), "");
    assert_eq!(stdout_of(&data, &["account", "list"]).lines().count(), 2);
}

#[test]
fn bootstrap_creates_exactly_the_account_that_it_names() {
    let directory = TempDir::new().unwrap();
    let variables = [("COUNTERSIGN_BOOTSTRAP", BOOTSTRAP)];
    let server = Process::start_with(directory.path(), &[], &variables);
    assert_eq!(server.rest_after_sigterm(), "");
    let accounts = stdout_of(directory.path(), &["account", "list"]);
    assert!(
        accounts.lines().count() == 2 && accounts.contains(&BOOTSTRAP[..34]),
        "{accounts}"
    );
    // The same again is fine, and changes nothing.
    let server = Process::start_with(directory.path(), &[], &variables);
    server.signal("TERM");
    assert_eq!(server.wait(), Some(0));
    assert_eq!(stdout_of(directory.path(), &["account", "list"]), accounts);
}

#[test]
fn bootstrap_is_ignored_when_there_are_other_accounts() {
    let directory = TempDir::new().unwrap();
    let accounts = stdout_of(directory.path(), &["account", "create"]);
    assert!(accounts.starts_with("Account SID     AC"), "{accounts}");
    let server = Process::start_with(directory.path(), &[], &[("COUNTERSIGN_BOOTSTRAP", BOOTSTRAP)]);
    server.wait_for_log("COUNTERSIGN_BOOTSTRAP was ignored");
    assert!(!stdout_of(directory.path(), &["account", "list"]).contains(&BOOTSTRAP[..34]));
}

/// Needs `GET /v2/Services`.
#[test]
fn the_bootstrap_account_may_call_the_api() {
    use std::io::{Read as _, Write as _};
    let directory = TempDir::new().unwrap();
    let server = Process::start_with(directory.path(), &[], &[("COUNTERSIGN_BOOTSTRAP", BOOTSTRAP)]);
    for (password, status) in [(&BOOTSTRAP[35..], 200), ("another-token-entirely", 401)] {
        let mut stream = server.connect();
        let authorization = basic(&BOOTSTRAP[..34], password);
        write!(
            stream,
            "GET /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {authorization}\r\nConnection: close\r\n\r\n"
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
    }
}

#[test]
fn https_alone_is_announced_and_tried() {
    let directory = TempDir::new().unwrap();
    let arguments = ["--tls-listen", "127.0.0.1:0", "--tls-self-signed"];
    let server = Process::start_on("none", directory.path(), &arguments, &[]);
    let url = server.url.clone();
    assert!(url.starts_with("https://127.0.0.1:"), "{url}");
    let rest = server.rest_after_sigterm();
    let lines: Vec<_> = rest.lines().filter(|line| line.contains("curl ")).collect();
    assert_eq!(lines.len(), 3, "{rest}");
    let fits = |line: &&str| {
        line.contains("/tls/cert.pem -u ") && line.contains(&url) && !line.contains("http://127")
    };
    assert!(lines.iter().all(fits), "{rest}");
    let line = complaint(&run(directory.path(), &["serve", "--listen", "none"]), 2);
    assert!(line.starts_with("listen must not be none"), "{line}");
}

#[test]
fn http_for_others_without_a_public_url_is_warned_of() {
    let warning = "public_url is not set";
    for (listen, arguments, warned) in [
        ("0.0.0.0:0", &[][..], true),
        (
            "0.0.0.0:0",
            &["--public-url", "https://verify.example.com"][..],
            false,
        ),
        ("127.0.0.1:0", &[][..], false),
    ] {
        let directory = TempDir::new().unwrap();
        let server = Process::start_on(listen, directory.path(), arguments, &[]);
        server.signal("TERM");
        let log = server.log_until("stopping");
        let count = log.iter().filter(|line| line.contains(warning)).count();
        assert_eq!(count, usize::from(warned), "{log:?}");
    }
}

#[test]
fn two_servers_do_not_share_a_data_directory() {
    let directory = TempDir::new().unwrap();
    let server = Process::start(directory.path());
    let line = complaint(&run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]), 1);
    assert!(
        line.starts_with("another countersign uses the data directory"),
        "{line}"
    );
    // The second one must not have taken the first one's socket with it.
    assert!(stdout_of(directory.path(), &["account", "list"]).starts_with("AC"));
    drop(server);
}

#[test]
fn an_address_in_use_is_named_and_costs_nobody_the_first_token() {
    let directory = TempDir::new().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = run(
        directory.path(),
        &["serve", "--log", "warn", "--listen", &address],
    );
    let line = complaint(&output, 1);
    assert!(
        line.starts_with(&format!("listen: cannot listen on {address}: ")),
        "{line}"
    );
    Process::start(directory.path()).credentials();
}
