//! Sessions of Telegram's protocol, broken as bytes, and as messages that are encrypted as they should be.

use countersign::dialect::telegram::schema::{
    AUTH_AUTHORIZATION, AUTH_CANCEL_CODE, AUTH_RESEND_CODE, AUTH_SIGN_IN, GET_FUTURE_SALTS, HELP_GET_CONFIG,
    INIT_CONNECTION, INVOKE_WITH_LAYER, MSG_RESEND_REQ, MSGS_ACK, MSGS_STATE_REQ, PONG, REQ_PQ_MULTI,
    USERS_GET_USERS,
};
use countersign::dialect::telegram::tl::TlWriter;
use countersign::domain::verification::VerificationStatus;
use countersign::flows::client_key;

use super::mutator::{ALL_CHANGES, Mutator, SMALL_CHANGES};
use crate::telegram::raw::{
    Bare, about, attempt_of, container, in_layer, lives, packed, ping, send_code, send_code_to,
};

/// What clients say.
fn recorded() -> Vec<Vec<u8>> {
    let named = |constructor| {
        TlWriter::of(constructor)
            .word(1)
            .string("+12025550123")
            .string(&"ab".repeat(16))
            .string("12345")
            .done()
    };
    let begun = TlWriter::of(INVOKE_WITH_LAYER)
        .int(229)
        .word(INIT_CONNECTION)
        .word(0)
        .int(1);
    let begun = ["PC", "Linux", "1", "en", "", "en"]
        .iter()
        .fold(begun, |begun, text| begun.string(text));
    let config = begun.word(HELP_GET_CONFIG).done();
    let ids = [4, 5, 6];
    vec![
        container(&[(1000, 1, ping()), (1004, 3, config.clone())]),
        packed(&config),
        config,
        send_code(),
        named(AUTH_RESEND_CODE),
        named(AUTH_SIGN_IN),
        TlWriter::of(AUTH_CANCEL_CODE)
            .string("+12025550123")
            .string(&"ab".repeat(16))
            .done(),
        TlWriter::of(MSGS_ACK).longs(&ids).done(),
        TlWriter::of(MSGS_STATE_REQ).longs(&ids).done(),
        TlWriter::of(MSG_RESEND_REQ).longs(&ids).done(),
        TlWriter::of(GET_FUTURE_SALTS).int(4).done(),
        TlWriter::of(USERS_GET_USERS).longs(&[]).done(),
    ]
}

/// How a handshake begins, in each transport that is told from its first bytes.
fn handshakes() -> Vec<Vec<u8>> {
    let request = TlWriter::of(REQ_PQ_MULTI).raw(&[1; 16]).done();
    let length = u32::try_from(request.len()).unwrap();
    let payload = TlWriter::default()
        .long(0)
        .long(4)
        .word(length)
        .raw(&request)
        .done();
    let framed = u32::try_from(payload.len()).unwrap().to_le_bytes();
    let words = [u8::try_from(payload.len() / 4).unwrap()];
    let full = u32::try_from(payload.len() + 12).unwrap().to_le_bytes();
    vec![
        [&[0xef][..], &words, &payload].concat(),
        [&[0xee; 4][..], &framed, &payload].concat(),
        [&[0xdd; 4][..], &framed, &payload].concat(),
        [&full[..], &[0; 4], &payload, &[0; 4]].concat(),
    ]
}

#[tokio::test]
async fn whatever_comes_of_a_broken_session_others_go_on() {
    const ROUNDS: usize = 10_000;
    let bare = Bare::sending().await;
    let mut mutator = Mutator::new(12);
    let (messages, handshakes) = (recorded(), handshakes());
    mutator.others = messages.clone();
    let mut patient = bare.greeted(1).await;
    let salt = patient.salt;
    let sent = patient
        .call(&in_layer(229, &send_code_to(PATIENT)))
        .await
        .unwrap();
    let attempt = attempt_of(&sent);
    let before = bare.server.verification(&format!("VE{attempt}")).await;
    for round in 0..ROUNDS {
        // Some sessions go on, others are new.
        let session = 100 + i64::try_from(round % 7).unwrap();
        let mut client = bare.client(session).await;
        client.salt = salt;
        let mut said = vec![0xee; 4];
        for _ in 0..2 {
            let message = mutator.choice(&messages).clone();
            let broken = if mutator.one_in(4) {
                message
            } else {
                mutator.changed(message, ALL_CHANGES)
            };
            let whole = broken.len() / 4 * 4;
            let (id, seqno) = client.next(true);
            let id = id + 64 * i64::try_from(round).unwrap();
            said.extend(client.framed(id, seqno + 4 * u32::try_from(round).unwrap(), &broken[..whole]));
        }
        let said = match round % 4 {
            0 => mutator.changed(said, ALL_CHANGES),
            1 => {
                let handshake = mutator.choice(&handshakes).clone();
                mutator.changed(handshake, SMALL_CHANGES)
            }
            _ => said,
        };
        bare.whole(&said).await;
        if round % 500 == 0 {
            patient.send(true, &ping()).await;
            assert_eq!(
                patient.receive().await.pop().unwrap().constructor(),
                PONG,
                "{round}"
            );
        }
    }
    // Nobody was logged in, and no code was taken for another one.
    let lives = lives();
    let login = client_key::login(&bare.server.app, bare.key_name(), lives)
        .await
        .unwrap();
    assert_eq!(login, None);
    let now = bare.server.app.clock.now();
    let verifications = bare.server.verifications().await;
    assert!(verifications.len() > 1, "some calls were as they should be");
    for verification in verifications {
        assert_ne!(verification.status(now), VerificationStatus::Approved);
    }
    let after = bare.server.verification(&format!("VE{attempt}")).await;
    assert_eq!(format!("{after:?}"), format!("{before:?}"));
    // What was not broken goes on.
    let code = bare.server.message_code(&format!("VE{attempt}")).await;
    let sign_in = about(AUTH_SIGN_IN, PATIENT, &attempt, Some(&code));
    let signed_in = patient.call(&sign_in).await.unwrap();
    assert_eq!(signed_in[..4], AUTH_AUTHORIZATION.to_le_bytes());
    bare.server.assert_audited("telegram").await;
}

/// The number of whoever is not disturbed.
const PATIENT: &str = "+12025550199";
