//! Request forgery (SECURITY, row 31): no URL makes this server knock at a door of its own network.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use axum::http::HeaderMap;
use countersign::delivery::DeliveryOutcome;
use countersign::delivery::http::{HttpClient, HttpError, Names};
use countersign::domain::circuit::FailureScope;
use countersign::flows::event::deliver_webhook;

use super::{FakeNames, deliver_all, one_row, policy, senders, subscribe};
use crate::support::receiver::OK;
use crate::support::{Receiver, TestApp, User};

/// Ways to write this machine's IPv4 loopback address.
const LOOPBACK: [&str; 10] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "017700000001",
    "%31%32%37.0.0.1",
    "[::ffff:127.0.0.1]",
];

/// Other places that nobody outside may reach through this server.
const ELSEWHERE: [&str; 24] = [
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "[::1]",
    "[::]",
    "[0:0:0:0:0:0:0:1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "169.254.169.254",
    "[::ffff:169.254.169.254]",
    "0xa9fea9fe",
    "168.63.129.16",
    "100.64.0.1",
    "100.100.100.200",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.0.1",
    "198.18.0.1",
    "255.255.255.255",
    "224.0.0.1",
    "[fd00:ec2::254]",
    "[fe80::1]",
];

/// Names and what they stand for.
const NAMES: [(&str, &[&str]); 6] = [
    ("localhost", &["127.0.0.1"]),
    ("127.0.0.1.nip.io", &["127.0.0.1"]),
    ("mapped.example", &["::ffff:127.0.0.1"]),
    ("several.example", &["10.0.0.1", "127.0.0.1", "::1"]),
    ("metadata.example", &["169.254.169.254", "fd00:ec2::254"]),
    ("carrier.example", &["100.64.0.1"]),
];

fn urls(port: u16) -> Vec<String> {
    let names = NAMES.iter().map(|(name, _)| *name);
    let hosts = LOOPBACK.into_iter().chain(ELSEWHERE).chain(names);
    hosts
        .map(|host| format!("http://{host}:{port}/latest/meta-data/"))
        .collect()
}

#[tokio::test]
async fn no_spelling_of_an_inner_address_is_connected_to() {
    let sentinel = Receiver::answering(OK).await;
    let server = TestApp::sending(senders(policy(&[], FakeNames::of(&NAMES)))).await;
    let client = server.client();
    let user = User::create(&client).await;
    let urls = urls(sentinel.port());
    for url in &urls {
        subscribe(&client, &user, url, "factor.created", "v2").await;
    }
    user.unverified_totp(&client, "one", &[]).await;
    let rows = server.outbox().await;
    assert_eq!(rows.len(), urls.len());
    for outcome in deliver_all(&server, rows).await {
        let DeliveryOutcome::Refused { why } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            why.contains("no public address") && why.contains("outbound_allow"),
            "{why}"
        );
        assert!(!why.contains("meta-data"), "a path may be a secret: {why}");
    }
    assert_eq!(sentinel.connections(), 0);
}

/// What the test above would see if nobody checked: every spelling leads to the sentinel.
#[tokio::test]
async fn the_same_spellings_reach_what_the_operator_allows() {
    let sentinel = Receiver::answering(OK).await;
    let server = super::server_on_loopback().await;
    let client = server.client();
    let user = User::create(&client).await;
    for host in LOOPBACK {
        let url = format!("http://{host}:{}/", sentinel.port());
        subscribe(&client, &user, &url, "factor.created", "v2").await;
    }
    user.unverified_totp(&client, "one", &[]).await;
    let outcomes = deliver_all(&server, server.outbox().await).await;
    assert_eq!(outcomes, vec![DeliveryOutcome::Delivered; LOOPBACK.len()]);
    assert_eq!(sentinel.connections(), LOOPBACK.len());
}

