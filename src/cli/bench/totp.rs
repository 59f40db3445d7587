//! `countersign bench totp`: every request brings a correct code that was never used, on a challenge of its own.
//!
//! A step is accepted once per factor, and never one below the last accepted. With a skew of 2 five steps are live: a
//! factor is enrolled with the earliest and leaves four for the load. Steps last 60 seconds, so those four stay live
//! for at least as long after the enrolment.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::ops::RangeInclusive;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use totp_rs::{Algorithm, Builder};

use crate::domain::entropy::{Entropy as _, SystemEntropy};
use crate::domain::time::{Clock, Timestamp};

use super::api::{Api, Quota, SetUp};
use super::load::{ExpectedAnswer, Work};
use super::target::{AccountCredentials, PreparedRequest, Target};

/// The approval of a correct code, at once.
pub(super) const APPROVED: ExpectedAnswer = ExpectedAnswer {
    status: 201,
    body_contains: r#""status":"approved""#,
};

/// The factors that still have codes, in the order of their turn. One that is in use is not among them.
pub(super) struct Codes {
    target: Target,
    account: AccountCredentials,
    clock: Arc<dyn Clock>,
    factors: Mutex<VecDeque<TotpAccount>>,
}

/// A verified factor and the codes of the steps after the one it was enrolled with.
pub(super) struct TotpAccount {
    path: Box<str>,
    sid: Box<str>,
    enrolled: u64,
    used: usize,
    codes: [[u8; DIGITS]; CODES],
}

