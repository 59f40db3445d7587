//! A user's own phone number, through the first API.

use super::super::proto::zitadel::auth::v1::{HealthzRequest, RemoveMyPhoneRequest};
use super::*;
use crate::domain::channel::Channel;
use crate::domain::verification::VerificationStatus;

/// A date of a message, in milliseconds.
fn millis(date: Option<&prost_types::Timestamp>) -> u64 {
    let date = date.unwrap();
    u64::try_from(date.seconds * 1000 + i64::from(date.nanos / 1_000_000)).unwrap()
}

async fn remove(world: &ZitadelWorld) -> Result<ObjectDetails, SeenStatus> {
    let removed = world
        .my()
        .remove_my_phone(shown(&world.token, RemoveMyPhoneRequest {}))
        .await;
    seen(removed).map(|answer| answer.details.unwrap())
}

#[tokio::test]
async fn a_number_is_set_verified_and_removed_and_each_change_has_its_sequence_and_date() {
    let world = ZitadelWorld::new().await;
    let begun = world.app.clock.now();
    let (details, number, verified) = world.get().await;
    assert_eq!((number.as_str(), verified), ("", false));
    assert_eq!(details.resource_owner, world.account.to_string());
    assert_eq!(details.sequence, 1);
    world.wait(10);
    let set = world.set(NUMBER).await.unwrap();
    assert_eq!(set.sequence, 2);
    assert_eq!(millis(set.creation_date.as_ref()), begun.millis());
    assert_eq!(millis(set.change_date.as_ref()), world.app.clock.now().millis());
    assert_eq!(world.get().await, (set, NUMBER.to_owned(), false));
    let code = world.code().await;
    assert_eq!(code.len(), 6);
    assert!(
        code.bytes()
            .all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
    );
    let waits = world.verification(world.waits().await).await;
    assert_eq!(waits.channel(), Some(Channel::Sms));
    world.wait(3599);
    let verified = world.verify(&code).await.unwrap();
    assert_eq!(verified.sequence, 3);
    assert_eq!(world.get().await, (verified, NUMBER.to_owned(), true));
    let removed = remove(&world).await.unwrap();
    assert_eq!(removed.sequence, 4);
    assert_eq!(world.get().await, (removed, String::new(), false));
}

#[tokio::test]
async fn what_the_caller_gets_wrong_has_the_protocols_error() {
    let world = ZitadelWorld::new().await;
    let not_found = Code::NotFound;
    let unfit = Code::FailedPrecondition;
    let wrong = || known(Code::InvalidArgument, "COMMAND-sM0cs", "Code is invalid");
    let empty = known(Code::InvalidArgument, "COMMAND-wMe9f", "Code is empty");
    assert_eq!(world.verify("").await, empty);
    let no_code = || known(not_found, "COMMAND-Rsj8c", "Code not found");
    assert_eq!(world.verify("ABC123").await, no_code());
    let no_phone = known(not_found, "COMMAND-2b7Hf", "Phone not found");
    assert_eq!(world.resend().await, no_phone);
    assert_eq!(
        remove(&world).await,
        known(not_found, "COMMAND-p6rsc", "Phone not found")
    );
    assert_eq!(world.get().await.0.sequence, 1);

    world.set(NUMBER).await.unwrap();
    let unchanged = || known(unfit, "COMMAND-wF94r", "Phone not changed");
    assert_eq!(world.set(NUMBER).await, unchanged());
    let code = world.code().await;
    assert_eq!(world.verify(&other(&code)).await, wrong());
    for no_code in [
        "1",
        "!!!!!!",
        "ABCDEFGHIJK",
        &"A".repeat(200),
        "\u{e9}\u{e9}\u{e9}\u{e9}",
    ] {
        assert_eq!(world.verify(no_code).await, wrong(), "{no_code}");
    }
    assert_eq!(
        code_of(world.verify(&"A".repeat(201)).await),
        Some(Code::InvalidArgument)
    );
    world.wait(3600);
    assert_eq!(world.verify(&code).await, wrong(), "it is over");
    assert_eq!(world.get().await.0.sequence, 2);

    world.resend().await.unwrap();
    world.verify(&world.code().await).await.unwrap();
    assert_eq!(world.verify(&code).await, no_code());
    let verified = known(unfit, "COMMAND-2M9sf", "Phone already verified");
    assert_eq!(world.resend().await, verified);
    assert_eq!(world.set(OTHER_NUMBER).await, unchanged(), "it would unverify");
    assert_eq!(world.set(NUMBER).await, unchanged());
    let (details, number, verified) = world.get().await;
    assert_eq!((details.sequence, number.as_str(), verified), (4, NUMBER, true));
}

#[tokio::test]
async fn a_number_is_looked_at_before_anything_is_said_of_the_user() {
    let world = ZitadelWorld::new().await;
    world.set(NUMBER).await.unwrap();
    let long = format!("+{}", "1".repeat(50));
    for unreadable in ["", "32470123456", "+", "+12", "+abcdefgh", "0032470123456", &long] {
        assert_eq!(
            code_of(world.set(unreadable).await),
            Some(Code::InvalidArgument),
            "{unreadable}"
        );
    }
    // Another spelling of the number that the user has is no other number.
    assert_eq!(
        world.set("+32 470 12 34 56").await,
        known(Code::FailedPrecondition, "COMMAND-wF94r", "Phone not changed")
    );
    assert_eq!(world.get().await.0.sequence, 2);
}