#[tokio::test]
async fn urls_of_other_schemes_with_users_or_with_zones_are_refused_when_they_are_set_and_when_they_are_used()
{
    let sentinel = Receiver::answering(OK).await;
    let port = sentinel.port();
    let server = super::server_on_loopback().await;
    let client = server.client();
    let user = User::create(&client).await;
    for url in [
        format!("ftp://127.0.0.1:{port}/"),
        format!("gopher://127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        format!("http://owlbank.example@127.0.0.1:{port}/"),
        format!("http://owlbank.example:x@127.0.0.1:{port}/"),
        format!("http://[fe80::1%25lo]:{port}/"),
        format!("http://[::1%lo]:{port}/"),
    ] {
        let form = [
            ("FriendlyName", "x"),
            ("EventTypes", "*"),
            ("WebhookUrl", url.as_str()),
        ];
        let webhooks = format!("{}/Webhooks", user.service.path);
        client.post(&webhooks, &form).await.refused(400, 60300);
        // A device's endpoint comes without that check.
        if let Ok(url) = url.parse() {
            let answer = server
                .app
                .senders
                .webhooks
                .post(&url, HeaderMap::default(), Vec::new());
            assert_eq!(answer.await.unwrap_err(), HttpError::Url, "{url}");
        }
    }
    assert_eq!(sentinel.connections(), 0);
}

/// Says one thing at the first question, another at every later one.
#[derive(Debug, Default)]
struct Flipping(AtomicUsize);

#[async_trait]
impl Names for Flipping {
    async fn addresses(&self, _host: &str) -> io::Result<Vec<IpAddr>> {
        let asked = self.0.fetch_add(1, Ordering::SeqCst);
        let address = if asked == 0 { "127.0.0.2" } else { "127.0.0.1" };
        Ok(vec![address.parse().unwrap()])
    }
}

/// 127.0.0.2 plays the public address here. A client that looked a name up to check it, and again to connect, would reach
/// the sentinel.
#[tokio::test]
async fn a_name_whose_address_changes_after_the_check_leads_nowhere_else() {
    let sentinel = Receiver::answering(OK).await;
    let good = Receiver::on(&format!("127.0.0.2:{}", sentinel.port()), OK).await;
    let names = Arc::new(Flipping::default());
    let server = TestApp::sending(senders(policy(&["127.0.0.2/32"], names.clone()))).await;
    let row = one_row(&server, &format!("http://flips.example:{}/", sentinel.port())).await;
    assert_eq!(
        deliver_webhook(&server.app, &row).await,
        DeliveryOutcome::Delivered
    );
    assert_eq!((good.connections(), names.0.load(Ordering::SeqCst)), (1, 1));
    // The next connection is checked anew.
    let outcome = deliver_webhook(&server.app, &row).await;
    assert!(matches!(outcome, DeliveryOutcome::Refused { .. }), "{outcome:?}");
    assert_eq!((good.connections(), names.0.load(Ordering::SeqCst)), (1, 2));
    assert_eq!(sentinel.connections(), 0);
}

/// Of several addresses only those that may be reached are tried.
#[tokio::test]
async fn inner_addresses_among_public_ones_are_left_out() {
    let sentinel = Receiver::answering(OK).await;
    let names = FakeNames::of(&[("both.example", &["127.0.0.1", "127.0.0.2"])]);
    let server = TestApp::sending(senders(policy(&["127.0.0.2/32"], names))).await;
    let url = format!("http://both.example:{}/", sentinel.port());
    let row = one_row(&server, &url).await;
    let outcome = deliver_webhook(&server.app, &row).await;
    assert!(
        matches!(outcome, DeliveryOutcome::Retry { .. }),
        "nobody listens there: {outcome:?}"
    );
    let good = Receiver::on(&format!("127.0.0.2:{}", sentinel.port()), OK).await;
    assert_eq!(
        deliver_webhook(&server.app, &row).await,
        DeliveryOutcome::Delivered
    );
    assert_eq!((good.connections(), sentinel.connections()), (1, 0));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let sentinel = Receiver::answering(OK).await;
    // Where it leads may be reached, so that only the redirect itself keeps the sentinel alone.
    let server = super::server_on_loopback().await;
    for status in [301, 302, 303, 307, 308] {
        let answer = format!(
            "HTTP/1.1 {status} Moved\r\nlocation: {}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n",
            sentinel.url("/")
        );
        let receiver = Receiver::answering(answer).await;
        let row = one_row(&server, &receiver.url("/")).await;
        let outcome = deliver_webhook(&server.app, &row).await;
        let DeliveryOutcome::Retry { why, after: None, .. } = outcome else {
            panic!("{outcome:?}")
        };
        assert!(
            why.contains(&status.to_string()) && why.contains("redirects are not followed"),
            "{why}"
        );
        assert_eq!(receiver.requests().len(), 1);
    }
    assert_eq!(sentinel.connections(), 0);
}

#[tokio::test]
async fn a_name_that_nobody_knows_is_tried_again() {
    let server = TestApp::sending(senders(policy(&[], FakeNames::of(&[("empty.example", &[])])))).await;
    for (host, reason) in [
        ("unknown.example", "nobody knows it"),
        ("empty.example", "it has none"),
    ] {
        let row = one_row(&server, &format!("http://{host}/secret-path")).await;
        let why = format!("no address was found for {host}: {reason}");
        assert_eq!(
            deliver_webhook(&server.app, &row).await,
            DeliveryOutcome::Retry {
                why,
                after: None,
                about: FailureScope::Sender,
            }
        );
    }
}

/// The default reaches nothing that is not public: whoever forgets to configure it is safe.
#[tokio::test]
async fn a_client_that_nobody_configured_refuses_this_machine() {
    let sentinel = Receiver::answering(OK).await;
    let client = HttpClient::default();
    for host in ["127.0.0.1", "localhost"] {
        let url = format!("http://{host}:{}/", sentinel.port()).parse().unwrap();
        let error = client
            .post(&url, HeaderMap::default(), Vec::new())
            .await
            .unwrap_err();
        assert!(matches!(error, HttpError::Blocked { .. }), "{error:?}");
    }
    assert_eq!(sentinel.connections(), 0);
}
