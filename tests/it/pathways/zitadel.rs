//! Zitadel's services: the number and the app of a user, by either of them.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::dialect::zitadel::proto::zitadel::auth::v1::{
    GetMyPhoneRequest, GetMyPhoneResponse, VerifyMyAuthFactorOtpRequest, VerifyMyPhoneRequest,
};
use countersign::dialect::zitadel::proto::zitadel::user::v2::{
    ReturnPhoneVerificationCode, SetPhoneRequest, SetPhoneResponse, VerifyPhoneRequest,
    VerifyTotpRegistrationRequest, set_phone_request,
};
use tonic::Code;

use super::ground::{Ground, next_user};
use super::{Kind, Spoken, Subject, Target, Verdict, Way};
use crate::support::rpc::{Answered, NAMED_USERS, OWN_USER, methods};

pub(super) fn spoken() -> Spoken {
    let of = |service: &'static str, calls: &[(&str, bool)]| {
        let calls = calls
            .iter()
            .map(move |(name, evaluates)| (format!("{service}/{name}"), *evaluates));
        calls.collect::<Vec<_>>()
    };
    let own = of(
        OWN_USER,
        &[
            ("Healthz", false),
            ("GetMyPhone", false),
            ("SetMyPhone", false),
            ("VerifyMyPhone", true),
            ("ResendMyPhoneVerification", false),
            ("RemoveMyPhone", false),
            ("ListMyAuthFactors", false),
            ("AddMyAuthFactorOTP", false),
            ("VerifyMyAuthFactorOTP", true),
            ("RemoveMyAuthFactorOTP", false),
            ("AddMyAuthFactorOTPSMS", false),
            ("RemoveMyAuthFactorOTPSMS", false),
        ],
    );
    let named = of(
        NAMED_USERS,
        &[
            ("SetPhone", false),
            ("ResendPhoneCode", false),
            ("VerifyPhone", true),
            ("RemovePhone", false),
            ("RegisterTOTP", false),
            ("VerifyTOTPRegistration", true),
            ("RemoveTOTP", false),
            ("AddOTPSMS", false),
            ("RemoveOTPSMS", false),
            ("ListAuthenticationFactors", false),
        ],
    );
    Spoken {
        described: methods("zitadel"),
        evaluates: [own, named].concat(),
        ways: vec![
            Arc::new(Number { is_named: false }),
            Arc::new(Number { is_named: true }),
            Arc::new(FirstCode { is_named: false }),
            Arc::new(FirstCode { is_named: true }),
        ],
    }
}

fn verdict(answer: Answered<()>) -> Verdict {
    match answer.map_err(|(code, _)| code) {
        Ok(()) => Verdict::Right,
        Err(Code::InvalidArgument) => Verdict::Wrong,
        Err(Code::ResourceExhausted) => Verdict::Limited,
        Err(_) => Verdict::Refused,
    }
}

/// The code that was sent to a user's number.
struct Number {
    is_named: bool,
}

#[async_trait]
impl Way for Number {
    fn call(&self) -> &'static str {
        if self.is_named {
            "/zitadel.user.v2.UserService/VerifyPhone"
        } else {
            "/zitadel.auth.v1.AuthService/VerifyMyPhone"
        }
    }

    fn kind(&self) -> Kind {
        Kind::Number
    }

    fn evaluates(&self) -> usize {
        10
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let Subject::Number(phone) = subject else {
            panic!("codes are sent to numbers")
        };
        let user = next_user();
        let token = ground.user_token(&user, false).await;
        let path = format!("{OWN_USER}/GetMyPhone");
        let _: GetMyPhoneResponse = ground.call(&path, &token, &GetMyPhoneRequest {}).await.unwrap();
        let backend = ground.user_token("a-backend", true).await;
        let asked = SetPhoneRequest {
            user_id: user.clone(),
            phone: phone.clone(),
            verification: Some(set_phone_request::Verification::ReturnCode(
                ReturnPhoneVerificationCode {},
            )),
        };
        let path = format!("{NAMED_USERS}/SetPhone");
        let set: SetPhoneResponse = ground.call(&path, &backend, &asked).await.unwrap();
        let right = set.verification_code.unwrap();
        let first = if right.starts_with('A') { "B" } else { "A" };
        Target {
            at: vec![user],
            token,
            wrong: format!("{first}{}", &right[1..]),
            right: Some(right),
        }
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let code = code.to_owned();
        let answer = if self.is_named {
            let asked = VerifyPhoneRequest {
                user_id: target.at[0].clone(),
                verification_code: code,
            };
            ground.call(self.call(), &target.token, &asked).await
        } else {
            let asked = VerifyMyPhoneRequest { code };
            ground.call(self.call(), &target.token, &asked).await
        };
        verdict(answer)
    }
}

/// The first code of a user's app.
struct FirstCode {
    is_named: bool,
}

#[async_trait]
impl Way for FirstCode {
    fn call(&self) -> &'static str {
        if self.is_named {
            "/zitadel.user.v2.UserService/VerifyTOTPRegistration"
        } else {
            "/zitadel.auth.v1.AuthService/VerifyMyAuthFactorOTP"
        }
    }

    fn kind(&self) -> Kind {
        Kind::Unverified
    }

    fn evaluates(&self) -> usize {
        5
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let Subject::Unverified(app) = subject else {
            panic!("it is about the first code of an app")
        };
        let (right, wrong) = ground.app_codes(app);
        Target {
            at: vec![app.user.clone()],
            token: app.token.clone(),
            right: Some(right),
            wrong,
        }
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let code = code.to_owned();
        let answer = if self.is_named {
            let asked = VerifyTotpRegistrationRequest {
                user_id: target.at[0].clone(),
                code,
            };
            ground.call(self.call(), &target.token, &asked).await
        } else {
            let asked = VerifyMyAuthFactorOtpRequest { code };
            ground.call(self.call(), &target.token, &asked).await
        };
        verdict(answer)
    }
}
