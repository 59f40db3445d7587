//! The e-mail that carries a code.

use std::time::SystemTime;

use lettre::Address;
use lettre::address::Envelope;
use lettre::message::header::{ContentType, From, Header, HeaderName, HeaderValue, MIME_VERSION_1_0};
use lettre::message::{Mailbox, Mailboxes, Message};

use super::SmtpSettings;
use crate::delivery::codes::CodeMessage;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::text::shown;
use crate::domain::time::Timestamp;

/// The mail, or why there is none.
///
/// Header injection is impossible: names and subject are encoded (RFC 2047), addresses parsed.
pub(super) fn compose(
    settings: &SmtpSettings,
    message: &CodeMessage,
    now: Timestamp,
) -> Result<Message, &'static str> {
    let from = message.from.as_ref().unwrap_or(&settings.from);
    let name = message.from_name.as_ref().or(settings.from_name.as_ref());
    let sender = address(from).ok_or("the address that the message comes from is none")?;
    let Destination::Email(to) = &message.to else {
        return Err(NOT_MAIL);
    };
    let to = address(to).ok_or(NOT_MAIL)?;
    let id = format!("<{}@{}>", message.id, sender.domain());
    // The library reads addresses of headers again while it builds a mail, and loses their quotes.
    let envelope = Envelope::new(Some(sender.clone()), vec![to.clone()]);
    let stand_in = Address::new_dangerous("codes", sender.domain());
    let mut mail = Message::builder()
        .envelope(envelope.map_err(|_| NOT_MAIL)?)
        .from(Mailbox::new(None, stand_in))
        .to(Mailbox::new(None, to))
        .subject(one_line(message.subject.as_deref().unwrap_or("Your code")))
        .date(SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(now.seconds()))
        .message_id(Some(id))
        .header(AutoSubmitted)
        // Without it the type below means nothing (RFC 2045, section 4).
        .header(MIME_VERSION_1_0)
        .header(ContentType::TEXT_PLAIN)
        .body(message.text.as_str().to_owned())
        .map_err(|_| "the message has no form that mail can carry")?;
    let sender = Mailbox::new(name.map(|name| one_line(name)), sender);
    mail.headers_mut().set(From::from(Mailboxes::from(sender)));
    Ok(mail)
}

/// The library's own reading is left out: it refuses letters of RFC 6531 such as the virama of Indian scripts. What may stand
/// in a mailbox, [`EmailAddress`] has decided.
fn address(address: &EmailAddress) -> Option<Address> {
    let mailbox = address.mailbox()?;
    Some(Address::new_dangerous(mailbox.local, mailbox.domain))
}

fn one_line(text: &str) -> String {
    shown(text).collect()
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
    use proptest::prelude::*;

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
    }

    #[test]
    fn what_is_refused_of_others_is_quoted() {
        let mail = sent("a..b@docomo.ne.jp").unwrap();
        assert_eq!(mail.envelope().to()[0].to_string(), "\"a..b\"@docomo.ne.jp");
        let text = String::from_utf8(mail.formatted()).unwrap();
        assert!(text.contains("To: \"a..b\"@docomo.ne.jp\r\n"), "{text}");
    }

    /// The mail from and to `address`; `None` if the address is refused where it is given.
    fn sent(address: &str) -> Option<Message> {
        let address = EmailAddress::parse(address).ok()?;
        let mut message = samples::email("ada@example.com", "1", "x");
        message.to = Destination::Email(address.clone());
        message.from = Some(address);
        Some(compose(&settings(), &message, Timestamp::from_seconds(0)).unwrap())
    }

    /// Addresses as nobody has them, and a few that somebody has.
    fn odd() -> impl Strategy<Value = String> {
        let bit = prop_oneof![
            any::<char>().prop_map(String::from),
            "[a-zA-Z0-9]{1,8}",
            "[!-~]",
            Just("\u{938}\u{902}\u{92a}\u{930}\u{94d}\u{915}".to_owned()),
            "\\.{1,3}",
            Just("mailto:".to_owned()),
            Just("(comment)".to_owned()),
            Just("?subject=x".to_owned()),
            Just("\r\nBcc: eve@example.com".to_owned()),
            Just("[127.0.0.1]".to_owned()),
            Just("xn--".to_owned()),
            Just("\u{202e}".to_owned()),
            Just("<".to_owned()),
        ];
        let bits = |most| proptest::collection::vec(bit.clone(), 0..most).prop_map(|bits| bits.concat());
        (bits(6), bits(3), "(\\.[a-z0-9]{1,4}|\\.com)")
            .prop_map(|(local, domain, end)| format!("{local}@{domain}{end}"))
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 4096, ..ProptestConfig::default() })]

        // One reader: whatever is accepted where it is given can be sent, to exactly that mailbox.
        #[test]
        fn the_door_and_the_sender_agree(text in odd()) {
            let Some(mail) = sent(&text) else { return Ok(()) };
            let mailbox = EmailAddress::parse(&text).unwrap().mailbox().unwrap();
            let expected = format!("{}@{}", mailbox.local, mailbox.domain);
            prop_assert_eq!(mail.envelope().to().iter().map(ToString::to_string).collect::<Vec<_>>(), [expected.clone()]);
            prop_assert_eq!(mail.envelope().from().map(ToString::to_string), Some(expected));
            let mail = String::from_utf8(mail.formatted()).unwrap();
            let (head, _) = mail.split_once("\r\n\r\n").unwrap();
            prop_assert_eq!(head.lines().filter(|line| line.starts_with("To: ")).count(), 1);
            prop_assert!(!head.contains("\nBcc"));
        }
    }
}
