//! The second API: users by name, for themselves and for whoever manages them.

use super::super::proto::zitadel::object::v2::Details;
use super::super::proto::zitadel::user::v2::set_phone_request::Verification as Proof;
use super::super::proto::zitadel::user::v2::user_service_server::UserService as _;
use super::super::proto::zitadel::user::v2::{
    AddOtpsmsRequest, AuthFactorState, AuthFactors, ListAuthenticationFactorsRequest, RegisterTotpRequest,
    RemoveOtpsmsRequest, RemovePhoneRequest, RemoveTotpRequest, ResendPhoneCodeRequest,
    ReturnPhoneVerificationCode, SendPhoneVerificationCode, SetPhoneRequest, VerifyPhoneRequest,
    VerifyTotpRegistrationRequest, auth_factor, resend_phone_code_request,
};
use super::super::user_service::NamedUsers;
use super::*;
use crate::crypto::totp::{TotpSecret, code_at};
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::domain::verification::VerificationStatus;

const OTHER: &str = "user-0002";
const RETURN: Option<Proof> = Some(Proof::ReturnCode(ReturnPhoneVerificationCode {}));
const SEND: Option<Proof> = Some(Proof::SendCode(SendPhoneVerificationCode {}));

/// Whoever calls with this token.
struct ByName<'w> {
    world: &'w ZitadelWorld,
    token: String,
}

impl ByName<'_> {
    fn users(&self) -> NamedUsers {
        NamedUsers {
            app: Arc::clone(&self.world.app),
        }
    }

    async fn set(
        &self,
        user: &str,
        phone: &str,
        proof: Option<Proof>,
    ) -> Result<(Details, Option<String>), SeenStatus> {
        let request = SetPhoneRequest {
            user_id: user.to_owned(),
            phone: phone.to_owned(),
            verification: proof,
        };
        let set = self.users().set_phone(shown(&self.token, request)).await;
        seen(set).map(|answer| (answer.details.unwrap(), answer.verification_code))
    }

    async fn resend(&self, user: &str, returned: bool) -> Result<(Details, Option<String>), SeenStatus> {
        use resend_phone_code_request::Verification as Again;
        let request = ResendPhoneCodeRequest {
            user_id: user.to_owned(),
            verification: Some(if returned {
                Again::ReturnCode(ReturnPhoneVerificationCode {})
            } else {
                Again::SendCode(SendPhoneVerificationCode {})
            }),
        };
        let sent = self.users().resend_phone_code(shown(&self.token, request)).await;
        seen(sent).map(|answer| (answer.details.unwrap(), answer.verification_code))
    }

    async fn verify(&self, user: &str, code: &str) -> Result<Details, SeenStatus> {
        let request = VerifyPhoneRequest {
            user_id: user.to_owned(),
            verification_code: code.to_owned(),
        };
        let verified = self.users().verify_phone(shown(&self.token, request)).await;
        seen(verified).map(|answer| answer.details.unwrap())
    }

    async fn remove(&self, user: &str) -> Result<Details, SeenStatus> {
        let request = RemovePhoneRequest {
            user_id: user.to_owned(),
        };
        let removed = self.users().remove_phone(shown(&self.token, request)).await;
        seen(removed).map(|answer| answer.details.unwrap())
    }

    async fn register(&self, user: &str) -> Result<(Details, String, String), SeenStatus> {
        let request = RegisterTotpRequest {
            user_id: user.to_owned(),
        };
        let registered = self.users().register_totp(shown(&self.token, request)).await;
        seen(registered).map(|answer| (answer.details.unwrap(), answer.uri, answer.secret))
    }

    async fn prove(&self, user: &str, code: &str) -> Result<Details, SeenStatus> {
        let request = VerifyTotpRegistrationRequest {
            user_id: user.to_owned(),
            code: code.to_owned(),
        };
        let verified = self
            .users()
            .verify_totp_registration(shown(&self.token, request))
            .await;
        seen(verified).map(|answer| answer.details.unwrap())
    }

    async fn take_away(&self, user: &str) -> Result<Details, SeenStatus> {
        let request = RemoveTotpRequest {
            user_id: user.to_owned(),
        };
        let removed = self.users().remove_totp(shown(&self.token, request)).await;
        seen(removed).map(|answer| answer.details.unwrap())
    }

    async fn codes_by_sms(&self, user: &str, wanted: bool) -> Result<Details, SeenStatus> {
        let user_id = user.to_owned();
        if wanted {
            let request = shown(&self.token, AddOtpsmsRequest { user_id });
            return seen(self.users().add_otpsms(request).await).map(|answer| answer.details.unwrap());
        }
        let request = shown(&self.token, RemoveOtpsmsRequest { user_id });
        seen(self.users().remove_otpsms(request).await).map(|answer| answer.details.unwrap())
    }

    async fn listed(
        &self,
        user: &str,
        kinds: &[AuthFactors],
        states: &[AuthFactorState],
    ) -> Result<Vec<(AuthFactors, AuthFactorState)>, SeenStatus> {
        let request = ListAuthenticationFactorsRequest {
            user_id: user.to_owned(),
            auth_factors: kinds.iter().map(|kind| (*kind).into()).collect(),
            states: states.iter().map(|state| (*state).into()).collect(),
        };
        let listed = self
            .users()
            .list_authentication_factors(shown(&self.token, request))
            .await;
        let kind = |kind: Option<auth_factor::Type>| match kind {
            Some(auth_factor::Type::Otp(_)) => AuthFactors::Otp,
            Some(auth_factor::Type::OtpSms(_)) => AuthFactors::OtpSms,
            other => panic!("{other:?}"),
        };
        let result = seen(listed)?.result;
        Ok(result
            .into_iter()
            .map(|factor| (kind(factor.r#type), factor.state.try_into().unwrap()))
            .collect())
    }
}

impl ZitadelWorld {
    fn own(&self) -> ByName<'_> {
        ByName {
            world: self,
            token: self.token.clone(),
        }
    }

    /// Whoever manages users, itself one with another name.
    async fn manager(&self) -> ByName<'_> {
        ByName {
            world: self,
            token: token_of(&self.app, self.account, "manager-01", true).await,
        }
    }
}

