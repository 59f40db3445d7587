//! The `otpauth://totp/` URI that carries a new secret to an authenticator app.

use std::fmt::{self, Write as _};
use std::ops::RangeInclusive;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use zeroize::Zeroizing;

use super::totp::{DIGITS, TotpSecret, TotpSecretError};
use crate::domain::totp_algorithm::TotpAlgorithm;

/// What an otpauth URI says.
pub struct OtpauthUri {
    /// 16 to 128 bytes; base32 in the URI.
    pub secret: TotpSecret,
    /// Who the codes are for, as the app shows it. An empty text counts as none.
    pub issuer: Option<String>,
    /// Which of the issuer's accounts the codes are for, as the app shows it.
    pub label: String,
    /// The hash function; `SHA1` when the URI names none.
    pub algorithm: TotpAlgorithm,
    /// How many digits a code has: 3 to 8; 6 when the URI does not say.
    pub digits: u8,
    /// How long a step is, in seconds: 1 to 300; 30 when the URI does not say.
    pub period: u16,
}

impl OtpauthUri {
    /// The URI. Every parameter is written, in the order in which Twilio writes them.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let issuer = self.issuer.as_deref().filter(|issuer| !issuer.is_empty());
        let mut uri = String::with_capacity(1024);
        uri.push_str(PREFIX);
        if let Some(issuer) = issuer {
            uri.extend(utf8_percent_encode(issuer, RESERVED));
            uri.push(':');
        }
        uri.extend(utf8_percent_encode(&self.label, RESERVED));
        uri.push_str("?secret=");
        uri.push_str(&self.secret.to_base32());
        if let Some(issuer) = issuer {
            uri.push_str("&issuer=");
            uri.extend(utf8_percent_encode(issuer, RESERVED));
        }
        let algorithm = self.algorithm.otpauth_name();
        // Writing to a String cannot fail.
        let _ = write!(
            uri,
            "&algorithm={algorithm}&digits={}&period={}",
            self.digits, self.period
        );
        Zeroizing::new(uri)
    }

    /// Reads a URI. Whatever could be understood in two ways is refused.
    ///
    /// # Errors
    /// When the text is no URI of this kind; the error says what is wrong and never repeats the secret.
    pub fn parse(text: &str) -> Result<Self, OtpauthError> {
        if text.len() > MAX_LENGTH {
            return Err(OtpauthError::TooLong);
        }
        let rest = text.strip_prefix(PREFIX).ok_or(OtpauthError::NotTotp)?;
        let (path, query) = rest.split_once('?').ok_or(OtpauthError::Missing("secret"))?;
        let parameters = Parameters::read(query)?;
        let secret = parameters.secret.ok_or(OtpauthError::Missing("secret"))?;
        let (issuer, label) = names(path, parameters.issuer)?;
        Ok(Self {
            secret: TotpSecret::from_base32(&secret)?,
            issuer,
            label,
            algorithm: match parameters.algorithm {
                None => TotpAlgorithm::Sha1,
                Some(name) => TotpAlgorithm::from_name(&name.to_ascii_lowercase())
                    .ok_or(OtpauthError::Invalid("algorithm"))?,
            },
            digits: match parameters.digits {
                None => 6,
                Some(digits) => number(&digits, u16::from(*DIGITS.start())..=u16::from(*DIGITS.end()))
                    .and_then(|digits| u8::try_from(digits).ok())
                    .ok_or(OtpauthError::Invalid("digits"))?,
            },
            period: match parameters.period {
                None => 30,
                Some(period) => number(&period, PERIODS).ok_or(OtpauthError::Invalid("period"))?,
            },
        })
    }
}

impl fmt::Debug for OtpauthUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OtpauthUri(..)")
    }
}

