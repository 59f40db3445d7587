//! What one message of a client can have the server do and remember, and what it says once for all that follows.

use std::sync::Arc;

use countersign::dialect::telegram::content::MOST_INFLATED;
use countersign::dialect::telegram::schema::{
    AUTH_AUTHORIZATION, AUTH_SIGN_IN, BAD_SERVER_SALT, CONFIG, FUTURE_SALTS, GET_FUTURE_SALTS,
    HELP_GET_CONFIG, MSG_RESEND_REQ, MSGS_ACK, MSGS_STATE_INFO, MSGS_STATE_REQ, PONG, RPC_ERROR, RPC_RESULT,
};
use countersign::dialect::telegram::tl::{TlReader, TlWriter};

use super::raw::{Bare, RawClient, Told, about, attempt_of, container, in_layer, packed, ping, send_code};

const CONFIG_CALL: [u8; 4] = HELP_GET_CONFIG.to_le_bytes();

impl RawClient {
    /// All of these in one container; by which identifiers they are called.
    async fn send_together(&mut self, bodies: &[Vec<u8>]) -> Vec<i64> {
        let parts: Vec<_> = bodies.iter().map(|body| (self.next(true), body)).collect();
        let parts: Vec<_> = parts
            .into_iter()
            .map(|((id, seqno), body)| (id, seqno, body.clone()))
            .collect();
        let (outer, seqno) = self.next(false);
        self.send_as(outer, seqno, &container(&parts)).await;
        parts.iter().map(|(id, ..)| *id).collect()
    }

    /// One that is told that its session is new, and has said that.
    async fn settled(bare: &Bare, session: i64) -> Self {
        let mut client = bare.greeted(session).await;
        client.send(true, &ping()).await;
        client.receive().await;
        client
    }
}

impl Told {
    /// The error that a call was answered with.
    pub(super) fn error(&self) -> (i32, String) {
        assert_eq!(self.result().1, RPC_ERROR);
        let mut reader = TlReader::new(&self.body[16..]);
        (reader.int().unwrap(), reader.string().unwrap().to_owned())
    }
}

#[tokio::test]
async fn an_answer_goes_once_however_often_a_message_asks_for_it() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    let (call, seqno) = client.next(true);
    client.send_as(call, seqno, &CONFIG_CALL).await;
    let answer = client.receive().await.pop().unwrap();
    let again = TlWriter::of(MSG_RESEND_REQ).longs(&[answer.id; 256]).done();
    client.send_together(&vec![again; 25]).await;
    assert!(client.receive().await == [answer.clone()]);
    // The call itself, as often.
    let copies: Vec<_> = (0..100).map(|_| (call, seqno, CONFIG_CALL.to_vec())).collect();
    let (outer, outer_seqno) = client.next(false);
    client.send_as(outer, outer_seqno, &container(&copies)).await;
    assert!(client.receive().await == [answer.clone()]);
    let more = TlWriter::of(MSG_RESEND_REQ).longs(&[answer.id; 257]).done();
    client.send(true, &more).await;
    assert_eq!(
        client.receive().await[0].error(),
        (400, "INPUT_FETCH_ERROR".to_owned())
    );
}

#[tokio::test]
async fn salts_to_come_are_told_once_in_a_message() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    let dear = TlWriter::of(GET_FUTURE_SALTS).int(64).done();
    client.send_together(&vec![dear.clone(); 100]).await;
    let told = client.receive().await;
    assert_eq!(told[0].constructor(), FUTURE_SALTS);
    for later in &told[1..] {
        assert_eq!(later.error(), (420, "FLOOD_WAIT_1".to_owned()));
    }
    let bytes: usize = told.iter().map(|told| told.body.len()).sum();
    assert!(bytes < 8000, "{bytes}");
    client.send(true, &dear).await;
    assert_eq!(client.receive().await[0].constructor(), FUTURE_SALTS);
}

#[tokio::test]
async fn an_acknowledgement_is_taken_with_either_number() {
    let bare = Bare::new().await;
    for (session, odd) in [(5, true), (6, false)] {
        let mut client = RawClient::settled(&bare, session).await;
        client.send(true, &CONFIG_CALL).await;
        let answer = client.receive().await.pop().unwrap();
        let confirms = TlWriter::of(MSGS_ACK).longs(&[answer.id]).done();
        let (ack, call) = (client.next(odd), client.next(true));
        let (outer, seqno) = client.next(false);
        let both = container(&[(ack.0, ack.1, confirms), (call.0, call.1, CONFIG_CALL.to_vec())]);
        client.send_as(outer, seqno, &both).await;
        let told = client.receive().await;
        assert_eq!(
            told.iter().map(Told::result).collect::<Vec<_>>(),
            [(call.0, CONFIG)]
        );
    }
}

