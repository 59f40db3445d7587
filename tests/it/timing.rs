//! Whether the time that an answer takes tells what it should not (SECURITY.md, row 27; Reparaz, Balasch and Verbauwhede,
//! "Dude, is my code constant time?", 2017).
//!
//! Two kinds of requests alternate by chance, so that whatever else the machine does falls on both alike, and Welch's t
//! says whether their means differ. It is taken of five parts, one after the other, and the one in the middle counts: what the
//! machine does for a while falls into one part, and what an answer tells is in all of them. `COUNTERSIGN_TIMING_SAMPLES` says how many there are of both together: 10,000 unless
//! told.

use std::hint::black_box;
use std::time::Instant;

use axum::body::Body;
use axum::http::Request;
use countersign::crypto::plain_code::PlainCode;
use countersign::crypto::totp::{Code, TotpSecret, code_at, matching_steps};
use countersign::domain::entropy::Entropy;
use countersign::domain::totp_algorithm::TotpAlgorithm;
use countersign::domain::verification::Alphabet;
use serde_json::json;

use crate::doubles::SeededEntropy;
use crate::support::{Credentials, TestApp, User, number_from};

/// The difference at which two means are no longer taken for one. By chance the one in the middle of five is that far off once in a
/// hundred thousand times.
const LIMIT: f64 = 2.5;

const PARTS: usize = 5;

/// How many times there is each input, at places of its own: where something is in memory makes a difference of some nanoseconds.
const COPIES: usize = 16;

/// The nanoseconds that each of two kinds took.
struct Samples([Vec<f64>; 2]);

impl Samples {
    fn count() -> usize {
        number_from("COUNTERSIGN_TIMING_SAMPLES", 10_000)
    }

    /// Which kind each sample is of.
    fn kinds(count: usize) -> impl Iterator<Item = usize> {
        let entropy = SeededEntropy::new(27);
        (0..count).map(move |_| {
            let mut byte = [0];
            entropy.fill(&mut byte);
            usize::from(byte[0] & 1)
        })
    }

    /// Times `operation` on one of two inputs at a time, which are made more than once.
    fn of<T>(inputs: impl Fn() -> [T; 2], operation: impl Fn(&T)) -> Self {
        let copies: Vec<[Box<T>; 2]> = (0..COPIES).map(|_| inputs().map(Box::new)).collect();
        let mut samples = Self([Vec::new(), Vec::new()]);
        for (nth, kind) in Self::kinds(Self::count()).enumerate() {
            let input = &copies[nth % COPIES][kind];
            let began = Instant::now();
            operation(black_box(input));
            samples.add(kind, began);
        }
        samples
    }

    fn add(&mut self, kind: usize, began: Instant) {
        let took = u32::try_from(began.elapsed().as_nanos()).unwrap_or(u32::MAX);
        self.0[kind].push(f64::from(took));
    }

    /// The middle one of the parts' t.
    fn t(&self) -> f64 {
        let parts = self.0.each_ref().map(|kind| kind.len().div_ceil(PARTS));
        let [first, second] = [0, 1].map(|kind| self.0[kind].chunks(parts[kind]));
        let mut of_parts: Vec<f64> = first.zip(second).map(|(one, other)| t([one, other])).collect();
        of_parts.sort_by(f64::total_cmp);
        of_parts[PARTS / 2]
    }

    fn tells_nothing(&self, what: &str) {
        let t = self.t();
        let [first, second] = self.0.each_ref().map(|kind| moments(kind).mean);
        eprintln!("{what}: t = {t:.2}, means {first:.0} and {second:.0} ns");
        assert!(t.abs() < LIMIT, "{what}: t = {t}");
    }
}

/// Welch's t. What is slower than nineteen in twenty of both together was interrupted, and is left out.
fn t(kinds: [&[f64]; 2]) -> f64 {
    let mut all = kinds.concat();
    all.sort_by(f64::total_cmp);
    let slow = all[all.len() * 19 / 20];
    let [first, second] = kinds.map(|kind| {
        let kept: Vec<f64> = kind.iter().copied().filter(|took| *took <= slow).collect();
        moments(&kept)
    });
    (first.mean - second.mean) / (first.error + second.error).sqrt()
}

struct Moments {
    mean: f64,
    /// The square of the mean's standard error.
    error: f64,
}

