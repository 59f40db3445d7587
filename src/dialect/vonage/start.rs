//! Begins a request: a code is sent, and sent again as the workflow says.

use axum::response::Response;

use super::call::VerifyCall;
use super::error::{VerifyError, Wish, request_id};
use super::languages::{OF_CODES, OF_PAYMENTS, language};
use super::parameters::RequestParameters;
use super::reply::VerifyReply;
use super::workflows::{CodeKind, Timing, policy};
use super::{RESPONSE, SENDER_TAG};
use crate::crypto::plain_code::PlainCode;
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::destination::Destination;
use crate::domain::phone::{LineKind, PhoneNumber};
use crate::domain::text::{Amount, Attributes, ProviderName, ServiceName, Tags};
use crate::domain::verification::{Alphabet, Content, Payment, SentCodeLength};
use crate::flows::verification::{self, NewVerification, Rules};

/// `/verify/{format}`
pub(super) async fn start(mut call: VerifyCall) -> Response {
    let outcome = begin(&mut call, CodePurpose::Code).await;
    call.respond(RESPONSE, outcome)
}

/// `/verify/psd2/{format}`
pub(super) async fn start_psd2(mut call: VerifyCall) -> Response {
    let outcome = begin(&mut call, CodePurpose::Payment).await;
    call.respond(RESPONSE, outcome)
}

/// What a code is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CodePurpose {
    Code,
    Payment,
}

async fn begin(call: &mut VerifyCall, what: CodePurpose) -> Result<VerifyReply, VerifyError> {
    let new = read(&call.parameters, what)?;
    let account = call.admitted();
    let started = verification::start(&call.app, account, call.service, &new)
        .await
        .map_err(|error| VerifyError::of_flow(&error, Wish::Start, "", new.destination.phone()))?;
    let id = request_id(started.verification.sid.as_bytes());
    Ok(VerifyReply::new(RESPONSE)
        .with("request_id", id)
        .with("status", "0"))
}

fn read(parameters: &RequestParameters, what: CodePurpose) -> Result<NewVerification, VerifyError> {
    let number = number(parameters)?;
    let mut content = match what {
        CodePurpose::Code => of_code(parameters)?,
        CodePurpose::Payment => of_payment(parameters)?,
    };
    let known: &[&str] = match what {
        CodePurpose::Code => &OF_CODES,
        CodePurpose::Payment => &OF_PAYMENTS,
    };
    content.locale = parameters.parsed("lg", |lg| language(lg, known))?;
    let chosen = match what {
        CodePurpose::Code => parameters.parsed("pin_code", chosen_code)?,
        CodePurpose::Payment => None,
    };
    let length = parameters.parsed("code_length", |text| match text {
        "4" => SentCodeLength::new(4).ok(),
        "6" => SentCodeLength::new(6).ok(),
        _ => None,
    })?;
    let usual = SentCodeLength::new(4).unwrap_or_default();
    let timing = Timing {
        workflow: parameters.number("workflow_id", 1, 7)?,
        next_event_wait: parameters.number("next_event_wait", 60, 900)?,
        pin_expiry: parameters.number("pin_expiry", 60, 3600)?,
    };
    let kind = match &chosen {
        Some((code, alphabet)) => {
            CodeKind::Chosen(*alphabet, SentCodeLength::new(code.length()).unwrap_or(usual))
        }
        None => CodeKind::Drawn(length.unwrap_or(usual)),
    };
    require_kind(parameters, &number)?;
    let policy = policy(timing, kind);
    Ok(NewVerification {
        destination: Destination::Phone(number),
        // Its plan says over which.
        channel: policy
            .plan
            .first()
            .map_or(Channel::Sms, |step| step.channel)
            .into(),
        rules: Rules::Given(policy),
        content,
        templates: Vec::new(),
        custom_code: chosen.map(|(code, _)| code),
        rate_limits: Attributes::default(),
        risk_check: true,
        wants_sna_client_token: None,
    })
}

