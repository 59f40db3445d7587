//! What a parameter must be: the facts that the core and the readers of keys give, in the words that follow its name.

use std::borrow::Cow;

use crate::crypto::device_key::DeviceKeyError;
use crate::crypto::provider_key::BadKey;
use crate::crypto::service_account::BadServiceAccount;
use crate::crypto::totp::TotpSecretError;
use crate::crypto::web_push::subscription::BadSubscription;
use crate::domain::text::{BadPhone, Charset, Invalid, Unit};

/// What a parameter must be, such as `must be v1 or v2`: it follows the parameter's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::dialect::twilio) struct Expected(Cow<'static, str>);

impl Expected {
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<&'static str> for Expected {
    fn from(words: &'static str) -> Self {
        Self(words.into())
    }
}

impl From<String> for Expected {
    fn from(words: String) -> Self {
        Self(words.into())
    }
}

impl From<Invalid> for Expected {
    fn from(invalid: Invalid) -> Self {
        match invalid {
            Invalid::Characters { least, most, only } => characters(least, most, only),
            Invalid::CharactersAltogether { most } => {
                format!("must be at most {most} characters long altogether").into()
            }
            Invalid::Country => "must be the two letters of a country (ISO 3166-1 alpha-2), such as GB for the United Kingdom".into(),
            Invalid::CountryOrAll => "must be the two letters of a country (ISO 3166-1 alpha-2), such as GB for the United Kingdom, or all".into(),
            Invalid::EmailAddress => "must be an e-mail address such as ada@example.com".into(),
            Invalid::Fields { most } => format!("must be at most {most} fields").into(),
            Invalid::Locale => "must be a language such as de, or one with its region such as pt-BR".into(),
            Invalid::NumberLength => "must be 0 (off), 2 or 3".into(),
            Invalid::Phone(why) => phone(why).into(),
            Invalid::PhoneBeginning { most } => {
                format!("must be the beginning of a phone number: + and 1 to {most} digits").into()
            }
            Invalid::Range { least, most, unit } => range(least, most, unit),
            Invalid::Substitutions { most } => format!(
                "must be at most {most} characters long altogether, without control characters (but for line feeds) and \
                 marks of direction"
            )
            .into(),
            Invalid::Tags { most, longest } => format!(
                "must be at most {most} tags, each name and value at most {longest} characters long, without control \
                 characters and marks of direction"
            )
            .into(),
            Invalid::Url { most } => format!(
                "must be an absolute http or https URL of at most {most} characters, without user name, password and \
                 fragment"
            )
            .into(),
        }
    }
}

impl From<BadKey> for Expected {
    fn from(why: BadKey) -> Self {
        key(why).into()
    }
}

impl From<BadServiceAccount> for Expected {
    fn from(why: BadServiceAccount) -> Self {
        match why {
            BadServiceAccount::Key(why) => format!("is a JSON object whose private_key {}", key(why)).into(),
            BadServiceAccount::Member(name) => {
                format!("is a JSON object whose member {name} is missing or malformed").into()
            }
            BadServiceAccount::NoJson => NO_SERVICE_ACCOUNT.into(),
        }
    }
}

impl From<BadSubscription> for Expected {
    fn from(why: BadSubscription) -> Self {
        match why {
            BadSubscription::Auth => "keys.auth must be the base64url of 16 bytes".into(),
            BadSubscription::Endpoint => {
                "endpoint must be an absolute https URL without user information and fragment".into()
            }
            BadSubscription::Keys => "keys must be an object with p256dh and auth".into(),
            BadSubscription::NotJson => NO_SUBSCRIPTION.into(),
            BadSubscription::PublicKey => {
                "keys.p256dh must be the base64url of an uncompressed point on the curve P-256".into()
            }
            BadSubscription::TooLong { most } => {
                format!("must be at most {most} characters long when it is a push subscription").into()
            }
        }
    }
}

impl From<DeviceKeyError> for Expected {
    fn from(why: DeviceKeyError) -> Self {
        match why {
            DeviceKeyError::NotBase64 => "is not usable: the public key must be standard base64",
            DeviceKeyError::NotOnCurve => "is not usable: the public key is not a point on the curve P-256",
            DeviceKeyError::NotP256 => {
                "is not usable: the public key must be a SubjectPublicKeyInfo with an uncompressed point on P-256"
            }
            DeviceKeyError::WrongLength => {
                "is not usable: the public key must be a SubjectPublicKeyInfo of 91 bytes"
            }
        }
        .into()
    }
}

