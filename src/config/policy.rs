//! What use cases ask for.

use std::time::Duration;

use url::Url;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};
use crate::app::Policy;

/// The most entities and factors that one account may create in a second (Twilio: 40). No limit by default.
pub(super) const ENTITY_CREATIONS_PER_SECOND: Key =
    Key::new("limits.entity_creations_per_second", Sources::EnvironmentAndFile);

/// For how many days challenges are kept after they were created. Default 30.
pub(super) const CHALLENGES_DAYS: Key = Key::new("retention.challenges_days", Sources::EnvironmentAndFile);

/// For how many days an event waits for its delivery before it is given up. Default 3.
pub(super) const OUTBOX_DAYS: Key = Key::new("retention.outbox_days", Sources::EnvironmentAndFile);

/// For how many days what was given up is kept. Default 30.
pub(super) const OUTBOX_DEAD_DAYS: Key = Key::new("retention.outbox_dead_days", Sources::EnvironmentAndFile);

/// By how many seconds a device's clock may differ from the server's. Default 60.
pub(super) const CLOCK_SKEW_SECONDS: Key =
    Key::new("devices.clock_skew_seconds", Sources::EnvironmentAndFile);

/// Where push services reach the operator, as `mailto:ops@example.com` or an https URL; they are told with every Web
/// Push message. By default `public_url`, if that is https.
pub(super) const WEBPUSH_CONTACT: Key = Key::new("webpush_contact", Sources::EnvironmentAndFile);
/// How many requests wait for a change at the same time, streams included. Default 20000, but never more than three
/// quarters of `max_connections`: those who wait must leave room for those who come to change something.
pub(super) const MAX_WAITERS: Key = Key::new("max_waiters", Sources::EnvironmentAndFile);

pub(super) fn read(settings: &mut Settings) -> Result<Policy, ConfigError> {
    let defaults = Policy::default();
    let creations = settings.take(
        &ENTITY_CREATIONS_PER_SECOND,
        "a number from 1 to 1000000",
        |text| text.parse().ok().filter(|most| (1..=1_000_000).contains(most)),
    )?;
    let challenges = settings.take(&CHALLENGES_DAYS, "a number of days from 1 to 3650", |text| {
        days(text, 3650)
    })?;
    let outbox = settings.take(&OUTBOX_DAYS, "a number of days from 1 to 365", |text| {
        days(text, 365)
    })?;
    let dead = settings.take(&OUTBOX_DEAD_DAYS, "a number of days from 1 to 3650", |text| {
        days(text, 3650)
    })?;
    let skew = settings.take(&CLOCK_SKEW_SECONDS, "a number of seconds from 0 to 300", |text| {
        text.parse()
            .ok()
            .filter(|seconds| *seconds <= 300)
            .map(Duration::from_secs)
    })?;
    let contact = settings.take(
        &WEBPUSH_CONTACT,
        "mailto: and an e-mail address, or an https URL",
        contact,
    )?;
    let waiters = settings.take(&MAX_WAITERS, "a number from 0 to 1000000", |text| {
        text.parse().ok().filter(|most| (0..=1_000_000).contains(most))
    })?;
    Ok(Policy {
        max_waiters: waiters.unwrap_or(defaults.max_waiters),
        entity_creations_per_second: creations.or(defaults.entity_creations_per_second),
        challenge_retention: challenges.unwrap_or(defaults.challenge_retention),
        outbox_retention: outbox.unwrap_or(defaults.outbox_retention),
        outbox_dead_retention: dead.unwrap_or(defaults.outbox_dead_retention),
        device_clock_skew: skew.unwrap_or(defaults.device_clock_skew),
        webpush_contact: contact.or(defaults.webpush_contact),
        push: super::push_limits::read(settings)?,
        toll_fraud: super::toll_fraud::read(settings)?,
        ..defaults
    })
}

fn days(text: &str, most: u64) -> Option<Duration> {
    let days = text.parse().ok().filter(|days| (1..=most).contains(days))?;
    Some(Duration::from_secs(days * 24 * 3600))
}

/// RFC 8292, section 2.1.
fn contact(text: &str) -> Option<String> {
    let url = Url::parse(text).ok()?;
    let reachable = match url.scheme() {
        "mailto" => url
            .path()
            .split_once('@')
            .is_some_and(|(name, host)| !name.is_empty() && !host.is_empty()),
        "https" => url.has_host(),
        _ => false,
    };
    (reachable && text.len() <= 255).then(|| url.into())
}
