//! Verifications that are begun without a sending.

use super::*;
use crate::delivery::Senders;
use crate::delivery::codes::{CodeSenders, ConfiguredSender};
use crate::domain::verification::{ChannelWaits, SessionLife};
use crate::flows::verification::{Resend, SessionDraft};

async fn begin(world: &World, destination: Destination) -> Verification {
    let waits = |channel| ChannelWaits {
        channel,
        waits: vec![60],
    };
    let draft = SessionDraft {
        destination,
        policy: CodePolicy {
            send_waits: vec![waits(Channel::Sms), waits(Channel::Call)],
            call_after_sms: Some(60),
            session_life: SessionLife::AfterLastPossibleAction(600),
            ..same_code()
        },
        permits: Vec::new(),
    };
    verification::create(&world.app, world.account, world.service, &draft)
        .await
        .unwrap()
}

async fn ask(world: &World, begun: &Verification, channel: Channel) -> Result<Verification, Error<Refusal>> {
    let wanted = Resend {
        channel,
        content: Content::default(),
        risk_check: true,
        sender: None,
    };
    verification::resend(&world.app, world.account, world.service, begun.sid, &wanted).await
}

fn never<T: std::fmt::Debug>(answer: Result<T, Error<Refusal>>) -> bool {
    matches!(refused(answer), Refusal::TooManySends { .. })
}

/// A landline cannot be sent a text message: that is said once, and a call need not wait for one.
#[tokio::test]
async fn a_landline_is_called_at_once_after_its_text_was_refused() {
    let mut world = World::new().await;
    let changes = ServiceChanges {
        lookup_enabled: Some(true),
        skip_sms_to_landlines: Some(true),
        ..ServiceChanges::default()
    };
    world.service = world.another_service(changes).await;
    let begun = begin(&world, phone("+32 2 555 12 34")).await;
    assert!(
        never(ask(&world, &begun, Channel::Call).await),
        "no text was asked for"
    );
    assert_eq!(
        refused(ask(&world, &begun, Channel::Sms).await),
        Refusal::LandlineSms
    );
    assert!(never(ask(&world, &begun, Channel::Sms).await), "it is known now");
    let called = ask(&world, &begun, Channel::Call).await.unwrap();
    assert_eq!(called.sends.len(), 2);
    let code = world.code(&called);
    let checked = world.check(&VerificationName::Sid(begun.sid), &code).await;
    assert_eq!(checked.unwrap().status(world.app.clock.now()), APPROVED);
}

/// Whoever can only call need not wait for a text message that nobody sends.
#[tokio::test]
async fn where_no_text_can_be_sent_a_call_may_be_asked_for() {
    let mut world = World::new().await;
    let all = CodeSenders::default();
    let any = all.iter().next().unwrap();
    let codes = CodeSenders::new(vec![ConfiguredSender {
        channels: vec![Channel::Call],
        ..ConfiguredSender::clone(any)
    }]);
    world.app.senders = Arc::new(Senders {
        codes,
        ..Senders::default()
    });
    let begun = begin(&world, ada()).await;
    assert!(never(ask(&world, &begun, Channel::Call).await));
    let no_sender = Refusal::NoSender {
        channel: Channel::Sms,
    };
    for _ in 0..3 {
        assert_eq!(refused(ask(&world, &begun, Channel::Sms).await), no_sender);
    }
    let called = ask(&world, &begun, Channel::Call).await.unwrap();
    assert_eq!(called.sends.len(), 2, "one text was tried for, and one call");
}
