//! What a request says: in its query, and in its body as a form or as JSON.
//!
//! All values are texts. A parameter that is given several times counts once if all of them say the same; where they do not,
//! nobody can tell which one is meant, so the request is refused. An empty text is as good as none.

use std::fmt;

use percent_encoding::percent_decode;
use serde_json::Value;
use zeroize::Zeroizing;

use super::error::VerifyError;
use crate::crypto::unique_json::parse_object;

/// How a body is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum BodySyntax {
    /// `application/x-www-form-urlencoded`.
    Form,
    /// One JSON object.
    Json,
}

/// The parameters of a request. Their values may be secrets: they are not shown, and wiped.
#[derive(Clone, Default)]
pub struct RequestParameters(Vec<GivenParameter>);

#[derive(Clone)]
struct GivenParameter {
    origin: ParameterOrigin,
    name: String,
    value: Zeroizing<String>,
}

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ParameterOrigin {
    Query,
    Body,
}

/// Why nothing can be read of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say what they are")]
pub enum Unreadable {
    #[error("the body must be one JSON object, without a name twice, and at most 16 levels deep")]
    Json,
    #[error("names and values must be UTF-8")]
    Text,
    #[error("there may be at most {MOST_PARAMETERS} parameters")]
    TooMany,
    #[error("a value in the body must be a text, a number, true, false, null, or an array of these")]
    Value,
}

impl RequestParameters {
    /// Reads the query, and the body if there is one.
    ///
    /// # Errors
    /// [`Unreadable`].
    pub fn read(query: &[u8], syntax: BodySyntax, body: &[u8]) -> Result<Self, Unreadable> {
        let mut read = Self::default();
        read.form(ParameterOrigin::Query, query)?;
        match syntax {
            BodySyntax::Form => read.form(ParameterOrigin::Body, body)?,
            BodySyntax::Json if body.trim_ascii().is_empty() => {}
            BodySyntax::Json => read.json(body)?,
        }
        Ok(read)
    }

    fn form(&mut self, origin: ParameterOrigin, bytes: &[u8]) -> Result<(), Unreadable> {
        for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
            let equals = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = equals.map_or((pair, &[][..]), |at| (&pair[..at], &pair[at + 1..]));
            let name = decoded(name)?.to_string();
            self.push(origin, name, decoded(value)?)?;
        }
        Ok(())
    }

    fn json(&mut self, bytes: &[u8]) -> Result<(), Unreadable> {
        for (name, value) in parse_object(bytes).map_err(|_| Unreadable::Json)? {
            let values = match value {
                Value::Array(items) => items,
                one => vec![one],
            };
            for value in values {
                let text = match value {
                    Value::Null => continue,
                    Value::Bool(flag) => flag.to_string(),
                    Value::Number(number) => number.to_string(),
                    Value::String(text) => text,
                    Value::Array(_) | Value::Object(_) => return Err(Unreadable::Value),
                };
                self.push(ParameterOrigin::Body, name.clone(), Zeroizing::new(text))?;
            }
        }
        Ok(())
    }

    fn push(
        &mut self,
        origin: ParameterOrigin,
        name: String,
        value: Zeroizing<String>,
    ) -> Result<(), Unreadable> {
        if value.is_empty() {
            return Ok(());
        }
        if self.0.len() == MOST_PARAMETERS {
            return Err(Unreadable::TooMany);
        }
        self.0.push(GivenParameter { origin, name, value });
        Ok(())
    }

    /// All values of `name` that are not empty, in their order, those of the query first.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.0.iter().filter(move |given| given.name == name);
        named.map(|given| given.value.as_str())
    }

    /// The value of `name`, if it is given.
    ///
    /// # Errors
    /// When it is given with different values.
    pub(super) fn one<'a>(&'a self, name: &'static str) -> Result<Option<&'a str>, VerifyError> {
        only(name, self.all(name))
    }

    /// The same, of what stands in one place.
    pub(super) fn one_of<'a>(
        &'a self,
        origin: ParameterOrigin,
        name: &'static str,
    ) -> Result<Option<&'a str>, VerifyError> {
        let named = self
            .0
            .iter()
            .filter(|given| given.name == name && given.origin == origin);
        only(name, named.map(|given| given.value.as_str()))
    }

    /// The value of `name`, which must be given.
    pub(super) fn required<'a>(&'a self, name: &'static str) -> Result<&'a str, VerifyError> {
        self.one(name)?.ok_or_else(|| VerifyError::missing(name))
    }

    /// The value of `name` as `parse` reads it.
    pub(super) fn parsed<T>(
        &self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, VerifyError> {
        let Some(text) = self.one(name)? else {
            return Ok(None);
        };
        parse(text).map(Some).ok_or_else(|| VerifyError::invalid(name))
    }

    /// The value of `name` as a whole number from `least` to `most`.
    pub(super) fn number(
        &self,
        name: &'static str,
        least: u32,
        most: u32,
    ) -> Result<Option<u32>, VerifyError> {
        self.parsed(name, |text| {
            let digits = !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
            let number: Option<u32> = text.parse().ok().filter(|_| digits);
            number.filter(|number| (least..=most).contains(number))
        })
    }
}

