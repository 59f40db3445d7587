//! What is to be said of the machine that a server runs on: its disk, its clock, its certificate.

use std::fmt;
use std::time::Duration;

use super::time::Timestamp;

/// How full a disk is, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DiskLevel {
    /// What can still be written.
    pub free: u64,
    /// What there is altogether.
    pub size: u64,
}

impl DiskLevel {
    /// Whether somebody should make space: less than a tenth is free, where that is between 64 MiB and 1 GiB.
    #[must_use]
    pub fn is_nearly_full(self) -> bool {
        self.free < (self.size / 10).clamp(64 * MEBIBYTE, 1024 * MEBIBYTE)
    }
}

/// From when to when clients accept a certificate.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct CertificateLife {
    pub begins: Timestamp,
    pub ends: Timestamp,
}

impl CertificateLife {
    /// What is wrong with it at `now`. It ends soon when a fifth of its life is left, or two weeks: whatever renews certificates has
    /// done so before.
    #[must_use]
    pub fn warning(self, now: Timestamp) -> Option<MachineWarning> {
        let notice = (self.ends.since(self.begins) / 5).min(MOST_NOTICE);
        if now >= self.ends {
            Some(MachineWarning::CertificateIsOver(self.ends))
        } else if now < self.begins {
            Some(MachineWarning::CertificateIsNotYetValid(self.begins))
        } else if self.ends.since(now) < notice {
            Some(MachineWarning::CertificateEndsSoon(self.ends))
        } else {
            None
        }
    }
}

/// How far a clock was moved between two looks at it, in whole seconds, `elapsed` being what really passed. `None` if it was not, or
/// by less than 5 seconds: time servers correct as much.
#[must_use]
pub fn clock_jump(before: Timestamp, now: Timestamp, elapsed: Duration) -> Option<i64> {
    let signed = |millis: u64| i64::try_from(millis).unwrap_or(i64::MAX);
    let passed = signed(now.millis()) - signed(before.millis());
    let elapsed = i64::try_from(elapsed.as_millis()).unwrap_or(i64::MAX);
    let moved = passed.saturating_sub(elapsed);
    (moved.abs() >= LEAST_JUMP_MILLIS).then_some(moved / 1000)
}

/// What an operator should look at before it stops the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MachineWarning {
    /// It was valid until then, and clients refuse it.
    CertificateIsOver(Timestamp),
    /// It is valid from then on, and clients refuse it.
    CertificateIsNotYetValid(Timestamp),
    /// It is valid until then.
    CertificateEndsSoon(Timestamp),
    /// Lately, by so many seconds.
    ClockJumped(i64),
    /// The disk of the data directory.
    DiskNearlyFull(DiskLevel),
}

impl MachineWarning {
    /// One word, for programs.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::CertificateIsOver(_) => "certificate_is_over",
            Self::CertificateIsNotYetValid(_) => "certificate_is_not_yet_valid",
            Self::CertificateEndsSoon(_) => "certificate_ends_soon",
            Self::ClockJumped(_) => "clock_jumped",
            Self::DiskNearlyFull(_) => "disk_nearly_full",
        }
    }

    /// Whether clients are turned away because of it.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(
            self,
            Self::CertificateIsOver(_) | Self::CertificateIsNotYetValid(_)
        )
    }
}

impl fmt::Display for MachineWarning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CertificateIsOver(ends) => {
                write!(f, "the TLS certificate was valid until {ends}: clients refuse it")
            }
            Self::CertificateIsNotYetValid(begins) => {
                write!(
                    f,
                    "the TLS certificate is not valid before {begins}: clients refuse it"
                )
            }
            Self::CertificateEndsSoon(ends) => {
                write!(f, "the TLS certificate is valid until {ends} only: renew it")
            }
            Self::ClockJumped(seconds) => write!(
                f,
                "the clock of this machine jumped by {seconds:+} s: codes of authenticator apps and the ends of challenges go by \
                 it, so look at the time service"
            ),
            Self::DiskNearlyFull(DiskLevel { free, size }) => write!(
                f,
                "the disk of the data directory is nearly full: {} MiB of {} MiB are free",
                free / MEBIBYTE,
                size / MEBIBYTE
            ),
        }
    }
}

const MEBIBYTE: u64 = 1024 * 1024;

const MOST_NOTICE: Duration = Duration::from_hours(14 * 24);

const LEAST_JUMP_MILLIS: i64 = 5_000;

#[cfg(test)]
mod tests {
    use super::*;

    const DAY: u64 = 86_400;

    fn day(day: u64) -> Timestamp {
        Timestamp::from_seconds(day * DAY)
    }

    #[test]
    fn a_certificate_ends_soon_when_a_fifth_of_its_life_or_two_weeks_are_left() {
        let life = |days: u64| CertificateLife {
            begins: day(1000),
            ends: day(1000 + days),
        };
        for (days, now, code) in [
            (90, 999, Some("certificate_is_not_yet_valid")),
            (90, 1000, None),
            (90, 1000 + 76, None),
            (90, 1000 + 77, Some("certificate_ends_soon")),
            (90, 1000 + 90, Some("certificate_is_over")),
            (10, 1000 + 8, None),
            (10, 1000 + 9, Some("certificate_ends_soon")),
            (7000, 1000 + 6000, None),
        ] {
            let found = life(days).warning(day(now)).map(MachineWarning::code);
            assert_eq!(found, code, "{days} {now}");
        }
        let backwards = CertificateLife {
            begins: day(2000),
            ends: day(1000),
        };
        assert!(backwards.warning(day(1500)).is_some());
    }

    #[test]
    fn a_clock_that_is_corrected_has_not_jumped() {
        let before = Timestamp::from_millis(1_800_000_000_000);
        let second = Duration::from_secs(1);
        let after = |millis: u64| Timestamp::from_millis(millis);
        for (now, jump) in [
            (1_800_000_001_000, None),
            (1_800_000_005_999, None),
            (1_800_000_006_000, Some(5)),
            (1_800_003_601_000, Some(3600)),
            (1_799_999_996_001, None),
            (1_799_999_996_000, Some(-5)),
            (0, Some(-1_800_000_001)),
        ] {
            assert_eq!(clock_jump(before, after(now), second), jump, "{now}");
        }
        // A process that did not run for long has not seen a jump.
        assert_eq!(
            clock_jump(before, after(1_800_000_100_000), Duration::from_secs(100)),
            None
        );
    }

    #[test]
    fn a_small_disk_and_a_large_one_are_nearly_full_at_other_shares() {
        let level = |free: u64, size: u64| DiskLevel {
            free: free * MEBIBYTE,
            size: size * MEBIBYTE,
        };
        for (level, is_nearly_full) in [
            (level(64, 100), false),
            (level(63, 100), true),
            (level(400, 4000), false),
            (level(399, 4000), true),
            (level(1024, 4_000_000), false),
            (level(1023, 4_000_000), true),
        ] {
            assert_eq!(level.is_nearly_full(), is_nearly_full, "{level:?}");
        }
    }
}
