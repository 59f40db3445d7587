//! How much is logged.

use tracing::level_filters::LevelFilter;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};

/// How much is logged on standard error: `off`, `error`, `warn`, `info`, `debug` or `trace`. Default `info`.
pub const LOG: Key = Key::new("log", Sources::All);

pub(super) fn read(settings: &mut Settings) -> Result<LevelFilter, ConfigError> {
    let level = settings.take(
        &LOG,
        "off, error, warn, info, debug or trace",
        |text| match text {
            "off" => Some(LevelFilter::OFF),
            "error" => Some(LevelFilter::ERROR),
            "warn" => Some(LevelFilter::WARN),
            "info" => Some(LevelFilter::INFO),
            "debug" => Some(LevelFilter::DEBUG),
            "trace" => Some(LevelFilter::TRACE),
            _ => None,
        },
    )?;
    Ok(level.unwrap_or(LevelFilter::INFO))
}
