//! One table of `[[senders]]`, key by key.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::Value;

use super::keys::{self, SenderKey};
use crate::config::ConfigError;
use crate::config::sources::{REFERENCE, nearest};
use crate::delivery::trust::Authorities;

/// What is left of a table, and how errors name it.
pub(super) struct SenderTable<'a> {
    /// `senders.NAME`, or `senders[3]` as long as it has none.
    label: String,
    left: toml::Table,
    file: &'a Path,
    /// The keys that were asked for: what a mistyped one may have been meant to be.
    known: Vec<&'static str>,
}

impl<'a> SenderTable<'a> {
    pub(super) fn new(label: String, left: toml::Table, file: &'a Path) -> Self {
        Self {
            label,
            left,
            file,
            known: Vec::new(),
        }
    }

    pub(super) fn call(&mut self, name: &str) {
        self.label = format!("senders.{name}");
    }

    /// An error that names the key.
    pub(super) fn wrong(&self, key: &SenderKey, problem: &str) -> ConfigError {
        self.wrong_named(key.name, problem)
    }

    /// An error that names a key as somebody else calls it.
    pub(super) fn wrong_named(&self, key: &str, problem: &str) -> ConfigError {
        ConfigError::new(format!(
            "{}.{key} (in {}) {problem}",
            self.label,
            self.file.display()
        ))
    }

    pub(super) fn text(&mut self, key: &'static SenderKey) -> Result<Option<String>, ConfigError> {
        match self.take(key) {
            None => Ok(None),
            Some(Value::String(text)) if text.is_empty() => {
                Err(self.wrong(key, "must not be empty; leave it out for its default"))
            }
            Some(Value::String(text)) => Ok(Some(text)),
            Some(other) => Err(self.wrong(key, &format!("must be a text, not {}", other.type_str()))),
        }
    }

    /// A text that `parse` accepts.
    pub(super) fn parsed<T>(
        &mut self,
        key: &'static SenderKey,
        expected: &str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ConfigError> {
        let Some(text) = self.text(key)? else {
            return Ok(None);
        };
        let parsed =
            parse(&text).ok_or_else(|| self.wrong(key, &format!("must be {expected}, not {text:?}")))?;
        Ok(Some(parsed))
    }

    pub(super) fn required<T>(&self, key: &'static SenderKey, value: Option<T>) -> Result<T, ConfigError> {
        value.ok_or_else(|| self.wrong(key, "must be given"))
    }

    pub(super) fn flag(&mut self, key: &'static SenderKey) -> Result<bool, ConfigError> {
        match self.take(key) {
            None => Ok(false),
            Some(Value::Boolean(choice)) => Ok(choice),
            Some(_) => Err(self.wrong(key, "must be true or false")),
        }
    }

    pub(super) fn number(
        &mut self,
        key: &'static SenderKey,
        least: i64,
        most: i64,
    ) -> Result<Option<u32>, ConfigError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let number = value
            .as_integer()
            .filter(|number| (least..=most).contains(number));
        let number = number.and_then(|number| u32::try_from(number).ok());
        number
            .map(Some)
            .ok_or_else(|| self.wrong(key, &format!("must be a number from {least} to {most}")))
    }

    /// From a second to half a minute.
    pub(super) fn timeout(&mut self) -> Result<Duration, ConfigError> {
        let seconds = self.number(&keys::TIMEOUT_SECONDS, 1, 30)?;
        Ok(Duration::from_secs(seconds.unwrap_or(10).into()))
    }

    /// A list in which `parse` accepts every text; it must have some.
    pub(super) fn list<T>(
        &mut self,
        key: &'static SenderKey,
        expected: &str,
        parse: impl Fn(&Value) -> Option<T>,
    ) -> Result<Option<Vec<T>>, ConfigError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let all = value.as_array().filter(|all| !all.is_empty());
        let all: Option<Vec<T>> = all.and_then(|all| all.iter().map(parse).collect());
        all.map(Some)
            .ok_or_else(|| self.wrong(key, &format!("must be a list of {expected}")))
    }

    /// Names and texts, in the order of the file.
    pub(super) fn texts(
        &mut self,
        key: &'static SenderKey,
    ) -> Result<Option<Vec<(String, String)>>, ConfigError> {
        let Some(value) = self.take(key) else {
            return Ok(None);
        };
        let Value::Table(table) = value else {
            return Err(self.wrong(key, "must be a table of texts"));
        };
        let mut texts = Vec::new();
        for (name, value) in table {
            let Value::String(text) = value else {
                return Err(self.wrong(key, &format!("must be a table of texts, but {name} is none")));
            };
            texts.push((name, text));
        }
        Ok(Some(texts))
    }

    pub(super) fn constants(&mut self) -> Result<BTreeMap<String, String>, ConfigError> {
        let constants = self.texts(&keys::CONSTANTS)?;
        Ok(constants.unwrap_or_default().into_iter().collect())
    }

    pub(super) fn take(&mut self, key: &'static SenderKey) -> Option<Value> {
        self.known.push(key.name);
        self.left.remove(key.name)
    }

    /// The authorities in `ca_file`.
    pub(super) fn authorities(&mut self) -> Result<Option<Authorities>, ConfigError> {
        let Some(path) = self.text(&keys::CA_FILE)?.map(PathBuf::from) else {
            return Ok(None);
        };
        let pem = fs::read(&path).map_err(|error| self.unreadable(&keys::CA_FILE, &path, &error))?;
        match Authorities::from_pem(&pem) {
            Some(authorities) => Ok(Some(authorities)),
            None => Err(self.wrong(
                &keys::CA_FILE,
                "must be a file with certificates of authorities (PEM)",
            )),
        }
    }

    pub(super) fn unreadable(&self, key: &SenderKey, path: &Path, error: &std::io::Error) -> ConfigError {
        self.wrong(key, &format!("cannot be read from {}: {error}", path.display()))
    }

    /// Refuses what nobody asked for.
    pub(super) fn finish(&self) -> Result<(), ConfigError> {
        let Some(name) = self.left.keys().next() else {
            return Ok(());
        };
        if SECRETS.contains(&name.as_str()) {
            let instead = self
                .known
                .iter()
                .find(|key| [keys::PASSWORD_FILE.name, keys::SECRET_FILE.name].contains(*key));
            let instead = instead.copied().unwrap_or(keys::SECRET_FILE.name);
            return Err(self.wrong_named(
                name,
                &format!(
                    "must not stand in the file; give {instead} or a variable of the environment instead"
                ),
            ));
        }
        let known = self.known.iter().map(|key| (*key).to_owned());
        let hint = match nearest(name, known) {
            Some(near) => format!("; did you mean {near}?"),
            None => REFERENCE.to_owned(),
        };
        Err(self.wrong_named(name, &format!("is not a setting of such a sender{hint}")))
    }
}

/// What some would write into the file.
const SECRETS: &[&str] = &["api_key", "password", "secret", "token"];
