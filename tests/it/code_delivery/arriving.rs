//! A code arrives with somebody who can type it in, whatever becomes of the first provider or of the server.

use std::sync::Arc;

use countersign::domain::channel::Channel;
use countersign::domain::time::Clock as _;
use countersign::domain::verification::VerificationStatus;
use countersign::flows::verification::{self, Guess, VerificationName};
use countersign::store::memory::MemoryStore;
use tokio::net::TcpListener;

use super::{NUMBER, World, provider, sender, senders, told};
use crate::support::TestApp;

#[tokio::test]
async fn a_code_arrives_and_is_approved_and_nothing_is_sent_behind_it() {
    let one = provider("200 OK", "").await;
    let world = World::with(vec![sender("one", one.url("/"), &[Channel::Sms])]).await;
    let started = world.start(Channel::Sms, None).await;
    world.deliver().await;
    assert_eq!(told(&one, "to"), [NUMBER]);
    let code = told(&one, "code").remove(0);
    assert!(told(&one, "text")[0].contains(&code));
    // It is asked for once more, and meanwhile the first message is read.
    world.start(Channel::Sms, None).await;
    let app = &world.server.app;
    let guess = Guess {
        code: Some(&code),
        ..Guess::default()
    };
    let which = VerificationName::Sid(started.verification.sid);
    let checked = verification::check(app, world.account, world.service, &which, &guess).await;
    let status = checked.unwrap().verification.status(world.server.clock.now());
    assert_eq!(status, VerificationStatus::Approved);
    world.deliver().await;
    assert_eq!(one.requests().len(), 1);
    let expected = [("one".to_owned(), true), ("one".to_owned(), false)];
    assert_eq!(world.tries().await, expected);
    assert!(
        world
            .attempts()
            .await
            .iter()
            .any(|attempt| attempt.converted_at.is_some())
    );
}

#[tokio::test]
async fn another_provider_gets_what_one_fails_at_refuses_or_never_answers() {
    let deaf = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = format!("http://{}/", deaf.local_addr().unwrap());
    let (fails, refuses) = (
        provider("500 Internal Server Error", "").await,
        provider("422 Unprocessable", "").await,
    );
    for first in [fails.url("/"), refuses.url("/"), silent] {
        let two = provider("200 OK", "").await;
        let senders = vec![
            sender("one", first, &[Channel::Sms]),
            sender("two", two.url("/"), &[Channel::Sms]),
        ];
        let world = World::with(senders).await;
        world.start(Channel::Sms, None).await;
        world.deliver().await;
        let expected = [("one".to_owned(), false), ("two".to_owned(), true)];
        assert_eq!(world.tries().await, expected);
        let ids = told(&two, "id");
        assert_eq!(ids, [world.attempts().await[1].sid.to_string()]);
    }
}

#[tokio::test]
async fn what_a_server_committed_before_it_was_killed_is_sent_by_the_next_one() {
    let one = provider("200 OK", "").await;
    let world = World::with(vec![sender("one", one.url("/"), &[Channel::Sms])]).await;
    world.start(Channel::Sms, None).await;
    assert!(one.requests().is_empty());
    let codes = vec![sender("one", one.url("/"), &[Channel::Sms])];
    let server = world.server.restarted(world.server.app.engine.clone());
    let server = server.with_senders(senders(codes));
    let next = World { server, ..world };
    next.deliver().await;
    assert_eq!(told(&one, "to"), [NUMBER]);
    assert_eq!(next.tries().await, [("one".to_owned(), true)]);
}

#[tokio::test]
async fn with_nothing_configured_codes_go_to_the_log_sender() {
    let server = TestApp::on(Arc::new(MemoryStore::new())).await;
    let service = crate::support::Service::create(&server.client()).await;
    let world = World {
        account: server.account.user.parse().unwrap(),
        service: service.sid.parse().unwrap(),
        server,
    };
    world.start(Channel::Sms, None).await;
    world.deliver().await;
    assert_eq!(world.tries().await, [("log".to_owned(), true)]);
}
