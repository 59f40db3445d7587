//! What a sender of codes is handed, and what it hands back.

use std::fmt;
use std::net::IpAddr;
use std::time::Duration;

use async_trait::async_trait;
use zeroize::Zeroizing;

use crate::delivery::DeliveryOutcome;
use crate::domain::channel::Channel;
use crate::domain::circuit::FailureScope;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::sid::AttemptSid;
use crate::domain::text::may_be_shown;
use crate::domain::time::Timestamp;

/// What is to be sent.
///
/// Its `Debug` shows neither the code nor the text, which may hold one.
#[derive(Clone)]
pub struct CodeMessage {
    /// Which try it is: the same for every repetition of it, so that a provider can tell one message from two.
    pub id: AttemptSid,
    /// The way that it takes.
    pub channel: Channel,
    /// Where it goes; [`Destination::fits`] the channel.
    pub to: Destination,
    /// The code; empty if there is none, as in silent network authentication.
    pub code: Zeroizing<String>,
    /// What is to be read, or read out.
    pub text: Zeroizing<String>,
    /// Of an e-mail.
    pub subject: Option<String>,
    /// The language of the text, such as `pt-BR`.
    pub locale: String,
    /// The address that an e-mail comes from, if it is not the sender's own choice.
    pub from: Option<EmailAddress>,
    /// The name beside the address that an e-mail comes from.
    pub from_name: Option<String>,
    /// What a call dials once it is answered: digits, `*`, `#`, and `w` for half a second's wait.
    pub send_digits: Option<String>,
    /// What the caller wants the provider to record with the message.
    pub tags: Vec<(String, String)>,
    /// What stands for the names in the provider's own template.
    pub substitutions: Vec<(String, String)>,
    /// The provider's own template.
    pub template_id: Option<String>,
    /// The address that the user's device has in its mobile network: silent network authentication asks whose it is.
    pub device_ip: Option<IpAddr>,
    /// From when on the code is of no use.
    pub expires_at: Timestamp,
}

impl fmt::Debug for CodeMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeMessage")
            .field("id", &self.id)
            .field("channel", &self.channel)
            .field("to", &self.to)
            .field("locale", &self.locale)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

/// What came of one try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    /// What came of it; [`DeliveryOutcome::Delivered`] means that the provider has it.
    pub outcome: DeliveryOutcome,
    /// What the provider calls the message: at most 128 printable characters.
    pub reference: Option<String>,
}

impl Sent {
    /// The provider has it, and calls it `reference`.
    #[must_use]
    pub fn delivered(reference: Option<&str>) -> Self {
        Self {
            outcome: DeliveryOutcome::Delivered,
            reference: reference.map(name).filter(|name| !name.is_empty()),
        }
    }

    /// The provider fails, or cannot be reached: it may work later.
    #[must_use]
    pub fn retry(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self::failed(FailureScope::Sender, why, after)
    }

    /// The provider has too much to do: it wants to be left alone for `after`, or for a while.
    #[must_use]
    pub fn overloaded(why: impl Into<String>, after: Option<Duration>) -> Self {
        Self::failed(FailureScope::Overload, why, after)
    }

    /// The provider works, but takes nothing for this recipient now: it may work later. `status` is what it answered, as
    /// [`FailureScope::Recipient`] has it.
    #[must_use]
    pub fn retry_recipient(status: u32, why: impl Into<String>, after: Option<Duration>) -> Self {
        Self::failed(FailureScope::Recipient { status }, why, after)
    }

    fn failed(about: FailureScope, why: impl Into<String>, after: Option<Duration>) -> Self {
        let why = why.into();
        Self {
            outcome: DeliveryOutcome::Retry { why, after, about },
            reference: None,
        }
    }

    /// It will never work as it is.
    #[must_use]
    pub fn refused(why: impl Into<String>) -> Self {
        Self {
            outcome: DeliveryOutcome::Refused { why: why.into() },
            reference: None,
        }
    }
}

/// Sends codes over one provider.
///
/// To add a kind: a folder beside this file, a variant of [`SenderKind`](super::SenderKind), its settings in
/// `config::senders`.
#[async_trait]
pub trait CodeSender: fmt::Debug + Send + Sync {
    /// Tries once. It ends by itself, within half a minute at the most.
    async fn send(&self, message: &CodeMessage) -> Sent;
}

/// The longest name of a message that is kept.
const LONGEST_REFERENCE: usize = 128;

fn name(text: &str) -> String {
    let printable = text.trim().chars().filter(|letter| may_be_shown(*letter));
    printable.take(LONGEST_REFERENCE).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_are_bounded_and_printable() {
        let reference = |text: &str| Sent::delivered(Some(text)).reference;
        assert_eq!(reference(" a\r\nb\u{7f} "), Some("ab".to_owned()));
        assert_eq!(reference(&"\u{e4}".repeat(200)), Some("\u{e4}".repeat(128)));
        assert_eq!(reference(" \0 "), None);
    }

    #[test]
    fn debug_shows_no_code() {
        let message = super::super::samples::sms("+15005550006", "4711", "Your code is 4711");
        let shown = format!("{message:?}");
        assert!(!shown.contains("4711") && !shown.contains("5550006"), "{shown}");
    }
}
