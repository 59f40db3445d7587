//! Settings that stop the start.

use std::fs;

use tempfile::TempDir;

use super::process::{Process, command, complaint, run};

#[test]
fn a_setting_that_nobody_knows_or_that_does_not_fit_is_named_in_one_line() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("countersign.toml");
    let file = file.to_str().unwrap();
    for (text, named) in [
        ("lisen = '127.0.0.1:0'", "lisen in "),
        ("log = 'loud'", "log (in "),
    ] {
        fs::write(file, text).unwrap();
        let line = complaint(&run(directory.path(), &["serve", "--config", file]), 2);
        assert!(line.starts_with(named), "{line}");
    }
    for (name, value, named) in [
        (
            "COUNTERSIGN_LISTNE",
            "127.0.0.1:0",
            "COUNTERSIGN_LISTNE is not a setting",
        ),
        (
            "COUNTERSIGN_LISTEN",
            "127.0.0.1",
            "listen (COUNTERSIGN_LISTEN) must be",
        ),
        (
            "COUNTERSIGN_BOOTSTRAP",
            "AC12:hunter2hunter2",
            "bootstrap (COUNTERSIGN_BOOTSTRAP) must be",
        ),
    ] {
        let line = complaint(
            &command(directory.path(), &["serve"])
                .env(name, value)
                .output()
                .unwrap(),
            2,
        );
        assert!(line.starts_with(named) && !line.contains("hunter2"), "{line}");
    }
    for (arguments, named) in [
        (
            ["serve", "--lisen", "127.0.0.1:0"].as_slice(),
            "unexpected argument '--lisen'",
        ),
        (&["serve", "--listen", "nonsense"], "listen (--listen) must be"),
        (
            &["serve", "--outbound-allow", "10.0.0.0/8,intranet"],
            "outbound_allow (--outbound-allow) must be networks such as 10.1.0.0/16",
        ),
        (
            &["account", "rotate-webhook-secret", "AC", "--overlap", "24"],
            "invalid value '24' for '--overlap <TIME>': must be a number and s, m, h or d",
        ),
    ] {
        let line = complaint(&run(directory.path(), arguments), 2);
        assert!(line.starts_with(named), "{line}");
    }
    assert!(!directory.path().join("store").exists());
}

#[test]
fn the_command_serve_can_be_left_out() {
    let directory = TempDir::new().unwrap();
    let mut child = command(directory.path(), &["--listen", "127.0.0.1:0"]);
    let mut child = child
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let mut first = String::new();
    std::io::BufRead::read_line(
        &mut std::io::BufReader::new(child.stdout.take().unwrap()),
        &mut first,
    )
    .unwrap();
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(first.starts_with("listening on http://127.0.0.1:"), "{first}");
}

#[test]
fn all_settings_work_from_a_file() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("countersign.toml");
    fs::write(
        &file,
        "outbound_allow = ['10.1.0.0/16', '::1']\nops_listen = '127.0.0.1:0'\npublic_url = 'https://verify.example.com/'\ncache_bytes = 1048576\n\
         max_connections = 10\n[limits]\nentity_creations_per_second = 40\n[retention]\nchallenges_days = 7\n\
         outbox_days = 1\noutbox_dead_days = 7\n[devices]\nclock_skew_seconds = 30\n",
    )
    .unwrap();
    let server = Process::start_with(directory.path(), &["--config", file.to_str().unwrap()], &[]);
    server.wait_for_log("serving /health, /ready and /metrics on http://127.0.0.1:");
}

#[test]
fn whoever_sends_codes_to_the_log_is_warned_and_nobody_else() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("countersign.toml");
    let sender =
        "[[senders]]\nname = 'sms'\nkind = 'http'\nchannels = ['sms']\nurl = 'https://gateway.example/'\n";
    fs::write(&file, sender).unwrap();
    let last = "serving /health";
    let log = |data: &str, more: &[&str]| {
        let arguments = [&["--ops-listen", "127.0.0.1:0"], more].concat();
        Process::start_with(&directory.path().join(data), &arguments, &[]).log_until(last)
    };
    let warned = |log: Vec<String>| {
        log.iter()
            .any(|line| line.contains("codes are written to this log"))
    };
    assert!(warned(log("none", &[])));
    assert!(!warned(log("one", &["--config", file.to_str().unwrap()])));
}
