//! Services: one application's settings, and everything under it.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::attached::{Attached, AttachedChange};
use super::channel::Channel;
use super::credential::CredentialKind;
use super::events::{EventType, EventTypes};
use super::factor::{CodeLength, Skew, TimeStep, TotpConfig};
use super::message::template::Templates;
use super::number_matching::NumberLength;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, CredentialSid, ServiceSid, TemplateSid, WebhookSid};
use super::text::{Issuer, ServiceName};
use super::time::Timestamp;
use super::totp_algorithm::TotpAlgorithm;
use super::verification::{Content, SentCodeLength};

/// What an account keeps apart: entities, verifications and webhooks of its own, under settings of their own. It is dated
/// again when an owner's request changes it.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Service {
    pub sid: ServiceSid,
    /// The account that owns it.
    pub account: AccountSid,
    /// What the owner chose.
    pub settings: ServiceSettings,
    /// Which enabled webhooks want which events. Kept here so that a state change, which reads the service anyway, knows
    /// without another read which rows to write.
    pub subscriptions: Vec<Subscription>,
    /// What the dialects keep of their own.
    pub attached: Attached,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

impl Service {
    /// The webhooks that want `event`.
    pub fn subscribers(&self, event: EventType) -> impl Iterator<Item = WebhookSid> + '_ {
        self.subscriptions
            .iter()
            .filter(move |s| s.events.contain(event))
            .map(|s| s.webhook)
    }
}

/// Which events an enabled webhook wants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Subscription {
    pub webhook: WebhookSid,
    pub events: EventTypes,
}

/// What the owner of a service chose.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the API has these flags, each with a meaning of its own"
)]
pub struct ServiceSettings {
    /// The name in messages to users, and the issuer of TOTP factors if there is no other.
    pub friendly_name: ServiceName,
    /// How many digits a code by message has.
    pub code_length: SentCodeLength,
    /// Whether phone numbers are looked up.
    pub lookup_enabled: bool,
    /// Whether verifications carry an amount and a payee (PSD2).
    pub psd2_enabled: bool,
    /// Whether landlines get no SMS; needs `lookup_enabled`.
    pub skip_sms_to_landlines: bool,
    /// Whether messages warn not to share the code.
    pub do_not_share_warning_enabled: bool,
    /// Whether callers may choose the code.
    pub custom_code_enabled: bool,
    /// Settings of push factors.
    pub push: PushSettings,
    /// Defaults of TOTP factors.
    pub totp: TotpSettings,
    /// The template of messages.
    pub default_template_sid: Option<TemplateSid>,
    /// Whether each sending of a verification has a code of its own; otherwise the same one is sent as long as it is right.
    pub new_code_on_resend: bool,
}

/// Settings of push factors.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushSettings {
    /// The key for Apple's push service.
    pub apn_credential_sid: Option<CredentialSid>,
    /// The key for Firebase Cloud Messaging.
    pub fcm_credential_sid: Option<CredentialSid>,
    /// How long a number has to be typed to approve a challenge; `None` if that is left to each challenge.
    pub number_matching: Option<NumberLength>,
}

/// Defaults of TOTP factors; `None` stands for the default of the API.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TotpSettings {
    /// The issuer in the URI; the service's name if there is none.
    pub issuer: Option<Issuer>,
    /// How long a code lives.
    pub time_step: Option<TimeStep>,
    /// How many digits it has.
    pub code_length: Option<CodeLength>,
    /// How far clocks may differ.
    pub skew: Option<Skew>,
}

/// What a caller wants changed: the fields of [`ServiceSettings`], those of [`PushSettings`] and of [`TotpSettings`] with
/// `push_` and `totp_` before their names, and what dialects keep. `None` and [`Change::Keep`] leave a setting as it is.
#[derive(Clone, Debug, Default)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ServiceChanges {
    pub friendly_name: Option<ServiceName>,
    pub code_length: Option<SentCodeLength>,
    pub lookup_enabled: Option<bool>,
    pub psd2_enabled: Option<bool>,
    pub skip_sms_to_landlines: Option<bool>,
    pub do_not_share_warning_enabled: Option<bool>,
    pub custom_code_enabled: Option<bool>,
    pub push_apn_credential_sid: Change<CredentialSid>,
    pub push_fcm_credential_sid: Change<CredentialSid>,
    /// `Some(None)` switches it off.
    pub push_number_matching: Option<Option<NumberLength>>,
    pub totp_issuer: Change<Issuer>,
    pub totp_time_step: Option<TimeStep>,
    pub totp_code_length: Option<CodeLength>,
    pub totp_skew: Option<Skew>,
    pub default_template_sid: Change<TemplateSid>,
    pub new_code_on_resend: Option<bool>,
    pub attached: Option<Arc<dyn AttachedChange>>,
}

/// What becomes of a setting that may be empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Change<T> {
    /// It is emptied.
    Clear,
    /// It stays as it is.
    #[default]
    Keep,
    /// It gets this value.
    Set(T),
}

impl<T> Change<T> {
    /// Makes the change.
    pub fn apply(self, place: &mut Option<T>) {
        match self {
            Self::Clear => *place = None,
            Self::Keep => {}
            Self::Set(value) => *place = Some(value),
        }
    }
}

