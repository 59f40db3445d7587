//! Silent authentication.

use std::net::IpAddr;
use std::sync::Arc;

use super::world::{CodeWorld, dead, good, name, refusing};
use crate::domain::channel::Channel;
use crate::domain::sid::VerificationSid;
use crate::domain::verification::{Refusal, SilentAuthentication, SilentFailure};
use crate::flows::Error;
use crate::flows::verification::{self, SilentAnswer, SilentCall, SilentToken};
use crate::store::memory::MemoryStore;

const DEVICE: IpAddr = IpAddr::V4(std::net::Ipv4Addr::new(198, 51, 100, 7));

/// A verification that waits for its device's call; what the URL ends in.
async fn begin(world: &CodeWorld, wants_client_token: bool) -> (VerificationSid, SilentToken) {
    let mut verification = world.verification("471100");
    verification.codes.clear();
    let (app, sid) = (&world.app, verification.sid);
    let token = SilentToken::draw(world.service, sid, app.entropy.as_ref());
    let hash = app.vault.token_hash(sid.as_bytes(), token.reveal());
    verification.silent = Some(SilentAuthentication::new(hash, wants_client_token));
    world.start(verification, Channel::Sna).await.unwrap();
    (sid, token)
}

async fn call(world: &CodeWorld, token: &str) -> Result<SilentAnswer, Error<Refusal>> {
    verification::confirm_silent(&world.app, token, DEVICE, SilentCall::OnPurpose).await
}

/// Whatever shows what is behind links takes nothing away from a device that is to get a token.
#[tokio::test]
async fn a_link_that_is_opened_confirms_only_what_hands_out_no_token() {
    let world = CodeWorld::new(&["a"]).await;
    let (sid, token) = begin(&world, true).await;
    let open = async |token: &SilentToken| {
        verification::confirm_silent(&world.app, token.reveal(), DEVICE, SilentCall::Link).await
    };
    for _ in 0..2 * SilentAuthentication::MOST_CALLS {
        assert!(matches!(open(&token).await, Ok(SilentAnswer::Unopened)));
    }
    assert!(world.senders[0].seen().is_empty());
    let silent = world.read(sid).await.silent.unwrap();
    assert!(!silent.confirmed && silent.calls == 0);
    let answer = call(&world, token.reveal()).await.unwrap();
    assert!(matches!(
        answer,
        SilentAnswer::Confirmed {
            client_token: Some(_)
        }
    ));

    let world = CodeWorld::new(&["a"]).await;
    let (_, token) = begin(&world, false).await;
    let answer = verification::confirm_silent(&world.app, token.reveal(), DEVICE, SilentCall::Link).await;
    assert!(matches!(
        answer,
        Ok(SilentAnswer::Confirmed { client_token: None })
    ));
}

#[tokio::test]
async fn a_device_that_its_network_knows_is_confirmed_once() {
    let world = CodeWorld::new(&["a"]).await;
    let (sid, token) = begin(&world, true).await;
    world.deliver().await;
    assert!(
        world.senders[0].seen().is_empty(),
        "nothing is sent before the call"
    );
    let answer = call(&world, token.reveal()).await.unwrap();
    let SilentAnswer::Confirmed {
        client_token: Some(given),
    } = answer
    else {
        panic!("{answer:?}")
    };
    let seen = world.senders[0].seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(seen[0].device_ip, Some(DEVICE));
    assert_eq!(seen[0].to.as_str(), "+32470471100");
    assert!(seen[0].code.is_empty() && seen[0].channel == Channel::Sna);
    let silent = world.read(sid).await.silent.unwrap();
    assert!(silent.confirmed && silent.errors.is_empty());
    let kept = silent.client_token.unwrap();
    assert!(world.app.vault.token_matches(sid.as_bytes(), &given, &kept));
    assert_eq!(world.tries().await, [("a".to_owned(), "sent")]);
    assert!(matches!(
        call(&world, token.reveal()).await,
        Err(Error::Refused(_))
    ));
    assert_eq!(world.senders[0].seen().len(), 1);
}

