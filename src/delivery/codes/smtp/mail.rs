//! The e-mail that carries a code.

use std::time::SystemTime;

use lettre::message::header::{ContentType, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Message};
use lettre::{Address, address};
use url::Host;

use super::SmtpSettings;
use crate::delivery::codes::CodeMessage;
use crate::domain::destination::EmailAddress;
use crate::domain::time::Timestamp;

/// The mail, or why there is none.
///
/// Header injection is impossible: names and subject are encoded (RFC 2047), addresses parsed.
pub(super) fn compose(
    settings: &SmtpSettings,
    message: &CodeMessage,
    now: Timestamp,
) -> Result<Message, &'static str> {
    let from = message.from.as_deref().map(EmailAddress::parse).transpose();
    let from = from.map_err(|_| "the address that the message comes from is none")?;
    let from = from.as_ref().unwrap_or(&settings.from);
    let name = message.from_name.as_ref().or(settings.from_name.as_ref());
    let sender = mailbox(from).map_err(|_| "the address that the message comes from is not one of SMTP")?;
    let to = mailbox(&EmailAddress::parse(message.to.as_str()).map_err(|_| NOT_MAIL)?);
    let to = to.map_err(|_| NOT_MAIL)?;
    let id = format!("<{}@{}>", message.id, sender.domain());
    let mail = Message::builder()
        .from(Mailbox::new(name.map(|name| one_line(name)), sender))
        .to(Mailbox::new(None, to))
        .subject(one_line(message.subject.as_deref().unwrap_or("Your code")))
        .date(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now.seconds()))
        .message_id(Some(id))
        .header(AutoSubmitted)
        // Without it the type below means nothing (RFC 2045, section 4).
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN);
    mail.body(message.text.as_str().to_owned())
        .map_err(|_| "the message has no form that mail can carry")
}

/// International domains travel in their ASCII form, so that every server knows them.
fn mailbox(address: &EmailAddress) -> Result<Address, address::AddressError> {
    let local = address.as_str().rsplit_once('@').map_or("", |(local, _)| local);
    let Ok(Host::Domain(domain)) = Host::parse(address.domain()) else {
        return Err(address::AddressError::InvalidDomain);
    };
    Address::new(local, domain)
}

fn one_line(text: &str) -> String {
    text.chars()
        .map(|letter| if letter.is_control() { ' ' } else { letter })
        .collect()
}

/// A mail that no person wrote; vacation programs do not answer it (RFC 3834, section 5).
#[derive(Clone, Copy)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

const NOT_MAIL: &str = "the destination is no address that SMTP knows";

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::super::tests::settings;
    use super::*;

    fn composed(change: impl FnOnce(&mut CodeMessage)) -> String {
        let mut message = samples::email("ada@b\u{fc}cher.example", "4711", "Your code is 4711");
        change(&mut message);
        let mail = compose(&settings(), &message, Timestamp::from_seconds(1_700_000_000)).unwrap();
        String::from_utf8(mail.formatted()).unwrap()
    }

    #[test]
    fn a_mail_has_the_headers_that_it_should() {
        let text = composed(|_| {});
        for line in [
            "From: Owl <owl@example.com>\r\n",
            "To: ada@xn--bcher-kva.example\r\n",
            "Subject: Your code\r\n",
            "Date: Tue, 14 Nov 2023 22:13:20 +0000\r\n",
            "Message-ID: <VL07070707070707070707070707070707@example.com>\r\n",
            "Auto-Submitted: auto-generated\r\n",
            "MIME-Version: 1.0\r\n",
            "Content-Type: text/plain; charset=utf-8\r\n",
        ] {
            assert!(text.contains(line), "{line}: {text}");
        }
        assert!(text.ends_with("\r\n\r\nYour code is 4711"), "{text}");
    }

    #[test]
    fn nothing_that_a_message_holds_becomes_a_header() {
        let evil = "x\r\nBcc: eve@example.com\r\n\r\nHello";
        let text = composed(|message| {
            message.subject = Some(evil.to_owned());
            message.from_name = Some(evil.to_owned());
        });
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(!head.lines().any(|line| line.starts_with("Bcc:")), "{head}");
        assert_eq!(body, "Your code is 4711");
        let mut message = samples::email("ada@example.com", "1", "x");
        message.from = Some(format!("owl@example.com{evil}"));
        assert!(compose(&settings(), &message, Timestamp::from_seconds(0)).is_err());
    }
}