/// Values stay out of logs.
impl fmt::Debug for RequestParameters {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestParameters").field(&self.0.len()).finish()
    }
}

fn only<'a>(
    name: &'static str,
    mut values: impl Iterator<Item = &'a str>,
) -> Result<Option<&'a str>, VerifyError> {
    let Some(first) = values.next() else {
        return Ok(None);
    };
    if values.all(|value| value == first) {
        Ok(Some(first))
    } else {
        Err(VerifyError::contradicting(name))
    }
}

fn decoded(bytes: &[u8]) -> Result<Zeroizing<String>, Unreadable> {
    let spaced: Zeroizing<Vec<u8>> = Zeroizing::new(
        bytes
            .iter()
            .map(|byte| if *byte == b'+' { b' ' } else { *byte })
            .collect(),
    );
    let plain: Vec<u8> = percent_decode(&spaced).collect();
    String::from_utf8(plain)
        .map(Zeroizing::new)
        .map_err(|_| Unreadable::Text)
}

/// No request needs as many.
const MOST_PARAMETERS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str, syntax: BodySyntax, body: &str) -> Result<RequestParameters, Unreadable> {
        RequestParameters::read(query.as_bytes(), syntax, body.as_bytes())
    }

    #[test]
    fn queries_forms_and_json_say_the_same() {
        let expected = ["4915112345678", "Owl & Sons", "6"];
        for (query, syntax, body) in [
            (
                "number=4915112345678&brand=Owl+%26%20Sons&workflow_id=6",
                BodySyntax::Form,
                "",
            ),
            (
                "",
                BodySyntax::Form,
                "number=4915112345678&brand=Owl+%26%20Sons&workflow_id=6&country=",
            ),
            (
                "",
                BodySyntax::Json,
                r#"{"number":4915112345678,"brand":"Owl & Sons","workflow_id":6,"country":null,"lg":""}"#,
            ),
            (
                "number=4915112345678",
                BodySyntax::Json,
                r#" {"brand":["Owl & Sons"],"workflow_id":"6"} "#,
            ),
        ] {
            let read = read(query, syntax, body).unwrap();
            let found = ["number", "brand", "workflow_id"].map(|name| read.one(name).unwrap().unwrap());
            assert_eq!(found, expected, "{query} {body}");
            assert_eq!(read.one("country").unwrap(), None);
            assert_eq!(read.one("lg").unwrap(), None);
        }
        assert!(!format!("{:?}", read("api_secret=x", BodySyntax::Form, "").unwrap()).contains("secret"));
    }

    #[test]
    fn what_is_said_twice_counts_unless_it_is_contradicted() {
        let both = read(
            "number=1&brand=a&request_ids=x",
            BodySyntax::Form,
            "number=1&brand=b&request_ids=y",
        );
        let both = both.unwrap();
        assert_eq!(both.one("number").unwrap(), Some("1"));
        assert!(both.one("brand").is_err());
        assert_eq!(both.one_of(ParameterOrigin::Body, "brand").unwrap(), Some("b"));
        assert_eq!(both.all("request_ids").collect::<Vec<_>>(), ["x", "y"]);
        let json = read("", BodySyntax::Json, r#"{"request_ids":["x","y"]}"#).unwrap();
        assert_eq!(json.all("request_ids").collect::<Vec<_>>(), ["x", "y"]);
    }

    #[test]
    fn what_cannot_be_read_says_why() {
        for (body, expected) in [
            ("{", Unreadable::Json),
            ("[]", Unreadable::Json),
            ("\"number\"", Unreadable::Json),
            (r#"{"a":1,"a":1}"#, Unreadable::Json),
            (r#"{"a":{}}"#, Unreadable::Value),
            (r#"{"a":[[1]]}"#, Unreadable::Value),
        ] {
            assert_eq!(read("", BodySyntax::Json, body).unwrap_err(), expected, "{body}");
        }
        assert_eq!(read("a=%ff", BodySyntax::Form, "").unwrap_err(), Unreadable::Text);
        assert_eq!(
            read("%c3=%a4", BodySyntax::Form, "").unwrap_err(),
            Unreadable::Text
        );
        let many = "a=1&".repeat(MOST_PARAMETERS);
        assert!(read(&many, BodySyntax::Form, "").is_ok());
        assert_eq!(
            read(&many, BodySyntax::Form, "b=1").unwrap_err(),
            Unreadable::TooMany
        );
        assert!(read("", BodySyntax::Json, "").is_ok());
        assert!(read("&&=&a", BodySyntax::Json, " \n").is_ok());
    }

    #[test]
    fn numbers_are_whole_and_in_their_range() {
        let number = |text: &str| {
            let read = read(&format!("pin_expiry={text}"), BodySyntax::Form, "").unwrap();
            read.number("pin_expiry", 60, 3600).ok().flatten()
        };
        assert_eq!(
            [number("60"), number("0300"), number("3600")],
            [Some(60), Some(300), Some(3600)]
        );
        for bad in ["59", "3601", "-60", "%2B60", "60.0", "6e1", "99999999999", "x"] {
            assert_eq!(number(bad), None, "{bad}");
        }
    }
}
