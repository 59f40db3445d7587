//! Guessing codes: how many guesses are evaluated, and that a right one is accepted once.

use super::*;
use crate::domain::text::{Amount, ProviderName};
use crate::domain::verification::Payment;
use crate::domain::verification::tests::samples::planned;
use crate::flows::verification::AgreedPayment;

/// Attempts that were all checked before any was counted broke Gitea's and Keycloak's limits (CVE-2026-20779,
/// keycloak #31726).
#[tokio::test]
async fn of_64_parallel_guesses_five_are_evaluated() {
    let world = World::on(Arc::new(Interleaved::default())).await;
    let verification = world.start(&to_ada()).await.unwrap();
    let right = world.code(&verification);
    let which = VerificationName::Sid(verification.sid);
    let guesses = (0..64).map(|nth| {
        let (world, which, code) = (world.clone(), which.clone(), wrong(&right, nth));
        async move { world.check(&which, &code).await }
    });
    let answers = all_at_once(guesses).await;

    let evaluated = answers.iter().filter(|answer| answer.is_ok()).count();
    assert_eq!(evaluated, 5);
    for answer in answers.into_iter().filter(Result::is_err) {
        assert!(matches!(refused(answer), Refusal::TooManyChecks { .. }));
    }
    let after = world.fetch(&which).await.unwrap();
    assert_eq!(failures(&after), 5);
    assert_eq!(world.wrong_codes(&ada()).await.failures.count(), 5);
    let refusal = refused(world.check(&which, &right).await);
    assert!(matches!(refusal, Refusal::TooManyChecks { .. }), "{refusal}");
}

#[tokio::test]
async fn of_64_times_the_right_code_one_is_approved() {
    for _ in 0..20 {
        let world = World::on(Arc::new(Interleaved::default())).await;
        let verification = world.start(&to_ada()).await.unwrap();
        let right = world.code(&verification);
        let guesses = (0..64).map(|_| {
            let (world, code) = (world.clone(), right.clone());
            async move { world.check(&VerificationName::To(ada()), &code).await }
        });
        let answers = all_at_once(guesses).await;
        assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
        for answer in answers {
            match answer {
                Ok(approved) => assert_eq!(approved.status(world.clock_now()), APPROVED),
                Err(error) => assert_eq!(refused::<()>(Err(error)), Refusal::NotFound),
            }
        }
    }
}

impl World {
    fn clock_now(&self) -> Timestamp {
        self.app.clock.now()
    }
}

#[tokio::test]
async fn a_new_verification_or_another_code_resets_no_count() {
    let world = World::new().await;
    let policy = CodePolicy {
        reuse: crate::domain::verification::CodeReuse::NewEachSend,
        ..same_code()
    };
    let new = wanted(ada(), policy);
    let first = world.start(&new).await.unwrap();
    let which = VerificationName::Sid(first.sid);
    for nth in 0..4 {
        world
            .check(&which, &wrong(&world.code(&first), nth))
            .await
            .unwrap();
    }
    let again = world.start(&new).await.unwrap();
    assert_eq!(again.sid, first.sid);
    assert_ne!(world.code(&again), world.code(&first));
    let last = world.check(&which, &wrong(&world.code(&again), 0)).await.unwrap();
    assert_eq!(
        last.status(world.clock_now()),
        VerificationStatus::MaxAttemptsReached
    );
    // Nothing else begins until its time is over.
    let blocked = refused(world.start(&new).await);
    assert_eq!(
        blocked,
        Refusal::TooManyChecks {
            retry_after: Duration::from_mins(10)
        }
    );
    world.wait(600);
    let second = world.start(&new).await.unwrap();
    assert_ne!(second.sid, first.sid);
    assert_eq!(world.wrong_codes(&ada()).await.failures.count(), 5);
    world
        .check(
            &VerificationName::Sid(second.sid),
            &wrong(&world.code(&second), 0),
        )
        .await
        .unwrap();
    assert_eq!(world.wrong_codes(&ada()).await.failures.count(), 6);
    let approved = world
        .check(&VerificationName::Sid(second.sid), &world.code(&second))
        .await
        .unwrap();
    assert_eq!(approved.status(world.clock_now()), APPROVED);
    let remembered = world.wrong_codes(&ada()).await;
    assert_eq!(remembered.failures.count(), 0);
    let day = Duration::from_hours(24);
    assert_eq!(remembered.failed_checks.count(world.clock_now(), day), 6);
}

