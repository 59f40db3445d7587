//! Silent network authentication, from the URL that a device opens to the approval.

use crate::doubles::SeededEntropy;
use countersign::app::Policy;
use countersign::dialect::{Http, twilio};
use countersign::domain::channel::Channel;
use countersign::domain::time::Clock as _;
use countersign::domain::verification::Refusal;
use countersign::domain::verification::{SilentFailure, VerificationStatus};
use countersign::flows::Error;
use countersign::flows::verification::{self, Guess, VerificationName};
use countersign::server::{self, ClientLimits, Listener, Protocol};
use countersign::web::boundary::Boundary;
use serde_json::Value;
use std::sync::Arc;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{NUMBER, World, provider, sender, told};

/// A device calls the URL that ends in `token`.
async fn open(world: &World, method: &str, token: &str) -> Value {
    let answer = request(world, method, token, "").await;
    let (head, text) = answer.split_once("\r\n\r\n").unwrap();
    let head = head.to_lowercase();
    assert!(head.contains("content-type: text/plain"), "{head}");
    assert!(head.contains("cache-control: no-store"), "{head}");
    // What the SDKs for Android and iOS look for, and nothing else.
    let success = text.contains("ErrorCode=0&ErrorDescription=Success");
    assert_eq!(success, text.starts_with("ErrorCode=0"), "{text}");
    let members = form_urlencoded::parse(text.as_bytes()).map(|(name, value)| {
        let number: Option<i64> = value.parse().ok();
        (
            name.into_owned(),
            number.map_or_else(|| Value::from(&*value), Value::from),
        )
    });
    Value::Object(members.collect())
}

