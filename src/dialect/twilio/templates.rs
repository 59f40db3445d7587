//! Templates of messages.

use axum::response::Response;
use serde::ser::{Serialize, SerializeMap, Serializer};

use super::call::Call;
use super::error::{ApiError, Parameter};
use super::json::Text;
use super::listing::Listing;
use crate::domain::channel::Channel;
use crate::domain::message::template::{Template, Translation};
use crate::domain::sid::{AccountSid, TemplateSid};
use crate::domain::text::FriendlyName;
use crate::domain::time::Timestamp;
use crate::flows::template;

/// `GET /v2/Templates`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let listing = Listing::read(&call.query, &["FriendlyName"])?;
    let name = call.query.parsed(Parameter::FRIENDLY_NAME, FriendlyName::parse)?;
    let name = name.as_ref().map(FriendlyName::as_str);
    let page = template::list(call.app(), name, listing.request);
    let page = page.map(|template| TemplateJson::new(account, template));
    Ok(listing.answer(&call, "templates", &page))
}

#[derive(serde::Serialize)]
struct TemplateJson<'a> {
    sid: Text<TemplateSid>,
    account_sid: Text<AccountSid>,
    friendly_name: &'a str,
    channels: Vec<&'static str>,
    translations: Translations<'a>,
}

/// The translations by their languages' names.
struct Translations<'a>(&'a [Translation]);

#[derive(serde::Serialize)]
struct TranslationJson<'a> {
    is_default_translation: bool,
    status: &'static str,
    locale: &'a str,
    text: &'a str,
    /// Settings have no dates.
    date_updated: Option<Text<Timestamp>>,
    date_created: Option<Text<Timestamp>>,
}

impl<'a> TemplateJson<'a> {
    fn new(account: AccountSid, template: &'a Template) -> Self {
        Self {
            sid: Text(template.sid()),
            account_sid: Text(account),
            friendly_name: template.friendly_name(),
            channels: template
                .channels()
                .iter()
                .map(|channel| named(*channel))
                .collect(),
            translations: Translations(template.translations()),
        }
    }
}

/// Calls are called voice here.
fn named(channel: Channel) -> &'static str {
    match channel {
        Channel::Call => "voice",
        Channel::Email | Channel::Rcs | Channel::Sms | Channel::Sna | Channel::Whatsapp => channel.name(),
    }
}

impl Serialize for Translations<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.0.len()))?;
        for translation in self.0 {
            let json = TranslationJson {
                is_default_translation: translation.default,
                status: "approved",
                locale: translation.locale.as_str(),
                text: &translation.text,
                date_updated: None,
                date_created: None,
            };
            object.serialize_entry(translation.locale.as_str(), &json)?;
        }
        object.end()
    }
}
