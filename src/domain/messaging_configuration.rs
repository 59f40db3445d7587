//! Messaging configurations: which messaging service sends a service's text messages to a country.

use serde::{Deserialize, Serialize};

use super::country::Country;
use super::sid::MessagingServiceSid;
use super::time::Timestamp;

/// Which messaging service sends to a country.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct MessagingConfiguration {
    /// Where to.
    pub region: Region,
    /// Which messaging service: senders carry its identifier in the operator's settings.
    pub messaging_service: MessagingServiceSid,
    /// When it was created.
    pub date_created: Timestamp,
    /// When it was last changed.
    pub date_updated: Timestamp,
}

/// Where a configuration holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Region {
    /// Wherever no other one holds.
    All,
    /// In one country.
    Country(Country),
}
