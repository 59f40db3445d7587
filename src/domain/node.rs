//! The servers that share a store: what each says of itself, in what they must agree, and whose clock is wrong.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::time::{CLOCKS_APART, Timestamp};

/// One run of a server, from its start to its end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(#[serde(with = "serde_bytes")] [u8; 16]);

impl NodeId {
    /// The identifier with these bytes, which were drawn by chance.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// As they stand in keys.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}")
    }
}

/// What a server says of itself to those that share its store, again and again.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeRecord {
    /// What its machine is called.
    pub host: String,
    /// The version of its program.
    pub version: String,
    /// When it was started, by its own clock.
    pub started: Timestamp,
    /// Until when it counts as running, by the database's clock if that can be asked.
    pub until: Timestamp,
    /// How far its clock is from the database's, as far as it knows.
    pub clock: Option<ClockOffset>,
    /// The settings that all must have alike.
    pub settings: Vec<SettingMark>,
}

/// Tells two values of a setting apart, and neither of them to anybody.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct SettingMark {
    pub name: String,
    #[serde(with = "serde_bytes")]
    pub mark: [u8; 8],
}

impl NodeRecord {
    /// For how long a server counts as running without saying so.
    pub const LIFE: Duration = Duration::from_mins(1);

    /// Whether it counts as running at `now`.
    #[must_use]
    pub fn is_live(&self, now: Timestamp) -> bool {
        now < self.until
    }

    /// The settings that another server has otherwise. What one of them does not know at all, being of another version or
    /// not speaking what it is for, is none.
    #[must_use]
    pub fn differences(&self, other: &Self) -> Vec<&str> {
        let differs = |ours: &&SettingMark| {
            let theirs = other.settings.iter().find(|theirs| theirs.name == ours.name);
            theirs.is_some_and(|theirs| theirs.mark != ours.mark)
        };
        self.settings
            .iter()
            .filter(differs)
            .map(|setting| setting.name.as_str())
            .collect()
    }
}

/// How far the clock of the database is ahead of a server's, in milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ClockOffset(i64);

impl ClockOffset {
    /// From what the database's clock showed between these two moments. `None` if that took too long to tell, or a clock was set
    /// meanwhile.
    #[must_use]
    pub fn measured(asked: Timestamp, database: Timestamp, answered: Timestamp) -> Option<Self> {
        let round_trip = answered.since(asked);
        if answered < asked || round_trip > LONGEST_ROUND_TRIP {
            return None;
        }
        let middle = asked + round_trip / 2;
        let signed = |moment: Timestamp| i64::try_from(moment.millis()).unwrap_or(i64::MAX);
        Some(Self(signed(database) - signed(middle)))
    }

    /// What the database's clock shows when the server's shows `now`.
    #[must_use]
    pub fn database_at(self, now: Timestamp) -> Timestamp {
        let distance = Duration::from_millis(self.0.unsigned_abs());
        if self.0 < 0 {
            now.before(distance)
        } else {
            now + distance
        }
    }

    /// In seconds.
    #[must_use]
    #[expect(
        clippy::cast_precision_loss,
        reason = "thousands of years of milliseconds are exact"
    )]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    fn is_beyond(self, other: Self, limit: Duration) -> bool {
        u128::from(self.0.abs_diff(other.0)) > limit.as_millis()
    }
}

/// `12.5 s behind`: where the server's clock is, seen from the database's.
impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let side = if self.0 < 0 { "ahead of" } else { "behind" };
        write!(f, "{:.1} s {side}", self.seconds().abs())
    }
}

/// Beyond that a round trip says too little of a clock.
const LONGEST_ROUND_TRIP: Duration = Duration::from_secs(2);

/// From where on somebody ought to look at the clock. Two servers that far away, each to its side, still do no harm.
const NOTICEABLE: Duration = Duration::from_secs(2);

/// What is to be thought of a server's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockVerdict {
    /// It is near enough the database's.
    Right,
    /// It does no harm yet.
    Noticeable,
    /// It is far from the database's, but so are those of most servers: the database's is the one that is wrong, and all that is
    /// compared are clocks of servers.
    DatabaseIsWrong,
    /// It is farther from the others' than they can take.
    Wrong,
}

impl ClockVerdict {
    /// The verdict on a clock, from what the other servers that run say of theirs. One that runs alone has nobody to disagree
    /// with, so a database that moves to a machine with another clock does not stop it; `starting`, it is to be looked at.
    #[must_use]
    pub fn of(ours: ClockOffset, others: &[Option<ClockOffset>], starting: bool) -> Self {
        let zero = ClockOffset::default();
        if !ours.is_beyond(zero, NOTICEABLE) {
            return Self::Right;
        }
        if !ours.is_beyond(zero, CLOCKS_APART) {
            return Self::Noticeable;
        }
        let agrees = |theirs: &&Option<ClockOffset>| {
            theirs.is_some_and(|theirs| !ours.is_beyond(theirs, CLOCKS_APART))
        };
        let agreeing = others.iter().filter(agrees).count();
        let alone = others.is_empty();
        // More than half of all, this one counted.
        let most = 2 * (agreeing + 1) > others.len() + 1;
        if most && !(alone && starting) {
            Self::DatabaseIsWrong
        } else {
            Self::Wrong
        }
    }
}

/// What one server does for all that share a store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Duty {
    /// Makes backups.
    Backup,
    /// Announces what was not answered in time.
    ChallengeTimers,
    /// Writes entries anew when the data keys have changed.
    KeyWalk,
    /// Reclaims space.
    Sweep,
}

