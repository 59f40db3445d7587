//! What the messages of a verification say besides the code.

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::domain::channel::Channel;
use crate::domain::destination::EmailAddress;
use crate::domain::message::custom::CustomMessage;
use crate::domain::message::locale::Locale;
use crate::domain::message::template::{Template, Templates};
use crate::domain::message::{MessageRequest, Unrenderable, render};
use crate::domain::sid::TemplateSid;
use crate::domain::text::{Amount, AppHash, ProviderName, SendDigits, ServiceName, Substitutions, Tags};

/// What the messages of a verification say besides the code.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The name that is shown: the service's, or one of the caller's.
    pub friendly_name: Option<ServiceName>,
    /// The language that was asked for; by the number's country if there is none.
    pub locale: Option<Locale>,
    /// The caller's own text.
    pub custom_message: Option<CustomMessage>,
    /// What an Android app recognizes its text message by.
    pub app_hash: Option<AppHash>,
    /// The template: the caller's choice, or else the service's.
    pub template: Option<TemplateSid>,
    /// What the template's own variables stand for.
    pub substitutions: Substitutions,
    /// The payment that the code agrees to (PSD2).
    pub payment: Option<Payment>,
    /// Whether the message warns not to share the code.
    pub warning: bool,
    /// The digits to dial after a call was answered.
    pub send_digits: Option<SendDigits>,
    /// The caller's tags for the provider.
    pub tags: Tags,
    /// What the caller wants of an e-mail.
    pub email: Option<EmailOptions>,
    /// The address of the user's device, if the caller gave it.
    pub device_ip: Option<IpAddr>,
}

impl Content {
    /// What is to be said over `channel`. Without a template that still exists it is the caller's own text, or the standard
    /// wording.
    #[must_use]
    pub fn message<'a>(
        &'a self,
        channel: Channel,
        locale: &'a Locale,
        code: &'a str,
        templates: &'a Templates,
    ) -> MessageRequest<'a> {
        let template = self.template_of(templates);
        MessageRequest {
            channel,
            locale,
            friendly_name: self.friendly_name.as_ref().map_or("", ServiceName::as_str),
            code,
            warning: self.warning,
            psd2: self
                .payment
                .as_ref()
                .map(|paid| (paid.amount.as_str(), paid.payee.as_str())),
            app_hash: self.app_hash.as_ref().map(AppHash::as_str),
            custom: self.custom_message.as_ref().map(CustomMessage::as_str),
            template: template.map(|template| (template, self.substitutions.pairs())),
        }
    }

    /// Whether the message that the caller wants can be written with `code`. The standard wording always can.
    ///
    /// # Errors
    /// [`Unrenderable`] as of [`render`].
    pub fn require_writable(
        &self,
        channel: Channel,
        code: &str,
        templates: &Templates,
    ) -> Result<(), Unrenderable> {
        if self.custom_message.is_none() && self.template_of(templates).is_none() {
            return Ok(());
        }
        let locale = self.locale.clone().unwrap_or_else(Locale::english);
        render(&self.message(channel, &locale, code, templates)).map(drop)
    }

    fn template_of<'a>(&self, templates: &'a Templates) -> Option<&'a Template> {
        self.template
            .and_then(|sid| templates.by_sid(sid))
            .map(AsRef::as_ref)
    }
}

/// Names, tags, texts and addresses may be somebody's: they are not shown.
impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content")
            .field("friendly_name", &self.friendly_name)
            .field("locale", &self.locale)
            .field("template", &self.template)
            .finish_non_exhaustive()
    }
}

/// A payment that a code agrees to. A check that names another one fails (PSD2, dynamic linking).
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Payment {
    /// How much, as the caller wrote it.
    pub amount: Amount,
    /// To whom.
    pub payee: ProviderName,
}

/// Whom somebody pays is nobody's business.
impl fmt::Debug for Payment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Payment(..)")
    }
}

/// What the caller wants of an e-mail.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EmailOptions {
    /// The sender's address.
    pub from: Option<EmailAddress>,
    /// The sender's name.
    pub from_name: Option<ProviderName>,
    /// The provider's template.
    pub template_id: Option<ProviderName>,
    /// What the template's variables stand for.
    pub substitutions: Substitutions,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_caller_asks_for_may_be_unwritable() {
        let templates = Templates::default();
        let require = |content: &Content, channel, code| content.require_writable(channel, code, &templates);
        let standard = Content::default();
        assert_eq!(require(&standard, Channel::Sms, "0042"), Ok(()));
        let custom = Content {
            custom_message: Some(CustomMessage::parse("It is 0042").unwrap()),
            ..Content::default()
        };
        assert_eq!(require(&custom, Channel::Sms, "0042"), Ok(()));
        assert_eq!(
            require(&custom, Channel::Sms, "0043"),
            Err(Unrenderable::CodeMissing)
        );
        let template = Content {
            template: templates.iter().next().map(|template| template.sid()),
            ..Content::default()
        };
        assert_eq!(
            require(&template, Channel::Email, "0042"),
            Err(Unrenderable::TemplateUnfit)
        );
    }
}
