//! Starting and sending: one verification for a destination, and never more sendings than may be.

use super::*;
use crate::crypto::plain_code::PlainCode;
use crate::domain::text::{Amount, ProviderName};
use crate::domain::verification::tests::samples::{planned, replacing, waits_by_channel};
use crate::domain::verification::{Alphabet, Ending, Payment, SilentAuthentication, Uniqueness};
use crate::flows::code::put_verification;
use crate::flows::service;
use crate::flows::sweep;
use crate::flows::verification::AgreedPayment;

#[tokio::test]
async fn parallel_creates_are_one_verification_with_five_sendings() {
    let world = World::on(Arc::new(Interleaved::default())).await;
    let starts = (0..32).map(|_| {
        let world = world.clone();
        async move { world.start(&to_ada()).await }
    });
    let answers = all_at_once(starts).await;
    let mut sids = std::collections::BTreeSet::new();
    let mut sent = 0;
    for answer in answers {
        match answer {
            Ok(verification) => {
                sent += 1;
                sids.insert(verification.sid);
            }
            Err(error) => assert!(matches!(refused::<()>(Err(error)), Refusal::TooManySends { .. })),
        }
    }
    assert_eq!((sids.len(), sent), (1, 5));
    let verification = world.fetch(&VerificationName::To(ada())).await.unwrap();
    assert_eq!((verification.sends.len(), verification.codes.len()), (5, 1));
    for send in &verification.sends {
        let attempt = world.attempt(send.tries[0].attempt).await;
        assert_eq!(attempt.verification, verification.sid);
        assert_eq!(attempt.code_length, 6);
    }
}

#[tokio::test]
async fn waits_hold_for_requests_at_the_same_time() {
    let world = World::on(Arc::new(Interleaved::default())).await;
    let policy = CodePolicy {
        uniqueness: Uniqueness::ReturnExisting,
        ..waits_by_channel()
    };
    let new = wanted(ada(), policy);
    world.start(&new).await.unwrap();
    world.wait(60);
    let starts = (0..16).map(|_| {
        let (world, new) = (world.clone(), new.clone());
        async move { world.start(&new).await }
    });
    let answers = all_at_once(starts).await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for answer in answers.into_iter().filter(Result::is_err) {
        let expected = Refusal::TooSoon {
            retry_after: Duration::from_mins(2),
        };
        assert_eq!(refused(answer), expected);
    }
}

#[tokio::test]
async fn an_approval_marks_the_try_that_brought_the_code() {
    let world = World::new().await;
    world.start(&to_ada()).await.unwrap();
    let verification = world.start(&to_ada()).await.unwrap();
    world.wait(7);
    world
        .check(
            &VerificationName::Sid(verification.sid),
            &world.code(&verification),
        )
        .await
        .unwrap();
    let [first, last] = &verification.sends[..] else {
        panic!("{verification:?}");
    };
    let first = world.attempt(first.tries[0].attempt).await;
    let last = world.attempt(last.tries[0].attempt).await;
    assert_eq!(first.converted_at, None);
    assert_eq!(last.converted_at, Some(world.app.clock.now()));
    // The owner's word counts like the code.
    let other = world.start(&to_ada()).await.unwrap();
    world
        .settle(&VerificationName::Sid(other.sid), Settlement::Approve)
        .await
        .unwrap();
    let attempt = world.attempt(other.sends[0].tries[0].attempt).await;
    assert!(attempt.converted_at.is_some());
}

#[tokio::test]
async fn one_that_replaces_voids_the_code_of_the_other() {
    let world = World::new().await;
    let new = wanted(ada(), replacing());
    let first = world.start(&new).await.unwrap();
    let second = world.start(&new).await.unwrap();
    assert_ne!(first.sid, second.sid);
    let old = world
        .check(&VerificationName::Sid(first.sid), &world.code(&first))
        .await;
    assert_eq!(refused(old), Refusal::NotFound);
    let replaced = world.fetch(&VerificationName::Sid(first.sid)).await.unwrap();
    assert_eq!(replaced.end.unwrap().how, Ending::Replaced);
    world.wait(3_000);
    let lower = world.code(&second).to_lowercase();
    let approved = world.check(&VerificationName::To(ada()), &lower).await.unwrap();
    assert_eq!(approved.status(world.app.clock.now()), APPROVED);
}

