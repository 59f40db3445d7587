//! What values of settings must be: each format says it in words and reads it.

use std::borrow::Cow;
use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use ipnet::IpNet;
use url::{Host, Origin, Url};
use zeroize::Zeroizing;

use super::hiding::ShownPart;
use super::log_directives::{LogDirectives, LogFormat};
use super::{Bootstrap, CommandLine};
use crate::crypto::age::AgeRecipient;
use crate::crypto::master_key::MasterKey;
use crate::domain::audit::AuditDetail;
use crate::domain::country::Country;
use crate::domain::email::EmailAddress;
use crate::domain::fraud::settings::Countries;
use crate::domain::price::{Currency, Price};
use crate::domain::sid::AccountSid;
use crate::domain::text::{AppHash, IdentityRule};
use crate::domain::web_url;

/// What a value must be, and how it is read.
pub(super) struct Format<T> {
    /// As in "must be a number from 1 to 100".
    pub(super) expected: Cow<'static, str>,
    /// Whether there may be several values: separated by commas, or a list in the file.
    pub(super) is_list: bool,
    /// What of a value may be shown.
    pub(super) shown: ShownPart,
    pub(super) parse: Parse<T>,
}

type Parse<T> = Box<dyn Fn(&str) -> Option<T>>;

impl<T: 'static> Format<T> {
    fn new(expected: impl Into<Cow<'static, str>>, parse: impl Fn(&str) -> Option<T> + 'static) -> Self {
        Self {
            expected: expected.into(),
            is_list: false,
            shown: ShownPart::Whole,
            parse: Box::new(parse),
        }
    }

    fn list(expected: impl Into<Cow<'static, str>>, parse: impl Fn(&str) -> Option<T> + 'static) -> Self {
        Self {
            is_list: true,
            ..Self::new(expected, parse)
        }
    }

    fn showing(self, shown: ShownPart) -> Self {
        Self { shown, ..self }
    }

    fn or_none(self) -> Format<Option<T>> {
        Format::new(format!("{}, or none", self.expected), move |text| match text {
            "none" => Some(None),
            _ => (self.parse)(text).map(Some),
        })
    }
}

/// An address and a port; `localhost` is 127.0.0.1.
pub(super) fn address() -> Format<SocketAddr> {
    Format::new(
        "an IP address and a port, such as 127.0.0.1:8080 or [::]:8080",
        |text| match text.strip_prefix("localhost:") {
            Some(port) => Some(SocketAddr::from(([127, 0, 0, 1], port.parse().ok()?))),
            None => text.parse().ok(),
        },
    )
}

pub(super) fn address_or_none() -> Format<Option<SocketAddr>> {
    let mut format = address().or_none();
    format.expected += " to serve HTTPS only";
    format
}

pub(super) fn bootstrap() -> Format<Bootstrap> {
    let expected = "AC and 32 hexadecimal digits, a colon, and a token of 16 to 128 printable ASCII characters without \
                    blanks and colons";
    Format::new(expected, |text| {
        let (sid, token) = text.split_once(':')?;
        let fits =
            (16..=128).contains(&token.len()) && token.bytes().all(|b| b.is_ascii_graphic() && b != b':');
        let sid = sid.parse().ok()?;
        fits.then(|| Bootstrap {
            sid,
            token: Zeroizing::new(token.to_owned()),
        })
    })
}

pub(super) fn bytes(least: u64, most: u64) -> Format<u64> {
    range("a number of bytes", least, most)
}

/// Where an operator is reached (RFC 8292, section 2.1). Push services refuse tokens with a contact that nobody outside can
/// reach, or that they cannot read (Apple: `BadJwtToken`), and with them every message.
pub(super) fn age_recipients() -> Format<Vec<AgeRecipient>> {
    Format::list(
        "recipients of age (age1... of an X25519 key), separated by commas",
        |text| text.split(',').map(|part| part.trim().parse().ok()).collect(),
    )
}

/// No shell runs it, so what only a shell understands is a mistake.
pub(super) fn command_line() -> Format<CommandLine> {
    let expected = "a program and its arguments; quotes are as in a shell, but none runs it, so pipes, variables and file name \
                    patterns need: sh -c '...'";
    Format::new(expected, CommandLine::parse).showing(ShownPart::Program)
}

pub(super) fn contact() -> Format<String> {
    let expected =
        "mailto: and an e-mail address without blanks, or an https URL, neither of them of this machine";
    Format::new(expected, |text| {
        let contact = match text.strip_prefix("mailto:") {
            Some(address) => mail_contact(address)?,
            None => web_url::read(text).filter(is_elsewhere)?.into(),
        };
        (contact.len() <= 255).then_some(contact)
    })
}

/// An address that needs no percent-encoding in a `mailto:` URI (RFC 6068, section 2).
fn mail_contact(address: &str) -> Option<String> {
    let mailbox = EmailAddress::parse(address).ok()?.mailbox()?;
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"!$'*+-._~".contains(&byte);
    let elsewhere = mailbox.domain != "localhost" && !mailbox.domain.ends_with(".localhost");
    let fits = mailbox.local.bytes().all(plain) && elsewhere;
    fits.then(|| format!("mailto:{}@{}", mailbox.local, mailbox.domain))
}

