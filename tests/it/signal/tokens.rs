//! Who may call the real binary: `countersign token`, and the settings that let everybody.

use std::path::Path;

use countersign::dialect::signal::proto::{
    CreateRegistrationSessionRequest, CreateRegistrationSessionResponse,
    GetRegistrationSessionMetadataRequest, GetRegistrationSessionMetadataResponse,
    create_registration_session_response,
};
use tempfile::TempDir;
use tonic::Code;

use crate::doubles::watch;
use crate::serving::process::{Process, complaint, run, stdout_of};
use crate::support::rpc::{Answered, REGISTRATION, RpcConnection};

/// The token that the command prints, alone on a line.
fn new_token(data: &Path, more: &[&str]) -> String {
    let printed = stdout_of(data, &[&["token", "create", "--signal"], more].concat());
    let token = printed.strip_suffix('\n').unwrap();
    let (sid, secret) = token.split_once('_').unwrap();
    assert!(sid.starts_with("BT") && sid.len() == 34, "{sid}");
    assert!(secret.len() == 32 && token.split_whitespace().count() == 1);
    watch::secret(token);
    watch::secret(secret);
    token.to_owned()
}

/// Whether somebody with this token is let in.
async fn is_let_in(server: &RpcConnection, token: &str) -> bool {
    let asked = GetRegistrationSessionMetadataRequest {
        session_id: vec![0; 16],
    };
    let path = format!("{REGISTRATION}/GetSessionMetadata");
    let answer: Answered<GetRegistrationSessionMetadataResponse> =
        server.call(&path, Some(token), &asked).await;
    match answer {
        Ok(_) => true,
        Err((code, text)) => {
            assert_eq!((code, &*text), (Code::Unauthenticated, "API key not recognized"));
            false
        }
    }
}

/// Begins a session without showing anything.
async fn begin(server: &RpcConnection, number: u64) -> Answered<Vec<u8>> {
    use create_registration_session_response::Response;
    let asked = CreateRegistrationSessionRequest {
        e164: number,
        ..CreateRegistrationSessionRequest::default()
    };
    let path = format!("{REGISTRATION}/CreateSession");
    let answer: CreateRegistrationSessionResponse = server.call(&path, None, &asked).await?;
    match answer.response.unwrap() {
        Response::SessionMetadata(session) => Ok(session.session_id),
        Response::Error(error) => panic!("{error:?}"),
    }
}

#[tokio::test]
async fn tokens_are_made_listed_and_revoked_while_the_server_runs() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    let server = Process::start(data);
    let caller = RpcConnection::to(&server.url).await;
    let token = new_token(data, &[]);
    let named = new_token(data, &["--name", "registration backend", "--life", "90d"]);
    let of_user = stdout_of(data, &["token", "create", "--user", "user-0001"]);
    watch::secret(&of_user);
    for (shown, wanted) in [
        (&*token, true),
        (&named, true),
        (of_user.trim(), false),
        ("", false),
    ] {
        assert_eq!(is_let_in(&caller, shown).await, wanted);
    }

    let listed = stdout_of(data, &["token", "list"]);
    let listed_as_json = stdout_of(data, &["token", "list", "--json"]);
    assert_eq!(listed.lines().count(), 4, "{listed}");
    for shown in [&token, &named, &of_user] {
        let (sid, secret) = shown.trim().split_once('_').unwrap();
        assert!(listed.contains(sid) && listed_as_json.contains(sid));
        assert!(!listed.contains(secret) && !listed_as_json.contains(secret));
    }
    assert!(listed.contains("registration backend") && listed.contains("user-0001"));

    let sid = &token[..34];
    assert_eq!(
        stdout_of(data, &["token", "revoke", sid]),
        format!("revoked {sid}\n")
    );
    // The connection that it was good on a moment ago is no way around that.
    assert!(!is_let_in(&caller, &token).await);
    assert!(is_let_in(&caller, &named).await);
    let again = complaint(&run(data, &["token", "revoke", sid]), 1);
    assert_eq!(again, "there is no such bearer token");
    assert!(!stdout_of(data, &["token", "list"]).contains(sid));

    // Nobody's token is good while its account is suspended.
    let accounts = stdout_of(data, &["account", "list"]);
    let account = &accounts.lines().nth(1).unwrap()[..34];
    stdout_of(data, &["account", "suspend", account]);
    assert!(!is_let_in(&caller, &named).await);
    stdout_of(data, &["account", "resume", account]);
    assert!(is_let_in(&caller, &named).await);
}

