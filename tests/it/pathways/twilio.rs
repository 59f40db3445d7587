//! Twilio Verify: codes that were sent, and those of apps.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::dialect::twilio::OPERATIONS;
use serde_json::Value;

use super::ground::Ground;
use super::{Kind, Spoken, Subject, Target, Verdict, Way};
use crate::support::messages::another_code;
use crate::support::operations::{Codes, samples};

pub(super) fn spoken() -> Spoken {
    let name = |method: &str, path: &str| format!("{method} {path}");
    let described = OPERATIONS
        .iter()
        .map(|operation| name(operation.method, operation.path));
    let evaluates = samples().into_iter().map(|sample| {
        let operation = sample.operation;
        let evaluates = sample.codes != Codes::Ignored;
        (name(operation.method, operation.path), evaluates)
    });
    Spoken {
        described: described.collect(),
        evaluates: evaluates.collect(),
        ways: vec![
            Arc::new(Check),
            Arc::new(Enrolment),
            Arc::new(NewChallenge),
            Arc::new(OldChallenge),
        ],
    }
}

/// What is told of a code: the status that means that it was right, any other success, or which error.
fn verdict((status, body): (u16, Value), right: &str) -> Verdict {
    match status {
        200..300 if body["status"] == right => Verdict::Right,
        200..300 => Verdict::Wrong,
        429 => Verdict::Limited,
        _ => Verdict::Refused,
    }
}

/// A code that was sent.
struct Check;

#[async_trait]
impl Way for Check {
    fn call(&self) -> &'static str {
        "POST /v2/Services/{ServiceSid}/VerificationCheck"
    }

    fn kind(&self) -> Kind {
        Kind::Number
    }

    fn evaluates(&self) -> usize {
        5
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let Subject::Number(number) = subject else {
            panic!("codes are sent to numbers")
        };
        let service = ground
            .twilio("POST", "/v2/Services", &[("FriendlyName", "Owl Bank")])
            .await
            .1;
        let service = format!("/v2/Services/{}", service["sid"].as_str().unwrap());
        let form = [("To", number.as_str()), ("Channel", "sms")];
        let begun = ground
            .twilio("POST", &format!("{service}/Verifications"), &form)
            .await
            .1;
        let sid = begun["sid"].as_str().unwrap();
        let right = ground.message_code(sid).await;
        Target {
            at: vec![format!("{service}/VerificationCheck"), sid.to_owned()],
            token: String::new(),
            // One that is too short is as good as any.
            wrong: right.as_deref().map_or_else(|| "0000".to_owned(), another_code),
            right,
        }
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let form = [("VerificationSid", target.at[1].as_str()), ("Code", code)];
        verdict(ground.twilio("POST", &target.at[0], &form).await, "approved")
    }
}

/// What an app is to be checked at.
fn app_target(ground: &Ground, subject: &Subject, at: impl FnOnce(&str, &str) -> Vec<String>) -> Target {
    let (Subject::Unverified(app) | Subject::Verified(app)) = subject else {
        panic!("only apps show codes")
    };
    let (right, wrong) = ground.app_codes(app);
    Target {
        at: at(&app.entity, &app.factor),
        token: String::new(),
        right: Some(right),
        wrong,
    }
}

/// The first code of an app.
struct Enrolment;

#[async_trait]
impl Way for Enrolment {
    fn call(&self) -> &'static str {
        "POST /v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}"
    }

    fn kind(&self) -> Kind {
        Kind::Unverified
    }

    fn evaluates(&self) -> usize {
        5
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        app_target(ground, subject, |entity, factor| {
            vec![format!("{entity}/Factors/{factor}")]
        })
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let answer = ground
            .twilio("POST", &target.at[0], &[("AuthPayload", code)])
            .await;
        verdict(answer, "verified")
    }
}

/// A challenge that comes with its code.
struct NewChallenge;

#[async_trait]
impl Way for NewChallenge {
    fn call(&self) -> &'static str {
        "POST /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges"
    }

    fn kind(&self) -> Kind {
        Kind::Verified
    }

    fn evaluates(&self) -> usize {
        10
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        app_target(ground, subject, |entity, factor| {
            vec![format!("{entity}/Challenges"), factor.to_owned()]
        })
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let form = [("FactorSid", target.at[1].as_str()), ("AuthPayload", code)];
        verdict(ground.twilio("POST", &target.at[0], &form).await, "approved")
    }
}

/// A challenge that waits for its code.
struct OldChallenge;

#[async_trait]
impl Way for OldChallenge {
    fn call(&self) -> &'static str {
        "POST /v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}"
    }

    fn kind(&self) -> Kind {
        Kind::Verified
    }

    fn evaluates(&self) -> usize {
        5
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let mut target = app_target(ground, subject, |entity, factor| {
            vec![format!("{entity}/Challenges"), factor.to_owned()]
        });
        let form = [("FactorSid", target.at[1].as_str())];
        let begun = ground.twilio("POST", &target.at[0], &form).await.1;
        target.at = vec![format!("{}/{}", target.at[0], begun["sid"].as_str().unwrap())];
        target
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let answer = ground
            .twilio("POST", &target.at[0], &[("AuthPayload", code)])
            .await;
        verdict(answer, "approved")
    }
}
