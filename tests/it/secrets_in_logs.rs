//! Every test that makes a server looks for secrets in all that it logs: see `doubles/watch.rs`. Here is shown that it finds them:
//! this program runs a test of its own that logs one on purpose, and is ended by it.

use std::env;
use std::os::unix::process::CommandExt as _;
use std::process::{Command, Output, Stdio};

use crate::doubles::watch;
use crate::serving::process::Process;
use crate::support::{Authenticator, Client, Credentials, TestApp, User};

const WHAT: &str = "COUNTERSIGN_TEST_LOGGED_SECRET";

/// Each kind of secret, and what is said of it.
const KINDS: [(&str, &str); 12] = [
    ("a secret that was shown", "a secret of the test"),
    ("a password", "a secret of the test"),
    ("an Authorization header", "a secret of the test"),
    ("a notification token", "a secret of the test"),
    ("a secret in another thread", "a secret of the test"),
    ("a secret in a task that nobody waits for", "a secret of the test"),
    ("a secret in the log of the binary", "a secret of the test"),
    ("a code", "what looks like a code or a phone number"),
    ("a phone number", "what looks like a code or a phone number"),
    ("an otpauth URI", "what looks like a secret"),
    ("a JWT", "what looks like a JWT"),
    ("a bearer token", "what looks like a bearer token"),
];

#[test]
fn whatever_logs_a_secret_ends_the_run() {
    for (kind, told) in KINDS {
        let ended = run(kind);
        let log = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success(), "{kind}: {log}");
        let line = log.lines().find(|line| line.starts_with("SECRETS: "));
        let line = line.unwrap_or_else(|| panic!("{kind}: {log}"));
        assert!(line.contains(told), "{kind}: {line}");
        // Neither does what tells of it repeat it.
        assert!(
            line.contains("<HERE>") && !line.contains("MZXW6YTB"),
            "{kind}: {line}"
        );
    }
    assert!(run("nothing").status.success(), "what is no secret is no secret");
}

fn run(kind: &str) -> Output {
    let child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "secrets_in_logs::logs_what_it_is_told_to",
            "--nocapture",
        ])
        .env(WHAT, kind)
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .spawn()
        .unwrap();
    let group = child.id();
    let ended = child.wait_with_output().unwrap();
    // What ends it does not let it end a server that it has started. There may be none.
    let _none_left = Command::new("sh")
        .args(["-c", &format!("kill -KILL -{group}")])
        .output()
        .unwrap();
    ended
}

/// Does nothing unless [`run`] runs it.
#[tokio::test]
async fn logs_what_it_is_told_to() {
    let Ok(kind) = env::var(WHAT) else {
        return;
    };
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let log = |text: &str| tracing::trace!(target: "countersign::flows", "it was {text}, by the way");
    match kind.as_str() {
        "a secret that was shown" => {
            let form = [("FriendlyName", "x"), ("FactorType", "totp")];
            let made = client.post(format!("{}/Factors", user.path), &form).await.ok();
            log(made["binding"]["secret"].as_str().unwrap());
        }
        "a password" => log(&server.account.password),
        "an Authorization header" => log(&server.account.header()),
        "a notification token" => {
            let form = [("Config.NotificationToken", "a token of a provider's")];
            Client::new(&server, None).post("/v2/Services", &form).await;
            log(form[0].1);
        }
        "a secret in another thread" => {
            let secret = Authenticator::new(b"foobarfoobarfoobar").base32();
            std::thread::spawn(move || {
                tracing::error!(target: "countersign::delivery", answer = %secret, "refused");
            })
            .join()
            .unwrap();
        }
        "a secret in a task that nobody waits for" => {
            let secret = Credentials::new(&"somebody", "a password of somebody's").password;
            tokio::spawn(async move { tracing::debug!(target: "countersign::web", "{secret:?}") });
            tokio::task::yield_now().await;
        }
        "a secret in the log of the binary" => {
            // It logs this when it starts.
            watch::secret("serving /health, /ready");
            let directory = tempfile::tempdir().unwrap();
            let server = Process::start_with(directory.path(), &["--ops-listen", "127.0.0.1:0"], &[]);
            // It is written a moment after the server listens.
            server.wait_for_log("serving /health");
        }
        "a code" => log("471142"),
        "a phone number" => log("+32470012345"),
        "an otpauth URI" => log("otpauth://totp/x?digits=6"),
        "a JWT" => log("eyJhbGciOiJub25lIn0.eyJzdWIiOiJ4In0.c2ln"),
        "a bearer token" => log(&format!("BT{}_{}", "0a".repeat(16), "Zx9".repeat(10))),
        _ => log(&format!("{}, at port 45123 after 59999 ms", user.service.sid)),
    }
}
