//! What is asked for is done.

use std::path::Path;
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::*;
use crate::crypto::plain_token::ImportedSecret;
use crate::domain::entity::EntityScope;
use crate::domain::entropy::Entropy;
use crate::domain::events::{Event, EventType, OutboxMessage, OutboxRow};
use crate::domain::factor::FactorType;
use crate::domain::outbox::{DeadLetter, Reason};
use crate::domain::sid::{EntitySid, EventSid, FactorSid, ServiceSid, WebhookSid};
use crate::domain::text::Identity;
use crate::doubles::{SeededEntropy, TestParts};
use crate::flows::access;
use crate::flows::nodes::NewNode;
use crate::flows::reading::Foreseen;
use crate::store::{Batch, keys};

fn app() -> App {
    TestParts::default().wire()
}

async fn created(app: &App, request: AdminRequest) -> NewSecret {
    match execute(app, request, 0).await {
        Reply::Secret(secret) => secret,
        other => panic!("{other:?}"),
    }
}

async fn refused(app: &App, request: AdminRequest) -> String {
    match execute(app, request, 0).await {
        Reply::Misused(why) | Reply::Refused(why) => why,
        other => panic!("{other:?}"),
    }
}

fn create_account() -> AdminRequest {
    AdminRequest::CreateAccount {
        name: "Shop".to_owned(),
    }
}

/// A row for a webhook that refused it.
async fn put_dead_letter(app: &App, number: u8) -> DeadLetter {
    let now = app.clock.now();
    let scope = EntityScope {
        account: AccountSid::from_bytes([2; 16]),
        service: ServiceSid::from_bytes([3; 16]),
        identity: Identity::parse("user-0001").unwrap(),
        entity: EntitySid::from_bytes([4; 16]),
    };
    let message = OutboxMessage::Webhook {
        webhook: WebhookSid::from_bytes([number; 16]),
        event: Event::new(
            EventType::FactorCreated,
            now,
            &scope,
            FactorSid::from_bytes([5; 16]),
            FactorType::Totp,
        ),
    };
    let letter = DeadLetter {
        row: OutboxRow::new(EventSid::from_bytes([number; 16]), now, message),
        why: Reason::new("status 410"),
        date_given_up: now,
    };
    let key = keys::dead_letter(letter.row.sid);
    let batch = Batch::new().put_record_until(key, &letter, now + Duration::from_hours(1));
    app.store.commit(batch.unwrap()).await.unwrap();
    letter
}

