//! Notifications: asking again for the push of a challenge that waits.

use super::sid::{ChallengeSid, NotificationSid};
use super::time::Timestamp;

/// A notification. It is not kept: what remains is its outbox row and its count in the challenge.
#[derive(Clone, Debug)]
pub struct Notification {
    /// The identifier.
    pub sid: NotificationSid,
    /// The challenge that waits.
    pub challenge: ChallengeSid,
    /// How many seconds its delivery is attempted: 0 to 300.
    pub ttl: u16,
    /// When it was asked for.
    pub date_created: Timestamp,
}

impl Notification {
    /// The most seconds that delivery is attempted, and what holds if nothing else is said.
    pub const MAX_TTL: u16 = 300;
}