#[test]
fn a_token_must_live_and_be_for_one_protocol() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    drop(Process::start(data));
    for life in ["0", "0s", "0d"] {
        let line = complaint(&run(data, &["token", "create", "--signal", "--life", life]), 2);
        assert!(line.contains("must live for some time"), "{line}");
    }
    for (wrong, told) in [
        (&["--signal", "--life", "soon"][..], "such as 90d"),
        (&["--signal", "--life", "99999999999999999d"], "such as 90d"),
        (&[], "--signal"),
        (&["--signal", "--user", "user-0001"], "--user"),
        (&["--signal", "--manage-users"], "--manage-users"),
    ] {
        let line = complaint(&run(data, &[&["token", "create"], wrong].concat()), 2);
        assert!(line.contains(told), "{line}");
    }
    assert_eq!(stdout_of(data, &["token", "list"]), "No bearer tokens.\n");
}

/// Where only this machine can call, it may do so without a token; whose account that is has to be clear.
#[tokio::test]
async fn without_tokens_calls_act_for_the_only_account_or_for_the_one_that_is_set() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    let none = [("COUNTERSIGN_SIGNAL_AUTH", "none")];
    let server = Process::start_with(&data, &[], &none);
    let caller = RpcConnection::to(&server.url).await;
    begin(&caller, 12_015_550_100).await.unwrap();
    let first = stdout_of(&data, &["account", "list"]);
    let first = first.lines().nth(1).unwrap()[..34].to_owned();
    let second = stdout_of(&data, &["account", "create", "--name", "Another"]);
    let second = second
        .split_whitespace()
        .find(|word| word.starts_with("AC"))
        .unwrap();
    let (code, told) = begin(&caller, 12_025_550_100).await.unwrap_err();
    assert_eq!(code, Code::FailedPrecondition);
    assert!(told.contains("signal_account"), "{told}");
    drop(server);

    for (account, number) in [(&*first, 12_035_550_100), (second, 12_055_550_100)] {
        let variables = [none[0], ("COUNTERSIGN_SIGNAL_ACCOUNT", account)];
        let server = Process::start_with(&data, &[], &variables);
        let caller = RpcConnection::to(&server.url).await;
        begin(&caller, number).await.unwrap();
    }
    let unknown = "AC00000000000000000000000000000000";
    let variables = [none[0], ("COUNTERSIGN_SIGNAL_ACCOUNT", unknown)];
    let server = Process::start_with(&data, &[], &variables);
    let caller = RpcConnection::to(&server.url).await;
    let (code, told) = begin(&caller, 12_065_550_100).await.unwrap_err();
    assert_eq!(code, Code::FailedPrecondition);
    assert!(told.contains("signal_account"), "{told}");
}

#[test]
fn without_tokens_every_listener_must_be_on_this_machine() {
    let directory = TempDir::new().unwrap();
    let data = directory.path();
    for more in [
        &["--listen", "0.0.0.0:0"][..],
        &[
            "--listen",
            "127.0.0.1:0",
            "--public-url",
            "https://verify.example.com",
        ],
        &["--listen", "[::]:0"],
        &[
            "--listen",
            "127.0.0.1:0",
            "--tls-listen",
            "0.0.0.0:0",
            "--tls-self-signed",
        ],
    ] {
        let serve = [&["serve", "--signal-auth", "none"], more].concat();
        let line = complaint(&run(data, &serve), 2);
        assert!(line.starts_with("signal_auth must not be none"), "{line}");
    }
    let line = complaint(&run(data, &["serve", "--signal-auth", "some"]), 2);
    assert!(line.contains("bearer") && line.contains("none"), "{line}");
}
