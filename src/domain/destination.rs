//! Where a code goes: to a phone number or to an e-mail address.

use serde::{Deserialize, Serialize};

use super::channel::Channel;
use super::phone::PhoneNumber;

pub use super::email::EmailAddress;

/// Where a code goes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Destination {
    /// An e-mail address.
    Email(EmailAddress),
    /// A phone number in E.164 form.
    Phone(PhoneNumber),
}

impl Destination {
    /// The address or the number.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Email(address) => address.as_str(),
            Self::Phone(number) => number.as_str(),
        }
    }

    /// What tells destinations apart in keys: one byte for the kind and the text, an address in lower case with its domain
    /// as the DNS has it and without the dots and tags that its provider is known to ignore, a number in the form that its country gives mobile phones today. So no other spelling has counters
    /// of its own; what is sent goes to the destination as it was given.
    #[must_use]
    pub fn to_key(&self) -> Vec<u8> {
        let (kind, text) = match self {
            Self::Email(address) => (b'e', address.counted()),
            Self::Phone(number) => (b'p', number.counted()),
        };
        let mut key = vec![kind];
        key.extend_from_slice(text.as_bytes());
        key
    }

    /// For people, with most of it hidden.
    #[must_use]
    pub fn masked(&self) -> String {
        match self {
            Self::Email(address) => format!("***@{}", address.domain()),
            Self::Phone(number) => number.masked(),
        }
    }

    /// What tells those apart who may answer differently for it, as [`Destination::to_key`] does: each number, and the domain
    /// of an address with all below what somebody registered, which is one person's to name and to answer for.
    #[must_use]
    pub fn group_key(&self) -> Vec<u8> {
        let mut key = self.to_key();
        if let (Self::Email(address), Some(at)) = (self, key.iter().rposition(|byte| *byte == b'@')) {
            match address.private_domain() {
                Some(domain) => {
                    key.truncate(1);
                    key.push(b'@');
                    key.extend_from_slice(domain.as_bytes());
                }
                None => drop(key.drain(1..at)),
            }
        }
        key
    }

    /// Whether `channel` leads to it.
    #[must_use]
    pub fn fits(&self, channel: Channel) -> bool {
        matches!(self, Self::Phone(_)) == channel.is_telephony()
    }

    /// Whether both lead to the same reader beyond doubt: a code that was sent to one proves the other. What
    /// [`to_key`](Self::to_key) takes together for limits may be two lines, or two people.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Email(one), Self::Email(other)) => one.folded() == other.folded(),
            (Self::Phone(one), Self::Phone(other)) => one == other,
            (Self::Email(_), Self::Phone(_)) | (Self::Phone(_), Self::Email(_)) => false,
        }
    }

    /// Where a message on this channel goes.
    #[must_use]
    pub fn on(&self, channel: Channel) -> Self {
        match self {
            Self::Phone(number) if channel != Channel::Call => Self::Phone(number.for_texts()),
            Self::Email(_) | Self::Phone(_) => self.clone(),
        }
    }

    /// The phone number, if it is one.
    #[must_use]
    pub fn phone(&self) -> Option<&PhoneNumber> {
        match self {
            Self::Email(_) => None,
            Self::Phone(number) => Some(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_address_have_one_key() {
        let key = |text: &str| Destination::Email(EmailAddress::parse(text).unwrap()).to_key();
        assert_eq!(key("Ada@Example.COM"), key("ada@example.com"));
        assert_ne!(key("ada@example.com"), key("adb@example.com"));
        for text in [
            "ada@b\u{fc}cher.example",
            "ADA@B\u{dc}CHER.Example",
            "ada@bu\u{308}cher.example",
            "ada@XN--bcher-kva.example",
        ] {
            assert_eq!(key(text), key("ada@xn--bcher-kva.example"), "{text}");
        }
    }

    #[test]
    fn a_channel_leads_to_its_kind_of_destination_only() {
        let email = Destination::Email(EmailAddress::parse("ada@example.com").unwrap());
        let phone = Destination::Phone(PhoneNumber::parse("+1 415 555 2671", None).unwrap());
        for channel in Channel::ALL {
            assert_eq!(email.fits(channel), channel == Channel::Email);
            assert_eq!(phone.fits(channel), channel != Channel::Email);
        }
        assert!(email.phone().is_none());
        assert_eq!(phone.phone().map(PhoneNumber::as_str), Some("+14155552671"));
        assert_ne!(email.to_key()[0], phone.to_key()[0]);
    }

    #[test]
    fn forms_of_one_line_have_one_key_and_texts_go_to_todays() {
        let number = |text: &str| Destination::Phone(PhoneNumber::parse(text, None).unwrap());
        for (old, new) in [
            ("+54 11 2345 6789", "+54 9 11 2345 6789"),
            ("+52 1 55 1234 5678", "+52 55 1234 5678"),
            ("+55 11 8876 5432", "+55 11 9 8876 5432"),
        ] {
            let (old, new) = (number(old), number(new));
            assert_eq!(old.to_key(), new.to_key());
            assert_eq!(old.on(Channel::Sms), new);
            assert_eq!(old.on(Channel::Call), old);
            assert_eq!(new.on(Channel::Sms), new);
        }
    }

    #[test]
    fn spellings_of_one_number_have_one_key() {
        let key = |text: &str| Destination::Phone(PhoneNumber::parse(text, None).unwrap()).to_key();
        for text in ["+1 415 555 2671", "0014155552671", "+1(415)5552671"] {
            assert_eq!(key(text), b"p14155552671");
        }
    }
}
