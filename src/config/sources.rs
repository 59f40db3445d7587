//! Where settings come from, and the errors that name them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use super::SECTIONS;
use super::faults::Faults;
use super::formats::Format;
use super::inspection::{SettingInForce, SettingOrigin};
use super::senders::{self, SenderTables};
use super::setting::{PREFIX, Setting, Unset};
use super::table::ConfigFile;
use super::{telegram, templates};
use crate::delivery::codes::secret::SenderSecret;

/// A setting that stops the start. One line.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{line}")]
pub struct ConfigError {
    line: String,
    /// The setting that is not known for this: it was given under another name, or in another form.
    pub(super) lost: Option<&'static str>,
    /// The settings without which this would not be wrong if they were known.
    pub(super) misses: &'static [&'static str],
}

impl ConfigError {
    pub(super) fn new(line: impl Into<String>) -> Self {
        Self {
            line: line.into(),
            lost: None,
            misses: &[],
        }
    }

    /// It is wrong because any of these settings was not given.
    pub(super) fn missing(misses: &'static [&'static str], line: impl Into<String>) -> Self {
        Self {
            misses,
            ..Self::new(line)
        }
    }

    /// It keeps this setting from being known.
    fn losing(self, lost: Option<&'static str>) -> Self {
        Self { lost, ..self }
    }
}

/// All settings that were given, each from its first source.
#[derive(Debug, Default)]
pub(super) struct GivenSettings {
    values: BTreeMap<&'static str, Value>,
    senders: SenderTables,
    templates: Option<toml::Value>,
    telegram_apps: Option<toml::Value>,
    lacks_file: bool,
}

/// A value may be a secret, so it is not shown.
struct Value {
    text: String,
    source: Source,
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "from {:?}", self.source)
    }
}

#[derive(Debug)]
enum Source {
    Environment,
    File(PathBuf),
    Flag,
}