impl From<TotpSecretError> for Expected {
    fn from(why: TotpSecretError) -> Self {
        match why {
            TotpSecretError::Length(bytes) => format!(
                "is no secret: a TOTP secret has 16 to 128 bytes (10 to 15 in older systems), not {bytes}"
            )
            .into(),
            TotpSecretError::NotBase32 => {
                "is no secret: a TOTP secret is written in base32: letters and the digits 2 to 7".into()
            }
            TotpSecretError::TextLength => {
                "is no secret: a TOTP secret has at most 128 bytes, and is written in at most 1024".into()
            }
        }
    }
}

fn characters(least: usize, most: usize, only: Charset) -> Expected {
    let long = match (least, most) {
        (0, _) => format!("at most {most} characters long"),
        (least, most) if least == most => format!("{most} characters long"),
        (least, most) => format!("{least} to {most} characters long"),
    };
    match only {
        Charset::AppHash => {
            format!("must be the {most} characters of an Android app's hash: letters, digits, + and /")
        }
        Charset::BundleId => format!(
            "must be a bundle identifier of {least} to {most} visible ASCII characters, such as com.example.app"
        ),
        Charset::Dialled => {
            format!("must be {least} to {most} characters: digits, * and #, and w for each half second to wait")
        }
        Charset::Identity => format!(
            "must be {long}, only letters A to Z, digits and - _ . @ +, with a letter or a digit first"
        ),
        Charset::LettersDigitsDashes => format!("must be {long}, only letters A to Z, digits and dashes"),
        Charset::LowerDigitsDashes => format!("must be {long}, only lower-case letters, digits and dashes"),
        Charset::NoBlanks => format!("must be {long}, without blanks"),
        Charset::Shown => format!("must be {long}, without control characters and marks of direction"),
        Charset::ShownLines => {
            format!("must be {long}, without control characters (but for line feeds) and marks of direction")
        }
        Charset::ServiceName => format!(
            "must be {long}, only letters, numbers, spaces, dashes and underscores, and no phone number"
        ),
        Charset::UniqueName => {
            format!("must be {long}, only letters A to Z, digits, dashes, underscores and dots")
        }
        Charset::UpperDigits => format!("must be {long}, only upper-case letters and digits"),
    }
    .into()
}

fn key(why: BadKey) -> &'static str {
    match why {
        BadKey::NoPem => "must be one PEM block that begins with -----BEGIN PRIVATE KEY----- (PKCS #8)",
        BadKey::NotP256 => {
            "must hold a P-256 key, as in the .p8 file that Apple's developer portal hands out"
        }
        BadKey::NotRsa => "must hold an RSA key of 2048 to 8192 bits",
    }
}

fn phone(why: BadPhone) -> &'static str {
    match why {
        BadPhone::Impossible => {
            "is no possible phone number: the country code is unknown, or digits are missing or too many"
        }
        BadPhone::NoCountryCode => {
            "must be a phone number in E.164 form, such as +14155552671: + and the country code are missing"
        }
        BadPhone::NotNormal => {
            "must be a phone number in E.164 form: +, the country code and the number, at most 15 digits"
        }
        BadPhone::Unreadable => {
            "must be a phone number in E.164 form, such as +14155552671: +, the country code and the number"
        }
        BadPhone::UnknownCountry => "must be a phone number with + and its country code",
    }
}

fn range(least: u32, most: u32, unit: Unit) -> Expected {
    const DAY: u32 = 86_400;
    match unit {
        Unit::None => format!("must be a whole number from {least} to {most}"),
        Unit::Seconds if most.is_multiple_of(DAY) => format!(
            "must be a whole number of seconds from {least} to {most} ({} days)",
            most / DAY
        ),
        Unit::Seconds => format!("must be a whole number of seconds from {least} to {most}"),
    }
    .into()
}

const NO_SERVICE_ACCOUNT: &str = "must be the JSON of a service account's private key (Firebase console, Project settings, \
                                  Service accounts, Generate new private key); server keys of the legacy API no longer \
                                  work";
