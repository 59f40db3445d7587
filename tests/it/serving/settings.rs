//! Settings that stop the start.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::process::{Process, command, complaint, program, run, stdout_of};

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

#[test]
fn config_check_says_all_that_is_wrong_at_once_and_starts_nothing() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let file = at("countersign.toml");
    let wrong = "lisen = '127.0.0.1:0'\nlog = 'loud'\n[limits]\nmax_pending_challenges = 0\n\
                 [backup]\nevery_minutes = 60\n[[senders]]\nname = 'a'\nkind = 'log'\nhost = 'x'\n\
                 [[senders]]\nname = 'b'\nkind = 'pigeon'\n[[templates]]\nname = 'c'\n";
    fs::write(&file, wrong).unwrap();
    let data = at("data");
    let mut check = program(&["config", "check", "--config", &file, "--data", &data]);
    let output = check
        .env("COUNTERSIGN_LISTNE", "x")
        .env("COUNTERSIGN_BOOTSTRAP", "AC12:hunter2hunter2")
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2));
    let errors = String::from_utf8(output.stderr).unwrap();
    for named in [
        "COUNTERSIGN_LISTNE is not a setting",
        "lisen in ",
        "log (in ",
        "limits.max_pending_challenges (in ",
        "bootstrap (COUNTERSIGN_BOOTSTRAP)",
        "backup.directory must be given",
        "senders.a",
        "senders.b",
        "templates",
        "9 things are wrong",
    ] {
        let lines = errors.lines().filter(|line| line[13..].starts_with(named));
        assert_eq!(lines.count(), 1, "{named}: {errors}");
    }
    assert!(!errors.contains("hunter2"), "{errors}");
    assert!(!directory.path().join("data").exists(), "nothing is made");

    let json = run(
        directory.path(),
        &["config", "check", "--json", "--log", "loud", "--listen", "x"],
    );
    assert_eq!(json.status.code(), Some(2));
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert_eq!(
        (&json["ok"], json["faults"].as_array().map(Vec::len)),
        (&false.into(), Some(2))
    );
    assert!(stdout_of(directory.path(), &["config", "check"]).starts_with("Nothing is wrong"));
}

/// Whether something is missing is not known as long as a name is mistyped, or a value stands where it must not.
#[test]
fn config_check_says_nothing_of_what_only_follows_from_something_else() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("countersign.toml");
    let check = |text: &str| {
        fs::write(&file, text).unwrap();
        let named = ["config", "check", "--json", "--config", file.to_str().unwrap()];
        let output = run(&directory.path().join("data"), &named);
        assert_eq!(output.status.code(), Some(2), "{output:?}");
        let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
        let faults = told["faults"].as_array().unwrap().iter();
        faults
            .map(|fault| fault.as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
    };
    for (text, cause) in [
        ("tls_self_signed = true\ntls_lisen = '127.0.0.1:0'\n", "tls_lisen"),
        ("tls_self_signed = true\ntls_listen = [1]\n", "tls_listen (in"),
        (
            "tls_listen = '127.0.0.1:0'\ntls_cert = 'c'\ntls_keys = 'k'\n",
            "tls_keys",
        ),
        ("listen = 'none'\ntls_listn = '127.0.0.1:0'\n", "tls_listn"),
        (
            "[backup]\ndirectry = '/x'\nevery_minutes = 60\n",
            "backup.directry",
        ),
    ] {
        let faults = check(text);
        assert!(
            matches!(faults.as_slice(), [only] if only.starts_with(cause)),
            "{text}: {faults:?}"
        );
    }
    // What is wrong whatever the other was meant to be is said beside it.
    let faults = check("tls_self_signed = true\nlgo = 'info'\n");
    assert_eq!(faults.len(), 2, "{faults:?}");
    assert!(faults[1].starts_with("tls_listen must be given"), "{faults:?}");
}

