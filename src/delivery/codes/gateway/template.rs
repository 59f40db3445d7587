//! Texts with places for what a message holds: `{{to}}`.
//!
//! Invariant: a value is never looked at for places, and whoever renders says how it is escaped.

use std::collections::BTreeMap;

use zeroize::Zeroizing;

use crate::delivery::codes::CodeMessage;
use crate::domain::destination::EmailAddress;
use crate::domain::time::Timestamp;

/// A text with places such as `{{to}}` in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Pattern(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Literal(String),
    Place(Place),
}

/// What can stand in a place.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Place {
    Channel,
    Code,
    DeviceIp,
    From,
    FromName,
    Id,
    Locale,
    SecondsLeft,
    Secret,
    SendDigits,
    Subject,
    /// Of the message's substitutions the one of this name.
    Substitution(String),
    /// Of the message's tags the one of this name.
    Tag(String),
    TemplateId,
    Text,
    To,
    ToDigits,
}

/// The names of all places that have a fixed name.
const NAMES: &[(&str, Place)] = &[
    ("channel", Place::Channel),
    ("code", Place::Code),
    ("device_ip", Place::DeviceIp),
    ("from", Place::From),
    ("from_name", Place::FromName),
    ("id", Place::Id),
    ("locale", Place::Locale),
    ("seconds_left", Place::SecondsLeft),
    ("secret", Place::Secret),
    ("send_digits", Place::SendDigits),
    ("subject", Place::Subject),
    ("template_id", Place::TemplateId),
    ("text", Place::Text),
    ("to", Place::To),
    ("to_digits", Place::ToDigits),
];

/// Whether a constant must not have this name.
pub(super) fn is_taken(name: &str) -> bool {
    NAMES.iter().any(|(taken, _)| *taken == name)
}

/// What stands in the places for one message.
#[derive(Clone, Copy)]
pub(super) struct Values<'a> {
    pub(super) message: &'a CodeMessage,
    /// Whom it comes from, if the message does not say so.
    pub(super) from: Option<&'a str>,
    pub(super) secret: Option<&'a str>,
    pub(super) now: Timestamp,
}

impl Pattern {
    /// Reads `text`. The places of `constants` are filled at once.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn parse(text: &str, constants: &BTreeMap<String, String>) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut rest = text;
        while let Some((before, behind)) = rest.split_once("{{") {
            literal(&mut parts, before);
            let (name, behind) = behind
                .split_once("}}")
                .ok_or_else(|| "has a {{ without }}".to_owned())?;
            let name = name.trim();
            match constants.get(name) {
                Some(constant) => literal(&mut parts, constant),
                None => parts.push(Part::Place(place(name)?)),
            }
            rest = behind;
        }
        literal(&mut parts, rest);
        Ok(Self(parts))
    }

    /// The text before the first place.
    pub(super) fn beginning(&self) -> &str {
        match self.0.first() {
            Some(Part::Literal(text)) => text,
            _ => "",
        }
    }

    /// The text with nothing in its places.
    pub(super) fn render_literals(&self) -> String {
        let literals = self.0.iter().filter_map(|part| match part {
            Part::Literal(text) => Some(text.as_str()),
            Part::Place(_) => None,
        });
        literals.collect()
    }

    pub(super) fn has_places(&self) -> bool {
        self.0.iter().any(|part| matches!(part, Part::Place(_)))
    }

    pub(super) fn has_secret(&self) -> bool {
        self.0.contains(&Part::Place(Place::Secret))
    }

    pub(super) fn has_device_ip(&self) -> bool {
        self.0.contains(&Part::Place(Place::DeviceIp))
    }

    /// The text, each value escaped.
    pub(super) fn render(&self, values: Values<'_>, escape: impl Fn(&str, &mut String)) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for part in &self.0 {
            match part {
                Part::Literal(literal) => text.push_str(literal),
                Part::Place(place) => escape(&values.at(place), &mut text),
            }
        }
        text
    }

    /// The text with all that is known before there is a message, and with a letter for each value of one.
    pub(super) fn rehearse(&self, from: Option<&str>, secret: Option<&str>) -> Zeroizing<String> {
        let mut text = Zeroizing::new(String::new());
        for part in &self.0 {
            text.push_str(match part {
                Part::Literal(literal) => literal,
                Part::Place(Place::From) => from.unwrap_or("x"),
                Part::Place(Place::Secret) => secret.unwrap_or("x"),
                Part::Place(_) => "x",
            });
        }
        text
    }

    /// The text with the values as they are; `None` if it is one place alone and nothing stands there.
    pub(super) fn render_plain(&self, values: Values<'_>) -> Option<Zeroizing<String>> {
        let text = self.render(values, |value, text| text.push_str(value));
        let absent = text.is_empty() && matches!(self.0.as_slice(), [Part::Place(_)]);
        (!absent).then_some(text)
    }
}