#[tokio::test]
async fn what_was_sent_before_is_void_once_something_else_is_sent_or_the_number_is_gone() {
    let world = ZitadelWorld::new().await;
    world.set(NUMBER).await.unwrap();
    let (first, waited) = (world.code().await, world.waits().await);
    world.resend().await.unwrap();
    assert_eq!(world.get().await.0.sequence, 3);
    let replaced = world.verification(waited).await;
    assert_eq!(
        replaced.status(world.app.clock.now()),
        VerificationStatus::Canceled
    );
    let second = world.code().await;
    if first != second {
        assert!(world.verify(&first).await.is_err());
    }
    let waited = world.waits().await;
    world.set(OTHER_NUMBER).await.unwrap();
    let replaced = world.verification(waited).await;
    assert_eq!(
        replaced.status(world.app.clock.now()),
        VerificationStatus::Canceled
    );
    let third = world.code().await;
    if second != third {
        assert!(world.verify(&second).await.is_err());
    }
    let waited = world.waits().await;
    remove(&world).await.unwrap();
    let canceled = world.verification(waited).await;
    assert_eq!(
        canceled.status(world.app.clock.now()),
        VerificationStatus::Canceled
    );
    assert!(world.verify(&third).await.is_err());
    world.set(OTHER_NUMBER).await.unwrap();
    world.verify(&world.code().await).await.unwrap();
    assert_eq!(world.get().await.1, OTHER_NUMBER);
}

#[tokio::test]
async fn a_code_is_accepted_once_however_many_show_it_at_once() {
    let world = Arc::new(ZitadelWorld::new().await);
    world.set(NUMBER).await.unwrap();
    let code = world.code().await;
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let (world, code) = (Arc::clone(&world), code.clone());
        guesses.spawn(async move { world.verify(&code).await });
    }
    let answers = guesses.join_all().await;
    let winners = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(winners, 1);
    for loser in answers.into_iter().filter(Result::is_err) {
        assert_eq!(loser, known(Code::NotFound, "COMMAND-Rsj8c", "Code not found"));
    }
    assert_eq!(world.get().await.0.sequence, 3);
}

#[tokio::test]
async fn parallel_first_calls_make_one_user() {
    let world = Arc::new(ZitadelWorld::new().await);
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..20 {
        let world = Arc::clone(&world);
        calls.spawn(async move { world.get().await.0 });
    }
    for details in calls.join_all().await {
        assert_eq!(details.sequence, 1);
    }
}

#[tokio::test]
async fn wrong_codes_are_counted_for_the_number_whatever_is_sent_meanwhile() {
    let world = ZitadelWorld::new().await;
    world.set(NUMBER).await.unwrap();
    for count in 0..10 {
        if count == 5 {
            world.wait(3600);
            world.resend().await.unwrap();
        }
        let wrong = other(&world.code().await);
        assert_eq!(
            world.verify(&wrong).await,
            known(Code::InvalidArgument, "COMMAND-sM0cs", "Code is invalid")
        );
    }
    let code = world.code().await;
    assert_eq!(code_of(world.verify(&code).await), Some(Code::ResourceExhausted));
    // The number pauses for whoever else says that it is theirs, too.
    let sister = ZitadelWorld {
        token: token_of(&world.app, world.account, "user-0002", false).await,
        app: Arc::clone(&world.app),
        clock: Arc::clone(&world.clock),
        account: world.account,
    };
    world.wait(1);
    sister.set(NUMBER).await.unwrap();
    let at_once = sister.verify("AAAAAA").await;
    assert_eq!(code_of(at_once), Some(Code::ResourceExhausted));
    world.wait(30);
    world.verify(&code).await.unwrap();
}

#[tokio::test]
async fn a_number_gets_as_many_codes_as_its_budget_has() {
    let world = ZitadelWorld::new().await;
    world.set(NUMBER).await.unwrap();
    let mut sent = 1;
    let refused = loop {
        match world.resend().await {
            Ok(_) => sent += 1,
            refused => break refused,
        }
        assert!(sent < 100);
    };
    assert_eq!(code_of(refused), Some(Code::ResourceExhausted));
    let sequence = world.get().await.0.sequence;
    assert_eq!(sequence, sent + 1, "what is refused changes nothing");
    world.verify(&world.code().await).await.unwrap();
    // Another number has a budget of its own, and taking one's number away gives none anew.
    remove(&world).await.unwrap();
    world.set(OTHER_NUMBER).await.unwrap();
    assert_eq!(code_of(world.set(NUMBER).await), Some(Code::ResourceExhausted));
    assert_eq!(world.get().await.1, OTHER_NUMBER);
}

#[tokio::test]
async fn a_user_goes_with_its_service() {
    let world = ZitadelWorld::new().await;
    world.set(NUMBER).await.unwrap();
    let (service, name) = (world.service().await, world.name(OWN).await);
    crate::flows::service::delete(&world.app, world.account, service)
        .await
        .unwrap();
    while crate::flows::sweep::round(&world.app).await.unwrap() > 0 {}
    let user = crate::store::keys::user(name.service, &name.identity);
    assert!(world.app.store.get(user.bytes()).await.unwrap().is_none());
    let (details, number, _) = world.get().await;
    assert_eq!((details.sequence, number.as_str()), (1, ""));
}

#[tokio::test]
async fn whoever_asks_hears_that_the_server_lives() {
    let world = ZitadelWorld::new().await;
    let healthy = world.my().healthz(Request::new(HealthzRequest {})).await;
    assert!(healthy.is_ok());
}