/// With a country it is a number as dialled there, or one with its country's code; without one it is always the latter.
pub(super) fn number(parameters: &RequestParameters) -> Result<PhoneNumber, VerifyError> {
    let text = parameters.required("number")?;
    let country = parameters.parsed("country", |text| Country::parse(text).ok())?;
    let international = || {
        let begins_so = text.trim_start().starts_with(['+', '\u{ff0b}']);
        let text = if begins_so || text.starts_with("00") {
            text.to_owned()
        } else {
            format!("+{text}")
        };
        PhoneNumber::parse(&text, None)
    };
    let local = country.map(|country| PhoneNumber::parse(text, Some(country)));
    match local {
        Some(Ok(number)) => Ok(number),
        Some(Err(_)) | None => international().map_err(|_| VerifyError::invalid("number")),
    }
}

fn of_code(parameters: &RequestParameters) -> Result<Content, VerifyError> {
    parameters.required("brand")?;
    let brand = parameters.parsed("brand", |text| ServiceName::parse(short(text)?).ok())?;
    let sender = parameters.parsed("sender_id", |text| {
        let fits = text.len() <= 11
            && text
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
        fits.then(|| vec![(SENDER_TAG.to_owned(), text.to_owned())])
    })?;
    let tags = sender.map(Tags::new).transpose();
    Ok(Content {
        friendly_name: brand,
        tags: tags
            .map_err(|_| VerifyError::invalid("sender_id"))?
            .unwrap_or_default(),
        ..Content::default()
    })
}

fn of_payment(parameters: &RequestParameters) -> Result<Content, VerifyError> {
    parameters.required("payee")?;
    parameters.required("amount")?;
    let payee = parameters.parsed("payee", |text| ProviderName::parse(short(text)?).ok())?;
    let amount = parameters.parsed("amount", amount)?;
    // Who sends it is shown, too, if that is a name to be shown.
    let friendly_name = payee
        .as_ref()
        .and_then(|payee| ServiceName::parse(payee.as_str()).ok());
    let payment = payee.zip(amount).map(|(payee, amount)| Payment { amount, payee });
    Ok(Content {
        friendly_name,
        payment,
        ..Content::default()
    })
}

/// A name of a brand or a payee.
fn short(text: &str) -> Option<&str> {
    (text.chars().count() <= 18).then_some(text)
}

/// A sum in euros: digits, perhaps a point and one or two more.
fn amount(text: &str) -> Option<Amount> {
    let (whole, cents) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |part: &str| part.bytes().all(|digit| digit.is_ascii_digit());
    let fits = (1..=12).contains(&whole.len())
        && (1..=2).contains(&cents.len())
        && digits(whole)
        && digits(cents)
        && text.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    if !fits {
        return None;
    }
    let whole = whole.trim_start_matches('0');
    let whole = if whole.is_empty() { "0" } else { whole };
    Amount::parse(&format!("{whole}.{cents:0<2} EUR")).ok()
}

fn chosen_code(text: &str) -> Option<(PlainCode, Alphabet)> {
    let plain = (4..=10).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let alphabet = if text.bytes().all(|byte| byte.is_ascii_digit()) {
        Alphabet::Digits
    } else {
        Alphabet::UpperAlphanumeric
    };
    let code = PlainCode::parse(text, alphabet).filter(|_| plain)?;
    Some((code, alphabet))
}

