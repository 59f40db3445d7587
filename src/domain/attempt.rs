//! Attempts: each try to send a verification's code, and what became of it.

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::country::Country;
use super::destination::Destination;
use super::outbox::Reason;
use super::price::Price;
use super::refusal::AreaRefusal;
use super::sender_name::SenderName;
use super::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
use super::time::Timestamp;

/// One try to send a verification's code, with one sender. It is dated again with whatever becomes known of it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Attempt {
    pub sid: AttemptSid,
    pub account: AccountSid,
    pub service: ServiceSid,
    pub verification: VerificationSid,
    pub channel: Channel,
    /// Where the code goes.
    pub destination: Destination,
    /// `None` for an e-mail, and for numbers that belong to no country.
    pub country: Option<Country>,
    /// In which language the message was written, once it was.
    pub locale: Option<String>,
    /// How many characters the code has.
    pub code_length: u8,
    pub sender: SenderName,
    pub status: AttemptStatus,
    /// When the verification was approved by what this try brought.
    pub converted_at: Option<Timestamp>,
    /// From when on the code is of no use.
    pub expires_at: Timestamp,
    /// What it costs, if the operator said so.
    pub price: Option<Price>,
    /// What the provider calls the message, if it said so.
    pub reference: Option<String>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// What became of a try.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum AttemptStatus {
    /// It waits in the outbox.
    Queued,
    /// The sender's provider took it.
    Sent,
    /// It was not sent.
    Failed {
        /// Why, for the operator; names no secret.
        why: Reason,
    },
    /// It was not sent because the verification was over by then.
    Canceled,
}

impl Attempt {
    /// How long attempts are kept.
    pub const RETENTION: std::time::Duration = std::time::Duration::from_hours(30 * 24);
}

/// Why attempts were not shown or counted.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// The attempt does not exist any more, or not for whoever asks.
    #[error("there is no such attempt")]
    NotFound,
    /// More would have to be looked at than one request may.
    #[error("more than {most} attempts would have to be counted")]
    TooManyToCount {
        /// How many may be looked at.
        most: usize,
    },
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}