#[test]
fn config_check_looks_at_the_files_that_are_named() {
    let directory = TempDir::new().unwrap();
    let at = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    let (file, key, shelf) = (at("countersign.toml"), at("key"), at("shelf"));
    fs::write(&key, "hunter2").unwrap();
    fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "master_key_file = '{key}'\ntls_listen = '127.0.0.1:0'\ntls_cert = '{key}'\ntls_key = '{key}'\n\
         telegram_listen = '127.0.0.1:0'\ntelegram_rsa_key_file = '{}'\nwitness = '{}/w'\n\
         [backup]\ndirectory = '{shelf}'\nevery_minutes = 60\n",
        at("none.pem"),
        at("nowhere"),
    );
    fs::write(&file, text).unwrap();
    let output = run(directory.path(), &["config", "check", "--config", &file]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    for part in [
        key.as_str(),
        "tls_cert, tls_key: ",
        "there is no RSA key in ",
        "witness: cannot use the directory",
        "backup.directory: cannot use ",
        "5 things are wrong",
    ] {
        assert!(errors.contains(part), "{part}: {errors}");
    }
    assert!(!errors.contains("hunter2"), "{errors}");
    // What serves is found right.
    let served = Process::start(&directory.path().join("data"));
    let checked = stdout_of(&directory.path().join("data"), &["config", "check"]);
    assert!(checked.starts_with("Nothing is wrong"), "{checked}");
    drop(served);
}

#[test]
fn config_show_says_where_each_value_comes_from_and_shows_no_secret() {
    let directory = TempDir::new().unwrap();
    let file = directory.path().join("countersign.toml");
    let file = file.to_str().unwrap();
    let text = "log = 'warn'\nmax_connections = 100\nmaster_key_command = 'vault read hunter2'\n\
                store = 'postgres://me:hunter2@db.example/c'\n\
                [[senders]]\nname = 'my-sms'\nkind = 'smtp'\nhost = 'mail.example'\nusername = 'hunter2'\nfrom = 'a@b.example'\n\
                [[telegram_apps]]\napi_id = 1\napi_hash = 'hunter2'\n";
    fs::write(file, text).unwrap();
    let show = |arguments: &[&str]| {
        let mut command =
            program(&[&["config", "show", "--config", file, "--log", "debug"], arguments].concat());
        command
            .env("COUNTERSIGN_MAX_CONNECTIONS", "200")
            .env("COUNTERSIGN_SENDER_MY_SMS_SECRET", "hunter2");
        let output = command.output().unwrap();
        let shown = String::from_utf8(output.stdout).unwrap();
        assert!(!shown.contains("hunter2"), "{shown}");
        shown
    };
    let shown = show(&["--json"]);
    let all: Vec<serde_json::Value> = serde_json::from_str(&shown).unwrap();
    let of = |name: &str| {
        let found = all.iter().find(|setting| setting["setting"] == name);
        let found = found.unwrap_or_else(|| panic!("{name}: {shown}"));
        ["value", "source", "place"].map(|key| found[key].as_str().unwrap_or("-").to_owned())
    };
    for (name, expected) in [
        ("log", ["debug", "flag", "--log"]),
        (
            "max_connections",
            ["200", "environment", "COUNTERSIGN_MAX_CONNECTIONS"],
        ),
        ("store", ["postgres://me:(hidden)@db.example/c", "file", file]),
        ("master_key_command", ["vault (hidden)", "file", file]),
        ("listen", ["127.0.0.1:8080", "default", "-"]),
        ("senders.my-sms", ["smtp", "file", file]),
        (
            "senders.my-sms.secret",
            ["(hidden)", "environment", "COUNTERSIGN_SENDER_MY_SMS_SECRET"],
        ),
        ("telegram_apps", ["1 in the file", "file", file]),
    ] {
        assert_eq!(of(name), expected, "{name}");
    }
    let text = show(&[]);
    assert!(text.starts_with("SETTING "), "{text}");
    let line = text.lines().find(|line| line.starts_with("log "));
    assert!(line.is_some_and(|line| line.ends_with("flag --log")), "{text}");
}
