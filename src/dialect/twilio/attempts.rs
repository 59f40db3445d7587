//! Attempts: what became of each try to send a code.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::destinations::{channel_named, destination};
use super::error::{ApiError, Parameter};
use super::form::{Form, sid};
use super::json::{self, Text};
use super::listing::Listing;
use super::spelling;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::phone::LeadingDigits;
use crate::domain::price::Price;
use crate::domain::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
use crate::domain::text::Invalid;
use crate::domain::time::Timestamp;
use crate::flows::attempt::{self, AttemptFilter, AttemptSummary};

/// `GET /v2/Attempts`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    const FILTERS: [&str; 8] = [
        "DateCreatedAfter",
        "DateCreatedBefore",
        "ChannelData.To",
        "Country",
        "Channel",
        "VerifyServiceSid",
        "VerificationSid",
        "Status",
    ];
    let account = call.account()?;
    let listing = Listing::read(&call.query, &FILTERS)?;
    let filter = list_filter(&call.query).map_err(ApiError::in_service)?;
    let page = call.settle(attempt::list(call.app(), account, &filter, listing.request).await)?;
    let page = page.map(|attempt| AttemptJson::new(&call, attempt));
    Ok(listing.answer(&call, "attempts", &page))
}

/// `GET /v2/Attempts/{AttemptSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let found = attempt::fetch(call.app(), account, call.sid("AttemptSid")?).await;
    let attempt = call.settle(found)?;
    Ok(json::resource(StatusCode::OK, &AttemptJson::new(&call, &attempt)))
}

/// `GET /v2/Attempts/Summary`
pub(super) async fn summarize(call: Call) -> Result<Response, ApiError> {
    const FILTERS: [&str; 6] = [
        "VerifyServiceSid",
        "DateCreatedAfter",
        "DateCreatedBefore",
        "Country",
        "Channel",
        "DestinationPrefix",
    ];
    let account = call.account()?;
    spelling::only(&call.query, |name| FILTERS.contains(&name), || FILTERS.to_vec())?;
    let filter = summary_filter(&call.query).map_err(ApiError::in_service)?;
    let summary = call.settle(attempt::summarize(call.app(), account, &filter).await)?;
    Ok(json::resource(StatusCode::OK, &SummaryJson::new(&call, &summary)))
}

fn list_filter(query: &Form) -> Result<AttemptFilter, ApiError> {
    Ok(AttemptFilter {
        destination: query.parsed(Parameter::CHANNEL_DATA_TO, destination)?,
        verification: query.parsed(Parameter::VERIFICATION_SID, sid("must be VE and 32 hex digits"))?,
        converted: query.parsed(Parameter::STATUS, converted)?,
        ..shared_filter(query)?
    })
}

fn summary_filter(query: &Form) -> Result<AttemptFilter, ApiError> {
    Ok(AttemptFilter {
        digits: query.parsed(Parameter::DESTINATION_PREFIX, digits)?,
        ..shared_filter(query)?
    })
}

/// The filters that the list and the summary both have.
fn shared_filter(query: &Form) -> Result<AttemptFilter, ApiError> {
    Ok(AttemptFilter {
        created_after: query.parsed(Parameter::DATE_CREATED_AFTER, moment)?,
        created_before: query.parsed(Parameter::DATE_CREATED_BEFORE, moment)?,
        channel: query.parsed(Parameter::CHANNEL, channel)?,
        country: query.parsed(Parameter::COUNTRY, Country::parse)?,
        service: query.parsed(Parameter::VERIFY_SERVICE_SID, sid("must be VA and 32 hex digits"))?,
        ..AttemptFilter::default()
    })
}

/// A date and a time, or a date alone: the day's beginning.
fn moment(text: &str) -> Result<Timestamp, &'static str> {
    let whole = Timestamp::parse_iso8601(text);
    whole
        .or_else(|| Timestamp::parse_iso8601(&format!("{text}T00:00:00Z")))
        .ok_or("must be a date and time such as 2026-01-31T12:00:00Z")
}

fn channel(name: &str) -> Result<Channel, &'static str> {
    channel_named(name).ok_or("must be one of sms, call, email, whatsapp, rbm and sna")
}

/// In attempts RCS has the name of what it came from, RCS Business Messaging.
fn channel_name(channel: Channel) -> &'static str {
    match channel {
        Channel::Rcs => "rbm",
        Channel::Call | Channel::Email | Channel::Sms | Channel::Sna | Channel::Whatsapp => channel.name(),
    }
}

fn converted(name: &str) -> Result<bool, &'static str> {
    match name {
        _ if name.eq_ignore_ascii_case("converted") => Ok(true),
        _ if name.eq_ignore_ascii_case("unconverted") => Ok(false),
        _ => Err("must be converted or unconverted"),
    }
}

/// The plus sign need not come through: undecoded, it stands for a blank.
fn digits(text: &str) -> Result<LeadingDigits, Invalid> {
    LeadingDigits::parse(text.trim_start_matches(['+', ' ']))
}

