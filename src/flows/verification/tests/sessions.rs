//! Verifications that are begun without a sending.

use super::*;
use crate::domain::verification::{ChannelWaits, SessionLife};
use crate::flows::verification::{Resend, SessionDraft};

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
    let waits = |channel| ChannelWaits {
        channel,
        waits: vec![60],
    };
    let draft = SessionDraft {
        destination: phone("+32 2 555 12 34"),
        policy: CodePolicy {
            send_waits: vec![waits(Channel::Sms), waits(Channel::Call)],
            call_after_sms: Some(60),
            session_life: SessionLife::AfterLastPossibleAction(600),
            ..same_code()
        },
        permits: None,
    };
    let begun = verification::create(&world.app, world.account, world.service, &draft)
        .await
        .unwrap();
    let send = async |channel| {
        let wanted = Resend {
            channel,
            content: Content::default(),
            risk_check: true,
            sender: None,
        };
        let which = begun.sid;
        verification::resend(&world.app, world.account, world.service, which, &wanted).await
    };
    let never = |refusal| matches!(refusal, Refusal::TooManySends { .. });
    assert!(never(refused(send(Channel::Call).await)), "no text was asked for");
    assert_eq!(refused(send(Channel::Sms).await), Refusal::LandlineSms);
    assert!(never(refused(send(Channel::Sms).await)), "it is known now");
    let called = send(Channel::Call).await.unwrap();
    assert_eq!(called.sends.len(), 2);
    let code = world.code(&called);
    let checked = world.check(&VerificationName::Sid(begun.sid), &code).await;
    assert_eq!(checked.unwrap().status(world.app.clock.now()), APPROVED);
}
