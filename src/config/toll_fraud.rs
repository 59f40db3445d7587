//! Which codes by message are not sent: the guards against toll fraud.

use std::time::Duration;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};
use crate::domain::attempt::Price;
use crate::domain::country::Country;
use crate::domain::fraud::settings::{ConversionRule, Countries, Settings as TollFraud};

/// The countries that codes may go to: `all`, or their two letters. Default `all`.
pub(super) const COUNTRIES: Key = Key::list("codes.countries", Sources::EnvironmentAndFile);

/// Countries that no code goes to, whatever `codes.countries` says. None by default.
pub(super) const BLOCKED_COUNTRIES: Key = Key::list("codes.blocked_countries", Sources::EnvironmentAndFile);

/// Whether codes may go to premium-rate and shared-cost numbers, to those of an unknown kind and to those of no country:
/// `allow` or `refuse`. Default `refuse`.
pub(super) const PREMIUM_NUMBERS: Key = Key::new("codes.premium_numbers", Sources::EnvironmentAndFile);

/// Whether a caller may have a code sent to a prefix that is blocked for its low conversion (`RiskCheck=disable`). Default
/// true.
pub(super) const RISK_CHECK_MAY_BE_DISABLED: Key =
    Key::new("codes.risk_check_may_be_disabled", Sources::EnvironmentAndFile);

/// The most codes to a number or an e-mail address in a day, over all services of an account. Default 30.
pub(super) const SENDS_PER_NUMBER_PER_DAY: Key =
    Key::new("codes.sends_per_number_per_day", Sources::EnvironmentAndFile);

/// The most codes to a prefix (ten thousand numbers) in an hour. Default 100.
pub(super) const SENDS_PER_PREFIX_PER_HOUR: Key =
    Key::new("codes.sends_per_prefix_per_hour", Sources::EnvironmentAndFile);

/// The most codes to a prefix in a day. Default 500.
pub(super) const SENDS_PER_PREFIX_PER_DAY: Key =
    Key::new("codes.sends_per_prefix_per_day", Sources::EnvironmentAndFile);

/// The most codes to a country in a day. No limit by default.
pub(super) const SENDS_PER_COUNTRY_PER_DAY: Key =
    Key::new("codes.sends_per_country_per_day", Sources::EnvironmentAndFile);

/// The most codes that one device's address (`DeviceIp`; an IPv6 address counts as its /64) asks for in an hour.
/// Default 200.
pub(super) const SENDS_PER_DEVICE_PER_HOUR: Key =
    Key::new("codes.sends_per_device_per_hour", Sources::EnvironmentAndFile);

/// The most codes of a service in a day. No limit by default.
pub(super) const SENDS_PER_SERVICE_PER_DAY: Key =
    Key::new("codes.sends_per_service_per_day", Sources::EnvironmentAndFile);

/// The most that an account's messages cost in a day, by the prices of the senders, as in `100 EUR`. No limit by default.
pub(super) const SPEND_PER_DAY: Key = Key::new("codes.spend_per_day", Sources::EnvironmentAndFile);

/// From how many codes within an hour on a prefix is judged by how many of them were used; `none` for never. Default 25.
pub(super) const CONVERSION_MIN_SENDS: Key =
    Key::new("codes.conversion_min_sends", Sources::EnvironmentAndFile);

/// How many of a hundred codes to a prefix have to be used. Default 10.
pub(super) const CONVERSION_MIN_PERCENT: Key =
    Key::new("codes.conversion_min_percent", Sources::EnvironmentAndFile);

/// For how many minutes a prefix is blocked whose codes are not used. Default 360.
pub(super) const CONVERSION_BLOCK_MINUTES: Key =
    Key::new("codes.conversion_block_minutes", Sources::EnvironmentAndFile);