impl GivenSettings {
    /// Collects the settings of all sources; flags come with the names of their settings. Into `faults` go names that are
    /// unknown or stand where they must not, values that are not what they must be, and a file that cannot be read.
    pub(super) fn gather(
        flags: Vec<(&'static str, String)>,
        environment: impl IntoIterator<Item = (OsString, OsString)>,
        faults: &mut Faults,
    ) -> Self {
        let mut given = Self::default();
        for (name, text) in flags {
            let setting = known().find(|setting| setting.name == name);
            let setting = setting.ok_or_else(|| ConfigError::new(format!("{name} is not a setting")));
            faults.unless(setting.and_then(|setting| given.add(setting, text, Source::Flag)));
        }
        for (name, value) in environment {
            faults.unless(given.add_variable(&name, value));
        }
        if let Some(path) = faults
            .unless(ConfigFile::read(&given))
            .and_then(|file| file.config)
        {
            let read = given.add_file(&path, faults);
            given.lacks_file = faults.unless(read).is_none();
        }
        for setting in known() {
            faults.unless(given.check(setting));
        }
        given
    }

    /// Whether there is a configuration file, and nothing of it is known.
    pub(super) fn lacks_file(&self) -> bool {
        self.lacks_file
    }

    /// Every setting as it is in force, in the order of the reference.
    pub(super) fn in_force(&self) -> impl Iterator<Item = SettingInForce> {
        known().map(|setting| {
            let (text, origin) = match (self.values.get(setting.name), setting.default) {
                (Some(Value { text, source }), _) => (setting.without_secrets(text), source.origin(setting)),
                (None, Unset::Value(text) | Unset::Words(text)) => (text.to_owned(), SettingOrigin::Default),
            };
            SettingInForce {
                name: setting.name.to_owned(),
                value: text,
                origin,
            }
        })
    }

    /// The configuration file, if one is named.
    pub(super) fn file(&self) -> Option<PathBuf> {
        ConfigFile::read(self).ok()?.config
    }

    /// The names of the variables that have secrets of senders.
    pub(super) fn secret_variables(&self) -> impl Iterator<Item = &str> {
        self.senders.secrets.keys().map(String::as_str)
    }

    /// The file that the tables stand in.
    pub(super) fn sender_file(&self) -> Option<&Path> {
        self.senders.tables.as_ref().map(|(_, path)| path.as_path())
    }

    /// The value of `setting`, if one was given.
    ///
    /// # Errors
    /// When it does not have this format.
    pub(super) fn value<T>(&self, setting: &Setting, format: &Format<T>) -> Result<Option<T>, ConfigError> {
        let Some(Value { text, source }) = self.values.get(setting.name) else {
            return Ok(None);
        };
        if let Some(value) = (format.parse)(text) {
            return Ok(Some(value));
        }
        Err(misfit(setting, text, source, &format.expected))
    }

    /// Whether the value of `setting` has its format, if one was given.
    ///
    /// # Errors
    /// When it does not.
    fn check(&self, setting: &Setting) -> Result<(), ConfigError> {
        let Some(Value { text, source }) = self.values.get(setting.name) else {
            return Ok(());
        };
        let format = (setting.format)();
        if (format.accepts)(text) {
            return Ok(());
        }
        Err(misfit(setting, text, source, &format.expected))
    }

    /// The value of `setting` that was given, or else this one.
    ///
    /// # Errors
    /// When it does not have this format.
    pub(super) fn value_or<T>(
        &self,
        setting: &Setting,
        format: &Format<T>,
        default: &str,
    ) -> Result<T, ConfigError> {
        if let Some(value) = self.value(setting, format)? {
            return Ok(value);
        }
        (format.parse)(default)
            .ok_or_else(|| ConfigError::new(format!("{} must not be {default:?} by default", setting.name)))
    }

    /// The value of `setting` as it was given, or its default: equal texts mean equal values. Empty if there is neither.
    pub(super) fn spelled(&self, setting: &Setting) -> String {
        let given = self.values.get(setting.name).map(|value| value.text.as_str());
        let text = match setting.default {
            Unset::Value(default) => given.unwrap_or(default),
            Unset::Words(_) => given.unwrap_or_default(),
        };
        if setting.is_list() {
            text.split(',').map(str::trim).collect::<Vec<_>>().join(",")
        } else {
            text.trim().to_owned()
        }
    }

    /// The tables of senders, unless they were taken.
    pub(super) fn sender_tables(&self) -> Option<&toml::Value> {
        self.senders.tables.as_ref().map(|(tables, _)| tables)
    }

    /// What else only the file has, unless it was taken.
    pub(super) fn other_tables(&self) -> [(&'static str, Option<&toml::Value>); 2] {
        [
            (templates::TEMPLATES, self.templates.as_ref()),
            (telegram::APPS, self.telegram_apps.as_ref()),
        ]
    }

    pub(super) fn take_senders(&mut self) -> SenderTables {
        std::mem::take(&mut self.senders)
    }

    /// Takes the operator's templates.
    pub(super) fn take_templates(&mut self) -> Option<toml::Value> {
        self.templates.take()
    }

    /// Takes the programs that may log in.
    pub(super) fn take_telegram_apps(&mut self) -> Option<toml::Value> {
        self.telegram_apps.take()
    }

    fn add(&mut self, setting: &'static Setting, text: String, source: Source) -> Result<(), ConfigError> {
        if text.is_empty() {
            let place = place(setting, &source);
            return Err(ConfigError::new(format!(
                "{place} must not be empty; leave it out for its default"
            )));
        }
        // The first source wins.
        self.values.entry(setting.name).or_insert(Value { text, source });
        Ok(())
    }

    fn add_variable(&mut self, name: &OsString, value: OsString) -> Result<(), ConfigError> {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
            return Ok(());
        };
        let Some(setting) = known().find(|setting| setting.variable() == name) else {
            if is_foreign(name) {
                return Ok(());
            }
            if is_secret_of_sender(name) {
                return self.add_secret(name, value);
            }
            let meant = meant(name, Setting::variable);
            let hint = suggestion(meant, Setting::variable);
            let unknown = ConfigError::new(format!("{name} is not a setting{hint}"));
            return Err(unknown.losing(meant.map(|meant| meant.name)));
        };
        let text = value
            .into_string()
            .map_err(|_| ConfigError::new(format!("{name} must be text in UTF-8")))?;
        self.add(setting, text, Source::Environment)
    }

    fn add_secret(&mut self, name: &str, value: OsString) -> Result<(), ConfigError> {
        let text = value.into_string().ok();
        let text = text.filter(|text| !text.is_empty() && !text.contains(char::is_control));
        let text =
            text.ok_or_else(|| ConfigError::new(format!("{name} must be text on one line, and not empty")))?;
        self.senders
            .secrets
            .insert(name.to_owned(), SenderSecret::new(text));
        Ok(())
    }

    fn add_file(&mut self, path: &Path, faults: &mut Faults) -> Result<(), ConfigError> {
        let text = fs::read_to_string(path)
            .map_err(|error| ConfigError::new(format!("config: cannot read {}: {error}", path.display())))?;
        let mut table = text.parse::<toml::Table>().map_err(|error| {
            let before = error
                .span()
                .map_or("", |span| text.get(..span.start).unwrap_or_default());
            let line = before.matches('\n').count() + 1;
            let what = error.message().replace('\n', ", ");
            ConfigError::new(format!("config: {}, line {line}: {what}", path.display()))
        })?;
        if let Some(value) = table.remove(senders::SENDERS) {
            self.senders.tables = Some((value, path.to_path_buf()));
        }
        self.templates = table.remove(templates::TEMPLATES);
        self.telegram_apps = table.remove(telegram::APPS);
        self.add_table("", table, path, faults);
        Ok(())
    }

    fn add_table(&mut self, prefix: &str, table: toml::Table, path: &Path, faults: &mut Faults) {
        for (name, value) in table {
            let name = format!("{prefix}{name}");
            match value {
                toml::Value::Table(inner) => self.add_table(&format!("{name}."), inner, path, faults),
                value => {
                    faults.unless(self.add_line(&name, value, path));
                }
            }
        }
    }

    fn add_line(&mut self, name: &str, value: toml::Value, path: &Path) -> Result<(), ConfigError> {
        let Some(setting) = known().find(|setting| setting.name == name) else {
            let spelling = |setting: &Setting| setting.name.to_owned();
            let meant = meant(name, spelling);
            let hint = suggestion(meant, spelling);
            let unknown = ConfigError::new(format!("{name} in {} is not a setting{hint}", path.display()));
            return Err(unknown.losing(meant.map(|meant| meant.name)));
        };
        if !setting.is_in_file {
            let misplaced = ConfigError::new(format!(
                "{name} must not stand in {}; set {} instead",
                path.display(),
                setting.variable()
            ));
            return Err(misplaced.losing(Some(setting.name)));
        }
        let source = Source::File(path.to_path_buf());
        let text = match value {
            toml::Value::String(text) => text,
            toml::Value::Integer(number) => number.to_string(),
            toml::Value::Boolean(choice) => choice.to_string(),
            toml::Value::Array(values) if setting.is_list() && !values.is_empty() => {
                let texts = values.iter().map(toml::Value::as_str);
                let texts: Option<Vec<_>> = texts.collect();
                let place = || place(setting, &source);
                texts
                    .ok_or_else(|| ConfigError::new(format!("{} must be a list of texts", place())))?
                    .join(",")
            }
            // As if it were not there.
            toml::Value::Array(_) if setting.is_list() => return Ok(()),
            _ => {
                let kind = value.type_str();
                let place = place(setting, &source);
                let unfit = ConfigError::new(format!(
                    "{place} must be a text, a whole number or a boolean, not {kind}"
                ));
                return Err(unfit.losing(Some(setting.name)));
            }
        };
        self.add(setting, text, source)
    }
}

impl Source {
    fn origin(&self, setting: &Setting) -> SettingOrigin {
        match self {
            Self::Environment => SettingOrigin::Environment(setting.variable()),
            Self::File(path) => SettingOrigin::File(path.clone()),
            Self::Flag => SettingOrigin::Flag(format!("--{}", setting.flag_name())),
        }
    }
}

/// The value does not have the format of the setting. A secret is not repeated.
fn misfit(setting: &Setting, text: &str, source: &Source, expected: &str) -> ConfigError {
    let place = place(setting, source);
    ConfigError::new(if setting.is_secret() {
        format!("{place} must be {expected}")
    } else {
        format!("{place} must be {expected}, not {text:?}")
    })
}

fn known() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// The setting, and where its value stands.
fn place(setting: &Setting, source: &Source) -> String {
    let name = setting.name;
    match source {
        Source::Environment => format!("{name} ({})", setting.variable()),
        Source::File(path) => format!("{name} (in {})", path.display()),
        Source::Flag => format!("{name} (--{})", setting.flag_name()),
    }
}

/// Whether the variable is no setting, but somebody else's all the same: one of [`OTHERS`], or what Kubernetes sets for a
/// service that is called `countersign`. Only those exact names: a mistyped setting must not pass for one of them.
fn is_foreign(variable: &str) -> bool {
    OTHERS.contains(&variable) || variable.strip_prefix(PREFIX).is_some_and(is_of_service)
}

/// Whether Kubernetes sets the variable: `SERVICE_HOST`, `SERVICE_PORT`, `SERVICE_PORT_HTTP` (for a port of this name),
/// `PORT`, `PORT_8080_TCP`, and the latter's `_PROTO`, `_PORT` and `_ADDR`.
fn is_of_service(name: &str) -> bool {
    if let Some(port) = name.strip_prefix("SERVICE_PORT_") {
        return !port.is_empty();
    }
    let Some(port) = name.strip_prefix("PORT_") else {
        return ["PORT", "SERVICE_HOST", "SERVICE_PORT"].contains(&name);
    };
    let mut words = port.splitn(3, '_');
    let number = words.next().is_some_and(|word| word.parse::<u16>().is_ok());
    let protocol = words
        .next()
        .is_some_and(|word| ["SCTP", "TCP", "UDP"].contains(&word));
    let detail = words
        .next()
        .is_none_or(|word| ["ADDR", "PORT", "PROTO"].contains(&word));
    number && protocol && detail
}

/// The setting that was probably meant.
fn meant(name: &str, spelling: impl Fn(&Setting) -> String) -> Option<&'static Setting> {
    let near = nearest(name, known().map(&spelling))?;
    known().find(|setting| spelling(setting) == near)
}

