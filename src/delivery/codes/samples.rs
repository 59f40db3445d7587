//! Messages for the unit tests of senders.

use zeroize::Zeroizing;

use super::CodeMessage;
use crate::domain::channel::Channel;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AttemptSid;
use crate::domain::time::Timestamp;

pub(super) fn sms(to: &str, code: &str, text: &str) -> CodeMessage {
    let number = PhoneNumber::try_from(to.to_owned()).unwrap();
    message(Channel::Sms, Destination::Phone(number), code, text)
}

pub(super) fn email(to: &str, code: &str, text: &str) -> CodeMessage {
    let address = EmailAddress::parse(to).unwrap();
    let mut message = message(Channel::Email, Destination::Email(address), code, text);
    message.subject = Some("Your code".to_owned());
    message
}

fn message(channel: Channel, to: Destination, code: &str, text: &str) -> CodeMessage {
    CodeMessage {
        id: AttemptSid::from_bytes([7; 16]),
        channel,
        to,
        code: Zeroizing::new(code.to_owned()),
        text: Zeroizing::new(text.to_owned()),
        subject: None,
        locale: "en".to_owned(),
        from: None,
        from_name: None,
        send_digits: None,
        tags: Vec::new(),
        substitutions: Vec::new(),
        template_id: None,
        device_ip: None,
        expires_at: Timestamp::from_seconds(1_800_000_000),
    }
}
