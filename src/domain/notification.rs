//! Notifications: asking again for the push of a challenge that waits.

use super::sid::{ChallengeSid, NotificationSid};
use super::text::Invalid;
use super::time::Timestamp;

/// A notification. It is not kept: what remains is its outbox row and its count in the challenge.
#[derive(Clone, Debug)]
pub struct Notification {
    /// What the caller knows it by; no record is kept under it.
    pub sid: NotificationSid,
    /// The challenge that waits.
    pub challenge: ChallengeSid,
    /// How long its delivery is attempted.
    pub life: NotificationLife,
    /// When it was asked for.
    pub date_created: Timestamp,
}

/// How long the delivery of a notification is attempted: at most 300 seconds, and so long if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotificationLife(u16);

impl NotificationLife {
    const LONGEST: u16 = 300;

    /// Checks the range.
    ///
    /// # Errors
    /// [`Invalid`] with the range.
    pub fn new(seconds: u16) -> Result<Self, Invalid> {
        if seconds <= Self::LONGEST {
            Ok(Self(seconds))
        } else {
            Err(Invalid::seconds(0, Self::LONGEST.into()))
        }
    }

    /// 0 to 300.
    #[must_use]
    pub fn seconds(self) -> u16 {
        self.0
    }
}

impl Default for NotificationLife {
    fn default() -> Self {
        Self(Self::LONGEST)
    }
}
