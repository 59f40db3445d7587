//! Where codes go and on which way, as parameters and paths name it.

use super::call::Call;
use super::error::ApiError;
use crate::domain::channel::{Channel, ChannelChoice};
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::phone::PhoneNumber;
use crate::domain::text::Invalid;
use crate::flows::verification::VerificationName;

/// Reads a phone number in E.164 form, or an e-mail address.
pub(super) fn destination(text: &str) -> Result<Destination, Invalid> {
    if text.contains('@') {
        EmailAddress::parse(text).map(Destination::Email)
    } else {
        phone(text).map(Destination::Phone)
    }
}

/// Reads what `channel` leads to.
pub(super) fn destination_of(channel: ChannelChoice) -> impl Fn(&str) -> Result<Destination, Invalid> {
    move |text| {
        if channel.is_telephony() {
            phone(text).map(Destination::Phone)
        } else {
            EmailAddress::parse(text).map(Destination::Email)
        }
    }
}

/// Reads a phone number. A plus sign that was not percent-encoded has become a blank; nothing else can be meant by it.
pub(super) fn phone(text: &str) -> Result<PhoneNumber, Invalid> {
    match text.strip_prefix(' ') {
        Some(digits) if !digits.contains('+') => PhoneNumber::parse(&format!("+{digits}"), None),
        _ => PhoneNumber::parse(text, None),
    }
}

/// Reads a channel. RCS has two names in this API: attempts have the older one, RCS Business Messaging.
pub(super) fn channel_named(name: &str) -> Option<Channel> {
    let rcs = name.eq_ignore_ascii_case("rbm").then_some(Channel::Rcs);
    rcs.or_else(|| Channel::named(name))
}

/// The verification that the path names: by its SID, or by where its codes go.
pub(super) fn which(call: &Call) -> Result<VerificationName, ApiError> {
    let text = call.name("VerificationSid").unwrap_or_default();
    let sid = text.parse().ok().map(VerificationName::Sid);
    sid.or_else(|| destination(text).ok().map(VerificationName::To))
        .ok_or_else(|| call.not_found())
}
