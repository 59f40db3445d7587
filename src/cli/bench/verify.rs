//! `countersign bench verify`: every pair of requests sends a code and checks it.
//!
//! The codes are chosen here (`CustomCode`), since nobody reads the messages. The numbers reach nobody: see [`numbers`].

use std::sync::atomic::{AtomicUsize, Ordering};

use super::load::{ExpectedAnswer, Work};
use super::numbers;
use super::target::{AccountCredentials, PreparedRequest, Target};

/// A verification that waits for its code.
pub(super) const CREATED: ExpectedAnswer = ExpectedAnswer {
    status: 201,
    body_contains: r#""status":"pending""#,
};

/// The approval of the right code.
const APPROVED: ExpectedAnswer = ExpectedAnswer {
    status: 201,
    body_contains: r#""status":"approved""#,
};

/// What the service has to allow.
pub(super) const SETTINGS: [(&str, &str); 2] = [("CustomCodeEnabled", "true"), ("CodeLength", "6")];

/// Pairs without end.
pub(super) struct Pairs {
    target: Target,
    account: AccountCredentials,
    verifications: String,
    checks: String,
    areas: Vec<u16>,
    begun: AtomicUsize,
}

/// One pair.
pub(super) struct CodePair {
    /// How many were begun before it.
    nth: usize,
    checked: bool,
}

impl Pairs {
    /// Pairs of this service.
    pub(super) fn new(target: Target, account: AccountCredentials, service: &str) -> Self {
        Self {
            target,
            account,
            verifications: format!("/v2/Services/{service}/Verifications"),
            checks: format!("/v2/Services/{service}/VerificationCheck"),
            areas: numbers::areas(),
            begun: AtomicUsize::new(0),
        }
    }

    fn write(&self, request: &mut Vec<u8>, path: &str, form: &str) {
        let parts = PreparedRequest {
            method: "POST",
            path,
            form,
        };
        self.target.write(request, &self.account, &parts);
    }
}

impl Work for Pairs {
    type Piece = CodePair;

    fn take(&self, request: &mut Vec<u8>) -> Option<CodePair> {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed);
        let form = format!(
            "To=%2B{}&Channel=sms&RiskCheck=disable&CustomCode={}",
            numbers::number(&self.areas, nth),
            code(nth)
        );
        self.write(request, &self.verifications, &form);
        Some(CodePair { nth, checked: false })
    }

    fn follow(&self, pair: &mut CodePair, request: &mut Vec<u8>) -> Option<ExpectedAnswer> {
        if pair.checked {
            return None;
        }
        pair.checked = true;
        let form = format!(
            "To=%2B{}&Code={}",
            numbers::number(&self.areas, pair.nth),
            code(pair.nth)
        );
        self.write(request, &self.checks, &form);
        Some(APPROVED)
    }

    fn give_back(&self, _: CodePair) {}
}

fn code(nth: usize) -> String {
    format!("{:06}", nth.wrapping_mul(7919) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pair_is_two_requests_about_one_number_with_one_code() {
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        let pairs = Pairs::new(target, "AC1:t".parse().unwrap(), "VA1");
        let mut request = Vec::new();
        let mut pair = pairs.take(&mut request).unwrap();
        let created = String::from_utf8(request.clone()).unwrap();
        assert!(created.starts_with("POST /v2/Services/VA1/Verifications HTTP/1.1\r\n"));
        assert!(created.ends_with("To=%2B12015550100&Channel=sms&RiskCheck=disable&CustomCode=000000"));
        assert_eq!(pairs.follow(&mut pair, &mut request).unwrap().status, 201);
        let checked = String::from_utf8(request.clone()).unwrap();
        assert!(checked.starts_with("POST /v2/Services/VA1/VerificationCheck HTTP/1.1\r\n"));
        assert!(checked.ends_with("To=%2B12015550100&Code=000000"));
        assert!(pairs.follow(&mut pair, &mut request).is_none());
    }
}
