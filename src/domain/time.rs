//! Server time as the domain sees it: milliseconds since the Unix epoch, passed in, never read.
//!
//! Invariant: [`SystemClock`] is the only place of the library that reads the machine's clock.

use std::borrow::Cow;
use std::fmt;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use time::OffsetDateTime;

/// How far apart the clocks of nodes that share a store may be, and by how much a time server may set one back, so that what is
/// remembered of a moment still to come counts as if it were of now. Only what lies farther ahead shows that a clock was wrong
/// and set back since; nobody waits for the length of such a jump.
pub const CLOCKS_APART: Duration = Duration::from_secs(10);

/// A moment, in milliseconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(u64);

impl Timestamp {
    /// The last moment that has a four-digit year: 9999-12-31T23:59:59.999Z.
    pub const MAX: Self = Self(253_402_300_799_999);

    /// The moment `millis` milliseconds after the epoch, [`Timestamp::MAX`] at the latest.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(if millis < Self::MAX.0 { millis } else { Self::MAX.0 })
    }

    /// The moment `seconds` seconds after the epoch, [`Timestamp::MAX`] at the latest.
    #[must_use]
    pub fn from_seconds(seconds: u64) -> Self {
        Self::from_millis(seconds.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    #[must_use]
    pub fn millis(self) -> u64 {
        self.0
    }

    /// Whole seconds since the epoch.
    #[must_use]
    pub fn seconds(self) -> u64 {
        self.0 / 1000
    }

    /// How long after `earlier` this moment is; zero if it is not after it.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }

    /// The moment `duration` before this one; the epoch at the earliest.
    #[must_use]
    pub fn before(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(whole_millis(duration)))
    }

    /// Whether this moment, which somebody wrote down as past, lies so far ahead of `now` that the clock was set back since: by
    /// more than [`CLOCKS_APART`]. A lesser lead is of another node's clock.
    #[must_use]
    pub fn was_set_back(self, now: Self) -> bool {
        self > now + CLOCKS_APART
    }

    /// Reads an ISO 8601 date and time (RFC 3339): without an offset it is in UTC, and the offset may lack its colon, as many
    /// languages print it (`+0000`).
    #[must_use]
    pub fn parse_iso8601(text: &str) -> Option<Self> {
        let with_offset = with_offset(text);
        let moment =
            OffsetDateTime::parse(&with_offset, &time::format_description::well_known::Rfc3339).ok()?;
        let millis = u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()?;
        (millis <= Self::MAX.0).then_some(Self(millis))
    }
}

impl std::ops::Add<Duration> for Timestamp {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self::from_millis(self.0.saturating_add(whole_millis(duration)))
    }
}

/// `YYYY-MM-DDTHH:MM:SSZ`: no fraction and no numeric offset, the one form that every Twilio client parses.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = i64::try_from(self.seconds()).map_err(|_| fmt::Error)?;
        let moment = OffsetDateTime::from_unix_timestamp(seconds).map_err(|_| fmt::Error)?;
        // Every answer has several dates, and a general formatter takes ten times as long.
        let mut text = *b"0000-00-00T00:00:00Z";
        let year = u16::try_from(moment.year()).map_err(|_| fmt::Error)?;
        put_digits(&mut text[0..4], year);
        put_digits(&mut text[5..7], u8::from(moment.month()).into());
        put_digits(&mut text[8..10], moment.day().into());
        put_digits(&mut text[11..13], moment.hour().into());
        put_digits(&mut text[14..16], moment.minute().into());
        put_digits(&mut text[17..19], moment.second().into());
        f.write_str(std::str::from_utf8(&text).map_err(|_| fmt::Error)?)
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{self}+{}ms", self.0 % 1000)
    }
}

/// Where a flow learns what time it is.
pub trait Clock: Send + Sync + fmt::Debug {
    /// In milliseconds since the epoch; it goes back when somebody sets the clock.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that may read the machine's clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp::from_millis(whole_millis(since_epoch))
    }
}

/// The same moment with its offset written out.
fn with_offset(text: &str) -> Cow<'_, str> {
    let Some((date, time)) = text.split_once(['T', 't']) else {
        return text.into();
    };
    // A plus sign that was not percent-encoded has become a blank.
    let time = &*time.replace(' ', "+");
    let is_offset = |sign: &str| sign.len() == 4 && sign.bytes().all(|byte| byte.is_ascii_digit());
    match time.rsplit_once(['+', '-']) {
        Some((before, offset)) if is_offset(offset) => {
            let sign = &time[before.len()..=before.len()];
            format!("{date}T{before}{sign}{}:{}", &offset[..2], &offset[2..]).into()
        }
        None if !time.ends_with(['Z', 'z']) => format!("{text}Z").into(),
        Some(_) | None => format!("{date}T{time}").into(),
    }
}

fn whole_millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Fills `place` with the last decimal digits of `number`.
fn put_digits(place: &mut [u8], mut number: u16) {
    for digit in place.iter_mut().rev() {
        *digit = b"0123456789"[usize::from(number % 10)];
        number /= 10;
    }
}

#[cfg(test)]
mod tests {
    use time::macros::format_description;

    use super::*;

    #[test]
    fn every_date_is_written_as_a_general_formatter_writes_it() {
        let general = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        // A bit less than a day and a second, so that all days come up, and all hours, minutes and seconds.
        for seconds in (0..=Timestamp::MAX.seconds()).step_by(86_400 - 3_661) {
            let moment = OffsetDateTime::from_unix_timestamp(i64::try_from(seconds).unwrap()).unwrap();
            let expected = moment.format(general).unwrap();
            assert_eq!(Timestamp::from_seconds(seconds).to_string(), expected);
        }
    }

    #[test]
    fn the_wire_form_has_no_fraction_and_ends_in_z() {
        let moment = Timestamp::from_millis(1_438_286_400_987);
        assert_eq!(moment.to_string(), "2015-07-30T20:00:00Z");
        assert_eq!(Timestamp::MAX.to_string(), "9999-12-31T23:59:59Z");
    }

    #[test]
    fn iso8601_is_read_with_any_offset() {
        let expected = Some(Timestamp::from_seconds(1_438_286_400));
        assert_eq!(Timestamp::parse_iso8601("2015-07-30T20:00:00Z"), expected);
        assert_eq!(Timestamp::parse_iso8601("2015-07-30T22:00:00+02:00"), expected);
        for same in [
            "2015-07-30T20:00:00",
            "2015-07-30T20:00:00.000",
            "2015-07-30T20:00:00+0000",
            "2015-07-30T20:00:00-0000",
            "2015-07-30T20:00:00 00:00",
            "2015-07-30T22:00:00 0200",
            "2015-07-30T22:00:00+0200",
            "2015-07-30T18:30:00-0130",
            "2015-07-30T18:30:00.000000-0130",
            "2015-07-30t20:00:00z",
        ] {
            assert_eq!(Timestamp::parse_iso8601(same), expected, "{same}");
        }
        for bad in [
            "",
            "T",
            "T+0000",
            "2015-07-30",
            "2015-07-30T",
            "2015-07-30T20:00",
            "2015-07-30 20:00:00",
            "2015-07-30T20:00:00 UTC",
            "2015-07-30T20:00:00+000",
            "2015-07-30T20:00:00+00000",
            "2015-07-30T20:00:00+2500",
            "2015-07-30T20:00:00+0000Z",
            "2015-07-30T20:00:00ZZ",
            "2015-07-30T20:00:00+é00",
            "1960-01-01T00:00:00Z",
            "tomorrow",
        ] {
            assert_eq!(Timestamp::parse_iso8601(bad), None, "{bad}");
        }
    }
}