/// Whether an https URL leads to a host that others can look up.
fn is_elsewhere(url: &Url) -> bool {
    let named = match url.host() {
        Some(Host::Domain(name)) => {
            let name = name.strip_suffix('.').unwrap_or(name);
            name.contains('.') && !name.ends_with(".localhost")
        }
        Some(Host::Ipv4(_) | Host::Ipv6(_)) | None => false,
    };
    named && url.scheme() == "https"
}

pub(super) fn countries() -> Format<Vec<Country>> {
    Format::list("country codes of two letters (GB, not UK)", |text| {
        text.split(',')
            .map(|letters| Country::parse(letters.trim()).ok())
            .collect()
    })
}

pub(super) fn addresses() -> Format<Vec<EmailAddress>> {
    Format::list("e-mail addresses", |text| {
        text.split(',')
            .map(|address| EmailAddress::parse(address.trim()).ok())
            .collect()
    })
}

pub(super) fn countries_or_all() -> Format<Countries> {
    Format::list(
        "all, or country codes of two letters (GB, not UK)",
        |text| match text {
            "all" => Some(Countries::All),
            _ => (countries().parse)(text).map(Countries::Only),
        },
    )
}

pub(super) fn days(most: u64) -> Format<Duration> {
    range("a number of days", 1, most).map(|days| Duration::from_hours(24 * days))
}

pub(super) fn directory() -> Format<PathBuf> {
    Format::new("the path of a directory", |text| Some(PathBuf::from(text)))
}

/// Read by the engine, which says what is wrong with it without showing the password in it.
pub(super) fn store_url() -> Format<String> {
    Format::new(
        "a URL such as postgres://countersign@db.example/countersign",
        |text| Some(text.to_owned()),
    )
    .showing(ShownPart::WithoutPassword)
}

pub(super) fn witness() -> Format<String> {
    // As it is: what is refused is shown, and a password may be in it.
    Format::new(
        "the path of a file, or a URL such as postgres://countersign@db.example/witness",
        |text| Some(text.to_owned()),
    )
    .showing(ShownPart::WithoutPassword)
}

pub(super) fn file_path() -> Format<PathBuf> {
    Format::new("the path of a file", |text| Some(PathBuf::from(text)))
}

pub(super) fn log_directives() -> Format<LogDirectives> {
    Format::new(
        "off, error, warn, info, debug or trace, and behind commas others for modules of this program",
        LogDirectives::parse,
    )
}

pub(super) fn identity_rule() -> Format<IdentityRule> {
    Format::new("narrow or wide", |text| match text {
        "narrow" => Some(IdentityRule::Narrow),
        "wide" => Some(IdentityRule::Wide),
        _ => None,
    })
}

pub(super) fn log_format() -> Format<LogFormat> {
    Format::new("text or json", |text| match text {
        "text" => Some(LogFormat::Text),
        "json" => Some(LogFormat::Json),
        _ => None,
    })
}

pub(super) fn master_key() -> Format<MasterKey> {
    Format::new("base64 of 32 bytes, or 64 hexadecimal digits", |text| {
        MasterKey::parse(text).ok()
    })
}

pub(super) fn minutes(least: u64, most: u64) -> Format<Duration> {
    range("a number of minutes", least, most).map(Duration::from_mins)
}

/// A network that is not written as one (`10.1.2.3/8`) may be a typing error that opens more than was meant.
pub(super) fn networks() -> Format<Vec<IpNet>> {
    let expected = "networks such as 10.1.0.0/16 or fd00:1::/32, or single addresses, separated by commas, with no bits \
                    set behind the network's";
    let network = |text: &str| {
        if let Ok(address) = text.parse::<IpAddr>() {
            return Some(IpNet::from(address));
        }
        let network: IpNet = text.parse().ok()?;
        (network.trunc() == network).then_some(network)
    };
    Format::list(expected, move |text| {
        text.split(',').map(|part| network(part.trim())).collect()
    })
}

pub(super) fn page_origins() -> Format<Vec<Origin>> {
    let expected = "origins such as https://app.example or http://localhost:3000, separated by commas: a scheme, a host and \
                    perhaps a port that is not the scheme's own, with nothing behind it";
    // As browsers write them, or they would never be equal.
    let origin = |text: &str| {
        let url = Url::parse(text).ok()?;
        let origin = url.origin();
        let is_one = matches!(url.scheme(), "http" | "https") && origin.ascii_serialization() == text;
        is_one.then_some(origin)
    };
    Format::list(expected, move |text| {
        text.split(',').map(|part| origin(part.trim())).collect()
    })
}

pub(super) fn number<N>(least: N, most: N) -> Format<N>
where
    N: FromStr + PartialOrd + Display + Copy + 'static,
{
    range("a number", least, most)
}

pub(super) fn number_or_none(least: u32, most: u32) -> Format<Option<u32>> {
    number(least, most).or_none()
}

