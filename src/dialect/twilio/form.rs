//! Form parameters: what a request's body or query says.

use std::str::FromStr;

use percent_encoding::percent_decode;
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
    /// Returns `None` unless each name and each value is UTF-8 once its escapes are bytes. What looks like an escape and is
    /// none stands for itself.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        // Decoding makes nothing longer.
        let mut text = Vec::with_capacity(bytes.len());
        let mut pairs = Vec::new();
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            let start = text.len();
            decode(name, &mut text);
            let middle = text.len();
            decode(value, &mut text);
            pairs.push((start, middle, text.len()));
        }
        let text = String::from_utf8(text).ok()?;
        // A character that begins in a name and ends in its value is none.
        let whole = |&(start, middle, _): &(usize, usize, usize)| {
            text.is_char_boundary(start) && text.is_char_boundary(middle)
        };
        pairs.iter().all(whole).then_some(Self { text, pairs })
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

/// Adds the bytes that a name or a value stands for: escapes are bytes, and plus signs blanks.
fn decode(text: &[u8], bytes: &mut Vec<u8>) {
    for (at, word) in text.split(|byte| *byte == b'+').enumerate() {
        if at > 0 {
            bytes.push(b' ');
        }
        bytes.extend(percent_decode(word));
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

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(body: &[u8]) -> Option<Vec<(String, String)>> {
        let form = Form::parse(body)?;
        Some(
            form.pairs()
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .collect(),
        )
    }

    #[test]
    fn names_and_values_are_read_as_browsers_write_them() {
        for (body, expected) in [
            ("", &[][..]),
            ("&&", &[]),
            ("a", &[("a", "")]),
            ("=", &[("", "")]),
            ("a=b=c&a=%3D%26", &[("a", "b=c"), ("a", "=&")]),
            ("a=1+2%2B3%20%252B", &[("a", "1 2+3 %2B")]),
            (
                "a=%&b=%4&c=%zz&d=%2+B",
                &[("a", "%"), ("b", "%4"), ("c", "%zz"), ("d", "%2 B")],
            ),
            ("%C3%A9=%e2%82%ac\u{20ac}", &[("\u{e9}", "\u{20ac}\u{20ac}")]),
        ] {
            let expected = expected
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
            assert_eq!(
                pairs(body.as_bytes()).unwrap(),
                expected.collect::<Vec<_>>(),
                "{body}"
            );
        }
    }

    /// U+FFFD is what lossy readers put in the place of bad bytes; whoever sends it means it.
    #[test]
    fn what_is_not_utf_8_is_told_by_its_bytes() {
        for body in [
            &b"a=%EF%BF%BD"[..],
            "a=\u{fffd}".as_bytes(),
            b"%ef%bf%bd=\xef\xbf%BD",
        ] {
            let read = pairs(body).unwrap();
            assert!(
                [&read[0].0, &read[0].1].contains(&&"\u{fffd}".to_owned()),
                "{read:?}"
            );
        }
        for body in [
            &b"a=%FF"[..],
            b"a=\xff",
            b"%FF=a",
            b"a=%C3",
            b"a=%C3+%A9",
            // Each of these two is a character only together with its neighbour.
            b"%C3=%A9",
            b"a=%C3&%A9=b",
            // Longer than need be, half of a pair, and beyond the last character.
            b"a=%C0%AF",
            b"a=%ED%A0%80",
            b"a=%F4%90%80%80",
        ] {
            assert_eq!(pairs(body), None, "{}", body.escape_ascii());
        }
    }
}