#[tokio::test]
async fn each_call_in_vain_is_an_attempt_with_the_number_of_its_error_and_five_are_all() {
    let world = CodeWorld::new(&["a", "b"]).await;
    let (sid, token) = begin(&world, false).await;
    world.senders[0].now(refusing);
    world.senders[1].now(dead);
    let mismatch = call(&world, token.reveal()).await.unwrap();
    assert!(matches!(mismatch, SilentAnswer::Mismatch));
    for _ in 0..4 {
        call(&world, token.reveal()).await.unwrap();
    }
    for _ in 0..3 {
        assert!(matches!(
            call(&world, token.reveal()).await,
            Err(Error::Refused(_))
        ));
    }
    let (silent, attempts) = (world.read(sid).await.silent.unwrap(), world.attempts().await);
    let told: Vec<_> = silent.errors.iter().map(|error| error.attempt).collect();
    assert_eq!(
        told,
        attempts.iter().map(|attempt| attempt.sid).collect::<Vec<_>>()
    );
    assert_eq!(
        (silent.errors[0].why, silent.errors[1].why),
        (SilentFailure::Mismatch, SilentFailure::Undecided)
    );
    assert_eq!(world.senders[0].seen().len() + world.senders[1].seen().len(), 5);
    assert_eq!(
        world.tries().await[1],
        ("b".to_owned(), "failed"),
        "another one is asked"
    );
}

#[tokio::test]
async fn every_call_but_the_first_is_paid_and_without_money_nobody_is_asked() {
    let store = Arc::new(MemoryStore::new());
    let world = CodeWorld::with(&["a"], &[Channel::Sna], store, Some((400_000, 1_000_000))).await;
    world.senders[0].now(dead);
    let (_, token) = begin(&world, false).await;
    for asked in [1, 2, 3, 3, 3] {
        let answer = call(&world, token.reveal()).await.unwrap();
        assert!(matches!(answer, SilentAnswer::Undecided));
        assert_eq!(world.senders[0].seen().len(), asked);
    }
    // Those that nobody was asked for count as well.
    assert!(matches!(
        call(&world, token.reveal()).await,
        Err(Error::Refused(_))
    ));
}

#[tokio::test]
async fn parallel_calls_are_counted_and_confirm_once() {
    let world = Arc::new(CodeWorld::new(&["a"]).await);
    let (_, token) = begin(&world, true).await;
    let calls = (0..20).map(|_| {
        let (world, token) = (world.clone(), token.clone());
        tokio::spawn(async move { call(&world, token.reveal()).await })
    });
    let mut confirmed = 0;
    for call in calls.collect::<Vec<_>>() {
        confirmed += usize::from(matches!(call.await.unwrap(), Ok(SilentAnswer::Confirmed { .. })));
    }
    assert_eq!(confirmed, 1);
    assert!(world.senders[0].seen().len() <= 5);
}

#[tokio::test]
async fn no_other_token_and_no_late_one_reaches_the_network() {
    let world = CodeWorld::new(&["a"]).await;
    let (sid, token) = begin(&world, false).await;
    let another = SilentToken::draw(world.service, sid, world.app.entropy.as_ref());
    for wrong in [another.reveal().as_str(), "", "x", &token.reveal()[1..]] {
        assert!(
            matches!(call(&world, wrong).await, Err(Error::Refused(_))),
            "{wrong}"
        );
    }
    let text = world.text("471101").await;
    let foreign = SilentToken::draw(world.service, text, world.app.entropy.as_ref());
    assert!(matches!(
        call(&world, foreign.reveal()).await,
        Err(Error::Refused(_))
    ));
    world.wait(600);
    assert!(matches!(
        call(&world, token.reveal()).await,
        Err(Error::Refused(_))
    ));
    assert!(world.senders[0].seen().is_empty());
    world.senders[0].now(good);
}

#[tokio::test]
async fn a_server_without_a_sender_for_it_offers_none() {
    let world = CodeWorld::of(&["a"], &[Channel::Sms]).await;
    let verification = world.verification("471100");
    assert_eq!(world.start(verification, Channel::Sna).await, None);
    assert_eq!(
        world.start(world.verification("471100"), Channel::Sms).await,
        Some(name("a"))
    );
}
