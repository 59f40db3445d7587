//! How often the holder of a push factor may be asked.

use std::time::Duration;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};
use crate::domain::push_guard::PushLimits;

/// The most challenges of a push factor that wait for an answer at once. Default 5.
pub(super) const MAX_PENDING_CHALLENGES: Key =
    Key::new("limits.max_pending_challenges", Sources::EnvironmentAndFile);

/// The most pushes to a factor since its holder last approved, within 24 hours. Default 10.
pub(super) const MAX_PUSHES_SINCE_SUCCESS: Key =
    Key::new("limits.max_pushes_since_success", Sources::EnvironmentAndFile);

/// For how many seconds a push factor is paused after a report or wrong numbers. Default 3600.
pub(super) const PUSH_PAUSE_SECONDS: Key = Key::new("limits.push_pause_seconds", Sources::EnvironmentAndFile);

pub(super) fn read(settings: &mut Settings) -> Result<PushLimits, ConfigError> {
    let defaults = PushLimits::default();
    let pending = settings.take(&MAX_PENDING_CHALLENGES, MOST, most)?;
    let since_success = settings.take(&MAX_PUSHES_SINCE_SUCCESS, MOST, most)?;
    let pause = settings.take(
        &PUSH_PAUSE_SECONDS,
        "a number of seconds from 60 to 604800",
        |text| {
            text.parse()
                .ok()
                .filter(|seconds| (60..=604_800).contains(seconds))
                .map(Duration::from_secs)
        },
    )?;
    Ok(PushLimits {
        max_pending: pending.unwrap_or(defaults.max_pending),
        max_since_success: since_success.unwrap_or(defaults.max_since_success),
        pause: pause.unwrap_or(defaults.pause),
    })
}

const MOST: &str = "a number from 1 to 100";

fn most(text: &str) -> Option<usize> {
    text.parse()
        .ok()
        .filter(|most| (1..=PushLimits::LARGEST).contains(most))
}
