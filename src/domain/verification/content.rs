//! What the messages of a verification say besides the code.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::domain::sid::TemplateSid;
use crate::domain::text::Attributes;

/// What the messages of a verification say besides the code. Checked and bounded by whoever makes it.
#[derive(Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// The name that is shown: the service's, or one of the caller's.
    pub friendly_name: String,
    /// The language that was asked for, as it was written; by the number's country if there is none.
    pub locale: Option<String>,
    /// The caller's own text.
    pub custom_message: Option<String>,
    /// What an Android app recognizes its text message by: 11 characters.
    pub app_hash: Option<String>,
    /// The template: the caller's choice, or else the service's.
    pub template: Option<TemplateSid>,
    /// What the template's own variables stand for.
    pub substitutions: Vec<(String, String)>,
    /// The payment that the code agrees to (PSD2).
    pub payment: Option<Payment>,
    /// Whether the message warns not to share the code.
    pub warning: bool,
    /// The digits to dial after a call was answered.
    pub send_digits: Option<String>,
    /// The caller's tags for the provider.
    pub tags: Attributes,
    /// What the caller wants of an e-mail.
    pub email: Option<EmailOptions>,
    /// The address of the user's device, if the caller gave it.
    pub device_ip: Option<String>,
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
    pub amount: String,
    /// To whom.
    pub payee: String,
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
    pub from: Option<String>,
    /// The sender's name.
    pub from_name: Option<String>,
    /// The provider's template.
    pub template_id: Option<String>,
    /// What the template's variables stand for.
    pub substitutions: Vec<(String, String)>,
}