#[tokio::test]
async fn a_clock_set_back_keeps_nobody_waiting_for_the_one_before() {
    let world = World::new().await;
    let used_up = world.start(&to_ada()).await.unwrap();
    for nth in 0..5 {
        let code = wrong(&world.code(&used_up), nth);
        world.check(&VerificationName::To(ada()), &code).await.unwrap();
    }
    world
        .clock
        .set(world.app.clock.now().before(Duration::from_hours(1)));
    let sent_out = world.start(&to_ada()).await.unwrap();
    assert_ne!(sent_out.sid, used_up.sid);
    for _ in 0..4 {
        world.start(&to_ada()).await.unwrap();
    }
    assert!(world.start(&to_ada()).await.is_err());
    world
        .clock
        .set(world.app.clock.now().before(Duration::from_hours(1)));
    assert_ne!(world.start(&to_ada()).await.unwrap().sid, sent_out.sid);
}

#[tokio::test]
async fn one_that_waits_is_named_to_whoever_wants_another() {
    let world = World::new().await;
    let policy = CodePolicy {
        uniqueness: Uniqueness::RejectWithExisting,
        ..same_code()
    };
    let new = wanted(ada(), policy);
    let first = world.start(&new).await.unwrap();
    assert_eq!(
        refused(world.start(&new).await),
        Refusal::Exists { sid: first.sid }
    );
    world.wait(600);
    assert_ne!(world.start(&new).await.unwrap().sid, first.sid);
}

#[tokio::test]
async fn a_code_of_the_callers_needs_the_services_leave_and_is_the_one_that_counts() {
    let world = World::new().await;
    let custom = |text| NewVerification {
        custom_code: PlainCode::parse(text, Alphabet::Digits),
        ..to_ada()
    };
    assert_eq!(
        refused(world.start(&custom("0042")).await),
        Refusal::CustomCodeNotAllowed
    );
    let changes = ServiceChanges {
        custom_code_enabled: Some(true),
        ..ServiceChanges::default()
    };
    let world = World {
        service: world.another_service(changes).await,
        ..world
    };
    let verification = world.start(&custom("0042")).await.unwrap();
    assert_eq!(world.code(&verification), "0042");
    let again = world.start(&custom("0042")).await.unwrap();
    assert_eq!(again.codes.len(), 1);
    let other = world.start(&custom("00421")).await.unwrap();
    assert_eq!((other.codes.len(), other.codes[1].length), (2, 5));
    let which = VerificationName::Sid(other.sid);
    assert_eq!(
        world
            .check(&which, "0042")
            .await
            .unwrap()
            .status(world.app.clock.now()),
        PENDING
    );
    assert_eq!(
        world
            .check(&which, "00421")
            .await
            .unwrap()
            .status(world.app.clock.now()),
        APPROVED
    );
}

#[tokio::test]
async fn what_cannot_be_sent_is_refused_and_nothing_is_written() {
    let world = World::new().await;
    let to_mail = NewVerification {
        channel: Channel::Email.into(),
        ..to_ada()
    };
    assert!(matches!(
        refused(world.start(&to_mail).await),
        Refusal::DestinationUnfit
    ));
    let silent = NewVerification {
        channel: Channel::Sna.into(),
        ..to_ada()
    };
    let channel = Channel::Sna;
    assert_eq!(refused(world.start(&silent).await), Refusal::NoSender { channel });
    let mut paid = NewVerification {
        channel: Channel::Call.into(),
        ..to_ada()
    };
    paid.content.payment = Some(Payment {
        amount: Amount::parse("1").unwrap(),
        payee: ProviderName::parse("Acme").unwrap(),
    });
    for channel in [Channel::Call, Channel::Sna] {
        paid.channel = channel.into();
        assert_eq!(
            refused(world.start(&paid).await),
            Refusal::PaymentUnfit { channel }
        );
    }
    let mut policy = planned(&[(Channel::Sms, 60), (Channel::Call, 60)], 300);
    let paid_plan = |policy: &CodePolicy| NewVerification {
        content: paid.content.clone(),
        ..wanted(ada(), policy.clone())
    };
    // Also what comes later has to tell whoever reads or hears it.
    assert_eq!(
        refused(world.start(&paid_plan(&policy)).await),
        Refusal::PaymentUnfit {
            channel: Channel::Call
        }
    );
    policy.calls_tell_payments = true;
    let elsewhere = World::new().await;
    elsewhere.start(&paid_plan(&policy)).await.unwrap();
    let changes = ServiceChanges {
        psd2_enabled: Some(true),
        ..ServiceChanges::default()
    };
    let psd2 = World {
        service: world.another_service(changes).await,
        ..world.clone()
    };
    assert_eq!(refused(psd2.start(&to_ada()).await), Refusal::PaymentRequired);
    assert_eq!(
        refused(world.fetch(&VerificationName::To(ada())).await),
        Refusal::NotFound
    );
    assert_eq!(world.remembered(&ada()).await, DestinationRecord::default());
}