impl Codes {
    /// Enrols factors through the API.
    pub(super) fn set_up(set_up: SetUp) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let enrolment = Arc::new(TotpEnrolment {
            entities: set_up.entities(),
            quota: set_up.quota(&stop),
            set_up,
        });
        let pool = enrolment.set_up.pool;
        let factors = pool.work(&stop, |_| Arc::clone(&enrolment).enrol())?;
        let set_up = &enrolment.set_up;
        Ok(Self {
            target: set_up.target.clone(),
            account: set_up.account.clone(),
            clock: Arc::clone(&set_up.clock),
            factors: Mutex::new(factors.into_iter().flatten().collect()),
        })
    }

    /// How many factors are waiting.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Every request that is left: a number that requests of one factor share, the path and the form.
    pub(super) fn into_lines(self) -> impl Iterator<Item = String> {
        let factors = self.factors.into_inner().unwrap_or_else(PoisonError::into_inner);
        let account = self.account;
        (0..CODES).flat_map(move |pass| {
            let lines: Vec<_> = factors
                .iter()
                .enumerate()
                .map(|(number, factor)| {
                    let form = factor.form(pass);
                    format!("{number}\t{}\t{}\t{form}", factor.path, account.reveal())
                })
                .collect();
            lines
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<TotpAccount>> {
        self.factors.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Work for Codes {
    type Piece = TotpAccount;

    fn take(&self, request: &mut Vec<u8>) -> Option<TotpAccount> {
        let live = live_steps(self.clock.now());
        loop {
            let mut factor = self.lock().pop_front()?;
            while factor.used < CODES && factor.step(factor.used) < *live.start() {
                factor.used += 1;
            }
            if factor.used == CODES || factor.step(factor.used) > *live.end() {
                continue;
            }
            let form = factor.form(factor.used);
            factor.used += 1;
            let parts = PreparedRequest {
                method: "POST",
                path: &factor.path,
                form: &form,
            };
            self.target.write(request, &self.account, &parts);
            return Some(factor);
        }
    }

    fn give_back(&self, factor: TotpAccount) {
        if factor.used < CODES {
            self.lock().push_back(factor);
        }
    }
}

impl TotpAccount {
    fn step(&self, code: usize) -> u64 {
        self.enrolled + 1 + code as u64
    }

    fn form(&self, code: usize) -> String {
        let mut form = String::with_capacity(80);
        // Writing to a String cannot fail.
        let _ = write!(form, "FactorSid={}&AuthPayload=", self.sid);
        form.extend(self.codes[code].iter().copied().map(char::from));
        form
    }
}

struct TotpEnrolment {
    set_up: SetUp,
    entities: String,
    quota: Quota,
}

impl TotpEnrolment {
    // One factor for each entity, as in life: caps on an entity's factors and enrolments are never met.
    async fn enrol(self: Arc<Self>) -> Result<Vec<TotpAccount>, String> {
        let mut api = Api::open(self.set_up.target.clone()).await?;
        let mut factors = Vec::new();
        while let Some(number) = self.quota.next(factors.len()) {
            factors.push(self.enrol_one(&mut api, number).await?);
        }
        Ok(factors)
    }

    async fn enrol_one(&self, api: &mut Api, number: usize) -> Result<TotpAccount, String> {
        let (secret, codes, enrolled) = self.secret()?;
        let entity = format!("{}-{number}", self.entities);
        let created = api
            .call(
                &self.set_up.account,
                "POST",
                &format!("{entity}/Factors"),
                &[
                    ("FriendlyName", "bench"),
                    ("FactorType", "totp"),
                    ("Binding.Secret", &secret),
                    ("Config.TimeStep", "60"),
                    ("Config.Skew", "2"),
                    ("Config.CodeLength", "6"),
                ],
            )
            .await?;
        let sid: Box<str> = created.text("/sid")?.into();
        let verified = api
            .call(
                &self.set_up.account,
                "POST",
                &format!("{entity}/Factors/{sid}"),
                &[("AuthPayload", &String::from_utf8_lossy(&codes.enrolment))],
            )
            .await?;
        if verified.text("/status")? != "verified" {
            return Err(format!(
                "the server does not accept a correct code for {sid}: is its clock right?"
            ));
        }
        Ok(TotpAccount {
            path: format!("{entity}/Challenges").into(),
            sid,
            enrolled,
            used: 0,
            codes: codes.load,
        })
    }

    /// A new secret in Base32, its codes, and the step of the first.
    fn secret(&self) -> Result<(String, FactorCodes, u64), String> {
        let enrolled = *live_steps(self.set_up.clock.now()).start();
        loop {
            let mut secret = [0; 20];
            SystemEntropy.fill(&mut secret);
            if let Some(codes) = codes(&secret, enrolled)? {
                let encoded = base32::encode(base32::Alphabet::Rfc4648 { padding: false }, &secret);
                return Ok((encoded, codes, enrolled));
            }
        }
    }
}

/// The codes of one secret.
struct FactorCodes {
    enrolment: [u8; DIGITS],
    load: [[u8; DIGITS]; CODES],
}

/// The code of `first_step` and those of the steps after it; none if two near steps have the same code, which a server
/// may take for a replay.
fn codes(secret: &[u8], first_step: u64) -> Result<Option<FactorCodes>, String> {
    let totp = Builder::new()
        .with_algorithm(Algorithm::SHA1)
        .with_digits(6)
        .with_step_duration(STEP.into())
        .with_secret(secret)
        .build()
        .map_err(|error| error.to_string())?;
    let code = |step: u64| {
        let mut digits = [b'0'; DIGITS];
        digits.copy_from_slice(totp.generate(step * u64::from(STEP)).to_string().as_bytes());
        digits
    };
    let enrolment = code(first_step);
    let load = [1, 2, 3, 4].map(|later| code(first_step + later));
    let after = [5, 6].map(|later| code(first_step + later));
    let mut all = [&[enrolment], load.as_slice(), &after].concat();
    all.sort_unstable();
    all.dedup();
    Ok((all.len() == 1 + CODES + after.len()).then_some(FactorCodes { enrolment, load }))
}

/// The steps that the server accepts now and in a moment, when a request has reached it.
pub(super) fn live_steps(now: Timestamp) -> RangeInclusive<u64> {
    let soon = now + Duration::from_secs(2);
    let (step, skew) = (u64::from(STEP), u64::from(SKEW));
    soon.seconds() / step - skew..=now.seconds() / step + skew
}

/// How many seconds a step lasts, and how many before and after the current one are live.
pub(super) const STEP: u8 = 60;
pub(super) const SKEW: u8 = 2;
const DIGITS: usize = 6;

/// How many requests a factor is good for.
pub(super) const CODES: usize = 4;

#[cfg(test)]
mod tests {
    use crate::doubles::ManualClock;

    use super::*;

    const STEP: u64 = super::STEP as u64;

    #[test]
    fn a_factor_is_used_four_times_and_never_by_two_at_once() {
        let (work, _) = work_with(2);
        let mut request = Vec::new();
        let first = work.take(&mut request).unwrap();
        let text = String::from_utf8(request.clone()).unwrap();
        assert!(text.starts_with("POST /v2/Services/VA1/Entities/bench-0/Challenges HTTP/1.1\r\n"));
        assert!(text.ends_with("FactorSid=YF0&AuthPayload=000000"), "{text}");
        let second = work.take(&mut request).unwrap();
        assert_eq!(&*second.sid, "YF1");
        assert!(work.take(&mut request).is_none());
        work.give_back(first);
        work.give_back(second);
        let mut answered = 2;
        while let Some(factor) = work.take(&mut request) {
            work.give_back(factor);
            answered += 1;
        }
        assert_eq!(answered, 8);
    }

    #[test]
    fn a_code_whose_time_is_over_is_left_out() {
        let (work, clock) = work_with(1);
        let mut request = Vec::new();
        clock.advance(Duration::from_secs(2 * STEP));
        let factor = work.take(&mut request).unwrap();
        assert!(request.ends_with(b"AuthPayload=111111"));
        work.give_back(factor);
        clock.advance(Duration::from_secs(3 * STEP));
        assert!(work.take(&mut request).is_none());
    }

    #[test]
    fn near_the_end_of_a_step_only_codes_that_outlive_it_are_sent() {
        let steps = |seconds| live_steps(Timestamp::from_seconds(seconds));
        assert_eq!(steps(10 * STEP), 8..=12);
        assert_eq!(steps(11 * STEP - 3), 8..=12);
        assert_eq!(steps(11 * STEP - 1), 9..=12);
    }

    #[test]
    fn codes_follow_the_enrolment_step() {
        let codes = codes(b"12345678901234567890", 0).unwrap().unwrap();
        assert_eq!(&codes.enrolment, b"755224");
        assert_eq!(&codes.load[0], b"287082");
        assert_eq!(&codes.load[3], b"338314");
    }

    fn work_with(factors: usize) -> (Codes, Arc<ManualClock>) {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1000 * STEP)));
        let factor = |number| TotpAccount {
            path: format!("/v2/Services/VA1/Entities/bench-{number}/Challenges").into(),
            sid: format!("YF{number}").into(),
            enrolled: 998,
            used: 0,
            codes: [b'0', b'1', b'2', b'3'].map(|digit| [digit; DIGITS]),
        };
        let codes = Codes {
            target: Target::parse("http://127.0.0.1:1").unwrap(),
            account: "AC1:t".parse().unwrap(),
            clock: clock.clone(),
            factors: Mutex::new((0..factors).map(factor).collect()),
        };
        (codes, clock)
    }
}