impl Duty {
    /// All that there are.
    pub const ALL: [Self; 4] = [Self::Backup, Self::ChallengeTimers, Self::KeyWalk, Self::Sweep];

    /// As it stands in a key.
    #[must_use]
    pub fn to_byte(self) -> u8 {
        match self {
            Self::Backup => b'b',
            Self::ChallengeTimers => b'c',
            Self::KeyWalk => b'k',
            Self::Sweep => b's',
        }
    }

    /// The duty that stands for a byte of a key.
    #[must_use]
    pub fn from_byte(byte: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|duty| duty.to_byte() == byte)
    }
}

/// Who has a duty (a lease): nothing rests on there being one only, but work is done in vain where there are two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DutyHolder {
    /// Who does it.
    pub node: NodeId,
    /// By when it is held no longer, unless it is renewed.
    pub until: Timestamp,
}

impl DutyHolder {
    /// How long a duty is held without being renewed.
    pub const LEASE: Duration = Duration::from_secs(15);

    /// Whether others may take it: they wait until it is over by the holder's clock, too. What nobody can have written by `now`
    /// is of a clock that was set back since.
    #[must_use]
    pub fn is_over(&self, now: Timestamp) -> bool {
        now > self.until + CLOCKS_APART || self.until > now + Self::LEASE + CLOCKS_APART
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offset(seconds: i64) -> ClockOffset {
        ClockOffset(seconds * 1000)
    }

    fn node(settings: &[(&str, u8)]) -> NodeRecord {
        let mark = |(name, byte): &(&str, u8)| SettingMark {
            name: (*name).to_owned(),
            mark: [*byte; 8],
        };
        NodeRecord {
            host: "one".to_owned(),
            version: "1".to_owned(),
            started: Timestamp::default(),
            until: Timestamp::from_seconds(60),
            clock: None,
            settings: settings.iter().map(mark).collect(),
        }
    }

    #[test]
    fn settings_differ_where_both_have_them_and_not_alike() {
        let ours = node(&[("a", 1), ("b", 1), ("ours", 1)]);
        let theirs = node(&[("theirs", 1), ("b", 2), ("a", 1)]);
        assert_eq!(ours.differences(&theirs), ["b"]);
        assert_eq!(ours.differences(&ours), Vec::<&str>::new());
    }

    #[test]
    fn an_offset_counts_from_the_middle_of_the_round_trip() {
        let at = Timestamp::from_millis;
        let measured =
            |asked, database, answered| ClockOffset::measured(at(asked), at(database), at(answered));
        let ahead = measured(1000, 5100, 1200).unwrap();
        assert_eq!((ahead, ahead.to_string()), (offset(4), "4.0 s behind".to_owned()));
        let behind = measured(9000, 5100, 9200).unwrap();
        assert_eq!(behind.to_string(), "4.0 s ahead of");
        assert_eq!(behind.database_at(at(9100)), at(5100));
        assert_eq!(ahead.database_at(at(1100)), at(5100));
        // What cannot be told is not guessed.
        assert_eq!(measured(1000, 5000, 3001), None);
        assert_eq!(measured(1000, 5000, 999), None);
    }

    #[test]
    fn a_clock_is_wrong_if_most_others_do_not_agree_with_it() {
        use ClockVerdict::{DatabaseIsWrong, Noticeable, Right, Wrong};
        let verdict = |ours: i64, others: &[i64]| {
            let others: Vec<_> = others.iter().map(|seconds| Some(offset(*seconds))).collect();
            ClockVerdict::of(offset(ours), &others, false)
        };
        for (ours, others, expected) in [
            (2, &[][..], Right),
            (-2, &[60], Right),
            (3, &[0], Noticeable),
            (-10, &[0], Noticeable),
            (11, &[0], Wrong),
            (-11, &[0, 0], Wrong),
            (11, &[11, 0, 0], Wrong),
            // Two of four are no majority.
            (11, &[11, -30, 0], Wrong),
            (11, &[11], DatabaseIsWrong),
            (3600, &[3598, 3605, 0], DatabaseIsWrong),
            (11, &[11, 0], DatabaseIsWrong),
            // Nobody to be apart from.
            (11, &[], DatabaseIsWrong),
        ] {
            assert_eq!(verdict(ours, others), expected, "{ours} {others:?}");
        }
        assert_eq!(ClockVerdict::of(offset(11), &[], true), Wrong);
        assert_eq!(
            ClockVerdict::of(offset(11), &[Some(offset(11))], true),
            DatabaseIsWrong
        );
        // Who does not know does not agree.
        assert_eq!(ClockVerdict::of(offset(11), &[None], false), Wrong);
    }

    #[test]
    fn a_duty_is_over_for_others_when_it_is_for_every_clock() {
        let node = NodeId::from_bytes([1; 16]);
        let until = Timestamp::from_seconds(100);
        let holder = DutyHolder { node, until };
        assert!(!holder.is_over(until + CLOCKS_APART));
        assert!(holder.is_over(until + CLOCKS_APART + Duration::from_millis(1)));
    }

    #[test]
    fn every_duty_has_a_byte_of_its_own() {
        for duty in Duty::ALL {
            assert_eq!(Duty::from_byte(duty.to_byte()), Some(duty));
        }
        assert_eq!(Duty::from_byte(0), None);
    }
}
