//! A user's own factors, through the first API.

use super::super::proto::zitadel::auth::v1::{
    AddMyAuthFactorOtpRequest, AddMyAuthFactorOtpResponse, AddMyAuthFactorOtpsmsRequest,
    ListMyAuthFactorsRequest, RemoveMyAuthFactorOtpRequest, RemoveMyAuthFactorOtpsmsRequest,
    RemoveMyPhoneRequest, VerifyMyAuthFactorOtpRequest,
};
use super::super::proto::zitadel::user::v1::{AuthFactorState, auth_factor};
use super::*;
use crate::crypto::totp::{TotpSecret, code_at};
use crate::domain::challenge::{ChallengeStatus, Fields};
use crate::domain::factor::{Factor, FactorStatus};
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::flows::challenge::{self, NewChallenge};
use crate::flows::factor::{self, NewTotpFactor};
use crate::flows::page::{Cursor, Order, PageRequest};
use crate::flows::service;

const SET_UP: &str = "Multifactor OTP (OneTimePassword) is already set up";

impl ZitadelWorld {
    async fn add(&self) -> Result<AddMyAuthFactorOtpResponse, SeenStatus> {
        let request = AddMyAuthFactorOtpRequest {};
        seen(
            self.my()
                .add_my_auth_factor_otp(shown(&self.token, request))
                .await,
        )
    }

    async fn prove(&self, code: &str) -> Result<ObjectDetails, SeenStatus> {
        let request = VerifyMyAuthFactorOtpRequest {
            code: code.to_owned(),
        };
        let verified = self
            .my()
            .verify_my_auth_factor_otp(shown(&self.token, request))
            .await;
        seen(verified).map(|answer| answer.details.unwrap())
    }

    async fn take_away(&self) -> Result<ObjectDetails, SeenStatus> {
        let request = RemoveMyAuthFactorOtpRequest {};
        let removed = self
            .my()
            .remove_my_auth_factor_otp(shown(&self.token, request))
            .await;
        seen(removed).map(|answer| answer.details.unwrap())
    }

    async fn codes_by_sms(&self, wanted: bool) -> Result<ObjectDetails, SeenStatus> {
        if wanted {
            let request = shown(&self.token, AddMyAuthFactorOtpsmsRequest {});
            return seen(self.my().add_my_auth_factor_otpsms(request).await)
                .map(|answer| answer.details.unwrap());
        }
        let request = shown(&self.token, RemoveMyAuthFactorOtpsmsRequest {});
        seen(self.my().remove_my_auth_factor_otpsms(request).await).map(|answer| answer.details.unwrap())
    }

