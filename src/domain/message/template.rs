//! Templates: messages of the operator's own wording, and a few that every server has.

use std::fmt;
use std::sync::Arc;

use zeroize::Zeroizing;

use super::super::channel::Channel;
use super::super::sid::TemplateSid;
use super::super::text::{Invalid, may_be_shown};
use super::fill::{fill, places};
use super::locale::Locale;
use super::words::{self, Words};
use super::{MOST_VALUE, MessageRequest, Unrenderable, said, standard};

/// A message in several languages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    sid: TemplateSid,
    friendly_name: String,
    channels: Vec<Channel>,
    translations: Vec<Translation>,
}

/// A template in one language.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Translation {
    /// Which language.
    pub locale: Locale,
    /// The text, with `{{code}}` and, if it likes, `{{friendly_name}}`, `{{amount}}`, `{{payee}}` and places of its own.
    pub text: String,
    /// Whether it is for everybody for whose language there is none; one translation of a template is.
    pub default: bool,
}

/// What is wrong with a template; whoever reads it is the operator, who wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadTemplate {
    /// It says nothing on some of its channels, or has none.
    #[error("a template's channels must be sms, call, or both")]
    Channels,
    /// A text has no place for the code, or several.
    #[error("a template's text must have {{{{code}}}} in it once")]
    CodeMissing,
    /// Two translations are the default one.
    #[error("only one translation of a template may be the default one")]
    DefaultTwice,
    /// Two translations have one language.
    #[error("a template must have one text for each language")]
    LanguageTwice,
    /// A language cannot be read.
    #[error(transparent)]
    Locale(#[from] Invalid),
    /// Its name is too long, or cannot be shown.
    #[error(
        "a template's name must be 1 to {MOST_NAME} characters long, without control characters and marks of direction"
    )]
    Name,
    /// Another one has its name.
    #[error("a template's name must be no other template's")]
    NameTaken,
    /// It has no text.
    #[error("a template must have a translation")]
    NoTranslation,
    /// What looks like a place in a text is none.
    #[error(
        "a place in a template's text must be {{{{name}}}} with 1 to 32 letters, digits, dashes and underscores"
    )]
    Place,
    /// A text is too long, or cannot be sent.
    #[error(
        "a template's text must be 1 to {MOST_TEXT} characters long, without control characters and marks of direction"
    )]
    Text,
}

impl Template {
    /// Checks a template. Where no translation is the default one, the first is.
    ///
    /// # Errors
    /// [`BadTemplate`] with what is wrong.
    pub fn new(
        sid: TemplateSid,
        friendly_name: &str,
        channels: Vec<Channel>,
        mut translations: Vec<Translation>,
    ) -> Result<Self, BadTemplate> {
        let named = (1..=MOST_NAME).contains(&friendly_name.chars().count());
        if !named || !friendly_name.chars().all(may_be_shown) {
            return Err(BadTemplate::Name);
        }
        let fits = |channel: &Channel| matches!(channel, Channel::Sms | Channel::Call);
        if channels.is_empty() || !channels.iter().all(fits) {
            return Err(BadTemplate::Channels);
        }
        let locales = translations.iter().map(|translation| &translation.locale);
        if locales
            .clone()
            .enumerate()
            .any(|(index, locale)| locales.clone().skip(index + 1).any(|other| other == locale))
        {
            return Err(BadTemplate::LanguageTwice);
        }
        for translation in &translations {
            translation.check()?;
        }
        match translations
            .iter()
            .filter(|translation| translation.default)
            .count()
        {
            0 => match translations.first_mut() {
                Some(first) => first.default = true,
                None => return Err(BadTemplate::NoTranslation),
            },
            1 => {}
            _ => {
                return Err(BadTemplate::DefaultTwice);
            }
        }
        Ok(Self {
            sid,
            friendly_name: friendly_name.to_owned(),
            channels,
            translations,
        })
    }

    /// What it is known by: made of its name, so that it is the same on every server and after every start.
    #[must_use]
    pub fn sid(&self) -> TemplateSid {
        self.sid
    }

    /// What its operator calls it.
    #[must_use]
    pub fn friendly_name(&self) -> &str {
        &self.friendly_name
    }

    /// Where it may be used.
    #[must_use]
    pub fn channels(&self) -> &[Channel] {
        &self.channels
    }

    /// Its texts.
    #[must_use]
    pub fn translations(&self) -> &[Translation] {
        &self.translations
    }

    /// Its text in this language, else the default one.
    pub(super) fn translation(&self, locale: &Locale) -> &Translation {
        let named = |name: String| {
            self.translations
                .iter()
                .find(|translation| translation.locale.as_str() == name)
        };
        let default = || self.translations.iter().find(|translation| translation.default);
        // There is a default one, and so a first.
        locale
            .fallbacks()
            .find_map(named)
            .or_else(default)
            .unwrap_or(&self.translations[0])
    }
}

impl Translation {
    fn check(&self) -> Result<(), BadTemplate> {
        let unfit = |c: char| c != '\n' && !may_be_shown(c);
        if !(1..=MOST_TEXT).contains(&self.text.chars().count()) || self.text.chars().any(unfit) {
            return Err(BadTemplate::Text);
        }
        if places(&self.text).filter(|place| *place == "code").count() != 1 {
            return Err(BadTemplate::CodeMissing);
        }
        // What looks like a place and is none would be sent to people as it stands.
        if fill(&self.text, |_| Some("")).contains("{{") {
            return Err(BadTemplate::Place);
        }
        Ok(())
    }
}

