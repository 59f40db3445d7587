//! Looking at the settings: what is in force, where each value comes from, and all that is wrong.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use toml::Value;

use super::faults::Faults;
use super::hiding::HIDDEN;
use super::senders::{SENDERS, VARIABLE, keys};
use super::sources::GivenSettings;
use super::{Config, ConfigError, password_file};

/// What was given, and what came of it.
#[derive(Debug)]
pub(crate) struct Inspection {
    /// Every setting, in the order of the reference, and what else the configuration file has.
    pub settings: Vec<SettingInForce>,
    /// What is wrong, in the order in which it was found.
    pub faults: Vec<ConfigError>,
    /// What a server would be started with: only if nothing is wrong.
    pub config: Option<Config>,
}

/// A setting as it is in force.
#[derive(Debug)]
pub(crate) struct SettingInForce {
    pub name: String,
    /// What may be shown of its value.
    pub value: String,
    pub origin: SettingOrigin,
}

/// Where a value comes from.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum SettingOrigin {
    Default,
    /// The variable.
    Environment(String),
    File(PathBuf),
    /// The flag, with its dashes.
    Flag(String),
}

/// Reads all settings, as a server that starts does.
pub(crate) fn inspect(
    flags: Vec<(&'static str, String)>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Inspection {
    let environment: Vec<(OsString, OsString)> = environment.into_iter().collect();
    let password_file = password_file(&environment);
    let mut faults = Faults::default();
    let given = GivenSettings::gather(flags, environment, &mut faults);
    let mut settings: Vec<_> = given.in_force().collect();
    settings.extend(of_the_file(&given));
    // What goes together with what nobody can say without the file.
    let config = if given.lacks_file() {
        None
    } else {
        Config::of(given, password_file, &mut faults)
    };
    let faults = faults.into_all();
    Inspection {
        settings,
        config: config.filter(|_| faults.is_empty()),
        faults,
    }
}

impl Inspection {
    /// What a server is started with.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub(super) fn into_config(self) -> Result<Config, ConfigError> {
        match (self.faults.into_iter().next(), self.config) {
            (None, Some(config)) => Ok(config),
            (Some(fault), _) => Err(fault),
            (None, None) => Err(ConfigError::new("the settings cannot be read")),
        }
    }
}

/// What only the file has, and the variables with secrets of senders.
fn of_the_file(given: &GivenSettings) -> Vec<SettingInForce> {
    let mut all: Vec<_> = given
        .sender_file()
        .map(|file| senders(given, file))
        .unwrap_or_default();
    all.extend(given.secret_variables().map(|variable| SettingInForce {
        name: secret_name(variable),
        value: HIDDEN.to_owned(),
        origin: SettingOrigin::Environment(variable.to_owned()),
    }));
    let others = given.other_tables();
    all.extend(others.into_iter().filter_map(|(name, value)| {
        let count = value?.as_array().map_or(1, Vec::len);
        Some(SettingInForce {
            name: name.to_owned(),
            value: format!("{count} in the file"),
            origin: SettingOrigin::File(given.file()?),
        })
    }));
    all
}

fn senders(given: &GivenSettings, file: &Path) -> Vec<SettingInForce> {
    let tables = given.sender_tables().and_then(Value::as_array);
    let tables = tables.map(Vec::as_slice).unwrap_or_default();
    let text = |table: &Value, key: &str| table.get(key).and_then(Value::as_str).unwrap_or("?").to_owned();
    let shown = tables.iter().map(|table| SettingInForce {
        name: format!("{SENDERS}.{}", text(table, keys::NAME.name)),
        value: text(table, keys::KIND.name),
        origin: SettingOrigin::File(file.to_path_buf()),
    });
    shown.collect()
}

/// `senders.NAME.secret`, as the variable says the name.
fn secret_name(variable: &str) -> String {
    let (beginning, end) = VARIABLE;
    let name = variable.strip_prefix(beginning);
    let name = name.and_then(|name| name.strip_suffix(end)).unwrap_or(variable);
    format!("{SENDERS}.{}.secret", name.to_lowercase().replace('_', "-"))
}