const NO_SUBSCRIPTION: &str =
    r#"must be a push subscription: {"endpoint": "https://...", "keys": {"p256dh": "...", "auth": "..."}}"#;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::access_token::TokenLife;
    use crate::domain::country::Country;
    use crate::domain::destination::EmailAddress;
    use crate::domain::factor::{Skew, TimeStep};
    use crate::domain::messaging_configuration::Region;
    use crate::domain::phone::{LeadingDigits, PhoneNumber};
    use crate::domain::rate_limit::{BucketInterval, BucketMax};
    use crate::domain::sender_name::SenderName;
    use crate::domain::text::{
        ApnsIdentifier, ApnsTopic, AppHash, AppId, FieldValue, FriendlyName, IdentityRule, Message,
        NotificationToken, SendDigits, ServiceName, Substitutions, Tags, UniqueName,
    };
    use crate::domain::webhook::WebhookUrl;

    /// A row for each kind of value: what the client reads of a wrong one.
    macro_rules! sentences {
        ($($parsed:expr => $sentence:literal,)*) => {
            $(assert_eq!(Expected::from($parsed.map(drop).unwrap_err()), Expected::from($sentence));)*
        };
    }

    #[test]
    fn texts_are_told_their_length_and_their_characters() {
        let long = "x".repeat(5000);
        let pairs = || vec![(String::new(), long.clone())];
        sentences! {
            IdentityRule::Wide.parse("") =>
                "must be 1 to 64 characters long, only letters A to Z, digits and - _ . @ +, with a letter or a digit first",
            IdentityRule::Narrow.parse("") => "must be 8 to 64 characters long, only letters A to Z, digits and dashes",
            FriendlyName::parse("") => "must be 1 to 64 characters long, without control characters and marks of direction",
            UniqueName::parse("") =>
                "must be 1 to 64 characters long, only letters A to Z, digits, dashes, underscores and dots",
            ServiceName::parse("") =>
                "must be 1 to 32 characters long, only letters, numbers, spaces, dashes and underscores, and no phone number",
            AppId::parse("\n") => "must be a bundle identifier of 0 to 100 visible ASCII characters, such as com.example.app",
            NotificationToken::parse("") => "must be 32 to 255 characters long, without blanks",
            ApnsIdentifier::parse("") => "must be 10 characters long, only upper-case letters and digits",
            ApnsTopic::parse("") =>
                "must be a bundle identifier of 1 to 100 visible ASCII characters, such as com.example.app",
            Message::parse("") =>
                "must be 1 to 256 characters long, without control characters (but for line feeds) and marks of direction",
            FieldValue::parse(&long) =>
                "must be at most 128 characters long, without control characters (but for line feeds) and marks of direction",
            AppHash::parse("") => "must be the 11 characters of an Android app's hash: letters, digits, + and /",
            SendDigits::parse("") =>
                "must be 1 to 32 characters: digits, * and #, and w for each half second to wait",
            SenderName::parse("") =>
                "must be 1 to 16 characters long, only lower-case letters, digits and dashes",
            Substitutions::new(pairs()) =>
                "must be at most 4096 characters long altogether, without control characters (but for line feeds) and marks of direction",
            Tags::new(pairs()) =>
                "must be at most 10 tags, each name and value at most 128 characters long, without control characters and marks of direction",
        }
    }

    #[test]
    fn everything_else_is_told_its_range_or_its_form() {
        sentences! {
            TokenLife::new(0) => "must be a whole number of seconds from 60 to 300",
            Skew::new(3) => "must be a whole number from 0 to 2",
            TimeStep::new(0) => "must be a whole number of seconds from 20 to 60",
            BucketMax::parse(0) => "must be a whole number from 1 to 1000000",
            BucketInterval::parse(0) => "must be a whole number of seconds from 1 to 2592000 (30 days)",
            Country::parse("") => "must be the two letters of a country (ISO 3166-1 alpha-2), such as GB for the United Kingdom",
            Region::parse("") => "must be the two letters of a country (ISO 3166-1 alpha-2), such as GB for the United Kingdom, or all",
            EmailAddress::parse("") => "must be an e-mail address such as ada@example.com",
            LeadingDigits::parse("") => "must be the beginning of a phone number: + and 1 to 15 digits",
            PhoneNumber::parse("", None) =>
                "must be a phone number in E.164 form, such as +14155552671: +, the country code and the number",
            PhoneNumber::parse("4155552671", None) =>
                "must be a phone number in E.164 form, such as +14155552671: + and the country code are missing",
            PhoneNumber::parse("+1", None) =>
                "is no possible phone number: the country code is unknown, or digits are missing or too many",
            WebhookUrl::parse("") =>
                "must be an absolute http or https URL of at most 2048 characters, without user name, password and fragment",
        }
    }
}
