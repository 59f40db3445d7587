//! What people read or hear: the messages that carry codes.
//!
//! Invariant: a text message of the standard wording takes one segment, whatever the name, the code (10 characters of the
//! 7-bit alphabet at most), the warning and the app's hash are: what does not fit loses the name first, then the
//! sentence around the code. Messages of payments, custom messages and templates may take up to [`MOST_SEGMENTS`].

mod countries;
pub mod custom;
mod fill;
pub mod locale;
pub mod segments;
mod standard;
pub mod template;
mod words;

#[cfg(test)]
mod tests;

use std::fmt;

use zeroize::Zeroizing;

use self::locale::Locale;
use self::segments::{Segments, segments};
use self::template::Template;
use self::words::Words;
use super::channel::Channel;

/// What is to be said. `Debug` shows neither code nor custom message.
#[derive(Clone, Copy)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct MessageRequest<'a> {
    /// How it is said.
    pub channel: Channel,
    /// In which language; English if there are no words in it.
    pub locale: &'a Locale,
    /// The service's name, or the caller's for this message.
    pub friendly_name: &'a str,
    pub code: &'a str,
    /// Whether to say that nobody else may get the code. Custom messages and templates say it themselves.
    pub warning: bool,
    /// What the code approves: the amount and the payee (the payment services directive wants both beside the code).
    pub psd2: Option<(&'a str, &'a str)>,
    /// The [hash](super::text::AppHash) of an Android app that reads the message. In text messages only.
    pub app_hash: Option<&'a str>,
    /// The caller's own text, with `{{code}}` or the code itself in it; `{{friendly_name}}`, `{{amount}}` and
    /// `{{payee}}` are filled in, too.
    pub custom: Option<&'a str>,
    /// The template to use and what its own places are filled with. It precedes a custom message.
    pub template: Option<(&'a Template, &'a [(String, String)])>,
}

/// A message. `Debug` shows nothing of it but its language and size.
pub struct Message {
    /// What is read or heard; empty where the channel has none.
    pub text: Zeroizing<String>,
    /// The subject of an e-mail.
    pub subject: Option<String>,
    /// The language that it is in.
    pub locale_used: Locale,
    /// What it takes as a text message; `None` on other channels.
    pub segments: Option<Segments>,
}

/// Why there is no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unrenderable {
    /// The custom message has no code in it.
    #[error("the custom message must contain {{{{code}}}} or the custom code itself")]
    CodeMissing,
    /// The template has places that nothing was given for.
    #[error("the template has places that nothing was given for: {}", .0.join(", "))]
    SubstitutionsMissing(Vec<String>),
    /// What a place is filled with is too long, or holds what may not be shown.
    #[error(
        "a substitution must be at most {MOST_VALUE} characters long, without control characters and marks of direction"
    )]
    SubstitutionUnfit,
    /// The template says nothing on this channel.
    #[error("the template is not for this channel")]
    TemplateUnfit,
    /// It would be too long.
    #[error("the message would take {segments} text messages; it may take at most {MOST_SEGMENTS}")]
    TooLong {
        /// How many it would take.
        segments: usize,
    },
}

/// The most text messages that one code may cost.
pub const MOST_SEGMENTS: usize = 6;

/// How long a template's substitution may be, in characters.
pub const MOST_VALUE: usize = 64;

/// The locales that there are words for.
pub fn locales() -> impl Iterator<Item = &'static str> {
    words::all().flat_map(|words| words.tags.iter().copied())
}

/// Whether there are words for the language of `locale`. Whoever asks for another one gets English.
#[must_use]
pub fn is_spoken(locale: &Locale) -> bool {
    locale
        .fallbacks()
        .any(|name| locales().any(|spoken| spoken == name))
}

/// Makes the message.
///
/// A payment is always told: a template or custom message that leaves its amount or payee out gives way to the standard
/// wording.
///
/// # Errors
/// [`Unrenderable`]; nothing of the standard wording is.
pub fn render(request: &MessageRequest<'_>) -> Result<Message, Unrenderable> {
    let (tag, words) = words::of(request.locale);
    if request.channel == Channel::Sna {
        return Ok(message(request, tag, words, Zeroizing::default()));
    }
    let (tag, text) = match (request.template, request.custom) {
        (Some((template, substitutions)), _) => {
            let translation = template.translation(request.locale);
            if tells_payment(request, &translation.text) {
                let text = template::text(request, template, translation, substitutions)?;
                (translation.locale.as_str(), text)
            } else {
                (tag, standard::text(request, words))
            }
        }
        (None, Some(custom)) if tells_payment(request, custom) => (tag, custom_text(request, custom)?),
        (None, _) => (tag, standard::text(request, words)),
    };
    let message = message(request, tag, words, text);
    match message.segments {
        Some(Segments { segments, .. }) if segments > MOST_SEGMENTS => {
            Err(Unrenderable::TooLong { segments })
        }
        _ => Ok(message),
    }
}

fn message(request: &MessageRequest<'_>, tag: &str, words: &Words, text: Zeroizing<String>) -> Message {
    let is = |channel| request.channel == channel;
    Message {
        subject: is(Channel::Email).then(|| standard::subject(request, words)),
        // The names in tables are locales in their usual spelling.
        locale_used: Locale::parse(tag).unwrap_or_else(|_| Locale::english()),
        segments: is(Channel::Sms).then(|| segments(&text)),
        text,
    }
}

/// Whether `text` may be used: it tells what is paid to whom, or nothing is.
fn tells_payment(request: &MessageRequest<'_>, text: &str) -> bool {
    let tells = |name| fill::places(text).any(|place| place == name);
    request.psd2.is_none() || (tells("amount") && tells("payee"))
}

fn custom_text(request: &MessageRequest<'_>, custom: &str) -> Result<Zeroizing<String>, Unrenderable> {
    let said = said(request);
    let has_place = fill::places(custom).any(|place| place == "code");
    let text = if has_place {
        fill::fill(custom, |name| request.value(name, &said))
    } else if !request.code.is_empty() && custom.contains(request.code) {
        let text = Zeroizing::new(custom.replace(request.code, &said));
        fill::fill(&text, |name| request.value(name, &said))
    } else {
        return Err(Unrenderable::CodeMissing);
    };
    Ok(standard::enclosed(request, text))
}

/// The code as the channel says it: character by character on the phone.
fn said(request: &MessageRequest<'_>) -> Zeroizing<String> {
    if request.channel == Channel::Call {
        standard::spoken(request.code)
    } else {
        Zeroizing::new(request.code.to_owned())
    }
}

impl MessageRequest<'_> {
    /// What every text's places of these names are filled with; `said` is the code as it is to be said.
    fn value<'b>(&'b self, name: &str, said: &'b str) -> Option<&'b str> {
        match name {
            "amount" => self.psd2.map(|(amount, _)| amount),
            "code" => Some(said),
            "friendly_name" | "name" => Some(self.friendly_name),
            "payee" => self.psd2.map(|(_, payee)| payee),
            _ => None,
        }
    }
}

impl fmt::Debug for MessageRequest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MessageRequest")
            .field("channel", &self.channel)
            .field("locale", &self.locale)
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("locale_used", &self.locale_used)
            .field("segments", &self.segments)
            .finish_non_exhaustive()
    }
}
