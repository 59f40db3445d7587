//! Form parameters: what a request's body or query says.

use std::str::FromStr;

use serde_json::{Map, Value};

use super::error::{ApiError, Expected, Parameter, of_parameter};
use crate::crypto::unique_json::{parse_array, parse_object};
use crate::domain::service::Change;
use crate::domain::text::{Attributes, Invalid};

/// The parameters of a request, each possibly several times.
///
/// Names are compared exactly; `spelling` has seen to them before. Of a parameter that should come once, the last one counts
/// that is not empty, as it does for Twilio: clients send empty texts for what they leave out.
#[derive(Clone, Debug, Default)]
pub struct Form {
    /// All names and values, one behind the other.
    text: String,
    /// Where each pair's name and value are: the name ends where the value begins.
    pairs: Vec<(usize, usize, usize)>,
}

impl Form {
    /// Reads `application/x-www-form-urlencoded` bytes: pairs are split at `&`, each at its first `=`, because the iOS
    /// SDK leaves the `=` of Base64 as it is.
    ///
    /// Returns `None` if names and values are not UTF-8.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        // Decoding makes nothing longer.
        let mut text = String::with_capacity(bytes.len());
        let mut pairs = Vec::new();
        for (name, value) in form_urlencoded::parse(bytes) {
            let start = text.len();
            text.push_str(&name);
            let middle = text.len();
            text.push_str(&value);
            pairs.push((start, middle, text.len()));
        }
        // The parser puts U+FFFD in the place of what is not UTF-8; nobody means that character.
        let readable = !text.contains(char::REPLACEMENT_CHARACTER);
        readable.then_some(Self { text, pairs })
    }

    /// Names and values, in their order.
    fn pairs(&self) -> impl DoubleEndedIterator<Item = (&str, &str)> {
        let parts = |&(start, middle, end)| (&self.text[start..middle], &self.text[middle..end]);
        self.pairs.iter().map(parts)
    }

    /// The names, in their order.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.pairs().map(|(name, _)| name)
    }

    /// Adds a value.
    pub(super) fn push(&mut self, name: &str, value: &str) {
        let start = self.text.len();
        self.text.push_str(name);
        let middle = self.text.len();
        self.text.push_str(value);
        self.pairs.push((start, middle, self.text.len()));
    }

    /// The same values under other names.
    pub(super) fn renamed(&self, name_of: impl Fn(&str) -> Option<&'static str>) -> Self {
        let mut renamed = Self::default();
        for (name, value) in self.pairs() {
            renamed.push(name_of(name).unwrap_or(name), value);
        }
        renamed
    }

    /// Whether `name` is given, if only with an empty value.
    #[must_use]
    pub fn has(&self, name: &str) -> bool {
        self.names().any(|given| given == name)
    }

    /// The last value of `name` that is not empty.
    #[must_use]
    pub fn filled(&self, name: &str) -> Option<&str> {
        self.pairs()
            .rev()
            .find(|(given, value)| *given == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// All values of `name` that are not empty, in their order.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.pairs()
            .filter(move |(given, value)| *given == name && !value.is_empty())
            .map(|(_, value)| value)
    }

    /// The values of a parameter that is a list: each of them one item, or a JSON array of items.
    ///
    /// `None` if one begins like a JSON array and is none, or has an item that cannot be one.
    pub(super) fn items(&self, name: &str) -> Option<Vec<String>> {
        let mut items = Vec::new();
        for value in self.all(name) {
            if !value.trim_start().starts_with('[') {
                items.push(value.to_owned());
                continue;
            }
            for item in parse_array(value.as_bytes()).ok()? {
                items.push(match item {
                    Value::String(text) => text,
                    Value::Object(_) => item.to_string(),
                    Value::Array(_) | Value::Bool(_) | Value::Null | Value::Number(_) => return None,
                });
            }
        }
        Some(items)
    }

    /// The value of a parameter that must be there.
    pub(super) fn required(&self, name: &str) -> Result<&str, ApiError> {
        self.filled(name).ok_or_else(|| ApiError::missing(name))
    }

    /// The value of `name` as `parse` reads it.
    pub(super) fn parsed<T, E: Into<Expected>>(
        &self,
        parameter: Parameter,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Option<T>, ApiError> {
        let value = self.filled(parameter.name).map(parse).transpose();
        value.map_err(of_parameter(parameter))
    }

    /// The value of `name` as a small whole number that `check` accepts.
    pub(super) fn number<T>(
        &self,
        parameter: Parameter,
        check: impl FnOnce(u8) -> Result<T, Invalid>,
    ) -> Result<Option<T>, ApiError> {
        self.parsed(parameter, |text| {
            // A number that does not fit is as far out of any range as 255 is.
            let number = whole_number(text).ok_or("must be a whole number")?;
            check(u8::try_from(number).unwrap_or(u8::MAX)).map_err(Expected::from)
        })
    }

    /// The value of `name` as a number of seconds that `check` accepts.
    pub(super) fn seconds<T>(
        &self,
        parameter: Parameter,
        check: impl FnOnce(u16) -> Result<T, Invalid>,
    ) -> Result<Option<T>, ApiError> {
        self.parsed(parameter, |text| {
            // What is no number is as far out of any range as one that does not fit.
            let seconds = whole_number(text).and_then(|seconds| u16::try_from(seconds).ok());
            check(seconds.unwrap_or(u16::MAX))
        })
    }

    /// The value of `name` as `true` or `false`.
    pub(super) fn flag(&self, parameter: Parameter) -> Result<Option<bool>, ApiError> {
        self.parsed(parameter, |text| match text {
            _ if text.eq_ignore_ascii_case("true") => Ok(true),
            _ if text.eq_ignore_ascii_case("false") => Ok(false),
            _ => Err("must be true or false"),
        })
    }

    /// What becomes of a setting that an empty value empties.
    pub(super) fn clearable<T, E: Into<Expected>>(
        &self,
        parameter: Parameter,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<Change<T>, ApiError> {
        match self.filled(parameter.name) {
            Some(text) => parse(text).map(Change::Set).map_err(of_parameter(parameter)),
            None if self.has(parameter.name) => Ok(Change::Clear),
            None => Ok(Change::Keep),
        }
    }
}

/// Reads decimal digits, nothing else.
pub(super) fn whole_number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().unwrap_or(u32::MAX))
}

/// Reads an identifier; `expected` says what it must look like.
pub(super) fn sid<T: FromStr>(expected: &'static str) -> impl Fn(&str) -> Result<T, &'static str> {
    move |text| text.parse().map_err(|_| expected)
}

/// Reads a parameter that is a JSON object with only strings in it, at most 1024 characters long.
pub(super) fn attributes(parameter: Parameter, text: &str) -> Result<Attributes, ApiError> {
    const EXPECTED: &str = "must be a JSON object with only strings as values, at most 1024 characters long";
    let invalid = || ApiError::invalid(parameter, EXPECTED);
    if text.chars().count() > 1024 {
        return Err(invalid());
    }
    let object = parse_object(text.as_bytes()).map_err(|_| invalid())?;
    let pairs = texts(object).ok_or_else(invalid)?;
    Attributes::new(pairs).map_err(|_| invalid())
}

/// The members of an object, if all of them are texts.
pub(super) fn texts(object: Map<String, Value>) -> Option<Vec<(String, String)>> {
    let pairs = object.into_iter().map(|(name, value)| match value {
        Value::String(value) => Some((name, value)),
        _ => None,
    });
    pairs.collect()
}
