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
    pub(crate) const ALL: [Self; 6] = [
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

/// What a caller says of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum ChannelChoice {
    /// Whatever is best.
    Auto,
    Named(Channel),
}

impl ChannelChoice {
    /// The channel. The best one is silent authentication where somebody can do that, and a text message elsewhere, or where
    /// a payment is to be read before it is agreed to.
    #[must_use]
    pub fn decide(self, available: &[Channel], paid: bool) -> Channel {
        match self {
            Self::Auto if available.contains(&Channel::Sna) && !paid => Channel::Sna,
            Self::Auto => Channel::Sms,
            Self::Named(channel) => channel,
        }
    }

    /// Whether it leads to a phone number; otherwise to an e-mail address.
    #[must_use]
    pub fn is_telephony(self) -> bool {
        match self {
            Self::Auto => true,
            Self::Named(channel) => channel.is_telephony(),
        }
    }
}

impl From<Channel> for ChannelChoice {
    fn from(channel: Channel) -> Self {
        Self::Named(channel)
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

    #[test]
    fn the_best_channel_is_silent_unless_something_has_to_be_read() {
        let (with, without) = ([Channel::Sms, Channel::Sna], [Channel::Sms, Channel::Email]);
        assert_eq!(ChannelChoice::Auto.decide(&with, false), Channel::Sna);
        assert_eq!(ChannelChoice::Auto.decide(&with, true), Channel::Sms);
        assert_eq!(ChannelChoice::Auto.decide(&without, false), Channel::Sms);
        assert_eq!(
            ChannelChoice::from(Channel::Email).decide(&with, false),
            Channel::Email
        );
    }
}