pub(super) fn read(settings: &mut Settings) -> Result<TollFraud, ConfigError> {
    let defaults = TollFraud::default();
    let countries_or_all = |text: &str| match text {
        "all" => Some(Countries::All),
        _ => countries(text).map(Countries::Only),
    };
    let allowed = settings.take(
        &COUNTRIES,
        "all, or country codes of two letters",
        countries_or_all,
    )?;
    let blocked = settings.take(&BLOCKED_COUNTRIES, "country codes of two letters", countries)?;
    let premium = settings.take(&PREMIUM_NUMBERS, "allow or refuse", |text| match text {
        "allow" => Some(true),
        "refuse" => Some(false),
        _ => None,
    })?;
    let risk_check = settings.take(&RISK_CHECK_MAY_BE_DISABLED, "true or false", |text| {
        text.parse().ok()
    })?;
    let mut most = |key, default| {
        let most = settings.take(key, "a number from 1 to 1000000000, or none", most)?;
        Ok(most.map_or(default, Limit::into_option))
    };
    Ok(TollFraud {
        countries: allowed.unwrap_or(defaults.countries),
        blocked_countries: blocked.unwrap_or(defaults.blocked_countries),
        premium_numbers: premium.unwrap_or(defaults.premium_numbers),
        risk_check_may_be_disabled: risk_check.unwrap_or(defaults.risk_check_may_be_disabled),
        number_per_day: most(&SENDS_PER_NUMBER_PER_DAY, defaults.number_per_day)?,
        prefix_per_hour: most(&SENDS_PER_PREFIX_PER_HOUR, defaults.prefix_per_hour)?,
        prefix_per_day: most(&SENDS_PER_PREFIX_PER_DAY, defaults.prefix_per_day)?,
        country_per_day: most(&SENDS_PER_COUNTRY_PER_DAY, defaults.country_per_day)?,
        device_per_hour: most(&SENDS_PER_DEVICE_PER_HOUR, defaults.device_per_hour)?,
        service_per_day: most(&SENDS_PER_SERVICE_PER_DAY, defaults.service_per_day)?,
        spend_per_day: settings
            .take(
                &SPEND_PER_DAY,
                "an amount with at most 6 decimals and a currency, as in 100 EUR, or none",
                spend,
            )?
            .map_or(defaults.spend_per_day, Limit::into_option),
        conversion: conversion(settings)?,
    })
}

fn conversion(settings: &mut Settings) -> Result<Option<ConversionRule>, ConfigError> {
    let defaults = ConversionRule::default();
    let min_sends = settings.take(
        &CONVERSION_MIN_SENDS,
        "a number from 5 to 500, or none",
        |text| match text {
            "none" => Some(Limit::No),
            _ => number(text, 5, 500).map(Limit::At),
        },
    )?;
    let min_percent = settings.take(&CONVERSION_MIN_PERCENT, "a number from 1 to 100", |text| {
        number(text, 1, 100)
    })?;
    // Shorter than the window, what led to a block would lead to the next one.
    let minutes = settings.take(
        &CONVERSION_BLOCK_MINUTES,
        "a number of minutes from 60 to 10080",
        |text| number(text, 60, 10_080),
    )?;
    let block = minutes.map_or(defaults.block, |minutes| Duration::from_mins(minutes.into()));
    Ok(min_sends
        .map_or(Some(defaults.min_sends), Limit::into_option)
        .map(|min_sends| ConversionRule {
            min_sends,
            min_percent: min_percent.unwrap_or(defaults.min_percent),
            block,
        }))
}

/// What an operator chose where there may be no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Limit<T> {
    At(T),
    No,
}

impl<T> Limit<T> {
    fn into_option(self) -> Option<T> {
        match self {
            Self::At(limit) => Some(limit),
            Self::No => None,
        }
    }
}

fn most(text: &str) -> Option<Limit<u32>> {
    match text {
        "none" => Some(Limit::No),
        _ => number(text, 1, 1_000_000_000).map(Limit::At),
    }
}

fn number(text: &str, least: u32, most: u32) -> Option<u32> {
    text.parse().ok().filter(|number| (least..=most).contains(number))
}

fn countries(text: &str) -> Option<Vec<Country>> {
    text.split(',')
        .map(|letters| Country::parse(letters.trim()).ok())
        .collect()
}

/// An amount and a currency (ISO 4217) behind a blank.
fn spend(text: &str) -> Option<Limit<Price>> {
    if text == "none" {
        return Some(Limit::No);
    }
    let (amount, currency) = text.split_once(' ')?;
    let (whole, decimals) = amount.split_once('.').unwrap_or((amount, "0"));
    let digits =
        |text: &str, most| (1..=most).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    if !digits(whole, 9) || !digits(decimals, 6) {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let decimals: u64 = format!("{decimals:0<6}").parse().ok()?;
    let currency: [u8; 3] = currency.to_ascii_lowercase().as_bytes().try_into().ok()?;
    let micros = whole * 1_000_000 + decimals;
    let fits = micros > 0 && currency.iter().all(u8::is_ascii_lowercase);
    fits.then_some(Limit::At(Price { micros, currency }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_to_the_millionth() {
        let micros = |text| spend(text).and_then(Limit::into_option).map(|price| price.micros);
        assert_eq!(micros("100 EUR"), Some(100_000_000));
        assert_eq!(micros("0.05 usd"), Some(50_000));
        assert_eq!(micros("999999999.999999 USD"), Some(999_999_999_999_999));
        assert_eq!(
            spend("1 EUR")
                .and_then(Limit::into_option)
                .map(|price| price.currency),
            Some(*b"eur")
        );
        assert_eq!(spend("none"), Some(Limit::No));
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
