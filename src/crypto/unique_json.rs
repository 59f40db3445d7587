//! JSON that can be understood in one way only.
//!
//! RFC 8259 leaves open what a repeated member name means, and parsers differ: one that signs and one that checks could
//! read two different objects from the same bytes. Here a repeated name is an error, at every depth.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Number, Value};

/// Reads one JSON object, in the order in which its members stand. It may nest 16 deep, itself included.
///
/// # Errors
/// When the bytes are not exactly one JSON object in UTF-8, when a member name stands twice in the same object, or when
/// it nests deeper.
pub(crate) fn parse_object(bytes: &[u8]) -> Result<Map<String, Value>, NotUniqueJson> {
    match parse(bytes)? {
        Value::Object(object) => Ok(object),
        _ => Err(NotUniqueJson),
    }
}

/// Reads one JSON array in the same way.
///
/// # Errors
/// When the bytes are not exactly one JSON array in UTF-8, when an object in it has a member name twice, or when it nests
/// deeper.
pub(crate) fn parse_array(bytes: &[u8]) -> Result<Vec<Value>, NotUniqueJson> {
    match parse(bytes)? {
        Value::Array(items) => Ok(items),
        _ => Err(NotUniqueJson),
    }
}

fn parse(bytes: &[u8]) -> Result<Value, NotUniqueJson> {
    let mut deserializer = serde_json::Deserializer::from_slice(bytes);
    let value = Nested {
        levels_left: MAX_DEPTH,
    }
    .deserialize(&mut deserializer)
    .map_err(|_| NotUniqueJson)?;
    deserializer.end().map_err(|_| NotUniqueJson)?;
    Ok(value)
}

/// The bytes are no JSON of the kind that is expected, or could be understood in two ways.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON of the kind that is expected, with unique member names")]
pub struct NotUniqueJson;

#[derive(Clone, Copy)]
struct Nested {
    levels_left: usize,
}

impl Nested {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        let levels_left = self
            .levels_left
            .checked_sub(1)
            .ok_or_else(|| E::custom("nests too deep"))?;
        Ok(Self { levels_left })
    }
}

impl<'de> DeserializeSeed<'de> for Nested {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Nested {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Number(value.into()))
    }

    fn visit_f64<E: serde::de::Error>(self, value: f64) -> Result<Value, E> {
        let number = Number::from_f64(value).ok_or_else(|| E::custom("not a finite number"))?;
        Ok(Value::Number(number))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::String(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::String(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut array = Vec::new();
        while let Some(item) = items.next_element_seed(inner)? {
            array.push(item);
        }
        Ok(Value::Array(array))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut object = Map::new();
        while let Some(name) = members.next_key::<String>()? {
            let value = members.next_value_seed(inner)?;
            if object.insert(name, value).is_some() {
                return Err(A::Error::custom("a member name stands twice"));
            }
        }
        Ok(Value::Object(object))
    }
}

const MAX_DEPTH: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_object_is_read_as_it_stands() {
        let text = r#"{"z":1,"a":[true,null,-2,1.5,"x\/y"],"m":{"b":{},"a":18446744073709551615}}"#;
        let object = parse_object(text.as_bytes()).unwrap();
        assert_eq!(
            Value::Object(object.clone()),
            serde_json::from_str::<Value>(text).unwrap()
        );
        let names: Vec<_> = object.keys().map(String::as_str).collect();
        assert_eq!(names, ["z", "a", "m"]);
    }

    #[test]
    fn a_name_that_stands_twice_is_refused_at_every_depth() {
        for text in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":null}"#,
            r#"{"a":1,"\u0061":1}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[1,[{"a":1,"a":2}]]}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(NotUniqueJson), "{text}");
        }
        assert!(parse_object(r#"{"a":{"a":1},"b":{"a":1},"A":1}"#.as_bytes()).is_ok());
    }

    #[test]
    fn only_one_object_is_an_object() {
        for text in [
            "",
            "null",
            "[]",
            "\"a\"",
            "1",
            "{}{}",
            "{} x",
            "{",
            "{\"a\":1,}",
            "{a:1}",
            "{\"a\":NaN}",
            "\u{feff}{}",
        ] {
            assert_eq!(parse_object(text.as_bytes()), Err(NotUniqueJson), "{text}");
        }
        for bytes in [
            b"{\"\xff\":1}".as_slice(),
            b"{\"a\":\"\\ud800\"}",
            b"{\"a\":1e999}",
            b"{\"a\":\"\n\"}",
            b"{\"a\":01}",
        ] {
            assert_eq!(parse_object(bytes), Err(NotUniqueJson), "{bytes:?}");
        }
        assert!(parse_object(b" {} \n").is_ok());
    }

    #[test]
    fn sixteen_levels_are_the_limit() {
        let nested = |levels: usize| format!("{}1{}", "{\"a\":".repeat(levels), "}".repeat(levels));
        assert!(parse_object(nested(16).as_bytes()).is_ok());
        assert!(parse_object(nested(17).as_bytes()).is_err());
        assert!(parse_object(format!("{{\"a\":{}", "[".repeat(100_000)).as_bytes()).is_err());
    }
}