/// Why a text is no otpauth URI.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OtpauthError {
    /// A parameter, or the label, is given in a way that cannot be read.
    #[error("the otpauth URI's {0} cannot be read")]
    Invalid(&'static str),
    /// The label names one issuer and the parameter another.
    #[error("the otpauth URI names two different issuers")]
    IssuersDiffer,
    /// There is no `secret`, the one parameter without a default.
    #[error("the otpauth URI has no {0}")]
    Missing(&'static str),
    /// The URI is none of a TOTP secret.
    #[error("the URI does not begin with otpauth://totp/")]
    NotTotp,
    /// A parameter stands twice.
    #[error("the otpauth URI gives its {0} twice")]
    Repeated(&'static str),
    /// The secret is not base32, too short or too long.
    #[error("the otpauth URI's secret cannot be used: {0}")]
    Secret(#[from] TotpSecretError),
    /// The URI is longer than 4096 bytes.
    #[error("the otpauth URI is too long")]
    TooLong,
    /// A parameter has a name that means nothing here; it might change what the others mean.
    #[error("the otpauth URI has an unknown parameter")]
    UnknownParameter,
}

#[derive(Default)]
struct Parameters {
    secret: Option<Zeroizing<String>>,
    issuer: Option<Zeroizing<String>>,
    algorithm: Option<Zeroizing<String>>,
    digits: Option<Zeroizing<String>>,
    period: Option<Zeroizing<String>>,
    image: Option<Zeroizing<String>>,
}

impl Parameters {
    fn read(query: &str) -> Result<Self, OtpauthError> {
        let mut parameters = Self::default();
        for pair in query.split('&') {
            let (name, value) = pair.split_once('=').ok_or(OtpauthError::UnknownParameter)?;
            let (name, slot) = match name {
                "secret" => ("secret", &mut parameters.secret),
                "issuer" => ("issuer", &mut parameters.issuer),
                "algorithm" => ("algorithm", &mut parameters.algorithm),
                "digits" => ("digits", &mut parameters.digits),
                "period" => ("period", &mut parameters.period),
                // Some services name a picture to show; it says nothing about the codes.
                "image" => ("image", &mut parameters.image),
                _ => return Err(OtpauthError::UnknownParameter),
            };
            // Form encoders write blanks as "+"; nobody writes a plus sign so.
            let value = Zeroizing::new(value.replace('+', "%20"));
            let value = decode(&value).ok_or(OtpauthError::Invalid(name))?;
            if slot.replace(value).is_some() {
                return Err(OtpauthError::Repeated(name));
            }
        }
        Ok(parameters)
    }
}

/// Issuer and label. The path may say "issuer:label", with the colon encoded too; then both places must agree.
fn names(path: &str, issuer: Option<Zeroizing<String>>) -> Result<(Option<String>, String), OtpauthError> {
    let issuer = issuer
        .map(|issuer| (*issuer).clone())
        .filter(|issuer| !issuer.is_empty());
    let readable = |text: &str| {
        decode(text)
            .map(|text| (*text).clone())
            .ok_or(OtpauthError::Invalid("label"))
    };
    if let Some((prefix, label)) = path.split_once(':') {
        let (prefix, label) = (readable(prefix)?, readable(label)?);
        return match issuer {
            Some(issuer) if issuer != prefix => Err(OtpauthError::IssuersDiffer),
            _ if prefix.is_empty() => Err(OtpauthError::Invalid("label")),
            _ => Ok((Some(prefix), label)),
        };
    }
    let label = readable(path)?;
    let Some(issuer) = issuer else {
        return Ok((None, label));
    };
    let rest = label
        .strip_prefix(issuer.as_str())
        .and_then(|rest| rest.strip_prefix(':'));
    let label = rest.unwrap_or(&label).to_owned();
    Ok((Some(issuer), label))
}

/// Percent-decodes. None if an escape is broken, the bytes are not UTF-8, or there is anything in them that has no
/// place in a URI or could play tricks on a terminal.
fn decode(text: &str) -> Option<Zeroizing<String>> {
    let raw = text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    let escapes = text
        .split('%')
        .skip(1)
        .all(|rest| rest.len() >= 2 && rest.as_bytes()[..2].iter().all(u8::is_ascii_hexdigit));
    let decoded = Zeroizing::new(percent_decode_str(text).decode_utf8().ok()?.into_owned());
    (raw && escapes && !decoded.chars().any(char::is_control)).then_some(decoded)
}

fn number(text: &str, range: RangeInclusive<u16>) -> Option<u16> {
    let digits_only = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let number = text.parse().ok().filter(|_| digits_only)?;
    range.contains(&number).then_some(number)
}

const PREFIX: &str = "otpauth://totp/";
const PERIODS: RangeInclusive<u16> = 1..=300;
const MAX_LENGTH: usize = 4096;
/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

    fn uri(issuer: Option<&str>, label: &str) -> OtpauthUri {
        OtpauthUri {
            secret: TotpSecret::from_base32(SECRET).unwrap(),
            issuer: issuer.map(str::to_owned),
            label: label.to_owned(),
            algorithm: TotpAlgorithm::Sha1,
            digits: 6,
            period: 30,
        }
    }

    fn error(text: &str) -> OtpauthError {
        OtpauthUri::parse(text).unwrap_err()
    }

    #[test]
    fn the_uri_is_twilios() {
        let text = uri(Some("test-issuer"), "John\u{2019}s Account Name").to_text();
        assert_eq!(
            *text,
            "otpauth://totp/test-issuer:John%E2%80%99s%20Account%20Name?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
             &issuer=test-issuer&algorithm=SHA1&digits=6&period=30"
        );
    }

    #[test]
    fn colons_and_separators_inside_names_are_encoded() {
        let text = uri(Some("a:b&c"), "d:e?f=g/h#i%j+k").to_text();
        assert!(
            text.starts_with("otpauth://totp/a%3Ab%26c:d%3Ae%3Ff%3Dg%2Fh%23i%25j%2Bk?"),
            "{}",
            *text
        );
        let back = OtpauthUri::parse(&text).unwrap();
        assert_eq!(
            (back.issuer.as_deref(), back.label.as_str()),
            (Some("a:b&c"), "d:e?f=g/h#i%j+k")
        );
    }

    #[test]
    fn a_uri_without_issuer_has_no_empty_one() {
        let text = uri(None, "a:b").to_text();
        assert!(text.starts_with("otpauth://totp/a%3Ab?secret=G"), "{}", *text);
        assert!(!text.contains("issuer"));
        assert_eq!(*uri(Some(""), "a:b").to_text(), *text);
        let back = OtpauthUri::parse(&text).unwrap();
        assert_eq!((back.issuer.as_deref(), back.label.as_str()), (None, "a:b"));
    }

    #[test]
    fn defaults_fill_what_is_left_out() {
        let read = OtpauthUri::parse(&format!("otpauth://totp/alice?secret={SECRET}")).unwrap();
        assert_eq!(read.secret.as_bytes(), b"12345678901234567890");
        assert_eq!(
            (read.algorithm, read.digits, read.period),
            (TotpAlgorithm::Sha1, 6, 30)
        );
        let text =
            format!("otpauth://totp/alice?period=60&digits=8&algorithm=sha512&secret={SECRET}&image=x");
        let read = OtpauthUri::parse(&text).unwrap();
        assert_eq!(
            (read.algorithm, read.digits, read.period),
            (TotpAlgorithm::Sha512, 8, 60)
        );
    }

    #[test]
    fn the_issuer_may_stand_in_either_place() {
        for text in [
            "Big%20Co:al?issuer=Big+Co",
            "Big%20Co%3Aal?issuer=Big%20Co",
            "Big%20Co:al?issuer=",
            "al?issuer=Big+Co",
        ] {
            let read = OtpauthUri::parse(&format!("otpauth://totp/{text}&secret={SECRET}")).unwrap();
            assert_eq!(
                (read.issuer.as_deref(), read.label.as_str()),
                (Some("Big Co"), "al"),
                "{text}"
            );
        }
        let two = format!("otpauth://totp/A:al?secret={SECRET}&issuer=B");
        assert_eq!(error(&two), OtpauthError::IssuersDiffer);
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let with = |rest: &str| error(&format!("otpauth://totp/x?secret={SECRET}{rest}"));
        assert_eq!(error(""), OtpauthError::NotTotp);
        assert_eq!(
            error(&format!("otpauth://hotp/x?secret={SECRET}")),
            OtpauthError::NotTotp
        );
        assert_eq!(error("otpauth://totp/x"), OtpauthError::Missing("secret"));
        assert_eq!(
            error("otpauth://totp/x?digits=6"),
            OtpauthError::Missing("secret")
        );
        assert_eq!(
            error("otpauth://totp/x?secret=AAAA"),
            OtpauthError::Secret(TotpSecretError::Length(2))
        );
        assert_eq!(
            error("otpauth://totp/x?secret=A A"),
            OtpauthError::Invalid("secret")
        );
        assert_eq!(with("&secret=AAAA"), OtpauthError::Repeated("secret"));
        assert_eq!(with("&digits=6&digits=6"), OtpauthError::Repeated("digits"));
        assert_eq!(with("&counter=1"), OtpauthError::UnknownParameter);
        assert_eq!(with("&"), OtpauthError::UnknownParameter);
        assert_eq!(with("&algorithm=MD5"), OtpauthError::Invalid("algorithm"));
        for digits in ["", "2", "9", "+6", "6.0", "%36x", "06x", "65542"] {
            assert_eq!(
                with(&format!("&digits={digits}")),
                OtpauthError::Invalid("digits"),
                "{digits}"
            );
        }
        for period in ["0", "301", "-1", "99999999999"] {
            assert_eq!(
                with(&format!("&period={period}")),
                OtpauthError::Invalid("period"),
                "{period}"
            );
        }
        for issuer in ["%", "%4", "%zz", "%ff", "a#b", "%0a", "\u{e9}", "a b"] {
            assert_eq!(
                with(&format!("&issuer={issuer}")),
                OtpauthError::Invalid("issuer"),
                "{issuer}"
            );
        }
        assert_eq!(
            error(&format!("otpauth://totp/%1b?secret={SECRET}")),
            OtpauthError::Invalid("label")
        );
        assert_eq!(
            error(&format!("otpauth://totp/:x?secret={SECRET}")),
            OtpauthError::Invalid("label")
        );
        assert_eq!(
            error(&format!("otpauth://totp/{}", "x".repeat(5000))),
            OtpauthError::TooLong
        );
    }

    #[test]
    fn nothing_printed_has_the_secret_in_it() {
        let read = uri(Some("issuer"), "label");
        assert_eq!(format!("{read:?}"), "OtpauthUri(..)");
        for bad in ["&digits=99", "&secret=A", "&x=y", "1"] {
            let error = error(&format!("otpauth://totp/x?secret={SECRET}{bad}"));
            assert!(!format!("{error} {error:?}").contains("GEZ"), "{error}");
        }
    }

    proptest! {
        #[test]
        fn names_of_any_kind_survive(
            issuer in "\\PC{1,20}",
            label in "\\PC{0,20}",
            digits in 3_u8..=8,
            period in 1_u16..=300,
        ) {
            let before = OtpauthUri { digits, period, ..uri(Some(&issuer), &label) };
            let after = OtpauthUri::parse(&before.to_text()).unwrap();
            prop_assert_eq!(after.issuer.as_deref(), Some(issuer.as_str()));
            prop_assert_eq!((after.label.as_str(), after.digits, after.period), (label.as_str(), digits, period));
            prop_assert_eq!(after.to_text(), before.to_text());
        }
    }
}
