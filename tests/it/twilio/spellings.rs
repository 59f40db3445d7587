//! What people and programs write in more than one way: destinations, codes, secrets.

use serde_json::json;

use crate::support::messages::another_code;
use crate::support::{Service, TestApp};

/// What is accepted can be sent: an address that no mail server takes is refused where it is given.
#[tokio::test]
async fn an_address_that_no_mail_server_takes_is_refused_at_once() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create_with(&client, &[]).await;
    let before = server.dump().await;
    for to in [
        "mailto:ada@example.com",
        "ada@example.com?subject=x",
        "ada(comment)@example.com",
        "Ada <ada@example.com>",
        "ada@[127.0.0.1]",
        "ada@127.0.0.1",
        "ada@localhost",
        "ada@ex%61mple.com",
        "ada@-example.com",
    ] {
        let refused = service.send(&client, to, &[]).await;
        refused.refused(400, 60200).naming("To must be an e-mail address");
        let from = json!({"from": to}).to_string();
        service
            .send(&client, "ada@example.com", &[("ChannelConfiguration", &from)])
            .await
            .refused(400, 60200)
            .naming("ChannelConfiguration");
    }
    assert_eq!(server.dump().await, before);
    // What carriers once gave out is quoted on the way.
    let sent = service.send(&client, "a..b@docomo.ne.jp", &[]).await.ok();
    assert_eq!(sent["to"], "a..b@docomo.ne.jp");
}

/// A code that went to one form of a number proves nothing about another line, but all forms share the limits.
#[tokio::test]
async fn forms_of_one_number_share_guesses_and_budget_and_no_code_proves_another_line() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create_with(&client, &[]).await;
    let same = [
        "+5215512345678",
        "+525512345678",
        "\u{202a}+52 1 55 1234\u{2011}5678\u{202c}",
    ];
    let first = service.send(&client, same[0], &[]).await.ok();
    assert_eq!(first["to"], "+525512345678");
    for form in same {
        let again = service.send(&client, form, &[]).await.ok();
        assert_eq!(again["sid"], first["sid"], "{form}");
    }
    let house = service
        .send(&client, "+541123456789", &[("Channel", "call")])
        .await
        .ok();
    let code = server.message_code(house["sid"].as_str().unwrap()).await;
    let check = service.check(&client, "+5491123456789", &code).await;
    check.refused(404, 20404);
    // The other line takes its turn: what was sent before is void, and its wrong codes stay.
    let wrong = another_code(&code);
    for _ in 0..4 {
        assert_eq!(
            service.check(&client, "+541123456789", &wrong).await.ok()["valid"],
            false
        );
    }
    let mobile = service.send(&client, "+5491123456789", &[]).await.ok();
    assert_ne!(mobile["sid"], house["sid"]);
    service
        .check(&client, "+541123456789", &code)
        .await
        .refused(404, 20404);
    let right = server.message_code(mobile["sid"].as_str().unwrap()).await;
    assert_eq!(
        service.check(&client, "+5491123456789", &right).await.ok()["valid"],
        true
    );
}