#[tokio::test]
async fn a_user_may_do_for_itself_by_name_what_it_may_do_otherwise() {
    let world = ZitadelWorld::new().await;
    let own = world.own();
    let (details, code) = own.set(OWN, NUMBER, SEND).await.unwrap();
    assert_eq!(code, None, "it is sent");
    assert_eq!(
        (details.sequence, details.resource_owner),
        (2, world.account.to_string())
    );
    let millis = world.app.clock.now().millis();
    let date = details.change_date.unwrap();
    assert_eq!(u64::try_from(date.seconds).unwrap(), millis / 1000);
    assert_eq!(details.creation_date, details.change_date);
    assert_eq!(own.resend(OWN, false).await.unwrap().1, None);
    let invalid = Code::InvalidArgument;
    assert_eq!(
        own.verify(OWN, "").await,
        known(invalid, "COMMAND-Fia4a", "Code is empty")
    );
    let wrong = || known(invalid, "COMMAND-eis9R", "Code is invalid");
    let code = world.code().await;
    assert_eq!(own.verify(OWN, &other(&code)).await, wrong());
    assert_eq!(own.verify(OWN, &code).await.unwrap().sequence, 4);
    assert_eq!(own.verify(OWN, &code).await, wrong(), "none is waited for");
    let verified = known(
        Code::FailedPrecondition,
        "COMMAND-2M9sf",
        "Phone already verified",
    );
    assert_eq!(own.resend(OWN, false).await, verified);
    assert_eq!(world.get().await.1, NUMBER);
    // Unlike in the first API, a number that is verified may be replaced.
    let unchanged = known(Code::FailedPrecondition, "COMMAND-Uch5e", "Phone not changed");
    assert_eq!(own.set(OWN, NUMBER, None).await, unchanged);
    assert_eq!(code_of(own.set(OWN, "470123456", None).await), Some(invalid));
    own.set(OWN, OTHER_NUMBER, None).await.unwrap();
    let (_, number, verified) = world.get().await;
    assert_eq!((number.as_str(), verified), (OTHER_NUMBER, false));
    assert_eq!(own.remove(OWN).await.unwrap().sequence, 6);
    let gone = || known(Code::NotFound, "COMMAND-p6rsc", "Phone not found");
    assert_eq!(own.remove(OWN).await, gone());
    let missing = known(Code::NotFound, "COMMAND-ieJ2e", "Phone not found");
    assert_eq!(own.verify(OWN, "ABC123").await, missing);
    let missing = known(Code::NotFound, "COMMAND-2b7Hf", "Phone not found");
    assert_eq!(own.resend(OWN, false).await, missing);
}