    /// The kinds of the factors that are listed, and whether each can be used.
    async fn listed(&self) -> Vec<(&'static str, bool)> {
        let request = ListMyAuthFactorsRequest {};
        let listed = self
            .my()
            .list_my_auth_factors(shown(&self.token, request))
            .await
            .unwrap();
        let kind = |kind: &Option<auth_factor::Type>| match kind {
            Some(auth_factor::Type::Otp(_)) => "otp",
            Some(auth_factor::Type::OtpSms(_)) => "sms",
            other => panic!("{other:?}"),
        };
        let listed = listed.into_inner().result;
        let ready = |state| match AuthFactorState::try_from(state).unwrap() {
            AuthFactorState::Ready => true,
            AuthFactorState::NotReady => false,
            other => panic!("{other:?}"),
        };
        listed
            .iter()
            .map(|factor| (kind(&factor.r#type), ready(factor.state)))
            .collect()
    }

    /// The code that an app with this secret shows now.
    fn shown_by(&self, secret: &str) -> String {
        let secret = TotpSecret::from_base32(secret).unwrap();
        let step = self.app.clock.now().seconds() / 30;
        let code = code_at(&secret, TotpAlgorithm::Sha1, 6, step).unwrap();
        code.reveal().to_owned()
    }

    /// All factors of the user's entity.
    async fn factors(&self) -> Vec<Factor> {
        let all = PageRequest {
            size: 1000,
            cursor: Cursor::Start,
            order: Order::Ascending,
        };
        let name = self.name(OWN).await;
        match factor::list(&self.app, self.account, &name, all).await {
            Ok((_, page)) => page.items,
            Err(_) => Vec::new(),
        }
    }

    /// A factor that the account enrolls otherwise; and its secret.
    async fn enrol_otherwise(&self) -> (Factor, String) {
        let new = NewTotpFactor {
            friendly_name: FriendlyName::parse("A phone").unwrap(),
            secret: None,
            algorithm: None,
            skew: None,
            code_length: None,
            time_step: None,
            metadata: None,
        };
        let name = self.name(OWN).await;
        let enrolled = factor::create_totp(&self.app, self.account, None, &name, new)
            .await
            .unwrap();
        let secret = enrolled.secret().to_string();
        (enrolled.factor, secret)
    }
}

fn wrong<T>() -> Result<T, SeenStatus> {
    known(Code::InvalidArgument, "EVENT-8isk2", "Invalid code")
}

#[tokio::test]
async fn an_app_is_added_verified_listed_and_removed() {
    let world = ZitadelWorld::new().await;
    assert_eq!(world.listed().await, []);
    let missing = "Multifactor OTP (OneTimePassword) doesn't exist";
    assert_eq!(
        world.prove("123456").await,
        known(Code::NotFound, "COMMAND-3Mif9s", missing)
    );
    assert_eq!(code_of(world.take_away().await), Some(Code::NotFound));
    let added = world.add().await.unwrap();
    assert_eq!(added.secret.len(), 32, "20 bytes");
    assert_eq!(
        added.url,
        format!(
            "otpauth://totp/ZITADEL:{OWN}?secret={}&issuer=ZITADEL&algorithm=SHA1&digits=6&period=30",
            added.secret
        )
    );
    assert_eq!(added.details.unwrap().sequence, 2);
    assert_eq!(world.listed().await, [("otp", false)]);
    for no_code in ["12345", "abcdef", "1234567", &"1".repeat(200)] {
        assert_eq!(world.prove(no_code).await, wrong(), "{no_code}");
    }
    assert_eq!(code_of(world.prove("").await), Some(Code::InvalidArgument));
    assert_eq!(
        code_of(world.prove(&"1".repeat(201)).await),
        Some(Code::InvalidArgument)
    );
    let code = world.shown_by(&added.secret);
    let other = if code == "000000" { "000001" } else { "000000" };
    assert_eq!(world.prove(other).await, wrong());
    assert_eq!(world.prove(&code).await.unwrap().sequence, 3);
    assert_eq!(world.listed().await, [("otp", true)]);
    assert_eq!(
        world.prove(&code).await,
        known(Code::FailedPrecondition, "COMMAND-qx4ls", SET_UP)
    );
    assert_eq!(
        world.add().await.map(|_| ()),
        known(Code::AlreadyExists, "COMMAND-do9se", SET_UP)
    );
    assert_eq!(world.take_away().await.unwrap().sequence, 4);
    assert_eq!(world.listed().await, []);
    assert!(world.factors().await.is_empty());
    assert!(world.add().await.is_ok());
}

#[tokio::test]
async fn a_clock_may_be_one_step_off() {
    let world = ZitadelWorld::new().await;
    for (off, verifies) in [(60, false), (30, true)] {
        let added = world.add().await.unwrap();
        let early = world.shown_by(&added.secret);
        world.wait(off);
        assert_eq!(world.prove(&early).await.is_ok(), verifies, "{off} seconds");
        let _unverified = world.take_away().await.unwrap();
    }
}

#[tokio::test]
async fn adding_again_replaces_what_waits_for_its_first_code() {
    let world = ZitadelWorld::new().await;
    let first = world.add().await.unwrap();
    let second = world.add().await.unwrap();
    assert_ne!(first.secret, second.secret);
    assert_eq!(world.factors().await.len(), 1);
    assert_eq!(world.prove(&world.shown_by(&first.secret)).await, wrong());
    world.prove(&world.shown_by(&second.secret)).await.unwrap();
}

#[tokio::test]
async fn five_wrong_codes_use_a_secret_up_and_another_one_helps() {
    let world = ZitadelWorld::new().await;
    let first = world.add().await.unwrap();
    let right = world.shown_by(&first.secret);
    let other = if right == "000000" { "000001" } else { "000000" };
    for _ in 0..5 {
        assert_eq!(world.prove(other).await, wrong());
    }
    assert_eq!(code_of(world.prove(&right).await), Some(Code::ResourceExhausted));
    assert_eq!(world.get().await.0.sequence, 2);
    let second = world.add().await.unwrap();
    world.prove(&world.shown_by(&second.secret)).await.unwrap();
}

#[tokio::test]
async fn of_several_factors_the_verified_one_is_meant_and_only_it_is_removed() {
    let world = ZitadelWorld::new().await;
    world.get().await;
    // What the account enrolled waits here for its first code, and is listed.
    let (waits, secret) = world.enrol_otherwise().await;
    assert_eq!(world.listed().await, [("otp", false)]);
    world.prove(&world.shown_by(&secret)).await.unwrap();
    assert_eq!(world.listed().await, [("otp", true)]);
    // Another one that is only enrolled changes nothing of that.
    let (later, _) = world.enrol_otherwise().await;
    assert_eq!(
        world.add().await.map(|_| ()),
        known(Code::AlreadyExists, "COMMAND-do9se", SET_UP)
    );
    world.take_away().await.unwrap();
    let left = world.factors().await;
    let sids: Vec<_> = left.iter().map(|factor| factor.sid).collect();
    assert_eq!(sids, [later.sid], "{} is gone", waits.sid);
    assert_eq!(world.listed().await, [("otp", false)]);
    // It is replaced as one that was added here.
    let added = world.add().await.unwrap();
    let left = world.factors().await;
    assert_eq!(left.len(), 1);
    world.prove(&world.shown_by(&added.secret)).await.unwrap();
    assert_eq!(world.factors().await[0].status, FactorStatus::Verified);
}

#[tokio::test]
async fn a_first_code_verifies_once_however_many_show_it_at_once() {
    let world = Arc::new(ZitadelWorld::new().await);
    let added = world.add().await.unwrap();
    let code = world.shown_by(&added.secret);
    let mut guesses = tokio::task::JoinSet::new();
    for _ in 0..30 {
        let (world, code) = (Arc::clone(&world), code.clone());
        guesses.spawn(async move { world.prove(&code).await });
    }
    let answers = guesses.join_all().await;
    assert_eq!(answers.iter().filter(|answer| answer.is_ok()).count(), 1);
    for loser in answers.into_iter().filter(Result::is_err) {
        assert_eq!(loser, known(Code::FailedPrecondition, "COMMAND-qx4ls", SET_UP));
    }
    assert_eq!(world.get().await.0.sequence, 3);
}

#[tokio::test]
async fn parallel_additions_leave_one_factor() {
    let world = Arc::new(ZitadelWorld::new().await);
    let mut additions = tokio::task::JoinSet::new();
    for _ in 0..10 {
        let world = Arc::clone(&world);
        additions.spawn(async move { world.add().await.unwrap().secret });
    }
    additions.join_all().await;
    assert_eq!(world.factors().await.len(), 1);
    assert_eq!(world.get().await.0.sequence, 11);
}

#[tokio::test]
async fn the_issuer_is_what_the_services_owner_calls_it() {
    let world = ZitadelWorld::new().await;
    world.get().await;
    let changes = crate::domain::service::ServiceChanges {
        friendly_name: Some(ServiceName::parse("Owl Bank").unwrap()),
        ..Default::default()
    };
    let sid = world.service().await;
    service::update(&world.app, world.account, sid, changes)
        .await
        .unwrap();
    let added = world.add().await.unwrap();
    assert!(added.url.contains("issuer=Owl%20Bank"), "{}", added.url);
}

#[tokio::test]
async fn codes_by_text_message_need_a_verified_number_and_end_with_it() {
    let world = ZitadelWorld::new().await;
    let unfit = "Multifactor OTP (OneTimePassword) isn't ready";
    let not_ready = || known(Code::FailedPrecondition, "COMMAND-Q54j2", unfit);
    assert_eq!(world.codes_by_sms(true).await, not_ready());
    world.set(NUMBER).await.unwrap();
    assert_eq!(world.codes_by_sms(true).await, not_ready());
    assert_eq!(code_of(world.codes_by_sms(false).await), Some(Code::NotFound));
    world.verify(&world.code().await).await.unwrap();
    assert_eq!(world.codes_by_sms(true).await.unwrap().sequence, 4);
    assert_eq!(code_of(world.codes_by_sms(true).await), Some(Code::AlreadyExists));
    world.add().await.unwrap();
    assert_eq!(world.listed().await, [("otp", false), ("sms", true)]);
    assert_eq!(world.codes_by_sms(false).await.unwrap().sequence, 6);
    world.codes_by_sms(true).await.unwrap();
    let remove = shown(&world.token, RemoveMyPhoneRequest {});
    world.my().remove_my_phone(remove).await.unwrap();
    assert_eq!(world.listed().await, [("otp", false)]);
}

#[tokio::test]
async fn a_factor_that_was_verified_here_answers_challenges_and_no_code_is_good_twice() {
    let world = ZitadelWorld::new().await;
    let added = world.add().await.unwrap();
    let first = world.shown_by(&added.secret);
    world.prove(&first).await.unwrap();
    let (factor, name) = (world.factors().await[0].sid, world.name(OWN).await);
    let new = NewChallenge {
        factor,
        expires_at: None,
        message: None,
        fields: Fields::default(),
        hidden_details: None,
        number_matching: None,
        shows_date: |_| Ok(false),
    };
    let status = async |code: &str| {
        let asked = challenge::create(&world.app, world.account, &name, &new, Some(code)).await;
        asked.unwrap().1.status(world.app.clock.now())
    };
    assert_eq!(status(&first).await, ChallengeStatus::Pending, "it was used here");
    world.wait(30);
    let second = world.shown_by(&added.secret);
    assert_eq!(status(&second).await, ChallengeStatus::Approved);
}
