//! The witness of a store: what somebody outside of it knows of how far it has come.
//!
//! A store that is put back as a whole (its directory was copied back, its machine rolled back) knows nothing of it. So it counts, in
//! its own record and elsewhere, and a store that is behind what stands there was put back.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::key_ring::StoreIdentity;
use super::time::Timestamp;

/// How far a store has come. Of two states of one store the later one is the greater: a count goes on within an epoch, and what
/// was put back begins a new one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct StoreProgress {
    pub epoch: u32,
    pub count: u64,
}

/// What the store itself knows of it; the epoch has its own record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WitnessCount {
    /// How often it was raised.
    pub count: u64,
}

/// What the witness says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Testimony {
    pub identity: StoreIdentity,
    pub progress: StoreProgress,
    /// When it was given, by the server's clock.
    pub at: Timestamp,
}

impl Testimony {
    /// Reads what [`fmt::Display`] wrote; `None` if it is anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let mut value = |name: &str| lines.next()?.strip_prefix(name)?.strip_prefix(' ');
        let store = value("store")?;
        let (epoch, count) = (value("epoch")?, value("count")?);
        let at = value("at")?;
        let mut identity = [0; 16];
        if store.len() != 2 * identity.len() || !store.is_ascii() {
            return None;
        }
        for (byte, digits) in identity.iter_mut().zip(store.as_bytes().chunks_exact(2)) {
            *byte = u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
        }
        let read = Self {
            identity: StoreIdentity::from_bytes(identity),
            progress: StoreProgress {
                epoch: epoch.parse().ok()?,
                count: count.parse().ok()?,
            },
            at: Timestamp::from_millis(at.parse().ok()?),
        };
        // One text for one testimony.
        (read.to_string() == text).then_some(read)
    }
}

impl fmt::Display for Testimony {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let StoreProgress { epoch, count } = self.progress;
        writeln!(
            f,
            "{FIRST_LINE}\nstore {}\nepoch {epoch}\ncount {count}\nat {}",
            self.identity,
            self.at.millis()
        )
    }
}

const FIRST_LINE: &str = "countersign witness 1";

#[cfg(test)]
mod tests {
    use super::*;

    fn testimony() -> Testimony {
        Testimony {
            identity: StoreIdentity::from_bytes([0xa5; 16]),
            progress: StoreProgress { epoch: 2, count: 17 },
            at: Timestamp::from_millis(1_800_000_000_123),
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else() {
        let text = testimony().to_string();
        assert_eq!(
            text,
            "countersign witness 1\nstore a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5\nepoch 2\ncount 17\nat 1800000000123\n"
        );
        assert_eq!(Testimony::parse(&text), Some(testimony()));
        for end in 0..text.len() {
            assert_eq!(Testimony::parse(&text[..end]), None, "{end}");
        }
        for (from, to) in [
            ("17", "017"),
            ("17", "+17"),
            ("17", "-1"),
            ("a5\n", "A5\n"),
            ("\nat", "\n\nat"),
            ("s 1", "s 2"),
        ] {
            assert_eq!(Testimony::parse(&text.replace(from, to)), None, "{to}");
        }
    }

    #[test]
    fn an_epoch_is_further_than_any_count_before_it() {
        let at = |epoch, count| StoreProgress { epoch, count };
        assert!(at(0, 9) < at(1, 1) && at(1, 1) < at(1, 2));
    }
}
