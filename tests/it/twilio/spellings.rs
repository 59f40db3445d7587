//! What people and programs write in more than one way: destinations, codes, secrets.

use serde_json::json;

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