impl Values<'_> {
    fn at(&self, place: &Place) -> Zeroizing<String> {
        let message = self.message;
        let named = |pairs: &[(String, String)], name: &str| {
            let found = pairs.iter().find(|(key, _)| key == name);
            found.map(|(_, value)| value.clone()).unwrap_or_default()
        };
        let text = match place {
            Place::Channel => message.channel.name().to_owned(),
            Place::Code => return message.code.clone(),
            Place::DeviceIp => message
                .device_ip
                .map(|address| address.to_string())
                .unwrap_or_default(),
            Place::From => message
                .from
                .as_ref()
                .map(EmailAddress::as_str)
                .or(self.from)
                .unwrap_or_default()
                .to_owned(),
            Place::FromName => message.from_name.clone().unwrap_or_default(),
            Place::Id => message.id.to_string(),
            Place::Locale => message.locale.clone(),
            Place::SecondsLeft => message.expires_at.since(self.now).as_secs().to_string(),
            Place::Secret => self.secret.unwrap_or_default().to_owned(),
            Place::SendDigits => message.send_digits.clone().unwrap_or_default(),
            Place::Subject => message.subject.clone().unwrap_or_default(),
            Place::Substitution(name) => named(&message.substitutions, name),
            Place::Tag(name) => named(&message.tags, name),
            Place::TemplateId => message.template_id.clone().unwrap_or_default(),
            Place::Text => return message.text.clone(),
            Place::To => message.to.as_str().to_owned(),
            Place::ToDigits => message
                .to
                .phone()
                .map_or_else(String::new, |number| number.digits().to_owned()),
        };
        Zeroizing::new(text)
    }
}

fn literal(parts: &mut Vec<Part>, text: &str) {
    match parts.last_mut() {
        _ if text.is_empty() => {}
        Some(Part::Literal(before)) => before.push_str(text),
        _ => parts.push(Part::Literal(text.to_owned())),
    }
}

fn place(name: &str) -> Result<Place, String> {
    if let Some((_, place)) = NAMES.iter().find(|(known, _)| *known == name) {
        return Ok(place.clone());
    }
    match name.split_once('.') {
        Some(("tag", name)) if !name.is_empty() => Ok(Place::Tag(name.to_owned())),
        Some(("substitution", name)) if !name.is_empty() => Ok(Place::Substitution(name.to_owned())),
        _ => {
            let known: Vec<_> = NAMES.iter().map(|(name, _)| *name).collect();
            let known = known.join(", ");
            Err(format!(
                "has a place {{{{{name}}}}}, which is neither a constant nor one of {known}, tag.NAME, substitution.NAME"
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::samples;
    use super::*;

    fn render(text: &str, message: &CodeMessage) -> Option<String> {
        let constants = BTreeMap::from([("account".to_owned(), "{{code}}".to_owned())]);
        let values = Values {
            message,
            from: Some("Owl"),
            secret: Some("hunter2"),
            now: Timestamp::from_seconds(1_799_999_401),
        };
        let template = Pattern::parse(text, &constants).unwrap();
        template.render_plain(values).map(|text| text.to_string())
    }

    #[test]
    fn places_are_filled_once() {
        let mut message = samples::sms("+15005550006", "4711", "{{secret}} 4711");
        message.tags.push(("team".to_owned(), "{{code}}".to_owned()));
        for (text, filled) in [
            ("", Some("")),
            ("plain } text {", Some("plain } text {")),
            ("{{to}}/{{ to_digits }}", Some("+15005550006/15005550006")),
            ("{{code}}", Some("4711")),
            ("{{text}}!", Some("{{secret}} 4711!")),
            ("{{account}}", Some("{{code}}")),
            ("{{tag.team}}{{tag.none}}", Some("{{code}}")),
            ("{{from}} {{secret}}", Some("Owl hunter2")),
            ("{{channel}} {{locale}}", Some("sms en")),
            ("{{seconds_left}}", Some("599")),
            ("{{id}}", Some("VL07070707070707070707070707070707")),
            ("{{send_digits}}", None),
            ("x{{send_digits}}", Some("x")),
            ("{{substitution.a}}", None),
        ] {
            assert_eq!(render(text, &message).as_deref(), filled, "{text}");
        }
    }

    #[test]
    fn places_that_nobody_knows_are_refused() {
        for (text, problem) in [
            ("{{cod}}", "{{cod}}"),
            ("{{to", "without }}"),
            ("{{}}", "{{}}"),
            ("{{tag.}}", "{{tag.}}"),
        ] {
            let refused = Pattern::parse(text, &BTreeMap::new()).unwrap_err();
            assert!(refused.contains(problem), "{refused}");
        }
    }
}