fn moments(values: &[f64]) -> Moments {
    let count = f64::from(u32::try_from(values.len()).unwrap());
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    Moments {
        mean,
        error: squares / (count - 1.0) / count,
    }
}

/// The measure sees what there is to see: a comparison that stops at the first difference.
#[test]
fn a_comparison_that_stops_early_is_found() {
    let secret = [7_u8; 4096];
    let mut early = secret;
    early[0] = 0;
    let mut late = secret;
    late[4095] = 0;
    let samples = Samples::of(
        || [early, late],
        |guess| {
            black_box(guess.iter().zip(&secret).all(|(one, other)| one == other));
        },
    );
    let t = samples.t();
    assert!(t.abs() > 10.0 * LIMIT, "{t}");
}

#[test]
fn a_wrong_first_digit_takes_as_long_as_a_wrong_last_one() {
    let sent = PlainCode::parse("483920", Alphabet::Digits).unwrap();
    let guesses = || ["183920", "483921"].map(|text| PlainCode::parse(text, Alphabet::Digits).unwrap());
    let samples = Samples::of(guesses, |guess| {
        black_box(sent.matches(guess));
    });
    samples.tells_nothing("codes by message");

    let secret = TotpSecret::generate(TotpAlgorithm::Sha1, &SeededEntropy::new(1));
    let right = code_at(&secret, TotpAlgorithm::Sha1, 6, 100).unwrap();
    let other = |place: usize| {
        let mut digits = right.reveal().as_bytes().to_vec();
        digits[place] = b'0' + (digits[place] - b'0' + 1) % 10;
        Code::parse(std::str::from_utf8(&digits).unwrap(), 6).unwrap()
    };
    let samples = Samples::of(
        || [other(0), other(5)],
        |guess| {
            black_box(matching_steps(&secret, TotpAlgorithm::Sha1, guess, 99..=101));
        },
    );
    samples.tells_nothing("codes of an app");
}

/// What would stand beside a thing in a store, where looking for it takes the same way.
fn neighbour(sid: &str) -> String {
    let (beginning, end) = sid.split_at(sid.len() - 1);
    format!("{beginning}{}", if end == "0" { "1" } else { "0" })
}

/// Times a request with one of two credentials, neither of which is let in.
async fn refused(server: &TestApp, path: &str, credentials: [Credentials; 2]) -> Samples {
    let headers = credentials.map(|credentials| credentials.header());
    let mut samples = Samples([Vec::new(), Vec::new()]);
    for kind in Samples::kinds(Samples::count()) {
        let request = Request::get(path).header("authorization", &headers[kind]);
        let request = request.body(Body::empty()).unwrap();
        let began = Instant::now();
        let answer = server.send(request).await;
        samples.add(kind, began);
        answer.refused(401, 20003);
    }
    samples
}

#[tokio::test]
async fn an_unknown_account_takes_as_long_as_a_wrong_token() {
    let server = TestApp::new().await;
    let known = server.account.clone();
    let (account, token) = (known.user.as_str(), known.password.as_str());
    let wrong_at = |place: usize| {
        let mut token = token.as_bytes().to_vec();
        token[place] = if token[place] == b'0' { b'1' } else { b'0' };
        Credentials::new(&account, std::str::from_utf8(&token).unwrap())
    };
    let (first, last) = (wrong_at(0), wrong_at(token.len() - 1));
    let samples = refused(&server, "/v2/Services", [first.clone(), last]).await;
    samples.tells_nothing("a token that is wrong in front, or at its end");
    let unknown = Credentials::new(&neighbour(account), &first.password);
    let samples = refused(&server, "/v2/Services", [first, unknown]).await;
    samples.tells_nothing("a known account, or an unknown one");
}

#[tokio::test]
async fn an_unknown_device_takes_as_long_as_a_wrong_signature() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let thief = device.imitated();
    let now = server.seconds();
    let claims = json!({"sub": thief.account, "nbf": now, "exp": now + 600});
    let known = thief.jws(&thief.jwt_header(), &claims);
    let mut header = thief.jwt_header();
    header["kid"] = neighbour(&thief.credential).into();
    let unknown = thief.jws(&header, &claims);
    let shown = [known, unknown].map(|token| Credentials::token(&token));
    let samples = refused(&server, &device.path(), shown).await;
    samples.tells_nothing("a known device, or an unknown one");
}
