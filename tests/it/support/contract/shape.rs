//! Schemas as `OpenAPI` 3.0 has them, as far as the document uses them.

use serde_json::{Map, Value};

/// What values are held to.
pub(super) struct Shapes<'a> {
    pub(super) schemas: &'a Value,
    /// For a schema's name, the members that objects may have besides those it names.
    pub(super) own_members: &'a [(&'a str, &'a [&'a str])],
    /// For an enumeration's name, a value besides those it lists.
    pub(super) own_values: &'a [(&'a str, &'a str)],
}

impl Shapes<'_> {
    /// What is wrong with a value; `at` names it, and the schema unless that has a name of its own.
    pub(super) fn faults(&self, at: &str, schema: &Value, value: &Value) -> Vec<String> {
        if let Some(reference) = schema["$ref"].as_str() {
            let name = reference.rsplit('/').next().expect("a name");
            let schema = &self.schemas[name];
            assert!(!schema.is_null(), "there is no schema {name}");
            return self.of(at, name, schema, value);
        }
        self.of(at, at, schema, value)
    }

    fn of(&self, at: &str, name: &str, schema: &Value, value: &Value) -> Vec<String> {
        let schema = schema.as_object().expect("a schema is an object");
        if value.is_null() {
            let nullable = schema.is_empty() || schema.get("nullable") == Some(&Value::Bool(true));
            return if nullable {
                Vec::new()
            } else {
                vec![format!("{at} is null")]
            };
        }
        let mut found = Vec::new();
        for (keyword, argument) in schema {
            match keyword.as_str() {
                "enum" => {
                    let own = self.own_values.iter().any(|own| own.0 == name && *value == own.1);
                    if !own && !argument.as_array().expect("values").contains(value) {
                        found.push(format!("{at} is {value}, which is none of {argument}"));
                    }
                }
                "format" => {
                    found.extend(misformed(argument, value).map(|why| format!("{at} is {value}, {why}")));
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        found.extend(self.faults(&format!("{at}[{index}]"), argument, item));
                    }
                }
                "maxLength" | "minLength" => {
                    let length = value.as_str().map_or(0, |text| text.chars().count() as u64);
                    let bound = argument.as_u64().expect("a length");
                    if (keyword == "maxLength" && length > bound)
                        || (keyword == "minLength" && length < bound)
                    {
                        found.push(format!("{at} is {value}: {keyword} is {bound}"));
                    }
                }
                "nullable" => {}
                "pattern" => {
                    if !is_sid(argument.as_str().expect("a pattern"), value) {
                        found.push(format!("{at} is {value}, not {argument}"));
                    }
                }
                "properties" => found.extend(self.members(at, name, argument, value)),
                "type" => {
                    if !is_of_type(argument, value) {
                        found.push(format!("{at} is {value}, not of type {argument}"));
                    }
                }
                _ => panic!("{at}: nobody reads the keyword {keyword}"),
            }
        }
        found
    }

    fn members(&self, at: &str, name: &str, schemas: &Value, value: &Value) -> Vec<String> {
        let (Some(schemas), Some(members)) = (schemas.as_object(), value.as_object()) else {
            return Vec::new();
        };
        let own = self.own_members.iter().filter(|(of, _)| *of == name);
        let own: Vec<_> = own.flat_map(|(_, names)| names.iter().copied()).collect();
        let unknown = |member: &&String| !schemas.contains_key(*member) && !own.contains(&member.as_str());
        let unknown = members.keys().filter(unknown);
        let unknown = unknown.map(|member| format!("{at}.{member} is not in the document"));
        unknown.chain(self.named(at, schemas, members)).collect()
    }

    fn named(&self, at: &str, schemas: &Map<String, Value>, members: &Map<String, Value>) -> Vec<String> {
        let of = |(member, schema): (&String, &Value)| match members.get(member) {
            None => vec![format!("{at}.{member} is absent")],
            Some(value) => self.faults(&format!("{at}.{member}"), schema, value),
        };
        schemas.iter().flat_map(of).collect()
    }
}

fn misformed(format: &Value, value: &Value) -> Option<&'static str> {
    let text = || value.as_str().unwrap_or_default();
    match format.as_str().expect("a format") {
        "date-time" => (!is_date(text())).then_some("no date and time such as 2026-01-31T12:00:00Z"),
        "int32" => value
            .as_i64()
            .is_none_or(|number| i32::try_from(number).is_err())
            .then_some("too large"),
        "uri" => (!is_uri(text())).then_some("no absolute URL"),
        "uri-map" => {
            let mut members = value.as_object().into_iter().flatten();
            let all = members.all(|(_, url)| url.as_str().is_some_and(is_uri));
            (!all).then_some("no object of absolute URLs")
        }
        format => panic!("nobody reads the format {format}"),
    }
}

/// As the mobile SDKs read dates: without a fraction, with the zone `Z`.
fn is_date(text: &str) -> bool {
    const FORM: &[u8; 20] = b"0000-00-00T00:00:00Z";
    let fits = |(own, given): (&u8, u8)| {
        if *own == b'0' {
            given.is_ascii_digit()
        } else {
            given == *own
        }
    };
    let within = |from: usize, most: u8| {
        text[from..from + 2]
            .parse()
            .is_ok_and(|number: u8| number <= most)
    };
    text.len() == FORM.len()
        && FORM.iter().zip(text.bytes()).all(fits)
        && [(5, 12), (8, 31), (11, 23), (14, 59), (17, 59)]
            .into_iter()
            .all(|(from, most)| within(from, most))
}

fn is_uri(text: &str) -> bool {
    text.parse::<url::Url>().is_ok_and(|url| url.has_host())
}

/// All patterns of the document are those of identifiers.
fn is_sid(pattern: &str, value: &Value) -> bool {
    let prefix = pattern
        .strip_prefix('^')
        .and_then(|rest| rest.strip_suffix("[0-9a-fA-F]{32}$"));
    let prefix = prefix.unwrap_or_else(|| panic!("nobody reads the pattern {pattern}"));
    let digits = value.as_str().and_then(|text| text.strip_prefix(prefix));
    digits.is_some_and(|digits| digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

fn is_of_type(kind: &Value, value: &Value) -> bool {
    match kind.as_str().expect("a type") {
        "array" => value.is_array(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_u64() || value.is_i64(),
        "object" => value.is_object(),
        "string" => value.is_string(),
        kind => panic!("nobody reads the type {kind}"),
    }
}