/// What broke Microsoft's second factor in 2024: few guesses each, but as many verifications as the attacker likes.
#[tokio::test]
async fn whoever_guesses_for_a_day_gets_fifty_guesses() {
    let world = World::new().await;
    let (mut evaluated, mut begun) = (0, 0);
    for five_minutes in 0..24 * 12 {
        // All that the caps let through: an owner who cancels frees the destination.
        for _ in 0..3 {
            let Ok(verification) = world.start(&to_ada()).await else {
                break;
            };
            begun += 1;
            let which = VerificationName::Sid(verification.sid);
            for nth in 0..4 {
                let code = wrong(&world.code(&verification), five_minutes * 7 + nth);
                evaluated += u32::from(world.check(&which, &code).await.is_ok());
            }
            world.settle(&which, Settlement::Cancel).await.unwrap();
        }
        world.wait(300);
    }
    assert!(begun > 800, "{begun}");
    assert!((20..=50).contains(&evaluated), "{evaluated}");
    // Fifty guesses among a million codes: a chance of 1 in 20,000 for each day.
    let refusal = world
        .wrong_codes(&ada())
        .await
        .require_unlocked(world.clock_now());
    assert!(refusal.is_err() || evaluated < 50);
}

#[tokio::test]
async fn delays_follow_the_tenth_wrong_code_over_all_verifications() {
    let world = World::new().await;
    for _ in 0..2 {
        let verification = world.start(&to_ada()).await.unwrap();
        for nth in 0..5 {
            let code = wrong(&world.code(&verification), nth);
            world.check(&VerificationName::To(ada()), &code).await.unwrap();
        }
        world.wait(600);
    }
    let third = world.start(&to_ada()).await.unwrap();
    let code = wrong(&world.code(&third), 0);
    // The tenth was ten minutes ago: half a minute is over.
    world.check(&VerificationName::To(ada()), &code).await.unwrap();
    let refusal = refused(
        world
            .check(&VerificationName::To(ada()), &world.code(&third))
            .await,
    );
    assert_eq!(
        refusal,
        Refusal::DestinationLocked {
            retry_after: Duration::from_mins(1)
        }
    );
    world.wait(60);
    let approved = world
        .check(&VerificationName::To(ada()), &world.code(&third))
        .await
        .unwrap();
    assert_eq!(approved.status(world.clock_now()), APPROVED);
}

#[tokio::test]
async fn a_code_for_another_payment_is_a_wrong_code() {
    let world = World::new().await;
    let payment = |amount: &str, payee: &str| Payment {
        amount: Amount::parse(amount).unwrap(),
        payee: ProviderName::parse(payee).unwrap(),
    };
    let mut new = to_ada();
    new.content.payment = Some(payment("39.99", "Acme"));
    let verification = world.start(&new).await.unwrap();
    let right = world.code(&verification);
    let which = VerificationName::Sid(verification.sid);
    let give = |payment| Guess {
        code: Some(&right),
        payment: AgreedPayment::Named(payment),
        ..Guess::default()
    };
    for other in [
        None,
        Some(payment("40.00", "Acme")),
        Some(payment("39.99", "Acme Inc")),
    ] {
        let checked =
            verification::check(&world.app, world.account, world.service, &which, &give(other)).await;
        assert_eq!(checked.unwrap().verification.status(world.clock_now()), PENDING);
    }
    assert_eq!(failures(&world.fetch(&which).await.unwrap()), 3);
    assert_eq!(world.wrong_codes(&ada()).await.failures.count(), 3);
    // The same verification for another payment has another code; the one before agrees to nothing any more.
    new.content.payment = Some(payment("1.00", "Acme"));
    let other = world.start(&new).await.unwrap();
    assert_eq!((other.sid, other.codes.len()), (verification.sid, 2));
    let guess = Guess {
        code: Some(&world.code(&other)),
        payment: AgreedPayment::Named(Some(payment("1.00", "Acme"))),
        ..Guess::default()
    };
    let approved = verification::check(&world.app, world.account, world.service, &which, &guess).await;
    assert_eq!(approved.unwrap().verification.status(world.clock_now()), APPROVED);
}

/// Not every protocol has the check repeat what was shown beside the code.
#[tokio::test]
async fn a_check_may_agree_to_whatever_the_code_was_sent_with() {
    let world = World::new().await;
    let payment = Payment {
        amount: Amount::parse("39.99").unwrap(),
        payee: ProviderName::parse("Acme").unwrap(),
    };
    for paid in [None, Some(payment)] {
        let mut new = to_ada();
        new.content.payment = paid;
        let verification = world.start(&new).await.unwrap();
        let right = world.code(&verification);
        let which = VerificationName::Sid(verification.sid);
        for (code, status) in [(wrong(&right, 0), PENDING), (right.clone(), APPROVED)] {
            let guess = Guess {
                code: Some(&code),
                payment: AgreedPayment::AsSent,
                ..Guess::default()
            };
            let checked = verification::check(&world.app, world.account, world.service, &which, &guess).await;
            assert_eq!(checked.unwrap().verification.status(world.clock_now()), status);
        }
    }
}

