//! E-mail addresses: only those that a mail server can be handed.
//!
//! Invariant: one reader. What [`EmailAddress::parse`] accepts has one form on the wire, [`EmailAddress::mailbox`], and a
//! test holds the library that sends against it.

use std::fmt;

use serde::{Deserialize, Serialize};
use url::Host;

use super::email_providers;
use super::text::{Invalid, is_invisible};

/// An e-mail address that can be written into an SMTP envelope (RFC 5321, 4.1.2): at most 64 bytes before the `@` and 254
/// altogether, as sent; a domain of two labels or more. Quotes, comments, and addresses of hosts in place of a domain are
/// refused. Whether somebody reads it only a code can tell.
///
/// It is personal data: `Debug` shows its domain only.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EmailAddress(String);

/// An e-mail address as SMTP writes it. It is personal data.
#[derive(Clone, PartialEq, Eq)]
pub struct Mailbox {
    /// What stands before the `@`: a dot-string, or in quotes where one has its dots in other places.
    pub local: String,
    /// What stands behind it, in ASCII (RFC 5890).
    pub domain: String,
}

impl EmailAddress {
    /// Checks `text`.
    ///
    /// # Errors
    /// [`Invalid`] with what the address must be.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let address = Self(text.to_owned());
        // Keys hold the folded spelling, which is read again; a letter may be longer in lower case.
        if Mailbox::read(text).is_some() && Mailbox::read(&address.folded()).is_some() {
            Ok(address)
        } else {
            Err(Invalid::EmailAddress)
        }
    }

    /// In the spelling that the caller gave.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// As SMTP writes it; `None` only of a stored text that is no address any more.
    #[must_use]
    pub fn mailbox(&self) -> Option<Mailbox> {
        Mailbox::read(&self.0)
    }

    /// What stands behind the `@`.
    #[must_use]
    pub fn domain(&self) -> &str {
        self.parts().1
    }

    /// The one spelling of all those that lead to the same mailbox.
    #[must_use]
    pub fn folded(&self) -> String {
        let (local, domain) = self.parts();
        let domain = ascii_domain(domain).unwrap_or_else(|| domain.to_lowercase());
        format!("{}@{domain}", local.to_lowercase())
    }

    /// By which limits know it: the same for all spellings that the great providers take for one mailbox.
    pub(super) fn counted(&self) -> String {
        let folded = self.folded();
        let mailbox = folded
            .rsplit_once('@')
            .and_then(|(local, domain)| email_providers::mailbox(local, domain));
        mailbox.map_or(folded, |(local, domain)| format!("{local}@{domain}"))
    }

    /// The domain that somebody registered, whose mailboxes may all be his; `None` where everybody has mailboxes.
    pub(super) fn private_domain(&self) -> Option<String> {
        let domain = ascii_domain(self.domain())?;
        let registered = email_providers::registered(&domain);
        let public = email_providers::is_public(registered) || email_providers::is_public(&domain);
        (!public).then(|| registered.to_owned())
    }

    fn parts(&self) -> (&str, &str) {
        self.0.rsplit_once('@').unwrap_or((&self.0, ""))
    }
}

impl fmt::Debug for EmailAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "***@{}", self.domain())
    }
}

impl Mailbox {
    fn read(text: &str) -> Option<Self> {
        let (local, domain) = text.rsplit_once('@')?;
        if local.is_empty() || !local.chars().all(is_atom) {
            return None;
        }
        let misplaced = local.starts_with('.') || local.ends_with('.') || local.contains("..");
        let local = if misplaced {
            // Mailboxes of Japan's mobile carriers have such names; a dot-string may not (RFC 5321, 4.1.2).
            format!("\"{local}\"")
        } else {
            local.to_owned()
        };
        let mailbox = Self {
            local,
            domain: ascii_domain(domain)?,
        };
        let length = mailbox.local.len() + 1 + mailbox.domain.len();
        (mailbox.local.len() <= 64 && length <= 254).then_some(mailbox)
    }
}

/// A letter of an atom (RFC 5322, 3.2.3; RFC 6531, 3.3), or a dot between two.
fn is_atom(c: char) -> bool {
    // The Kelvin sign is written like a K and becomes a k: a mailbox of somebody else with the same key.
    let disguised = || c.to_lowercase().any(|lower| lower.is_ascii());
    match c {
        _ if c.is_ascii() => c.is_ascii_alphanumeric() || "!#$%&'*+-./=?^_`{|}~".contains(c),
        _ => !c.is_whitespace() && !c.is_control() && !is_invisible(c) && !disguised(),
    }
}

