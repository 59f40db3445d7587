//! Every error of the manual's table, each caused as a client can cause it; and what such a call leaves behind.

use std::collections::BTreeSet;
use std::sync::Arc;

use countersign::dialect::telegram::schema::{
    AUTH_AUTHORIZATION, AUTH_BIND_TEMP_AUTH_KEY, AUTH_CANCEL_CODE, AUTH_RESEND_CODE, AUTH_SEND_CODE,
    AUTH_SIGN_IN, HTTP_WAIT, UPDATES_GET_STATE,
};
use countersign::dialect::telegram::settings::{ClientApp, LoginSettings};
use countersign::dialect::telegram::tl::{TlReader, TlWriter};
use countersign::store::faulty::FaultyStore;
use countersign::store::memory::MemoryStore;

use super::raw::{Bare, RawClient, about, attempt_of, in_layer, send_code, send_code_to, settings};
use super::server::senders;
use crate::support::TestApp;

/// What was answered so far.
#[derive(Default)]
struct Answered(BTreeSet<String>);

impl Answered {
    /// The call is refused so.
    async fn refused(&mut self, client: &mut RawClient, method: &[u8], code: i32, name: &str) {
        let error = client.call(method).await.expect_err(name);
        assert_eq!(error, (code, name.to_owned()));
        let plain = if name.starts_with("FLOOD_WAIT_") {
            "FLOOD_WAIT_n"
        } else {
            name
        };
        self.0.insert(format!("{code} {plain}"));
    }
}

/// The errors of the manual's table.
fn documented() -> BTreeSet<String> {
    let manual = include_str!("../../../src/manual/telegram.md");
    let rows = manual.lines().skip_while(|line| !line.starts_with("| error |"));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let mut errors = BTreeSet::new();
    for row in rows {
        let cell = row.split('|').nth(1).unwrap().trim();
        let (code, names) = cell.split_once(' ').unwrap();
        errors.extend(
            names
                .split(", ")
                .map(|name| format!("{code} {}", name.trim_matches('`'))),
        );
    }
    errors
}

const NUMBER: &str = "+12025550123";