#[tokio::test]
async fn an_answer_that_a_connection_took_with_it_comes_on_the_next_one() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    let call = client.send(true, &CONFIG_CALL).await;
    let answer = client.receive().await.pop().unwrap();
    // As if it had not: the client asks what became of its call, over another connection.
    let mut next = bare.client(5).await;
    next.salt = client.salt;
    next.go_on_from(&client);
    next.send(true, &TlWriter::of(MSGS_STATE_REQ).longs(&[call]).done())
        .await;
    let told = next.receive().await;
    assert!(told.contains(&answer), "it was sent again");
    let position = |constructor| told.iter().position(|told| told.constructor() == constructor);
    assert!(
        position(RPC_RESULT) < position(MSGS_STATE_INFO),
        "before anything is said of it"
    );
    next.send(true, &ping()).await;
    let told = next.receive().await;
    assert_eq!(
        told.iter().map(Told::constructor).collect::<Vec<_>>(),
        [PONG],
        "once"
    );
}

#[tokio::test]
async fn a_message_has_only_so_many_calls_and_the_others_are_told_to_wait() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    let asked = client.send_together(&vec![CONFIG_CALL.to_vec(); 20]).await;
    let told = client.receive().await;
    assert_eq!(told.len(), 20);
    let of = |constructor| {
        let told = told
            .iter()
            .map(Told::result)
            .filter(move |result| result.1 == constructor);
        told.map(|result| result.0).collect::<Vec<_>>()
    };
    assert_eq!(
        (of(CONFIG), of(RPC_ERROR)),
        (asked[..16].to_vec(), asked[16..].to_vec())
    );
    let refused = told.iter().find(|told| told.result().0 == asked[16]).unwrap();
    assert_eq!(refused.error(), (420, "FLOOD_WAIT_1".to_owned()));
    client.send(true, &CONFIG_CALL).await;
    assert_eq!(
        client.receive().await[0].result().1,
        CONFIG,
        "the next message has as many again"
    );
}

#[tokio::test]
async fn what_is_compressed_in_a_message_is_inflated_from_one_budget() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    let bomb = packed(&vec![0; MOST_INFLATED + 1]);
    let value = packed(&ping());
    client.send_together(&[value.clone(), bomb, value.clone()]).await;
    let told = client.receive().await;
    assert_eq!(told[0].constructor(), PONG);
    for refused in &told[1..] {
        assert_eq!(
            refused.error(),
            (400, "INPUT_FETCH_ERROR".to_owned()),
            "the bomb took all of it"
        );
    }
    client.send(true, &value).await;
    assert_eq!(client.receive().await[0].constructor(), PONG);
}

#[tokio::test]
async fn what_is_not_of_this_moment_has_no_session_forgotten() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    let (call, seqno) = client.next(true);
    client.send_as(call, seqno, &CONFIG_CALL).await;
    let answer = client.receive().await.pop().unwrap();
    let mut other = bare.client(0).await;
    for session in 100..150 {
        other.session = session;
        other.send(true, &ping()).await;
        assert_eq!(other.receive().await[0].constructor(), BAD_SERVER_SALT);
    }
    client.send_as(call, seqno, &CONFIG_CALL).await;
    assert!(client.receive().await == [answer], "its session is still known");
}

#[tokio::test]
async fn the_version_that_a_client_named_holds_for_its_key_and_none_is_asked_for() {
    let bare = Bare::new().await;
    let mut client = RawClient::settled(&bare, 5).await;
    client.send(true, &send_code()).await;
    let begun = attempt_of(&client.receive().await[0].body[12..]);
    let code = bare.server.message_code(&format!("VE{begun}")).await;
    let sign_in = about(AUTH_SIGN_IN, "+12025550123", &begun, Some(&code));
    client.send(true, &sign_in).await;
    let told = client.receive().await;
    assert_eq!(told[0].error(), (400, "CONNECTION_NOT_INITED".to_owned()));
    client.send(true, &in_layer(229, &CONFIG_CALL)).await;
    assert_eq!(client.receive().await[0].result().1, CONFIG);
    // Another process, another session: the code was not used, and the version is known.
    let restarted = Bare::of(bare.server.restarted(Arc::clone(&bare.server.app.engine))).await;
    restarted.server.clock.advance(std::time::Duration::from_secs(2));
    let mut client = RawClient::settled(&restarted, 6).await;
    client.send(true, &sign_in).await;
    assert_eq!(client.receive().await[0].result().1, AUTH_AUTHORIZATION);
}