/// What is said of it, or where all of them are listed.
fn suggestion(meant: Option<&Setting>, spelling: impl Fn(&Setting) -> String) -> String {
    match meant {
        Some(meant) => format!("; did you mean {}?", spelling(meant)),
        None => REFERENCE.to_owned(),
    }
}

/// Of the names that are known the one that was probably meant.
pub(crate) fn nearest(name: &str, known: impl Iterator<Item = String>) -> Option<String> {
    let near = known.map(|known| (distance(name, &known), known)).min();
    near.filter(|(away, _)| *away <= 3).map(|(_, known)| known)
}

/// Whether the variable may hold the secret of a sender; which of them there are the configuration file says.
fn is_secret_of_sender(variable: &str) -> bool {
    let (beginning, end) = senders::VARIABLE;
    let name = variable.strip_prefix(beginning);
    let name = name.and_then(|name| name.strip_suffix(end));
    name.is_some_and(|name| !name.is_empty())
}

/// How many letters must be inserted, removed or replaced to get from one word to the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (i, a) in one.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in other.bytes().enumerate() {
            let replaced = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[other.len()]
}

/// Where all settings are listed.
pub(super) const REFERENCE: &str = "; see `countersign manual settings`";

/// The variables that other commands and the tests read. They may be set where a server is started as well.
const OTHERS: &[&str] = &[
    "COUNTERSIGN_ACCESS_TOKEN",
    "COUNTERSIGN_ACCOUNT",
    "COUNTERSIGN_BACKUP",
    "COUNTERSIGN_CORE_DUMPS",
    "COUNTERSIGN_KILL_DIRECTORY",
    "COUNTERSIGN_KEY_ROUNDS",
    "COUNTERSIGN_KILL_ROUNDS",
    "COUNTERSIGN_KILL_SEED",
    "COUNTERSIGN_MUTATION_SEED",
    "COUNTERSIGN_NODE_RACE_ROUNDS",
    "COUNTERSIGN_RACE_ROUNDS",
    "COUNTERSIGN_SIGNAL_TOKEN",
    "COUNTERSIGN_TEST_ACCOUNT",
    "COUNTERSIGN_TEST_ALL",
    "COUNTERSIGN_TEST_AUDIT",
    "COUNTERSIGN_TEST_IDLE",
    "COUNTERSIGN_TEST_OWNER",
    "COUNTERSIGN_TEST_POSTGRES",
    "COUNTERSIGN_TEST_PYTHON",
    "COUNTERSIGN_TEST_STORE",
    "COUNTERSIGN_TEST_TOKEN",
    "COUNTERSIGN_TEST_URL",
    "COUNTERSIGN_TEST_VONAGE",
    "COUNTERSIGN_TOTP_URI",
    "COUNTERSIGN_WRITE_FIXTURES",
];