#[tokio::test]
async fn what_would_verify_any_number_is_for_whoever_manages_users() {
    let world = ZitadelWorld::new().await;
    let own = world.own();
    let denied = Some(Code::PermissionDenied);
    for proof in [
        RETURN,
        Some(Proof::IsVerified(true)),
        Some(Proof::IsVerified(false)),
    ] {
        assert_eq!(code_of(own.set(OWN, NUMBER, proof).await), denied);
    }
    assert_eq!(code_of(own.resend(OWN, true).await), denied);
    own.set(OWN, NUMBER, SEND).await.unwrap();
    let code = world.code().await;
    assert_eq!(code_of(own.resend(OWN, true).await), denied);
    let before = world.get().await;
    assert_eq!(before.0.sequence, 2, "nothing was changed");
    assert_eq!(world.code().await, code);
}

#[tokio::test]
async fn other_users_are_for_whoever_manages_users() {
    let world = ZitadelWorld::new().await;
    let own = world.own();
    let sister = ZitadelWorld {
        token: token_of(&world.app, world.account, OTHER, false).await,
        app: Arc::clone(&world.app),
        clock: Arc::clone(&world.clock),
        account: world.account,
    };
    sister.set(NUMBER).await.unwrap();
    let denied = Some(Code::PermissionDenied);
    for user in [OTHER, "user-0003", "no name", "\u{fc}"] {
        assert_eq!(code_of(own.set(user, OTHER_NUMBER, None).await), denied, "{user}");
        assert_eq!(code_of(own.resend(user, false).await), denied);
        assert_eq!(code_of(own.verify(user, "ABC123").await), denied);
        assert_eq!(code_of(own.remove(user).await), denied);
        assert_eq!(code_of(own.register(user).await), denied);
        assert_eq!(code_of(own.prove(user, "123456").await), denied);
        assert_eq!(code_of(own.take_away(user).await), denied);
        assert_eq!(code_of(own.codes_by_sms(user, true).await), denied);
        assert_eq!(code_of(own.codes_by_sms(user, false).await), denied);
        assert_eq!(code_of(own.listed(user, &[], &[]).await), denied);
    }
    assert_eq!(code_of(own.remove("").await), Some(Code::InvalidArgument));
    assert_eq!(sister.get().await.0.sequence, 2);
    world.manager().await.remove(OTHER).await.unwrap();
    assert_eq!(sister.get().await.1, "");
}

#[tokio::test]
async fn whoever_manages_users_makes_none() {
    let world = ZitadelWorld::new().await;
    let manager = world.manager().await;
    let unknown = Some(Code::NotFound);
    for user in ["user-0009", "no name"] {
        assert_eq!(code_of(manager.set(user, NUMBER, None).await), unknown, "{user}");
        assert_eq!(code_of(manager.register(user).await), unknown);
        assert_eq!(code_of(manager.listed(user, &[], &[]).await), unknown);
        assert_eq!(code_of(manager.codes_by_sms(user, true).await), unknown);
    }
    let missing = known(Code::NotFound, "COMMAND-ieJ2e", "Phone not found");
    assert_eq!(manager.verify("user-0009", "ABC123").await, missing);
    // Its own it has from its first call on.
    assert_eq!(
        manager.set("manager-01", NUMBER, None).await.unwrap().0.sequence,
        2
    );
    // Those of other accounts it has not, whatever they are called.
    let name = FriendlyName::parse("Another account").unwrap();
    let account = account::create(&world.app, name).await.unwrap().account.sid;
    let stranger = token_of(&world.app, account, "user-0009", true).await;
    let stranger = ByName {
        world: &world,
        token: stranger,
    };
    stranger.set("user-0009", NUMBER, None).await.unwrap();
    assert_eq!(code_of(manager.remove("user-0009").await), unknown);
    assert_eq!(code_of(stranger.remove("manager-01").await), unknown);
    stranger.remove("user-0009").await.unwrap();
}