/// A domain as the DNS has it, in lower case: letters, digits and inner dashes, at least two labels. `None` of a host's
/// address, in whichever form, and of whatever else is no such name.
fn ascii_domain(text: &str) -> Option<String> {
    // The parser of URLs would decode what is percent-encoded, and drop tabs and soft hyphens.
    let disguised = |c: char| !c.is_ascii() && c.to_lowercase().any(|lower| lower.is_ascii());
    let written = |c: char| match c {
        '-' | '.' => true,
        _ if c.is_ascii() => c.is_ascii_alphanumeric(),
        _ => !is_invisible(c) && !disguised(c),
    };
    if !text.chars().all(written) {
        return None;
    }
    let Ok(Host::Domain(domain)) = Host::parse(text) else {
        return None;
    };
    let label = |label: &str| {
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        (1..=63).contains(&label.len())
            && label.bytes().all(inner)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    (domain.contains('.') && domain.split('.').all(label)).then_some(domain)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sent(text: &str) -> String {
        let mailbox = EmailAddress::parse(text).unwrap().mailbox().unwrap();
        format!("{}@{}", mailbox.local, mailbox.domain)
    }

    #[test]
    fn addresses_are_told_from_what_is_none() {
        for text in [
            "ada@example.com",
            "a+b.c@mail.example.co.uk",
            "\u{e4}da@b\u{fc}cher.example",
            "o'hara/x=1?@example.com",
            "1@2.example",
        ] {
            assert_eq!(EmailAddress::parse(text).unwrap().as_str(), text);
        }
        let long = format!("{}@example.com", "a".repeat(65));
        let quoted = format!("{}..@example.com", "a".repeat(61));
        let longer_in_lower_case = format!("{}@example.com", "\u{23a}".repeat(32));
        let labels = format!("ada@{}example.com", "a.".repeat(123));
        for text in [
            "",
            "@",
            "ada",
            "ada@",
            "@example.com",
            "ada@example",
            "ada@localhost",
            "ada@@example.com",
            "a b@example.com",
            " ada@example.com",
            "ada@example..com",
            "ada@.com",
            "ada@example.com.",
            "ada@-example.com",
            "ada@exam_ple.com",
            "ada@ex%61mple.com",
            "ada@exa\u{ad}mple.com",
            "ada@example.com\r\nBcc: eve@example.com",
            "<ada@example.com>",
            "a,b@example.com",
            "\u{212a}ate@example.com",
            "kate@\u{212a}ate.example",
            "\u{130}da@example.com",
            "mailto:ada@example.com",
            "ada@example.com?subject=x",
            "ada(x)@example.com",
            "ada@example.com(x)",
            "ada@(x)example.com",
            "\"ada\"@example.com",
            "a\\b@example.com",
            "ada@[127.0.0.1]",
            "ada@[IPv6:::1]",
            "ada@127.0.0.1",
            "ada@0x7f.1",
            "ada@2130706433.1",
            "ada\u{202e}@example.com",
            "ada\u{200b}@example.com",
            &long,
            &quoted,
            &longer_in_lower_case,
            &labels,
        ] {
            assert!(EmailAddress::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn an_address_has_one_form_on_the_wire() {
        for (text, expected) in [
            ("Ada.L@Example.COM", "Ada.L@example.com"),
            ("a..b@docomo.ne.jp", "\"a..b\"@docomo.ne.jp"),
            ("ab.@docomo.ne.jp", "\"ab.\"@docomo.ne.jp"),
            (".ab@docomo.ne.jp", "\".ab\"@docomo.ne.jp"),
            ("\u{e4}da@B\u{dc}CHER.example", "\u{e4}da@xn--bcher-kva.example"),
        ] {
            assert_eq!(sent(text), expected);
        }
    }

    #[test]
    fn an_address_shows_its_domain_only() {
        let address = EmailAddress::parse("ada@example.com").unwrap();
        assert_eq!(format!("{address:?}"), "***@example.com");
    }

    proptest! {
        #[test]
        fn the_folded_spelling_is_an_address_of_its_own(
            local in "(\\PC|[a-zA-Z0-9.+]){1,24}",
            domain in "([a-zA-Z0-9\u{e4}\u{3c3}\u{df}-]{1,8}\\.){1,3}(com|example|XN--P1AI)|gmail.com|PM.me",
        ) {
            let Ok(address) = EmailAddress::parse(&format!("{local}@{domain}")) else { return Ok(()) };
            let folded = address.folded();
            let again = EmailAddress::parse(&folded).unwrap();
            prop_assert_eq!(again.folded(), folded);
            let counted = address.counted();
            let again = EmailAddress::parse(&counted).unwrap();
            prop_assert_eq!(again.counted(), counted);
        }
    }
}
