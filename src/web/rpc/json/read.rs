//! Messages out of JSON (Protocol Buffers, "`ProtoJSON` Format").

use std::collections::HashSet;
use std::fmt;

use prost_reflect::{DeserializeOptions, DynamicMessage, FieldDescriptor, Kind, MessageDescriptor};
use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

/// The message that `text` is; one that says nothing if there is no text. Fields that the message does not have are passed
/// over.
///
/// # Errors
/// What is wrong with it, for its sender.
pub(super) fn message(kind: MessageDescriptor, text: &[u8]) -> Result<DynamicMessage, String> {
    // What JSON has for space, which is less than ASCII has.
    let begins = text.iter().position(|byte| !b" \t\r\n".contains(byte));
    let text = begins.map_or(&[][..], |begins| &text[begins..]);
    if text.is_empty() {
        return Ok(DynamicMessage::new(kind));
    }
    if !text.starts_with(b"{") {
        return Err("the body must be an object of JSON".to_owned());
    }
    let read = check_names(&kind, text).and_then(|()| {
        let mut json = serde_json::Deserializer::from_slice(text);
        let options = DeserializeOptions::new().deny_unknown_fields(false);
        let message = DynamicMessage::deserialize_with_options(kind, &mut json, &options)?;
        json.end()?;
        Ok(message)
    });
    read.map_err(|error| {
        let mut why = format!("the body cannot be read: {error}");
        // It may repeat what was sent.
        why.truncate(why.floor_char_boundary(MOST_WORDS));
        why
    })
}

/// Whether everything is said once: no name stands twice in an object, no field has two names there, and no two members of
/// a `oneof` are given.
fn check_names(kind: &MessageDescriptor, text: &[u8]) -> Result<(), serde_json::Error> {
    let mut json = serde_json::Deserializer::from_slice(text);
    let _is_null = Once(Some(kind.clone())).deserialize(&mut json)?;
    json.end()
}

/// A value that says everything once; an object in it is a message of this kind, or one whose fields nobody knows. Comes
/// to whether it is `null`.
#[derive(Clone)]
struct Once(Option<MessageDescriptor>);

impl Once {
    fn field(&self, name: &str) -> Option<FieldDescriptor> {
        let kind = self.0.as_ref()?;
        kind.get_field_by_json_name(name)
            .or_else(|| kind.get_field_by_name(name))
    }
}

/// What is written for this field, if that is an object of a message's fields.
fn kind_of(field: &FieldDescriptor) -> Option<MessageDescriptor> {
    match field.kind() {
        Kind::Message(kind) if !field.is_map() && kind.package_name() != "google.protobuf" => Some(kind),
        _ => None,
    }
}

impl<'de> DeserializeSeed<'de> for Once {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, json: D) -> Result<bool, D::Error> {
        json.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Once {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a value")
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(true)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<bool, A::Error> {
        while list.next_element_seed(self.clone())?.is_some() {}
        Ok(false)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut object: A) -> Result<bool, A::Error> {
        let (mut names, mut fields, mut choices) = (HashSet::new(), HashSet::new(), HashSet::new());
        while let Some(name) = object.next_key::<String>()? {
            let field = self.field(&name);
            let is_null = object.next_value_seed(Self(field.as_ref().and_then(kind_of)))?;
            if !names.insert(name) {
                return Err(A::Error::custom("a name stands twice in an object"));
            }
            let Some(field) = field else {
                continue;
            };
            if !fields.insert(field.number()) {
                return Err(A::Error::custom("a field is given by both of its names"));
            }
            if let Some(choice) = field.containing_oneof()
                && !is_null
                && !choices.insert(choice.name().to_owned())
            {
                return Err(A::Error::custom("two fields are given of which there can be one"));
            }
        }
        Ok(false)
    }
}

/// So many bytes of what is wrong are told.
const MOST_WORDS: usize = 300;