#[tokio::test]
async fn a_code_that_is_returned_is_not_sent_and_verifies() {
    let world = ZitadelWorld::new().await;
    let manager = world.manager().await;
    world.get().await;
    let (_, code) = manager.set(OWN, NUMBER, RETURN).await.unwrap();
    let first = code.unwrap();
    assert_eq!(first, world.code().await);
    let waits = world.waits().await;
    let verification = world.verification(waits).await;
    assert!(verification.sends.is_empty(), "nothing is sent");
    let (_, code) = manager.resend(OWN, true).await.unwrap();
    let second = code.unwrap();
    let replaced = world.verification(waits).await;
    assert_eq!(
        replaced.status(world.app.clock.now()),
        VerificationStatus::Canceled
    );
    if first != second {
        assert!(world.verify(&first).await.is_err());
    }
    // As many as are wanted: what is not sent costs nothing.
    for _ in 0..40 {
        manager.resend(OWN, true).await.unwrap();
    }
    let last = manager.resend(OWN, true).await.unwrap().1.unwrap();
    world.wait(3600);
    assert!(world.verify(&last).await.is_err(), "it is over");
    let last = manager.resend(OWN, true).await.unwrap().1.unwrap();
    world.verify(&last).await.unwrap();
    assert!(world.get().await.2);
}

#[tokio::test]
async fn a_number_that_is_vouched_for_needs_no_code_and_voids_what_was_sent() {
    let world = ZitadelWorld::new().await;
    let manager = world.manager().await;
    world.set(NUMBER).await.unwrap();
    let (waits, code) = (world.waits().await, world.code().await);
    let vouched = Some(Proof::IsVerified(true));
    let unchanged = known(Code::FailedPrecondition, "COMMAND-Uch5e", "Phone not changed");
    assert_eq!(manager.set(OWN, NUMBER, vouched).await, unchanged);
    let not_so = Some(Proof::IsVerified(false));
    assert_eq!(
        code_of(manager.set(OWN, OTHER_NUMBER, not_so).await),
        Some(Code::InvalidArgument)
    );
    let (details, shown) = manager.set(OWN, OTHER_NUMBER, vouched).await.unwrap();
    assert_eq!((details.sequence, shown), (3, None));
    let (_, number, verified) = world.get().await;
    assert_eq!((number.as_str(), verified), (OTHER_NUMBER, true));
    let void = world.verification(waits).await;
    assert_eq!(void.status(world.app.clock.now()), VerificationStatus::Canceled);
    let no_code = known(Code::NotFound, "COMMAND-Rsj8c", "Code not found");
    assert_eq!(world.verify(&code).await, no_code);
}

#[tokio::test]
async fn an_app_is_registered_and_removed_and_factors_are_listed_by_kind_and_state() {
    let world = ZitadelWorld::new().await;
    let own = world.own();
    let (details, uri, secret) = own.register(OWN).await.unwrap();
    assert_eq!(details.sequence, 2);
    assert!(
        uri.contains(&secret) && uri.starts_with("otpauth://totp/ZITADEL:"),
        "{uri}"
    );
    let (otp, sms) = (AuthFactors::Otp, AuthFactors::OtpSms);
    let (ready, waits) = (AuthFactorState::Ready, AuthFactorState::NotReady);
    assert_eq!(own.listed(OWN, &[], &[]).await.unwrap(), [(otp, waits)]);
    assert_eq!(own.listed(OWN, &[], &[ready]).await.unwrap(), []);
    let step = world.app.clock.now().seconds() / 30;
    let secret = TotpSecret::from_base32(&secret).unwrap();
    let code = code_at(&secret, TotpAlgorithm::Sha1, 6, step).unwrap();
    assert!(own.prove(OWN, "12345").await.is_err());
    assert_eq!(code_of(own.prove(OWN, "").await), Some(Code::InvalidArgument));
    assert_eq!(own.prove(OWN, code.reveal()).await.unwrap().sequence, 3);
    let manager = world.manager().await;
    let vouched = Some(Proof::IsVerified(true));
    manager.set(OWN, NUMBER, vouched).await.unwrap();
    assert_eq!(own.codes_by_sms(OWN, true).await.unwrap().sequence, 5);
    let both = [(otp, ready), (sms, ready)];
    assert_eq!(own.listed(OWN, &[], &[]).await.unwrap(), both);
    assert_eq!(
        manager.listed(OWN, &[sms], &[ready]).await.unwrap(),
        [(sms, ready)]
    );
    assert_eq!(own.listed(OWN, &[AuthFactors::U2f], &[]).await.unwrap(), []);
    assert_eq!(own.codes_by_sms(OWN, false).await.unwrap().sequence, 6);
    assert_eq!(own.take_away(OWN).await.unwrap().sequence, 7);
    assert_eq!(own.listed(OWN, &[], &[]).await.unwrap(), []);
}
