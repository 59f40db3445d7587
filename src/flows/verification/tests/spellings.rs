//! Other spellings of codes and of destinations, and what is said of verifications that are none of the caller's.

use super::*;
use crate::domain::destination::EmailAddress;

#[tokio::test]
async fn all_spellings_of_a_wrong_code_are_counted_together() {
    let world = World::new().await;
    let verification = world.start(&to_ada()).await.unwrap();
    let which = VerificationName::Sid(verification.sid);
    let code = wrong(&world.code(&verification), 0);
    let wide: String = code
        .chars()
        .map(|digit| char::from_u32(u32::from(digit) + 0xfee0).unwrap())
        .collect();
    let spellings = [
        format!(" {code}"),
        format!("{code}\n"),
        format!("{} {}", &code[..3], &code[3..]),
        wide,
    ];
    for spelling in &spellings {
        let checked = world.check(&which, spelling).await.unwrap();
        assert_eq!(checked.status(world.app.clock.now()), PENDING);
    }
    let longer = format!("{code}7");
    let last = world.check(&which, &longer).await.unwrap();
    assert_eq!(
        last.status(world.app.clock.now()),
        VerificationStatus::MaxAttemptsReached
    );
}

#[tokio::test]
async fn what_is_no_code_is_refused_and_not_counted() {
    let world = World::new().await;
    let verification = world.start(&to_ada()).await.unwrap();
    let which = VerificationName::Sid(verification.sid);
    let right = world.code(&verification);
    for text in ["", "12", &format!("+{right}"), &format!("{right}\0"), "abcdef"] {
        let refusal = refused(world.check(&which, text).await);
        assert!(matches!(refusal, Refusal::CodeMalformed), "{text:?}");
    }
    assert_eq!(failures(&world.fetch(&which).await.unwrap()), 0);
    let spaced = format!("\u{a0}{} {}\r\n", &right[..2], &right[2..]);
    let approved = world.check(&which, &spaced).await.unwrap();
    assert_eq!(approved.status(world.app.clock.now()), APPROVED);
}

#[tokio::test]
async fn spellings_of_one_number_have_one_verification_and_one_count() {
    let world = World::new().await;
    let mut sids = std::collections::BTreeSet::new();
    for text in [
        "+32470123456",
        "+32 470 12 34 56",
        "+32 (0) 470/12.34.56",
        "0032470123456",
    ] {
        let Ok(number) =
            PhoneNumber::parse(text, Some(crate::domain::country::Country::parse("BE").unwrap()))
        else {
            continue;
        };
        let destination = Destination::Phone(number);
        let started = world
            .start(&wanted(destination.clone(), same_code()))
            .await
            .unwrap();
        let code = wrong(&world.code(&started), 0);
        world
            .check(&VerificationName::To(destination), &code)
            .await
            .unwrap();
        sids.insert(started.sid);
    }
    assert_eq!(sids.len(), 1);
    assert!(world.wrong_codes(&ada()).await.failures.count() >= 2);

    let mut sids = std::collections::BTreeSet::new();
    for text in ["ada@example.com", "Ada@Example.COM"] {
        let destination = Destination::Email(EmailAddress::parse(text).unwrap());
        let new = NewVerification {
            channel: Channel::Email.into(),
            ..wanted(destination, same_code())
        };
        sids.insert(world.start(&new).await.unwrap().sid);
    }
    assert_eq!(sids.len(), 1);
}

#[tokio::test]
async fn unknown_ended_and_others_verifications_are_the_same_to_a_check() {
    let world = World::new().await;
    let verification = world.start(&to_ada()).await.unwrap();
    let right = world.code(&verification);
    let which = VerificationName::Sid(verification.sid);
    let name = FriendlyName::parse("Another").unwrap();
    let stranger = World {
        account: account::create(&world.app, name).await.unwrap().account.sid,
        ..world.clone()
    };
    let elsewhere = World {
        service: world.another_service(ServiceChanges::default()).await,
        ..world.clone()
    };
    let nobody = VerificationName::To(phone("+32470000000"));
    let mut seen = vec![
        refused(stranger.check(&which, &right).await),
        refused(elsewhere.check(&which, &right).await),
        refused(world.check(&nobody, &right).await),
    ];
    world.settle(&which, Settlement::Cancel).await.unwrap();
    seen.push(refused(world.check(&which, &right).await));
    seen.push(refused(world.settle(&which, Settlement::Approve).await));
    world.wait(2 * 86_400);
    seen.push(refused(world.fetch(&which).await));
    assert!(
        seen.iter().all(|refusal| *refusal == Refusal::NotFound),
        "{seen:?}"
    );
}

#[tokio::test]
async fn whoever_names_a_verification_and_a_number_means_both() {
    let world = World::new().await;
    let verification = world.start(&to_ada()).await.unwrap();
    let code = world.code(&verification);
    let (app, account, service) = (&world.app, world.account, world.service);
    let which = VerificationName::Sid(verification.sid);
    let guess = |number| Guess {
        code: Some(&code),
        destination: Some(phone(number)),
        ..Guess::default()
    };
    let bobs = verification::check(app, account, service, &which, &guess("+32470999999")).await;
    assert_eq!(refused(bobs), Refusal::NotFound);
    assert_eq!(failures(&world.fetch(&which).await.unwrap()), 0);
    let adas = verification::check(app, account, service, &which, &guess(ada().as_str())).await;
    assert_eq!(adas.unwrap().verification.status(world.app.clock.now()), APPROVED);
}
