//! The operator's message templates: `[[templates]]` in the configuration file.

use serde::Deserialize;

use super::ConfigError;
use crate::crypto::template_sid::template_sid;
use crate::domain::channel::Channel;
use crate::domain::message::locale::Locale;
use crate::domain::message::template::{BadTemplate, Template, Templates, Translation};

/// The setting's name.
pub(super) const TEMPLATES: &str = "templates";

/// What a table may say: one row for each key, which the reader is made of and the reference page of the manual.
macro_rules! keys {
    ($(#[$doc:meta])* $keys:ident, $table:ident: $($(#[serde($how:ident)])? $key:ident: $ty:ty = $text:literal;)+) => {
        $(#[$doc])*
        pub(super) const $keys: &[(&str, &str)] = &[$((stringify!($key), $text)),+];

        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct $table {
            $($(#[serde($how)])? $key: $ty,)+
        }
    };
}

keys! {
    /// The keys of a template, and what each is, in Markdown.
    KEYS, Table:
    name: String = "At most 32 characters. The SID is made of it and stays while it stays.";
    channels: Vec<String> = "`sms`, `call`, or both, as a list; `voice` is another name of `call`.";
    translations: Vec<TranslationTable>
        = "The texts, each a table `[[templates.translations]]` with the keys below.";
}

keys! {
    /// The same of a translation.
    TRANSLATION_KEYS, TranslationTable:
    locale: String = "The language, such as `en` or `de-AT`.";
    text: String
        = "The message. `{{code}}` must be in it once; there may be other places, such as `{{friendly_name}}`.";
    #[serde(default)]
    default: bool
        = "`true` for everybody whose language is not there. Without it, the first translation is.";
}

/// Reads the value of `templates`, a list of tables, and puts the built-in templates before them.
///
/// # Errors
/// [`ConfigError`] that names the template and says what it must be.
pub(super) fn templates(value: toml::Value) -> Result<Templates, ConfigError> {
    let tables: Vec<Table> = value.try_into().map_err(|error: toml::de::Error| {
        ConfigError::new(format!("templates: {}", one_line(error.message())))
    })?;
    let own: Result<Vec<Template>, ConfigError> = tables
        .into_iter()
        .map(|table| {
            let name = table.name.clone();
            table
                .template()
                .map_err(|why| ConfigError::new(format!("templates, {name:?}: {why}")))
        })
        .collect();
    Templates::with(own?).map_err(|why| ConfigError::new(format!("templates: {why}")))
}

impl Table {
    fn template(self) -> Result<Template, BadTemplate> {
        let channel = |name: &String| match name.as_str() {
            // As the API calls it.
            "voice" => Some(Channel::Call),
            name => Channel::named(name),
        };
        let channels: Option<Vec<Channel>> = self.channels.iter().map(channel).collect();
        let channels = channels.ok_or(BadTemplate::Channels)?;
        let translations: Result<Vec<Translation>, BadTemplate> = self
            .translations
            .into_iter()
            .map(|table| {
                Ok(Translation {
                    locale: Locale::parse(&table.locale)?,
                    text: table.text,
                    default: table.default,
                })
            })
            .collect();
        Template::new(template_sid(&self.name), &self.name, channels, translations?)
    }
}

fn one_line(text: &str) -> String {
    text.replace('\n', ", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Templates, String> {
        let mut table: toml::Table = text.parse().unwrap();
        templates(table.remove("templates").unwrap()).map_err(|error| error.to_string())
    }

    const GOOD: &str = r#"
        [[templates]]
        name = "Order"
        channels = ["sms", "voice"]
        [[templates.translations]]
        locale = "en"
        text = "{{code}} confirms order {{order}} at {{friendly_name}}."
        [[templates.translations]]
        locale = "de-at"
        text = "{{code}} bestätigt die Bestellung {{order}}."
        default = true
    "#;

    #[test]
    fn templates_are_read_and_stand_behind_the_built_in_ones() {
        let templates = read(GOOD).unwrap();
        assert_eq!(templates.iter().len(), 4);
        let template = templates.by_sid(template_sid("Order")).unwrap();
        assert_eq!(template.friendly_name(), "Order");
        assert_eq!(template.channels(), [Channel::Sms, Channel::Call]);
        let shown: Vec<_> = template
            .translations()
            .iter()
            .map(|translation| (translation.locale.as_str(), translation.default))
            .collect();
        assert_eq!(shown, [("en", false), ("de-AT", true)]);
    }

    #[test]
    fn the_reference_has_every_key() {
        for (text, keys) in [
            ("[[templates]]\nx = 1", KEYS),
            (
                "[[templates]]\nname = 'a'\nchannels = ['sms']\n[[templates.translations]]\nx = 1",
                TRANSLATION_KEYS,
            ),
        ] {
            let names: Vec<_> = keys.iter().map(|(name, _)| format!("`{name}`")).collect();
            let refused = read(text).unwrap_err();
            let end = format!("expected one of {}", names.join(", "));
            assert!(refused.ends_with(&end), "{refused}");
        }
    }

    #[test]
    fn what_does_not_fit_is_named() {
        for (from, to, line) in [
            (
                "{{code}} confirms",
                "{{cod}} confirms",
                "must have {{code}} in it once",
            ),
            (
                "{{code}} confirms",
                "{{code}} {{code}}",
                "must have {{code}} in it once",
            ),
            ("{{order}} at", "{{or der}} at", "must be {{name}} with"),
            ("\"voice\"", "\"email\"", "must be sms, call, or both"),
            ("\"sms\", \"voice\"", "", "must be sms, call, or both"),
            ("\"de-at\"", "\"EN\"", "one text for each language"),
            ("\"de-at\"", "\"german\"", "must be a language such as de"),
            (
                "name = \"Order\"",
                "name = \"Verification code\"",
                "no other template's",
            ),
            (
                "name = \"Order\"",
                "name = \"123456789 123456789 123456789 123\"",
                "1 to 32 characters",
            ),
            (
                "locale = \"en\"",
                "locale = \"en\"\ndefault = true",
                "only one translation",
            ),
            ("name = \"Order\"", "", "missing field `name`"),
            (
                "name = \"Order\"",
                "name = \"Order\"\ntitle = \"x\"",
                "unknown field `title`",
            ),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let error = read(&GOOD.replacen(from, to, 1)).unwrap_err();
            assert!(
                error.contains(line) && error.starts_with("templates"),
                "{to}: {error}"
            );
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }
}