#[tokio::test]
async fn nothing_begins_below_a_deleted_service_and_nothing_stays() {
    let world = World::new().await;
    let verification = world.start(&to_ada()).await.unwrap();
    let right = world.code(&verification);
    service::delete(&world.app, world.account, world.service)
        .await
        .unwrap();
    assert_eq!(refused(world.start(&to_ada()).await), Refusal::NotFound);
    let which = VerificationName::Sid(verification.sid);
    assert_eq!(refused(world.check(&which, &right).await), Refusal::NotFound);
    while sweep::round(&world.app).await.unwrap() > 0 {}
    let key = keys::verification(world.service, verification.sid);
    assert!(world.app.store.get(key.bytes()).await.unwrap().is_none());
}

#[tokio::test]
async fn an_ended_one_is_fetched_for_a_day_and_then_reclaimed() {
    let world = World::new().await;
    let verification = world.start(&to_ada()).await.unwrap();
    let which = VerificationName::Sid(verification.sid);
    world.wait(600);
    let expired = world.fetch(&VerificationName::To(ada())).await.unwrap();
    assert_eq!(expired.status(world.app.clock.now()), VerificationStatus::Expired);
    world.wait(86_399);
    while sweep::round(&world.app).await.unwrap() > 0 {}
    assert_eq!(world.fetch(&which).await.unwrap().sid, verification.sid);
    world.wait(2);
    while sweep::round(&world.app).await.unwrap() > 0 {}
    assert_eq!(refused(world.fetch(&which).await), Refusal::NotFound);
    let key = keys::destination(world.service, &ada());
    assert!(world.app.store.get(key.bytes()).await.unwrap().is_none());
}

/// What was proved of one payment, or of none, proves nothing of another one (PSD2, dynamic linking).
#[tokio::test]
async fn no_proof_is_carried_from_one_payment_to_another() {
    let world = World::new().await;
    let plain = world.start(&to_ada()).await.unwrap();
    let which = VerificationName::Sid(plain.sid);
    let mut confirmed = plain.clone();
    let hash = world.app.vault.token_hash(plain.sid.as_bytes(), "a token");
    let mut silent = SilentAuthentication::new(hash, false);
    silent.confirmed = true;
    confirmed.silent = Some(silent);
    let batch = put_verification(Batch::new(), Some(&plain), &confirmed).unwrap();
    world.app.store.commit(batch).await.unwrap();

    let payment = Some(Payment {
        amount: Amount::parse("1000").unwrap(),
        payee: ProviderName::parse("Eve").unwrap(),
    });
    let mut paid = to_ada();
    paid.content.payment.clone_from(&payment);
    let resent = world.start(&paid).await.unwrap();
    assert_eq!(resent.sid, plain.sid);
    let without_code = Guess {
        payment: AgreedPayment::Named(payment),
        ..Guess::default()
    };
    let (app, account, service) = (&world.app, world.account, world.service);
    let answer = verification::check(app, account, service, &which, &without_code).await;
    assert!(
        matches!(refused(answer), Refusal::CodeMissing),
        "the network confirmed no payment"
    );
    let (of_plain, of_paid) = (world.code(&plain), world.code(&resent));
    assert_ne!(of_plain, of_paid);
    let unpaid = world.start(&to_ada()).await.unwrap();
    assert_ne!(world.code(&unpaid), of_paid);
    assert_eq!(
        world
            .check(&which, &of_paid)
            .await
            .unwrap()
            .status(world.app.clock.now()),
        PENDING
    );
    let mut before = unpaid.clone();
    before.void_proofs(world.app.clock.now());
    assert_eq!(
        before.require_checkable(world.app.clock.now()).err(),
        Some(Refusal::CodeExpired)
    );
}