/// Whether what the setting is about is allowed.
pub(super) fn permission() -> Format<bool> {
    Format::new("allow or refuse", |text| match text {
        "allow" => Some(true),
        "refuse" => Some(false),
        _ => None,
    })
}

/// How much is written into the audit log.
pub(super) fn audit_detail() -> Format<AuditDetail> {
    Format::new("decisions, all or off", |text| match text {
        "decisions" => Some(AuditDetail::Decisions),
        "all" => Some(AuditDetail::All),
        "off" => Some(AuditDetail::Off),
        _ => None,
    })
}

/// Whether callers have to show a bearer token.
pub(super) fn bearer_or_none() -> Format<bool> {
    Format::new("bearer or none", |text| match text {
        "bearer" => Some(true),
        "none" => Some(false),
        _ => None,
    })
}

pub(super) fn account_sid() -> Format<AccountSid> {
    Format::new("AC and 32 hexadecimal digits", |text| text.parse().ok())
}

pub(super) fn app_hash() -> Format<AppHash> {
    Format::new("the 11 characters of an Android app's hash", |text| {
        AppHash::parse(text).ok()
    })
}

/// Tokens of devices and of this server travel there: in plain text within this machine only.
pub(super) fn provider_url() -> Format<Url> {
    let expected =
        "an https URL without user, query and fragment (http only for an address of this machine, in HTTP/2)";
    Format::new(expected, |text| {
        let url = web_url::read(text)?;
        let here = match url.host()? {
            Host::Domain(name) => name == "localhost",
            Host::Ipv4(address) => address.is_loopback(),
            Host::Ipv6(address) => address.is_loopback(),
        };
        let secure = url.scheme() == "https" || (url.scheme() == "http" && here);
        (secure && is_plain(&url)).then_some(url)
    })
}

pub(super) fn public_url() -> Format<Url> {
    let expected = "a URL such as https://verify.example.com, without user, query and fragment";
    Format::new(expected, |text| web_url::read(text).filter(is_plain))
}

pub(super) fn seconds(least: u64, most: u64) -> Format<Duration> {
    range("a number of seconds", least, most).map(Duration::from_secs)
}

/// An amount and a currency (ISO 4217) behind a blank.
pub(super) fn spend_or_none() -> Format<Option<Price>> {
    let expected = "an amount with at most 6 decimals and a currency, as in 100 EUR";
    Format::new(expected, |text| {
        let (amount, currency) = text.split_once(' ')?;
        let (whole, decimals) = amount.split_once('.').unwrap_or((amount, "0"));
        let digits = |text: &str, most| {
            (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
        };
        if !digits(whole, 9) || !digits(decimals, 6) {
            return None;
        }
        let whole: u64 = whole.parse().ok()?;
        let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
        let currency = Currency::parse(currency)?;
        let micros = whole * 1_000_000 + decimals;
        (micros > 0).then_some(Price { micros, currency })
    })
    .or_none()
}

pub(super) fn truth() -> Format<bool> {
    Format::new("true or false", |text| text.parse().ok())
}

fn range<N>(what: &str, least: N, most: N) -> Format<N>
where
    N: FromStr + PartialOrd + Display + Copy + 'static,
{
    Format::new(format!("{what} from {least} to {most}"), move |text| {
        text.parse().ok().filter(|number| (least..=most).contains(number))
    })
}

impl<T: 'static> Format<T> {
    fn map<U: 'static>(self, make: impl Fn(T) -> U + 'static) -> Format<U> {
        Format::new(self.expected, move |text| (self.parse)(text).map(&make))
    }
}

/// Whether a URL has no query.
fn is_plain(url: &Url) -> bool {
    url.query().is_none()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for good in [
            "https://api.push.apple.com",
            "https://10.0.0.1:8443/apns/",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://localhost:9000/token",
        ] {
            assert!((provider_url().parse)(good).is_some(), "{good}");
        }
        for bad in [
            "http://api.push.apple.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "https://user@x.example",
            "https://x.example/?a",
            "https://x.example/#a",
            "api.push.apple.com",
            "",
        ] {
            assert!((provider_url().parse)(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn amounts_are_read_to_the_millionth() {
        let spend = |text: &str| (spend_or_none().parse)(text);
        let micros = |text| spend(text).flatten().map(|price| price.micros);
        assert_eq!(micros("100 EUR"), Some(100_000_000));
        assert_eq!(micros("0.05 usd"), Some(50_000));
        assert_eq!(micros("999999999.999999 USD"), Some(999_999_999_999_999));
        assert_eq!(
            spend("1 EUR").flatten().map(|price| price.currency),
            Currency::parse("eur")
        );
        assert_eq!(spend("none"), Some(None));
        for bad in [
            "100",
            "EUR",
            "100EUR",
            "0 EUR",
            "-1 EUR",
            "1. EUR",
            ".5 EUR",
            "1.0000001 EUR",
            "1 EURO",
            "1 \u{20ac}",
            "1e3 EUR",
            "1,5 EUR",
            "1000000000 EUR",
            "1  EUR",
        ] {
            assert_eq!(spend(bad), None, "{bad}");
        }
    }
}
