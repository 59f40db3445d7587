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
    /// The most bytes that are written: what a QR code of version 20 holds with medium error correction, the level that most
    /// libraries draw with (ISO/IEC 18004, table 7, byte mode). Phones do not scan much larger ones from a screen.
    pub const LONGEST: usize = 666;

    /// The URI, of at most [`Self::LONGEST`] bytes. Every parameter is written, in the order in which Twilio writes them.
    ///
    /// Issuer and account are for people. Apps decode the path before they look for the colon between them, and some refuse a
    /// second one, so that a colon in one of them is written as a dash; and what is too long is cut, the account first.
    #[must_use]
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut parameters = Zeroizing::new(String::with_capacity(Self::LONGEST));
        let (secret, algorithm) = (self.secret.to_base32(), self.algorithm.otpauth_name());
        // Writing to a String cannot fail.
        let _ = write!(
            parameters,
            "&algorithm={algorithm}&digits={}&period={}",
            self.digits, self.period
        );
        let names = WrittenNames::written(
            self.issuer.as_deref().unwrap_or_default(),
            &self.label,
            Self::LONGEST - FRAME - secret.len() - parameters.len(),
        );
        let mut uri = Zeroizing::new(String::with_capacity(Self::LONGEST));
        uri.push_str(PREFIX);
        if !names.issuer.is_empty() {
            uri.push_str(&names.issuer);
            uri.push(':');
        }
        uri.push_str(&names.label);
        uri.push_str(SECRET);
        uri.push_str(&secret);
        if !names.issuer.is_empty() {
            uri.push_str(ISSUER);
            uri.push_str(&names.issuer);
        }
        uri.push_str(&parameters);
        uri
    }

    /// Reads a URI. Whatever could be understood in two ways is refused.
    ///
    /// # Errors
    /// When the text is no URI of this kind; the error says what is wrong and never repeats the secret.
    pub fn parse(text: &str) -> Result<Self, OtpauthError> {
        if text.len() > MAX_LENGTH {
            return Err(OtpauthError::TooLong);
        }
        // Scheme and host of a URI are the same in either case (RFC 3986, 6.2.2.1).
        let (prefix, rest) = text.split_at_checked(PREFIX.len()).ok_or(OtpauthError::NotTotp)?;
        if !prefix.eq_ignore_ascii_case(PREFIX) {
            return Err(OtpauthError::NotTotp);
        }
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

/// Issuer and account as they are written, percent-encoded.
struct WrittenNames {
    issuer: String,
    label: String,
}

impl WrittenNames {
    /// Names that take at most `room` bytes, the issuer counted twice: that is how often it is written. A third of it is the
    /// account's in any case, or an issuer that is too long would leave nothing that tells one account from another.
    fn written(issuer: &str, label: &str, room: usize) -> Self {
        let (issuer, label) = (issuer.replace(':', "-"), label.replace(':', "-"));
        let whole = 2 * encoded_length(&issuer);
        let label = encoded(&label, room.saturating_sub(whole).max(room / 3));
        let issuer = encoded(&issuer, (room - label.len()) / 2);
        Self { issuer, label }
    }
}

fn encoded_length(text: &str) -> usize {
    utf8_percent_encode(text, RESERVED).map(str::len).sum()
}

/// The text, percent-encoded; three dots stand for what there is no room for.
fn encoded(text: &str, room: usize) -> String {
    if encoded_length(text) <= room {
        return utf8_percent_encode(text, RESERVED).collect();
    }
    let mut left = room.saturating_sub(CUT.len());
    let fits = |(_, c): &(usize, char)| {
        let length = encoded_length(c.encode_utf8(&mut [0; 4]));
        left.checked_sub(length).is_some_and(|rest| {
            left = rest;
            true
        })
    };
    let kept = text.char_indices().take_while(fits).last();
    let kept = kept.map_or("", |(at, c)| &text[..at + c.len_utf8()]);
    let mut cut: String = utf8_percent_encode(kept.trim_end(), RESERVED).collect();
    cut.push_str(CUT);
    cut
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
const SECRET: &str = "?secret=";
const ISSUER: &str = "&issuer=";
/// What stands between the parts that differ from URI to URI, with the colon.
const FRAME: usize = PREFIX.len() + 1 + SECRET.len() + ISSUER.len();
/// Stands for what was cut.
const CUT: &str = "...";
const PERIODS: RangeInclusive<u16> = 1..=300;
const MAX_LENGTH: usize = 4096;
/// Everything but RFC 3986's unreserved characters.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

#[cfg(test)]
mod tests;
