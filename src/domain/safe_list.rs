//! The safe list of an account: numbers that no guard against fraud holds up.

use serde::{Deserialize, Serialize};

use super::phone::PhoneNumber;
use super::sid::SafeListSid;
use super::time::Timestamp;

/// A number that no guard against fraud holds up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SafeNumber {
    /// The identifier.
    pub sid: SafeListSid,
    /// The number.
    pub number: PhoneNumber,
    /// Since when.
    pub date_created: Timestamp,
}