#[tokio::test]
async fn what_was_given_is_kept_sealed_if_the_rules_say_so() {
    let world = World::new().await;
    for keeps in [false, true] {
        let mut policy = planned(&[(Channel::Sms, 300)], 300);
        policy.keeps_submitted = keeps;
        let verification = world.start(&wanted(ada(), policy)).await.unwrap();
        let which = VerificationName::Sid(verification.sid);
        let right = world.code(&verification);
        let guess = wrong(&right, 0);
        world.check(&which, &guess).await.unwrap();
        let checked = world.check(&which, &right).await.unwrap();
        let shown: Vec<_> = checked
            .checks
            .iter()
            .map(|check| super::super::given(&world.app, &checked, check).unwrap())
            .map(|given| given.map(|text| text.to_string()))
            .collect();
        let expected = [guess, right].map(|text| keeps.then_some(text));
        assert_eq!(shown, expected);
    }
}

/// Each protocol has a service of its own, and a service is made in a moment: whoever guesses in one after the other has no
/// more guesses than in one.
#[tokio::test]
async fn wrong_codes_count_for_all_services_of_an_account_and_no_others() {
    let world = World::new().await;
    let other = World {
        service: world.another_service(ServiceChanges::default()).await,
        ..world.clone()
    };
    for service in [&world, &other] {
        let verification = service.start(&to_ada()).await.unwrap();
        let right = service.code(&verification);
        for nth in 0..5 {
            let which = VerificationName::Sid(verification.sid);
            service.check(&which, &wrong(&right, nth)).await.unwrap();
        }
    }
    service::delete(&world.app, world.account, world.service)
        .await
        .unwrap();
    let third = World {
        service: world.another_service(ServiceChanges::default()).await,
        ..world.clone()
    };
    let verification = third.start(&to_ada()).await.unwrap();
    let which = VerificationName::Sid(verification.sid);
    let right = third.code(&verification);
    let refusal = refused(third.check(&which, &right).await);
    let retry_after = Duration::from_secs(30);
    assert_eq!(refusal, Refusal::DestinationLocked { retry_after });

    let name = FriendlyName::parse("neighbour").unwrap();
    let mut neighbour = World {
        account: account::create(&world.app, name).await.unwrap().account.sid,
        ..world.clone()
    };
    neighbour.service = neighbour.another_service(ServiceChanges::default()).await;
    let verification = neighbour.start(&to_ada()).await.unwrap();
    let code = neighbour.code(&verification);
    let checked = neighbour.check(&VerificationName::To(ada()), &code).await;
    assert_eq!(checked.unwrap().status(world.clock_now()), APPROVED);

    verification::unlock(&third.app, third.account, third.service, &ada())
        .await
        .unwrap();
    let checked = third.check(&which, &right).await.unwrap();
    assert_eq!(checked.status(world.clock_now()), APPROVED);
}

/// Rules by which an approved verification says so to every check.
fn said_again() -> CodePolicy {
    CodePolicy {
        single_use: false,
        ..same_code()
    }
}

impl World {
    async fn is_right(&self, verification: &Verification, code: &str) -> Result<bool, Error<Refusal>> {
        let guess = Guess {
            code: Some(code),
            compares_approved: true,
            ..Guess::default()
        };
        let which = VerificationName::Sid(verification.sid);
        let checked = verification::check(&self.app, self.account, self.service, &which, &guess).await?;
        Ok(checked.is_right)
    }
}

/// Somebody guesses at the moment when the owner gives the right code: that it is approved then says nothing of the guess.
#[tokio::test]
async fn a_wrong_code_beside_the_right_one_is_not_right() {
    for _ in 0..50 {
        let world = World::on(Arc::new(Interleaved::default())).await;
        let new = wanted(ada(), said_again());
        let verification = world.start(&new).await.unwrap();
        let right = world.code(&verification);
        let guesses = (0..4).map(|nth| {
            let (world, verification) = (world.clone(), verification.clone());
            let code = if nth == 1 {
                right.clone()
            } else {
                wrong(&right, nth)
            };
            async move { (nth, world.is_right(&verification, &code).await.unwrap()) }
        });
        for (nth, is_right) in all_at_once(guesses).await {
            assert_eq!(is_right, nth == 1, "{nth}");
        }
    }
}

#[tokio::test]
async fn guesses_of_a_code_that_was_used_count_as_all_do() {
    let world = World::new().await;
    let new = wanted(ada(), said_again());
    let verification = world.start(&new).await.unwrap();
    let right = world.code(&verification);
    assert!(world.is_right(&verification, &right).await.unwrap());
    assert!(
        world.is_right(&verification, &right).await.unwrap(),
        "it is said again"
    );
    for nth in 0..10 {
        let guess = wrong(&right, nth);
        assert!(!world.is_right(&verification, &guess).await.unwrap(), "{nth}");
    }
    let retry_after = Duration::from_secs(30);
    let refusal = refused(world.is_right(&verification, &right).await);
    assert_eq!(refusal, Refusal::DestinationLocked { retry_after });
    assert_eq!(world.wrong_codes(&ada()).await.failures.count(), 10);
}
