//! `factor.locked` and `factor.disabled`: told once, in the commit that closes the factor.

use countersign::domain::events::OutboxMessage;
use countersign::store::Version;

use crate::support::world::{Totp, answer};
use crate::support::{Interleaved, TestApp, User, all_at_once, wrong_code};

async fn begin(server: &TestApp) -> (User, Totp) {
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(server, &client).await;
    let hook = [
        ("FriendlyName", "x"),
        ("EventTypes", "factor.locked"),
        ("EventTypes", "factor.disabled"),
        ("WebhookUrl", "https://x.example"),
    ];
    client
        .post(format!("{}/Webhooks", user.service.path), &hook)
        .await
        .ok();
    (user, totp)
}

async fn told(server: &TestApp) -> Vec<&'static str> {
    let rows = server.outbox().await.into_iter();
    rows.map(|row| match row.message {
        OutboxMessage::Webhook { event, .. } => event.event_type.name(),
        OutboxMessage::Blocked { .. } => "block",
        OutboxMessage::Notice { .. } => "notice",
        OutboxMessage::Push { .. } => "push",
        OutboxMessage::Code(_) => "code",
    })
    .collect()
}

/// A wrong code that is evaluated, by either way that codes come.
async fn fail(server: &TestApp, totp: &Totp, nth: usize) {
    let client = server.client();
    loop {
        let code = wrong_code(server, &totp.app, nth);
        let answer = if nth.is_multiple_of(2) {
            totp.check(&client, &code).await
        } else {
            let form = [("FactorSid", totp.sid.as_str())];
            let created = client.post(&totp.challenges, &form).await;
            if created.status == 201 {
                let path = format!("{}/{}", totp.challenges, created.text("sid"));
                answer(&client, &path, &code).await
            } else {
                created
            }
        };
        match answer.status {
            200 | 201 => break,
            429 => server.wait(answer.retry_after()),
            other => panic!("{other} {}", answer.body),
        }
    }
}

#[tokio::test]
async fn the_tenth_wrong_code_locks_and_the_hundredth_disables_each_told_once() {
    let server = TestApp::new().await;
    let client = server.client();
    let (_, totp) = begin(&server).await;
    for nth in 0..12 {
        assert_eq!(told(&server).await.len(), usize::from(nth >= 10), "{nth}");
        fail(&server, &totp, nth).await;
    }
    assert_eq!(told(&server).await, ["factor.locked"]);
    // A success opens the factor; the next tenth failure closes it again.
    server.wait(3600);
    assert_eq!(
        totp.check(&client, &totp.app.code(&server)).await.ok()["status"],
        "approved"
    );
    for nth in 0..100 {
        fail(&server, &totp, nth).await;
    }
    let mut told = told(&server).await;
    told.sort_unstable();
    assert_eq!(told, ["factor.disabled", "factor.locked", "factor.locked"]);
    totp.check(&client, "000000").await.refused(403, 60383);
}

#[tokio::test]
async fn parallel_wrong_codes_lock_once_and_in_the_same_commit() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let (_, totp) = begin(&server).await;
    let guess = |nth| {
        let code = wrong_code(&server, &totp.app, nth);
        client.posting(
            &totp.challenges,
            &[("FactorSid", &totp.sid), ("AuthPayload", &code)],
        )
    };
    all_at_once((0..32).map(guess)).await;
    assert_eq!(told(&server).await, ["factor.locked"]);
    let version = async |prefix: Vec<u8>| -> Option<Version> {
        let found = server.scan(prefix).await;
        found.iter().map(|(_, entry)| entry.version).max()
    };
    assert_eq!(
        version(countersign::store::keys::lanes()).await,
        version(b"e".to_vec()).await
    );
}

/// Number matching stops at the third wrong number; that is told once, too.
#[tokio::test]
async fn three_wrong_numbers_are_told_once() {
    let server = TestApp::new().await;
    let client = server.client();
    let (user, _) = begin(&server).await;
    let device = user.device(&server, &client).await;
    let mut asked = Vec::new();
    for _ in 0..4 {
        asked.push(user.number_challenge(&client, &device, "2").await);
    }
    for (nth, asked) in asked.iter().enumerate() {
        assert_eq!(told(&server).await.len(), 0, "{nth}");
        if nth == 3 {
            break;
        }
        let answered = device
            .approve_with(&server, &asked.path, &asked.wrong(nth))
            .await
            .ok();
        assert_eq!(answered["status"], "denied");
        if nth == 2 {
            break;
        }
    }
    assert_eq!(told(&server).await, ["factor.locked"]);
    // A report while it is closed extends the pause and is no second lock.
    device.report(&server, &asked[3].path).await.ok();
    assert_eq!(told(&server).await, ["factor.locked"]);
}
