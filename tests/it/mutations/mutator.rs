//! Breaks what is sent, by chance, and the same way for the same seed.

use serde_json::{Value, json};

use crate::server_kill::random::Random;
use crate::support::number_from;

/// Whoever chooses what is broken, and how.
pub(super) struct Mutator {
    random: Random,
    seed: u64,
    /// What other requests say: pieces of it get into this one.
    pub(super) others: Vec<Vec<u8>>,
}

impl Mutator {
    /// One that begins with this seed unless the environment has another.
    pub(super) fn new(seed: u32) -> Self {
        let seed = number_from("COUNTERSIGN_MUTATION_SEED", usize::try_from(seed).unwrap());
        let seed = u64::try_from(seed).unwrap();
        Self {
            random: Random::new(seed),
            seed,
            others: Vec::new(),
        }
    }

    /// Whether one of so many chances came about.
    pub(super) fn one_in(&mut self, chances: u64) -> bool {
        self.random.below(chances) == 0
    }

    /// One of these.
    pub(super) fn choice<'a, T>(&mut self, of: &'a [T]) -> &'a T {
        let nth = self.random.below(of.len() as u64);
        &of[usize::try_from(nth).unwrap()]
    }

    /// The body of a call with this message, broken: half of them in the frame, the others in the message of a good one.
    pub(super) fn frame(&mut self, message: &[u8]) -> Vec<u8> {
        if self.one_in(2) {
            return self.changed(framed(message), ALL_CHANGES);
        }
        framed(&self.changed(message.to_vec(), SMALL_CHANGES))
    }

    /// A body in JSON, broken: as bytes, or in one of its members.
    pub(super) fn json(&mut self, body: &Value) -> Vec<u8> {
        let text = body.to_string().into_bytes();
        if self.one_in(2) {
            let changes = *self.choice(&[SMALL_CHANGES, ALL_CHANGES]);
            return self.changed(text, changes);
        }
        let members = body.as_object().unwrap();
        let mut members: Vec<_> = members
            .iter()
            .map(|(name, value)| (name.clone(), value.to_string()))
            .collect();
        for _ in 0..=self.random.below(2) {
            let nth = usize::try_from(self.random.below(members.len() as u64 + 1)).unwrap();
            let stranger = (self.name(), self.value());
            match (self.random.below(4), members.get_mut(nth)) {
                (0, Some((_, value))) => *value = stranger.1,
                (1, Some((name, _))) => *name = stranger.0,
                // Twice, or in two spellings.
                (2, Some(member)) => {
                    let again = member.clone();
                    members.push(again);
                }
                _ => members.push(stranger),
            }
        }
        let members = members
            .iter()
            .map(|(name, value)| format!("{}:{value}", json!(name)));
        format!("{{{}}}", members.collect::<Vec<_>>().join(",")).into_bytes()
    }

    fn name(&mut self) -> String {
        let names = [
            "",
            "code",
            "isVerified",
            "is_verified",
            "phone",
            "returnCode",
            "sendCode",
            "send_code",
            "userId",
            "user_id",
            "verificationCode",
            "@type",
            "\u{0}",
            "toString",
        ];
        (*self.choice(&names)).to_owned()
    }

    fn value(&mut self) -> String {
        let deep = format!("{}{}", "[".repeat(500), "]".repeat(500));
        let long = json!("A".repeat(3000)).to_string();
        let values = [
            "null",
            "true",
            "false",
            "0",
            "-1",
            "1e400",
            "18446744073709551616",
            "{}",
            "[]",
            "\"\"",
            "[null]",
            "\"\\ud800\"",
            "\"\\u0000\"",
            "NaN",
            "{\"a\":{\"a\":{}}}",
            &deep,
            &long,
        ];
        (*self.choice(&values)).to_owned()
    }

    /// A path whose segments are broken in one place, percent-encoded where they have to be.
    pub(super) fn path(&mut self, path: &str) -> String {
        let at = 1 + usize::try_from(self.random.below(path.len() as u64)).unwrap();
        let (before, behind) = path.split_at(at);
        let [byte]: [u8; 1] = self.random.bytes();
        let piece = match self.random.below(4) {
            0 => format!("%{byte:02x}"),
            1 => "/".to_owned(),
            2 => "%2F..%2f".to_owned(),
            _ => char::from(b'a' + byte % 26).to_string(),
        };
        let skipped = behind.get(usize::from(self.one_in(2))..).unwrap_or_default();
        format!("{before}{piece}{skipped}")
    }

    /// The text of a header, broken within what may stand in one.
    pub(super) fn header(&mut self, value: &str) -> String {
        let bytes = self.changed(value.as_bytes().to_vec(), SMALL_CHANGES);
        let printed = bytes.iter().map(|byte| match byte {
            b' '..=b'~' => char::from(*byte),
            other => char::from(b'!' + other % 94),
        });
        printed.collect::<String>().trim().to_owned()
    }

    /// One to four changes: a bit, a byte, bytes more or less, the end cut off, a length, a piece of another request.
    pub(super) fn changed(&mut self, mut body: Vec<u8>, kinds: u64) -> Vec<u8> {
        for _ in 0..=self.random.below(4) {
            let length = body.len() as u64;
            let at = usize::try_from(self.random.below(length + 1)).unwrap();
            let kind = self.random.below(kinds);
            let [byte, more @ ..]: [u8; 9] = self.random.bytes();
            match kind {
                0 if at < body.len() => body[at] ^= 1 << (byte % 8),
                1 if at < body.len() => body[at] = byte,
                2 => drop(body.splice(at..at, more)),
                3 if at < body.len() => drop(body.remove(at)),
                4 => body.truncate(at),
                // What the call says of its own length, or whether it is compressed.
                5 if body.len() >= 5 => body[1..5].copy_from_slice(&more[..4]),
                6 if !body.is_empty() => body[0] = byte,
                7 => body.extend_from_within(at..),
                _ if self.others.is_empty() => {}
                _ => {
                    let other = self.random.below(self.others.len() as u64);
                    let other = &self.others[usize::try_from(other).unwrap()];
                    let from = at.min(other.len());
                    body.extend_from_slice(&other[from..]);
                }
            }
        }
        body
    }
}

/// Those that leave most of it what it is, and all.
pub(super) const SMALL_CHANGES: u64 = 2;
pub(super) const ALL_CHANGES: u64 = 9;

/// Whoever sees a failure sees how to have it again.
impl Drop for Mutator {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("to have that again: COUNTERSIGN_MUTATION_SEED={}", self.seed);
        }
    }
}

/// A message behind its length.
fn framed(message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[0][..], &length.to_be_bytes(), message].concat()
}
