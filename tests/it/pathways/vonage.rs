//! Vonage's Verify, version 1.

use std::sync::Arc;

use async_trait::async_trait;
use countersign::dialect::vonage;
use serde_json::Value;

use super::ground::Ground;
use super::{Kind, Spoken, Subject, Target, Verdict, Way};

pub(super) fn spoken() -> Spoken {
    let evaluates = EVALUATES.map(|(path, evaluates)| (path.to_owned(), evaluates));
    let described = vonage::PATHS.iter().copied().chain([vonage::NETWORK_UNBLOCK]);
    Spoken {
        described: described.map(str::to_owned).collect(),
        evaluates: evaluates.into(),
        ways: vec![Arc::new(Check)],
    }
}

/// What the operations do with codes. A new one has to say that here.
const EVALUATES: [(&str, bool); 6] = [
    ("/verify", false),
    ("/verify/psd2", false),
    ("/verify/check", true),
    ("/verify/search", false),
    ("/verify/control", false),
    ("/verify/network-unblock", false),
];

struct Check;

/// What is answered to a form.
async fn ask(ground: &Ground, path: &str, form: &[(&str, &str)]) -> Value {
    let (status, answer) = ground.form("POST", &format!("{path}/json"), form).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

#[async_trait]
impl Way for Check {
    fn call(&self) -> &'static str {
        "/verify/check"
    }

    fn kind(&self) -> Kind {
        Kind::Number
    }

    fn evaluates(&self) -> usize {
        3
    }

    async fn begin(&self, ground: &Ground, subject: &Subject) -> Target {
        let Subject::Number(number) = subject else {
            panic!("codes are sent to numbers")
        };
        let form = [("number", &**number), ("brand", "Owl Bank"), ("code_length", "6")];
        let begun = ask(ground, "/verify", &form).await;
        let id = begun["request_id"].as_str().unwrap().to_owned();
        let right = ground.message_code(&format!("VE{id}")).await;
        Target {
            // No code that is drawn has letters.
            wrong: match &right {
                Some(right) if right == "000000" => "000001".to_owned(),
                _ => "000000".to_owned(),
            },
            right,
            at: vec![id],
            token: String::new(),
        }
    }

    async fn guess(&self, ground: &Ground, target: &Target, code: &str) -> Verdict {
        let form = [("request_id", &*target.at[0]), ("code", code)];
        let answer = ask(ground, self.call(), &form).await;
        match answer["status"].as_str().unwrap() {
            "0" => Verdict::Right,
            "16" => Verdict::Wrong,
            "17" => Verdict::Limited,
            _ => Verdict::Refused,
        }
    }
}