/// The answer to a request over a connection to the real server.
async fn request(world: &World, method: &str, token: &str, headers: &str) -> String {
    let listener = Listener::plain("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = listener.address();
    let http = Http {
        router: world.server.router(),
        failures: Arc::new(twilio::TwilioFailures::default()),
    };
    let protocol = Protocol::Http(Boundary::new(http, Arc::default(), &SeededEntropy::new(1)));
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let serving = tokio::spawn(server::run(
        vec![listener],
        protocol,
        ClientLimits::default(),
        async {
            let _dropped = stopped.await;
        },
    ));
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "{method} /v2/SilentAuth/{token} HTTP/1.1\r\nhost: verify.example.com\r\ncontent-length: 0\r\nconnection: close\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    drop(stop);
    serving.await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    answer
}

#[tokio::test]
async fn a_device_that_its_network_knows_is_approved_with_its_token_only() {
    let network = provider("204 No Content", "").await;
    let world = World::with(vec![sender("network", network.url("/"), &[Channel::Sna])]).await;
    let started = world.start(Channel::Sna, None).await;
    let token = started.sna_token.unwrap();
    let which = VerificationName::Sid(started.verification.sid);
    let check = async |given: Option<&str>| {
        let guess = Guess {
            sna_client_token: given,
            ..Guess::default()
        };
        let app = &world.server.app;
        let checked = verification::check(app, world.account, world.service, &which, &guess).await;
        checked.unwrap().verification.status(world.server.clock.now())
    };
    assert_eq!(check(None).await, VerificationStatus::Pending);
    // Whatever looks at what is behind the link sees a page, however often, and changes nothing.
    let before = world.server.dump().await;
    for (method, headers) in [
        ("GET", ""),
        ("HEAD", ""),
        ("GET", "accept: */*\r\nuser-agent: facebookexternalhit/1.1\r\n"),
        ("GET", "accept: text/html,application/xhtml+xml\r\n"),
        ("GET", "sec-purpose: prefetch\r\n"),
        ("GET", ""),
    ] {
        let page = request(&world, method, &token, headers).await.to_lowercase();
        assert!(
            page.contains("content-type: text/html; charset=utf-8\r\n"),
            "{page}"
        );
        assert!(page.contains("cache-control: no-store\r\n"), "{page}");
        assert_eq!(page.contains("<form method=\"post\">"), method == "GET", "{page}");
    }
    assert_eq!(world.server.dump().await, before);
    let answer = open(&world, "POST", &token).await;
    assert_eq!(answer["ErrorCode"], 0, "{answer}");
    assert_eq!(answer["ErrorDescription"], "Success");
    assert_eq!(told(&network, "to"), [NUMBER]);
    assert_eq!(told(&network, "device_ip"), ["127.0.0.1"]);
    let given = answer["Token"].as_str().unwrap();
    assert_eq!(check(Some("another")).await, VerificationStatus::Pending);
    assert_eq!(check(Some(given)).await, VerificationStatus::Approved);
    let again = open(&world, "POST", &token).await;
    assert_eq!(again["ErrorCode"], -10, "{again}");
    assert_eq!(network.requests().len(), 1);
}

#[tokio::test]
async fn a_device_of_somebody_else_is_told_so_and_nothing_is_approved() {
    let network = provider("403 Forbidden", "").await;
    let world = World::with(vec![sender("network", network.url("/"), &[Channel::Sna])]).await;
    let started = world.start(Channel::Sna, None).await;
    let answer = open(&world, "POST", &started.sna_token.unwrap()).await;
    assert_eq!(answer["ErrorCode"], -10, "{answer}");
    assert!(answer.get("Token").is_none());
    let guess = Guess::default();
    let which = VerificationName::Sid(started.verification.sid);
    let app = &world.server.app;
    let checked = verification::check(app, world.account, world.service, &which, &guess).await;
    let checked = checked.unwrap().verification;
    assert_eq!(
        checked.status(world.server.clock.now()),
        VerificationStatus::Pending
    );
    let errors = checked.silent.unwrap().errors;
    let attempts = world.attempts().await;
    assert_eq!(errors.len(), 1);
    assert_eq!(
        (errors[0].attempt, errors[0].why),
        (attempts[0].sid, SilentFailure::Mismatch)
    );
    for wrong in ["x", "AAAA", &"A".repeat(86)] {
        assert_eq!(open(&world, "GET", wrong).await["ErrorCode"], -10);
    }
}

/// Twilio's SDKs make a GET, and say nothing of pages. They are served where no token is handed out.
#[tokio::test]
async fn without_a_token_a_get_is_enough_unless_it_is_a_browsers() {
    let network = provider("204 No Content", "").await;
    let world = World::with(vec![sender("network", network.url("/"), &[Channel::Sna])]).await;
    let started = world.start_silently(Some(false)).await;
    let token = started.sna_token.unwrap();
    for headers in [
        "accept: text/html,application/xhtml+xml,*/*;q=0.8\r\n",
        "accept: application/json\r\naccept: Text/HTML\r\n",
        "sec-fetch-mode: navigate\r\n",
        "purpose: prefetch\r\n",
    ] {
        let page = request(&world, "GET", &token, headers).await;
        assert!(page.contains("<form method=\"post\">"), "{page}");
    }
    assert!(request(&world, "HEAD", &token, "").await.contains("text/html"));
    assert!(network.requests().is_empty());
    let answer = open(&world, "GET", &token).await;
    assert_eq!(answer["ErrorCode"], 0, "{answer}");
    assert!(answer.get("Token").is_none());
    assert_eq!(network.requests().len(), 1);
}

/// Nobody said anything: there is a token.
#[tokio::test]
async fn a_token_is_handed_out_unless_the_operator_or_the_caller_says_otherwise() {
    let network = provider("204 No Content", "").await;
    for (operator, caller, token) in [
        (true, None, true),
        (false, None, false),
        (false, Some(true), true),
        (true, Some(false), false),
    ] {
        let policy = Policy {
            sna_client_token: operator,
            ..crate::doubles::policy()
        };
        let senders = vec![sender("network", network.url("/"), &[Channel::Sna])];
        let world = World::with_policy(senders, policy).await;
        let started = world.start_silently(caller).await;
        assert_eq!(
            started.verification.silent.unwrap().wants_client_token,
            token,
            "{operator} {caller:?}"
        );
    }
}

#[tokio::test]
async fn without_a_sender_for_it_there_is_none() {
    let one = provider("200 OK", "").await;
    let world = World::with(vec![sender("one", one.url("/"), &[Channel::Sms])]).await;
    let refused = world.try_start(Channel::Sna).await.unwrap_err();
    let expected = Refusal::NoSender {
        channel: Channel::Sna,
    };
    assert!(matches!(refused, Error::Refused(refusal) if refusal == expected));
}