/// The text of a translation, filled in.
pub(super) fn text(
    request: &MessageRequest<'_>,
    template: &Template,
    translation: &Translation,
    substitutions: &[(String, String)],
) -> Result<Zeroizing<String>, Unrenderable> {
    if !template.channels.contains(&request.channel) {
        return Err(Unrenderable::TemplateUnfit);
    }
    let said = said(request);
    let given = |name: &str| {
        let given = substitutions.iter().rev().find(|(given, _)| given == name);
        // What the server knows itself nobody can give.
        request
            .value(name, &said)
            .or(given.map(|(_, value)| value.as_str()))
    };
    let mut missing: Vec<String> = Vec::new();
    for name in places(&translation.text) {
        match given(name) {
            Some(value) if is_unfit(name, value, request) => return Err(Unrenderable::SubstitutionUnfit),
            Some(_) => {}
            None if missing.iter().any(|known| known == name) => {}
            None => missing.push(name.to_owned()),
        }
    }
    if !missing.is_empty() {
        return Err(Unrenderable::SubstitutionsMissing(missing));
    }
    let text = fill(&translation.text, given);
    if request.channel == Channel::Call {
        // People need a second time to write it down.
        return Ok(Zeroizing::new([text.as_str(), " ", &text].concat()));
    }
    Ok(standard::enclosed(request, text))
}

fn is_unfit(name: &str, value: &str, request: &MessageRequest<'_>) -> bool {
    let ours = request.value(name, "").is_some();
    !ours && (value.chars().count() > MOST_VALUE || !value.chars().all(may_be_shown))
}

/// All templates of a server: its own ones, then the operator's.
#[derive(Clone)]
pub struct Templates(Vec<Arc<Template>>);

impl Default for Templates {
    fn default() -> Self {
        Self(built_in().map(Arc::new).collect())
    }
}

impl Templates {
    /// The built-in templates and these.
    ///
    /// # Errors
    /// [`BadTemplate`] if two have one name.
    pub fn with(own: Vec<Template>) -> Result<Self, BadTemplate> {
        let mut all = Self::default();
        for template in own {
            let known = |other: &Arc<Template>| {
                other.sid == template.sid || other.friendly_name == template.friendly_name
            };
            if all.0.iter().any(known) {
                return Err(BadTemplate::NameTaken);
            }
            all.0.push(Arc::new(template));
        }
        Ok(all)
    }

    /// `None` if the operator has no such template, or not any more.
    #[must_use]
    pub fn by_sid(&self, sid: TemplateSid) -> Option<&Arc<Template>> {
        self.0.iter().find(|template| template.sid == sid)
    }

    /// All of them, in their order.
    #[must_use]
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &Arc<Template>> {
        self.0.iter()
    }
}

impl fmt::Debug for Templates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|template| &template.friendly_name);
        f.debug_list().entries(names).finish()
    }
}

/// The templates of every server, in all languages: with the service's name; with the name and the warning; with the
/// warning alone.
fn built_in() -> impl Iterator<Item = Template> {
    type Wording = fn(&Words) -> String;
    let wordings: [(&str, [u8; 16], Wording); 3] = [
        (NAMED, NAMED_SID, |words| words.named.to_owned()),
        (WARNING, WARNING_SID, |words| {
            [words.named, words.stop, words.warning].concat()
        }),
        (NAMELESS, NAMELESS_SID, |words| {
            [words.plain, words.stop, words.warning].concat()
        }),
    ];
    wordings.into_iter().map(|(name, sid, wording)| Template {
        sid: TemplateSid::from_bytes(sid),
        friendly_name: name.to_owned(),
        channels: vec![Channel::Sms, Channel::Call],
        translations: words::all()
            .flat_map(|words| words.tags.iter().map(move |tag| (*tag, words)))
            .filter_map(|(tag, words)| {
                Some(Translation {
                    locale: Locale::parse(tag).ok()?,
                    text: wording(words).replace("{{name}}", "{{friendly_name}}"),
                    default: tag == "en",
                })
            })
            .collect(),
    })
}

const NAMED: &str = "Verification code";
const WARNING: &str = "Code with do not share";
const NAMELESS: &str = "Code with do not share, no name";

/// The first 16 bytes of SHA-256 over the names, as of all templates.
const NAMED_SID: [u8; 16] = 0x3ee7_5029_c70e_284c_46b5_af29_eb87_592f_u128.to_be_bytes();
const WARNING_SID: [u8; 16] = 0xa299_0203_b422_54b0_fb8b_dbc5_9fd8_22a2_u128.to_be_bytes();
const NAMELESS_SID: [u8; 16] = 0x8465_c732_5dc8_34e0_a748_78ab_a7d7_3cc1_u128.to_be_bytes();

/// How long a template's name may be, in characters.
const MOST_NAME: usize = 32;

/// How long a template's text may be, in characters.
const MOST_TEXT: usize = 480;