/// Whether the number is of the kind that the caller wants, as far as its numbering plan tells.
fn require_kind(parameters: &RequestParameters, number: &PhoneNumber) -> Result<(), VerifyError> {
    let wanted = parameters.parsed("require_type", |text| match text {
        _ if text.eq_ignore_ascii_case("all") => Some(None),
        _ if text.eq_ignore_ascii_case("mobile") => Some(Some(LineKind::Mobile)),
        _ if text.eq_ignore_ascii_case("landline") => Some(Some(LineKind::FixedLine)),
        _ => None,
    })?;
    let Some(Some(wanted)) = wanted else {
        return Ok(());
    };
    let kind = number.facts().kind;
    if kind == wanted || kind == LineKind::FixedLineOrMobile {
        Ok(())
    } else {
        Err(VerifyError::unsupported_network())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dialect::vonage::parameters::BodySyntax;

    fn of(query: &str) -> RequestParameters {
        RequestParameters::read(query.as_bytes(), BodySyntax::Form, b"").unwrap()
    }

    fn status(query: &str, what: CodePurpose) -> u16 {
        read(&of(query), what).map_or_else(|error| error.status, |_| 0)
    }

    #[test]
    fn numbers_are_international_unless_a_country_says_otherwise() {
        let read = |query: &str| number(&of(query)).ok().map(String::from);
        for (query, expected) in [
            ("number=447700900000", Some("+447700900000")),
            ("number=%2B447700900000", Some("+447700900000")),
            ("number=00447700900000", Some("+447700900000")),
            ("number=447700900000&country=GB", Some("+447700900000")),
            ("number=07700900000&country=gb", Some("+447700900000")),
            ("number=7700900000&country=GB", Some("+447700900000")),
            ("number=4915112345678&country=GB", Some("+4915112345678")),
            ("number=07700900000", None),
            ("number=447700900000&country=GBR", None),
            ("number=12", None),
            ("number=x", None),
        ] {
            assert_eq!(read(query).as_deref(), expected, "{query}");
        }
    }

    #[test]
    fn amounts_are_euros() {
        for (text, expected) in [
            ("12.5", Some("12.50 EUR")),
            ("0012.34", Some("12.34 EUR")),
            ("7", Some("7.00 EUR")),
            ("0.01", Some("0.01 EUR")),
            ("0", None),
            ("0.00", None),
            ("1.234", None),
            ("-1", None),
            ("1e3", None),
            ("1,5", None),
            (".5", None),
            ("5.", None),
            ("1234567890123", None),
        ] {
            assert_eq!(amount(text).as_ref().map(Amount::as_str), expected, "{text}");
        }
    }

    #[test]
    fn each_parameter_that_is_wrong_is_a_3_and_each_that_is_missing_a_2() {
        let good = "number=447700900000&brand=Owl";
        assert_eq!(status(good, CodePurpose::Code), 0);
        assert_eq!(status("brand=Owl", CodePurpose::Code), 2);
        assert_eq!(status("number=447700900000", CodePurpose::Code), 2);
        let paid = "number=447700900000&payee=Owl&amount=12.5";
        assert_eq!(status(paid, CodePurpose::Payment), 0);
        assert_eq!(status("number=447700900000&payee=Owl", CodePurpose::Payment), 2);
        assert_eq!(status("number=447700900000&amount=1", CodePurpose::Payment), 2);
        for bad in [
            "brand=other",
            "country=x",
            "sender_id=123456789012",
            "sender_id=a%0Ab",
            "code_length=5",
            "lg=xx-xx",
            "lg=bg-bg",
            "require_type=fax",
            "pin_expiry=59",
            "next_event_wait=901",
            "workflow_id=8",
            "workflow_id=0",
            "pin_code=123",
            "pin_code=12345678901",
            "pin_code=12-34",
        ] {
            assert_eq!(status(&format!("{good}&{bad}"), CodePurpose::Code), 3, "{bad}");
        }
        assert_eq!(status(&format!("{paid}&lg=ja-jp"), CodePurpose::Payment), 3);
        for brand in ["a".repeat(19), "owl.example.com".to_owned(), "%01".to_owned()] {
            let query = format!("number=447700900000&brand={brand}");
            assert_eq!(status(&query, CodePurpose::Code), 3, "{brand}");
        }
    }

    #[test]
    fn every_language_of_the_tables_is_taken() {
        for lg in OF_CODES {
            let query = format!("number=447700900000&brand=Owl&lg={lg}");
            assert_eq!(status(&query, CodePurpose::Code), 0, "{lg}");
        }
        for lg in OF_PAYMENTS {
            let query = format!("number=447700900000&payee=Owl&amount=1&lg={lg}");
            assert_eq!(status(&query, CodePurpose::Payment), 0, "{lg}");
        }
    }

    #[test]
    fn a_wanted_kind_of_line_is_what_the_plan_says() {
        let mobile = "number=4915112345678&brand=Owl&require_type=";
        let fixed = "number=493012345678&brand=Owl&require_type=";
        assert_eq!(status(&format!("{mobile}Mobile"), CodePurpose::Code), 0);
        assert_eq!(status(&format!("{mobile}All"), CodePurpose::Code), 0);
        assert_eq!(status(&format!("{mobile}Landline"), CodePurpose::Code), 15);
        assert_eq!(status(&format!("{fixed}Mobile"), CodePurpose::Code), 15);
        assert_eq!(status(&format!("{fixed}Landline"), CodePurpose::Code), 0);
    }
}
