//! Channels: the ways a code can take to somebody.

use serde::{Deserialize, Serialize};

/// The way that a code takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Channel {
    /// A voice call that reads the code out.
    Call,
    /// An e-mail.
    Email,
    /// A message over Rich Communication Services.
    Rcs,
    /// A text message.
    Sms,
    /// Silent network authentication: no code; the device's network says whose it is.
    Sna,
    /// A message over `WhatsApp`.
    Whatsapp,
}

impl Channel {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Sms,
        Self::Call,
        Self::Email,
        Self::Whatsapp,
        Self::Rcs,
        Self::Sna,
    ];

    /// The name on the wire and in settings, such as `sms`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Call => "call",
            Self::Email => "email",
            Self::Rcs => "rcs",
            Self::Sms => "sms",
            Self::Sna => "sna",
            Self::Whatsapp => "whatsapp",
        }
    }

    /// The channel with this name, in lower or upper case; `None` if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        let same = |channel: &Self| channel.name().eq_ignore_ascii_case(name);
        Self::ALL.into_iter().find(same)
    }

    /// Whether it leads to a phone number; otherwise to an e-mail address.
    #[must_use]
    pub fn is_telephony(self) -> bool {
        self != Self::Email
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_are_known_by_their_names() {
        for channel in Channel::ALL {
            assert_eq!(Channel::named(channel.name()), Some(channel));
            assert_eq!(Channel::named(&channel.name().to_uppercase()), Some(channel));
        }
        for name in ["", "auto", "sms ", "voice", "e-mail"] {
            assert_eq!(Channel::named(name), None, "{name:?}");
        }
    }
}