#[derive(Serialize)]
struct AttemptJson<'a> {
    sid: Text<AttemptSid>,
    account_sid: Text<AccountSid>,
    service_sid: Text<ServiceSid>,
    verification_sid: Text<VerificationSid>,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    conversion_status: &'static str,
    channel: &'static str,
    price: Option<PriceJson>,
    channel_data: ChannelDataJson<'a>,
    url: String,
}

#[derive(Serialize)]
struct PriceJson {
    value: String,
    currency: String,
}

#[derive(Serialize)]
struct ChannelDataJson<'a> {
    verification_sid: Text<VerificationSid>,
    to: &'a str,
    status: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    message_status: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    call_status: Option<&'static str>,
    error_code: Option<&'static str>,
    country: Option<Text<Country>>,
    code_length: u8,
    locale: Option<&'a str>,
    mcc: Option<&'static str>,
    mnc: Option<&'static str>,
    carrier: Option<&'static str>,
}

impl<'a> AttemptJson<'a> {
    fn new(call: &Call, attempt: &'a Attempt) -> Self {
        let converted = attempt.converted_at.is_some();
        let is_call = attempt.channel == Channel::Call;
        let became = became(&attempt.status);
        Self {
            sid: Text(attempt.sid),
            account_sid: Text(attempt.account),
            service_sid: Text(attempt.service),
            verification_sid: Text(attempt.verification),
            date_created: Text(attempt.date_created),
            date_updated: Text(attempt.date_updated),
            conversion_status: if converted { "converted" } else { "unconverted" },
            channel: channel_name(attempt.channel),
            price: attempt.price.as_ref().map(PriceJson::new),
            channel_data: ChannelDataJson {
                verification_sid: Text(attempt.verification),
                to: attempt.destination.as_str(),
                status: conversion(converted, call.now() >= attempt.expires_at),
                message_status: (!is_call).then_some(became),
                call_status: is_call.then_some(if became == "sent" { "completed" } else { became }),
                error_code: matches!(attempt.status, AttemptStatus::Failed { .. }).then_some(UNKNOWN_ERROR),
                country: attempt.country.map(Text),
                code_length: attempt.code_length,
                locale: attempt.locale.as_deref(),
                mcc: None,
                mnc: None,
                carrier: None,
            },
            url: call.url(format_args!("/v2/Attempts/{}", attempt.sid)),
        }
    }
}

/// What the API says of an attempt's code besides whether the message left.
fn conversion(converted: bool, expired: bool) -> &'static str {
    match (converted, expired) {
        (true, _) => "confirmed",
        (false, true) => "expired",
        (false, false) => "unconfirmed",
    }
}

/// "Unknown error" of Twilio's dictionary of delivery errors: every provider has numbers of its own.
const UNKNOWN_ERROR: &str = "30008";

fn became(status: &AttemptStatus) -> &'static str {
    match status {
        AttemptStatus::Queued => "queued",
        AttemptStatus::Sent => "sent",
        AttemptStatus::Failed { .. } => "failed",
        AttemptStatus::Canceled => "canceled",
    }
}

impl PriceJson {
    fn new(price: &Price) -> Self {
        let value = format!("{}.{:06}", price.micros / 1_000_000, price.micros % 1_000_000);
        let value = value.trim_end_matches('0').trim_end_matches('.').to_owned();
        let currency = price.currency.as_str().to_owned();
        Self { value, currency }
    }
}

#[derive(Serialize)]
struct SummaryJson {
    total_attempts: u64,
    total_converted: u64,
    total_unconverted: u64,
    conversion_rate_percentage: Option<String>,
    url: String,
}

impl SummaryJson {
    fn new(call: &Call, summary: &AttemptSummary) -> Self {
        // The API's schema says number, its example and its libraries' types say text; nothing of nothing is no rate.
        let rate = summary.percentage_billionths();
        let rate = rate.map(|rate| format!("{}.{:09}", rate / 1_000_000_000, rate % 1_000_000_000));
        Self {
            total_attempts: summary.total,
            total_converted: summary.converted,
            total_unconverted: summary.total - summary.converted,
            conversion_rate_percentage: rate,
            url: call.own_url(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::price::Currency;

    #[test]
    fn prices_are_decimal_numbers() {
        let value = |micros| {
            let price = Price {
                micros,
                currency: Currency::parse("usd").unwrap(),
            };
            PriceJson::new(&price).value
        };
        assert_eq!(
            [0, 1, 5_000, 100_000, 1_000_000, 10_250_000].map(value),
            ["0", "0.000001", "0.005", "0.1", "1", "10.25"]
        );
    }

    #[test]
    fn moments_are_read_with_fractions_and_as_days() {
        let noon = Timestamp::from_millis(1_800_014_400_000);
        assert_eq!(moment("2027-01-15T12:00:00Z"), Ok(noon));
        assert_eq!(
            moment("2027-01-15T12:00:00.250000+00:00"),
            Ok(Timestamp::from_millis(noon.millis() + 250))
        );
        assert_eq!(moment("2027-01-15T12:00:00"), Ok(noon));
        assert_eq!(moment("2027-01-15"), Ok(Timestamp::from_seconds(1_799_971_200)));
        for bad in ["yesterday", "2027-13-01", "2027-01-15T12", "1"] {
            assert!(moment(bad).is_err(), "{bad}");
        }
    }
}