impl ServiceSettings {
    /// The settings of a service that was only given a name.
    #[must_use]
    pub fn named(friendly_name: ServiceName) -> Self {
        Self {
            friendly_name,
            code_length: SentCodeLength::default(),
            lookup_enabled: false,
            psd2_enabled: false,
            skip_sms_to_landlines: false,
            do_not_share_warning_enabled: false,
            custom_code_enabled: false,
            push: PushSettings::default(),
            totp: TotpSettings::default(),
            default_template_sid: None,
            new_code_on_resend: false,
        }
    }

    /// These settings with `changes`.
    ///
    /// # Errors
    /// [`Refusal::LookupRequired`] when landlines are to be skipped without looking numbers up.
    pub fn changed(mut self, changes: ServiceChanges) -> Result<Self, Refusal> {
        fn set<T>(place: &mut T, change: Option<T>) {
            if let Some(value) = change {
                *place = value;
            }
        }
        set(&mut self.friendly_name, changes.friendly_name);
        set(&mut self.code_length, changes.code_length);
        set(&mut self.lookup_enabled, changes.lookup_enabled);
        set(&mut self.psd2_enabled, changes.psd2_enabled);
        set(&mut self.skip_sms_to_landlines, changes.skip_sms_to_landlines);
        set(
            &mut self.do_not_share_warning_enabled,
            changes.do_not_share_warning_enabled,
        );
        set(&mut self.custom_code_enabled, changes.custom_code_enabled);
        changes
            .push_apn_credential_sid
            .apply(&mut self.push.apn_credential_sid);
        changes
            .push_fcm_credential_sid
            .apply(&mut self.push.fcm_credential_sid);
        set(&mut self.push.number_matching, changes.push_number_matching);
        changes.totp_issuer.apply(&mut self.totp.issuer);
        set(&mut self.totp.time_step, changes.totp_time_step.map(Some));
        set(&mut self.totp.code_length, changes.totp_code_length.map(Some));
        set(&mut self.totp.skew, changes.totp_skew.map(Some));
        changes.default_template_sid.apply(&mut self.default_template_sid);
        set(&mut self.new_code_on_resend, changes.new_code_on_resend);
        if self.skip_sms_to_landlines && !self.lookup_enabled {
            return Err(Refusal::LookupRequired);
        }
        Ok(self)
    }

    /// What a verification over `channel` says: what its creator asked for, and where that is nothing, what is chosen here:
    /// the name, the warning, and the template, if there is one for the channel.
    #[must_use]
    pub fn complete(&self, mut asked: Content, channel: Channel, templates: &Templates) -> Content {
        let usual = self.default_template_sid.filter(|template| {
            let known = templates.by_sid(*template);
            known.is_some_and(|known| known.channels().contains(&channel))
        });
        asked
            .friendly_name
            .get_or_insert_with(|| self.friendly_name.clone());
        asked.template = asked.template.or(usual);
        asked.warning |= self.do_not_share_warning_enabled;
        asked
    }

    /// The issuer of TOTP factors.
    #[must_use]
    pub fn issuer(&self) -> &str {
        self.totp
            .issuer
            .as_ref()
            .map_or(self.friendly_name.as_str(), Issuer::as_str)
    }

    /// How a TOTP factor makes codes if its creator says nothing.
    #[must_use]
    pub fn totp_defaults(&self) -> TotpConfig {
        TotpConfig {
            algorithm: TotpAlgorithm::Sha1,
            skew: self.totp.skew.unwrap_or_default(),
            code_length: self.totp.code_length.unwrap_or_default(),
            time_step: self.totp.time_step.unwrap_or_default(),
        }
    }
}

/// Why nothing became of what somebody wanted of a service.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// Landlines are to be skipped, but numbers are not looked up.
    #[error("landlines can only be skipped if numbers are looked up")]
    LookupRequired,
    /// The credential that the service is to use is none of the account's, or another provider's.
    #[error("the account has no such credential for {}", provider.name())]
    NoSuchCredential {
        /// Whose credential is wanted.
        provider: CredentialKind,
    },
    /// The service does not exist, or not for whoever asks.
    #[error("there is no such service")]
    NotFound,
    /// The account has as many services as the operator allows.
    #[error("the account has {limit} services already")]
    TooMany {
        /// How many those are.
        limit: u32,
    },
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(name: &str) -> ServiceName {
        ServiceName::parse(name).unwrap()
    }

    #[test]
    fn what_the_caller_does_not_say_the_services_owner_chose() {
        let templates = Templates::default();
        let template = templates.iter().next().unwrap().sid();
        let mut settings = ServiceSettings::named(named("Owl Bank"));
        let plain = settings.complete(Content::default(), Channel::Sms, &templates);
        assert_eq!(
            (plain.friendly_name, plain.template, plain.warning),
            (Some(named("Owl Bank")), None, false)
        );
        settings.default_template_sid = Some(template);
        settings.do_not_share_warning_enabled = true;
        let chosen = settings.complete(Content::default(), Channel::Call, &templates);
        assert_eq!((chosen.template, chosen.warning), (Some(template), true));
        let mail = settings.complete(Content::default(), Channel::Email, &templates);
        assert_eq!(mail.template, None, "no template is for e-mails");
        settings.default_template_sid = Some(TemplateSid::from_bytes([1; 16]));
        let unknown = settings.complete(Content::default(), Channel::Sms, &templates);
        assert_eq!(unknown.template, None);
        let own = Content {
            friendly_name: Some(named("Owl Shop")),
            template: Some(template),
            ..Content::default()
        };
        let own = settings.complete(own, Channel::Email, &templates);
        assert_eq!(
            (own.friendly_name, own.template),
            (Some(named("Owl Shop")), Some(template))
        );
    }
}