async fn outbox(app: &App, waiting: bool, after: Option<String>, limit: u16) -> OutboxView {
    let request = AdminRequest::ListOutbox {
        waiting,
        after,
        limit,
    };
    match execute(app, request, 0).await {
        Reply::Outbox(view) => view,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn dead_letters_are_listed_page_by_page_put_back_and_dropped() {
    let app = app();
    let mut letters = Vec::new();
    for number in 1..=5 {
        letters.push(put_dead_letter(&app, number).await);
    }
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let page = outbox(&app, false, after, 2).await;
        assert!(page.rows.len() <= 2);
        seen.extend(page.rows.into_iter().map(|row| row.sid));
        after = page.next;
        if after.is_none() {
            break;
        }
    }
    let expected: Vec<_> = letters.iter().map(|letter| letter.row.sid.to_string()).collect();
    assert_eq!(seen, expected);
    let text = render(&Reply::Outbox(outbox(&app, false, None, 1).await), false).unwrap();
    assert!(
        text.contains("factor.created") && text.contains("status 410"),
        "{text}"
    );
    assert!(
        text.ends_with(&format!("There are more: --after {}\n", expected[0])),
        "{text}"
    );

    let one = |sid: &str| (Some(sid.to_owned()), None);
    let (sid, receiver) = one(&expected[0]);
    execute(&app, AdminRequest::RetryOutbox { sid, receiver }, 0).await;
    let receiver = Some(letters[1].row.message.receiver().to_string());
    execute(&app, AdminRequest::RetryOutbox { sid: None, receiver }, 0).await;
    let (sid, receiver) = one(&expected[2]);
    execute(&app, AdminRequest::DropOutbox { sid, receiver }, 0).await;
    assert_eq!(outbox(&app, false, None, 9).await.rows.len(), 2);
    let waiting = outbox(&app, true, None, 1).await;
    assert_eq!(
        (waiting.rows.len(), waiting.rows[0].sid.as_str()),
        (1, expected[0].as_str())
    );
    let rest = outbox(&app, true, waiting.next, 1).await;
    assert_eq!(
        (rest.rows[0].sid.as_str(), rest.next),
        (expected[1].as_str(), None)
    );
    assert_eq!(rest.rows[0].attempts, 0);
}

#[tokio::test]
async fn credentials_work_until_they_are_replaced_revoked_or_suspended() {
    let app = app();
    let account = created(&app, create_account()).await;
    let works = async |user: &str, secret: &str| {
        access::authenticate(&app, user, secret, |_| Foreseen::default())
            .await
            .is_ok()
    };
    assert!(works(&account.sid, &account.secret).await);

    let key = created(
        &app,
        AdminRequest::CreateKey {
            account: None,
            name: "CI".to_owned(),
        },
    )
    .await;
    assert_eq!(key.account_sid, account.sid);
    assert!(works(&key.sid, &key.secret).await);

    let secret = || ImportedSecret::try_from(Zeroizing::new("Zwyx9876".to_owned())).unwrap();
    let import = || AdminRequest::ImportKey {
        account: None,
        name: "moved".to_owned(),
        key: "abcd1234".to_owned(),
        secret: secret(),
    };
    let Reply::Done(imported) = execute(&app, import(), 0).await else {
        panic!("it was not imported");
    };
    assert!(works("abcd1234", "Zwyx9876").await);
    for (user, secret) in [
        ("abcd1234", "zwyx9876"),
        ("ABCD1234", "Zwyx9876"),
        ("abcd1235", "Zwyx9876"),
    ] {
        assert!(!works(user, secret).await, "{user}");
    }
    // Whoever has the name already keeps it.
    let Reply::Refused(why) = execute(&app, import(), 0).await else {
        panic!("two keys have one name");
    };
    assert_eq!(why, "an API key has this name already; revoke it first");
    let sid = imported.rsplit(' ').next().unwrap();
    assert!(works(sid, "Zwyx9876").await);
    let Reply::Keys(keys) = execute(&app, AdminRequest::ListKeys { account: None }, 0).await else {
        panic!("no keys");
    };
    let names: Vec<_> = keys.iter().map(|key| key.imported.as_deref()).collect();
    assert_eq!(names, [None, Some("abcd1234")]);
    let revoke = AdminRequest::RevokeKey { key: sid.to_owned() };
    assert!(matches!(execute(&app, revoke, 0).await, Reply::Done(_)));
    assert!(!works("abcd1234", "Zwyx9876").await && !works(sid, "Zwyx9876").await);
    // Its name is free again.
    assert!(matches!(execute(&app, import(), 0).await, Reply::Done(_)));
    assert!(works("abcd1234", "Zwyx9876").await);

    let rotated = created(
        &app,
        AdminRequest::RotateToken {
            account: account.sid.clone(),
        },
    )
    .await;
    assert!(works(&account.sid, &rotated.secret).await && !works(&account.sid, &account.secret).await);

    execute(
        &app,
        AdminRequest::SuspendAccount {
            account: account.sid.clone(),
        },
        0,
    )
    .await;
    assert!(!works(&account.sid, &rotated.secret).await && !works(&key.sid, &key.secret).await);
    execute(
        &app,
        AdminRequest::ResumeAccount {
            account: account.sid.clone(),
        },
        0,
    )
    .await;
    assert!(works(&account.sid, &rotated.secret).await && works(&key.sid, &key.secret).await);

    execute(&app, AdminRequest::RevokeKey { key: key.sid.clone() }, 0).await;
    assert!(!works(&key.sid, &key.secret).await);
}

#[tokio::test]
async fn a_webhook_secret_is_shown_when_it_is_made_and_says_how_long_the_old_one_signs() {
    let app = app();
    let account = created(&app, create_account()).await;
    let first = account.webhook_secret.clone().unwrap();
    assert!(
        first.starts_with("whsec_") && first.len() == 50,
        "{} letters",
        first.len()
    );
    let rotate = async |overlap_seconds| {
        let request = AdminRequest::RotateWebhookSecret {
            account: account.sid.clone(),
            overlap_seconds,
        };
        let reply = execute(&app, request, 0).await;
        let Reply::WebhookSecret(rotated) = &reply else {
            panic!("{reply:?}")
        };
        assert!(!format!("{reply:?}").contains(&rotated.webhook_secret));
        assert_ne!(rotated.webhook_secret, first);
        let text = render(&reply, false).unwrap();
        assert!(text.contains(&rotated.webhook_secret), "{text}");
        text
    };
    let text = rotate(3600).await;
    assert!(
        text.contains("Until 2027-01-15T09:00:00Z X-Twilio-Signature"),
        "{text}"
    );
    let text = rotate(0).await;
    assert!(text.contains("From now on"), "{text}");
    let unknown = AdminRequest::RotateWebhookSecret {
        account: format!("AC{}", "0".repeat(32)),
        overlap_seconds: 0,
    };
    assert_eq!(refused(&app, unknown).await, "there is no such account");
    // Of both it can be said that they are not shown again.
    let text = render(&Reply::Secret(account), false).unwrap();
    assert!(
        text.contains(&first) && text.ends_with("They are not shown again.\n"),
        "{text}"
    );
}

#[tokio::test]
async fn lists_show_no_secret() {
    let app = app();
    let account = created(&app, create_account()).await;
    let key = created(
        &app,
        AdminRequest::CreateKey {
            account: None,
            name: "CI".to_owned(),
        },
    )
    .await;
    for (request, sid) in [
        (AdminRequest::ListAccounts, &account.sid),
        (AdminRequest::ListKeys { account: None }, &key.sid),
    ] {
        let reply = execute(&app, request, 0).await;
        for json in [false, true] {
            let text = render(&reply, json).unwrap();
            assert!(
                text.contains(sid.as_str()) && text.contains("2027-01-15T08:00:00Z"),
                "{text}"
            );
            assert!(
                !text.contains(account.secret.as_str()) && !text.contains(key.secret.as_str()),
                "{text}"
            );
        }
    }
    assert!(!format!("{account:?}").contains(account.secret.as_str()));
}

#[tokio::test]
async fn servers_that_run_on_the_store_are_listed() {
    let app = app();
    let new = NewNode {
        host: "one.example".to_owned(),
        version: "1.2.3".to_owned(),
        settings: Vec::new(),
        rolling: false,
    };
    let node = flows::nodes::join(&app, new).await.unwrap().unwrap().node();
    let asked = TestParts::of(&app).wire();
    let reply = execute(&asked, AdminRequest::ListNodes, 0).await;
    let expected = format!("{node}  one.example  1.2.3    2027-01-15T08:00:00Z");
    let table = render(&reply, false).unwrap();
    let lines: Vec<_> = table.lines().collect();
    assert!(lines[0].starts_with("NODE") && lines[1] == expected, "{table}");
    flows::nodes::leave(&app, node).await.unwrap();
    let reply = execute(&asked, AdminRequest::ListNodes, 0).await;
    assert_eq!(render(&reply, true).unwrap(), "[]\n");
}

#[tokio::test]
async fn refusals_say_what_to_do() {
    let app = app();
    let keys = || AdminRequest::ListKeys { account: None };
    assert!(refused(&app, keys()).await.starts_with("there is no account"));
    created(&app, create_account()).await;
    created(&app, create_account()).await;
    assert!(
        refused(&app, keys())
            .await
            .starts_with("there are several accounts")
    );
    let unknown = format!("AC{}", "0".repeat(32));
    assert_eq!(
        refused(&app, AdminRequest::SuspendAccount { account: unknown }).await,
        "there is no such account"
    );
    let key = AdminRequest::RevokeKey {
        key: "SK1".to_owned(),
    };
    assert_eq!(
        refused(&app, key).await,
        "SK1 is no API key's SID: it must be SK and 32 hexadecimal digits"
    );
    assert!(
        refused(&app, AdminRequest::CreateAccount { name: String::new() })
            .await
            .starts_with("--name must be")
    );
}

/// Random bytes that come when the test says so: whoever asks for them is under way until then.
#[derive(Debug)]
struct HeldEntropy {
    asked: mpsc::Sender<()>,
    given: Mutex<mpsc::Receiver<()>>,
    bytes: SeededEntropy,
}

impl Entropy for HeldEntropy {
    fn fill(&self, bytes: &mut [u8]) {
        let _nobody_waits = self.asked.send(());
        // The runtime must go on meanwhile. An error means that the test gives everything from now on.
        let _given = tokio::task::block_in_place(|| self.given.lock().unwrap().recv());
        self.bytes.fill(bytes);
    }
}

/// A socket with a command under way, which goes on when `give` is dropped, and a client that came before it and is
/// `silent`.
struct HeldStore {
    client: UnixStream,
    silent: UnixStream,
    give: mpsc::Sender<()>,
    serving: JoinHandle<()>,
    stop: watch::Sender<()>,
}

impl HeldStore {
    async fn new(directory: &Path, drain: Duration) -> Self {
        let (asked, asking) = mpsc::channel();
        let (give, given) = mpsc::channel();
        let mut app = app();
        app.entropy = Arc::new(HeldEntropy {
            asked,
            given: Mutex::new(given),
            bytes: SeededEntropy::new(2),
        });
        let socket = socket::AdminSocket::bind(directory).unwrap();
        let (stop, stopping) = watch::channel(());
        let serving = tokio::spawn(socket.serve(Arc::new(app), stopping, drain));
        let silent = connect(directory).await;
        let mut client = connect(directory).await;
        let line = serde_json::to_string(&create_account()).unwrap() + "\n";
        client.write_all(line.as_bytes()).await.unwrap();
        tokio::task::spawn_blocking(move || asking.recv())
            .await
            .unwrap()
            .unwrap();
        Self {
            client,
            silent,
            give,
            serving,
            stop,
        }
    }
}

async fn connect(directory: &Path) -> UnixStream {
    UnixStream::connect(socket::path_in(directory)).await.unwrap()
}

async fn rest_of(mut stream: UnixStream) -> String {
    let mut text = String::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_string(&mut text));
    read.await.expect("the connection is closed").unwrap();
    text
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_under_way_is_answered_before_the_socket_ends_and_a_silent_client_is_not_waited_for() {
    let directory = TempDir::new().unwrap();
    let held = HeldStore::new(directory.path(), PATIENCE).await;
    held.stop.send_replace(());
    assert_eq!(rest_of(held.silent).await, "");
    assert!(!held.serving.is_finished());
    drop(held.give);
    let reply = rest_of(held.client).await;
    assert!(reply.starts_with(r#"{"secret":"#), "{reply}");
    held.serving.await.unwrap();
    assert!(!socket::path_in(directory.path()).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_that_does_not_end_is_waited_for_no_longer_than_the_drain() {
    let directory = TempDir::new().unwrap();
    let held = HeldStore::new(directory.path(), Duration::from_millis(100)).await;
    held.stop.send_replace(());
    let ended = tokio::time::timeout(PATIENCE, held.serving);
    ended.await.expect("it ends").unwrap();
    drop(held.give);
}

/// Far beyond every limit that a test sets.
const PATIENCE: Duration = Duration::from_secs(20);
