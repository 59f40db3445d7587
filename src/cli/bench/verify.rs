//! `countersign bench verify`: every pair of requests sends a code and checks it.
//!
//! The codes are chosen here (`CustomCode`), since nobody reads the messages. The numbers are those that the North American
//! plan keeps for films and books, 555-0100 to 555-0199 of every area: no message can reach anybody.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::load::{Expected, Work};
use super::target::{Basic, Request, Target};

/// A verification that waits for its code.
pub(super) const CREATED: Expected = Expected {
    status: 201,
    body_contains: r#""status":"pending""#,
};

/// The approval of the right code.
const APPROVED: Expected = Expected {
    status: 201,
    body_contains: r#""status":"approved""#,
};

/// What the service has to allow.
pub(super) const SETTINGS: [(&str, &str); 2] = [("CustomCodeEnabled", "true"), ("CodeLength", "6")];

/// Pairs without end.
pub(super) struct Pairs {
    target: Target,
    account: Basic,
    verifications: String,
    checks: String,
    begun: AtomicUsize,
}

/// One pair.
pub(super) struct Pair {
    /// How many were begun before it.
    nth: usize,
    checked: bool,
}

impl Pairs {
    /// Pairs of this service.
    pub(super) fn new(target: Target, account: Basic, service: &str) -> Self {
        Self {
            target,
            account,
            verifications: format!("/v2/Services/{service}/Verifications"),
            checks: format!("/v2/Services/{service}/VerificationCheck"),
            begun: AtomicUsize::new(0),
        }
    }

    fn write(&self, request: &mut Vec<u8>, path: &str, form: &str) {
        let parts = Request {
            method: "POST",
            path,
            form,
        };
        self.target.write(request, &self.account, &parts);
    }
}

impl Work for Pairs {
    type Piece = Pair;

    fn take(&self, request: &mut Vec<u8>) -> Option<Pair> {
        let nth = self.begun.fetch_add(1, Ordering::Relaxed);
        let form = format!(
            "To=%2B{}&Channel=sms&RiskCheck=disable&CustomCode={}",
            number(nth),
            code(nth)
        );
        self.write(request, &self.verifications, &form);
        Some(Pair { nth, checked: false })
    }

    fn follow(&self, pair: &mut Pair, request: &mut Vec<u8>) -> Option<Expected> {
        if pair.checked {
            return None;
        }
        pair.checked = true;
        let form = format!("To=%2B{}&Code={}", number(pair.nth), code(pair.nth));
        self.write(request, &self.checks, &form);
        Some(APPROVED)
    }

    fn give_back(&self, _: Pair) {}
}

/// Area codes begin with 2 to 9 and do not have a 9 in the middle or 11 at the end.
const AREAS: usize = 8 * 9 * 10 - 8;

/// The number of the `nth` pair; after all of them the first one comes again, which was approved long ago.
fn number(nth: usize) -> String {
    let areas = (200..1000).filter(|area| area / 10 % 10 != 9 && area % 100 != 11);
    let area = areas.clone().nth(nth / 100 % AREAS).unwrap_or(200);
    format!("1{area}55501{:02}", nth % 100)
}

fn code(nth: usize) -> String {
    format!("{:06}", nth.wrapping_mul(7919) % 1_000_000)
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::phone::PhoneNumber;

    #[test]
    fn every_number_is_one_of_its_plan_and_comes_once_in_71200() {
        let numbers: HashSet<_> = (0..AREAS * 100).map(number).collect();
        assert_eq!(numbers.len(), 71_200);
        assert_eq!(number(AREAS * 100), number(0));
        for digits in numbers.iter().filter(|digits| digits.ends_with("00")) {
            let parsed = PhoneNumber::parse(&format!("+{digits}"), None).unwrap();
            assert_eq!(parsed.digits(), digits);
        }
    }

    #[test]
    fn a_pair_is_two_requests_about_one_number_with_one_code() {
        let target = Target::parse("http://127.0.0.1:1").unwrap();
        let pairs = Pairs::new(target, "AC1:t".parse().unwrap(), "VA1");
        let mut request = Vec::new();
        let mut pair = pairs.take(&mut request).unwrap();
        let created = String::from_utf8(request.clone()).unwrap();
        assert!(created.starts_with("POST /v2/Services/VA1/Verifications HTTP/1.1\r\n"));
        assert!(created.ends_with("To=%2B12005550100&Channel=sms&RiskCheck=disable&CustomCode=000000"));
        assert_eq!(pairs.follow(&mut pair, &mut request).unwrap().status, 201);
        let checked = String::from_utf8(request.clone()).unwrap();
        assert!(checked.starts_with("POST /v2/Services/VA1/VerificationCheck HTTP/1.1\r\n"));
        assert!(checked.ends_with("To=%2B12005550100&Code=000000"));
        assert!(pairs.follow(&mut pair, &mut request).is_none());
    }
}