#[tokio::test]
async fn every_error_of_the_manual_is_answered_to_whoever_causes_it() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let server = TestApp::on(store.clone()).await.with_senders(senders());
    let settings = LoginSettings {
        apps: vec![ClientApp {
            api_id: 1,
            api_hash: "any".to_owned().into(),
        }],
        ..settings()
    };
    let bare = Bare::with(server, settings).await;
    let mut client = bare.greeted(5).await;
    let mut answered = Answered::default();

    let early = about(AUTH_SIGN_IN, NUMBER, &"0".repeat(32), Some("12345"));
    answered
        .refused(&mut client, &early, 400, "CONNECTION_NOT_INITED")
        .await;

    // Nothing is known of them.
    let sent = client.call(&in_layer(229, &send_code())).await.unwrap();
    let attempt = attempt_of(&sent);
    let mut other = send_code();
    let hash = other.windows(3).position(|bytes| bytes == b"any").unwrap();
    other[hash] = b'A';
    answered.refused(&mut client, &other, 400, "API_ID_INVALID").await;
    let nobody = send_code_to("+1");
    answered
        .refused(&mut client, &nobody, 406, "PHONE_NUMBER_INVALID")
        .await;
    let abroad = send_code_to("+33612345678");
    answered
        .refused(&mut client, &abroad, 400, "SMS_CODE_CREATE_FAILED")
        .await;
    let premium = send_code_to("+19002345678");
    let verifications = bare.server.verifications().await.len();
    answered
        .refused(&mut client, &premium, 400, "PHONE_NUMBER_BANNED")
        .await;
    assert_eq!(bare.server.verifications().await.len(), verifications);
    // The operator was told of the number, which is done once a day.
    let before = bare.server.dump_unaudited().await;
    answered
        .refused(&mut client, &premium, 400, "PHONE_NUMBER_BANNED")
        .await;
    assert!(
        bare.server.dump_unaudited().await == before,
        "it leaves nothing behind"
    );

    wrong_calls(&mut client, &mut answered).await;

    // What is wrong with a code.
    let code = bare.server.message_code(&format!("VE{attempt}")).await;
    let wrong = if code == "00000" { "00001" } else { "00000" };
    let sign_in = |attempt: &str, code: &str| about(AUTH_SIGN_IN, NUMBER, attempt, Some(code));
    answered
        .refused(&mut client, &sign_in("", &code), 400, "PHONE_CODE_HASH_EMPTY")
        .await;
    answered
        .refused(&mut client, &sign_in(&attempt, ""), 400, "PHONE_CODE_EMPTY")
        .await;
    answered
        .refused(&mut client, &sign_in(&attempt, wrong), 400, "PHONE_CODE_INVALID")
        .await;
    let unknown = "0".repeat(32);
    for method in [AUTH_RESEND_CODE, AUTH_SIGN_IN, AUTH_CANCEL_CODE] {
        let code = (method == AUTH_SIGN_IN).then_some(&*code);
        let named = about(method, NUMBER, &unknown, code);
        answered
            .refused(&mut client, &named, 400, "PHONE_CODE_EXPIRED")
            .await;
    }

    // What is asked for too often.
    let resend = about(AUTH_RESEND_CODE, NUMBER, &attempt, None);
    answered.refused(&mut client, &resend, 420, "FLOOD_WAIT_60").await;
    bare.server.wait(60);
    client.last += 60 << 32;
    for _ in 0..2 {
        client.call(&resend).await.unwrap();
    }
    answered
        .refused(&mut client, &resend, 406, "SEND_CODE_UNAVAILABLE")
        .await;

    // What the store keeps from being decided changes nothing, and the same is done when it is asked again.
    let before = bare.server.dump().await;
    for call in [send_code(), sign_in(&attempt, wrong), sign_in(&attempt, &code)] {
        store.lose_commits(true);
        answered.refused(&mut client, &call, 500, "AUTH_RESTART").await;
        store.lose_commits(false);
        store.fail_commits(true);
        answered
            .refused(&mut client, &call, 500, "INTERNAL_SERVER_ERROR")
            .await;
        store.fail_commits(false);
        assert!(bare.server.dump().await == before);
    }
    let signed_in = client.call(&sign_in(&attempt, &code)).await.unwrap();
    assert_eq!(TlReader::new(&signed_in).word(), Ok(AUTH_AUTHORIZATION));
    let unknown = 7u32.to_le_bytes();
    answered
        .refused(&mut client, &unknown, 400, "INPUT_METHOD_INVALID")
        .await;

    // Whom a login is for must be clear.
    bare.server.another_account().await;
    answered
        .refused(&mut client, &send_code(), 500, "INTERNAL_SERVER_ERROR")
        .await;
    assert_eq!(answered.0, documented());
}

/// What is wrong with a call, whoever calls.
async fn wrong_calls(client: &mut RawClient, answered: &mut Answered) {
    let cut = TlWriter::of(AUTH_SEND_CODE).word(0xff).done();
    answered.refused(client, &cut, 400, "INPUT_FETCH_ERROR").await;
    let wait = TlWriter::of(HTTP_WAIT).int(1).int(1).int(1).done();
    answered.refused(client, &wait, 400, "INPUT_METHOD_INVALID").await;
    let bind = TlWriter::of(AUTH_BIND_TEMP_AUTH_KEY)
        .long(1)
        .long(2)
        .int(3)
        .bytes(&[0; 8]);
    answered
        .refused(client, &bind.done(), 400, "INPUT_METHOD_INVALID")
        .await;
    for method in [UPDATES_GET_STATE, 7] {
        let method = method.to_le_bytes();
        answered
            .refused(client, &method, 401, "AUTH_KEY_UNREGISTERED")
            .await;
    }
}

#[tokio::test]
async fn versions_of_before_are_told_of_wrong_numbers_in_their_own_words() {
    let bare = Bare::new().await;
    let mut client = bare.greeted(5).await;
    let told = client.call(&in_layer(133, &send_code_to("+1"))).await;
    assert_eq!(told, Err((400, "PHONE_NUMBER_INVALID".to_owned())));
}
