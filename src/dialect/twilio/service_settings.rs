//! The settings of a service that only this API has: kept as they are given, and shown again.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::NAME;
use super::error::{ApiError, Parameter};
use super::form::{Form, sid};
use crate::domain::attached::{AttachedChange, AttachedError, Attachment};
use crate::domain::service::{Change, Service};
use crate::domain::sid::MessagingServiceSid;
use crate::domain::text::ProviderName;

/// The settings. Only the date of challenges does anything: no sender has voices, mailers or keys to press.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct OwnServiceSettings {
    /// Whether a called user has to press a key before the code is read.
    pub(super) dtmf_input_required: bool,
    /// The voice that reads codes.
    pub(super) tts_name: Option<ProviderName>,
    /// The e-mail settings.
    #[serde(with = "as_text")]
    pub(super) mailer_sid: Option<MailerSid>,
    /// The messaging service that holds the sender of `WhatsApp` messages.
    #[serde(with = "as_text")]
    pub(super) whatsapp_msg_service_sid: Option<MessagingServiceSid>,
    /// The sender of `WhatsApp` messages.
    pub(super) whatsapp_from: Option<ProviderName>,
    /// Whether verifications raise events.
    pub(super) verify_event_subscription_enabled: bool,
    /// Whether new challenges show when they were created.
    pub(super) push_include_date: bool,
}

impl OwnServiceSettings {
    const VERSION: u8 = 1;

    /// Those of a service.
    pub(super) fn of(service: &Service) -> Result<Self, AttachedError> {
        service
            .attached
            .of(NAME)
            .map_or_else(|| Ok(Self::default()), Self::read)
    }

    fn read(kept: &Attachment) -> Result<Self, AttachedError> {
        if kept.version() != Self::VERSION {
            let why = format!("version {} is not known", kept.version());
            return Err(AttachedError::Unreadable(why));
        }
        serde_json::from_slice(kept.bytes()).map_err(|error| AttachedError::Unreadable(error.to_string()))
    }

    /// Nothing if all of it is what holds without it.
    fn write(&self) -> Result<Option<Attachment>, AttachedError> {
        if *self == Self::default() {
            return Ok(None);
        }
        let bytes = serde_json::to_vec(self).map_err(|error| AttachedError::Unreadable(error.to_string()))?;
        Attachment::new(Self::VERSION, bytes).map(Some)
    }
}

/// What a caller wants changed of the settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct OwnServiceChanges {
    dtmf_input_required: Option<bool>,
    tts_name: Change<ProviderName>,
    mailer_sid: Change<MailerSid>,
    whatsapp_msg_service_sid: Change<MessagingServiceSid>,
    whatsapp_from: Change<ProviderName>,
    verify_event_subscription_enabled: Option<bool>,
    push_include_date: Option<bool>,
}

impl OwnServiceChanges {
    pub(super) fn read(form: &Form) -> Result<Self, ApiError> {
        Ok(Self {
            dtmf_input_required: form.flag(Parameter::DTMF_INPUT_REQUIRED)?,
            tts_name: form.clearable(Parameter::TTS_NAME, ProviderName::parse)?,
            mailer_sid: form.clearable(Parameter::MAILER_SID, sid::<MailerSid>(MAILER_SID))?,
            whatsapp_msg_service_sid: form.clearable(
                Parameter::WHATSAPP_MSG_SERVICE_SID,
                sid::<MessagingServiceSid>("must be MG and 32 hex digits"),
            )?,
            whatsapp_from: form.clearable(Parameter::WHATSAPP_FROM, ProviderName::parse)?,
            verify_event_subscription_enabled: form.flag(Parameter::VERIFY_EVENT_SUBSCRIPTION_ENABLED)?,
            push_include_date: form.flag(Parameter::PUSH_INCLUDE_DATE)?,
        })
    }

    /// For the flow, if anything is to be changed.
    pub(super) fn shared(self) -> Option<Arc<dyn AttachedChange>> {
        let changes = self != Self::default();
        changes.then(|| Arc::new(self) as Arc<dyn AttachedChange>)
    }
}

impl AttachedChange for OwnServiceChanges {
    fn dialect(&self) -> &'static str {
        NAME
    }

    fn apply(&self, kept: Option<&Attachment>) -> Result<Option<Attachment>, AttachedError> {
        let mut settings =
            kept.map_or_else(|| Ok(OwnServiceSettings::default()), OwnServiceSettings::read)?;
        let set = |place: &mut bool, change: Option<bool>| *place = change.unwrap_or(*place);
        set(&mut settings.dtmf_input_required, self.dtmf_input_required);
        self.tts_name.clone().apply(&mut settings.tts_name);
        self.mailer_sid.clone().apply(&mut settings.mailer_sid);
        self.whatsapp_msg_service_sid
            .clone()
            .apply(&mut settings.whatsapp_msg_service_sid);
        self.whatsapp_from.clone().apply(&mut settings.whatsapp_from);
        set(
            &mut settings.verify_event_subscription_enabled,
            self.verify_event_subscription_enabled,
        );
        set(&mut settings.push_include_date, self.push_include_date);
        settings.write()
    }
}

/// A mailer (e-mail settings of Twilio's), which only this API names: `MD` and 32 lower-case hex digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct MailerSid(String);

impl FromStr for MailerSid {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let digits = text.strip_prefix("MD").unwrap_or_default();
        if digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            Ok(Self(format!("MD{}", digits.to_ascii_lowercase())))
        } else {
            Err(MAILER_SID)
        }
    }
}

impl fmt::Display for MailerSid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

const MAILER_SID: &str = "must be MD and 32 hex digits";

/// Identifiers as they are printed.
mod as_text {
    use std::fmt::Display;
    use std::str::FromStr;

    use serde::de::{Deserialize, Deserializer, Error as _};
    use serde::ser::Serializer;

    #[expect(clippy::ref_option, reason = "serde hands a reference to the field")]
    pub(super) fn serialize<T: Display, S: Serializer>(
        value: &Option<T>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        match value {
            Some(value) => serializer.collect_str(value),
            None => serializer.serialize_none(),
        }
    }

    pub(super) fn deserialize<'de, T, D>(deserializer: D) -> Result<Option<T>, D::Error>
    where
        T: FromStr<Err: Display>,
        D: Deserializer<'de>,
    {
        let text: Option<String> = Deserialize::deserialize(deserializer)?;
        text.map(|text| text.parse().map_err(D::Error::custom))
            .transpose()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(kept: Option<&Attachment>, form: &str) -> Option<Attachment> {
        let form = Form::parse(form.as_bytes()).unwrap();
        let changes = OwnServiceChanges::read(&form).unwrap();
        changes.apply(kept).unwrap()
    }

    #[test]
    fn settings_are_read_back_as_they_were_kept() {
        let all = "DtmfInputRequired=true&TtsName=Al%C3%ADce&MailerSid=MD0123456789abcdef0123456789abcdef\
                   &Whatsapp.MsgServiceSid=MG0123456789abcdef0123456789abcdef&Whatsapp.From=%2B15005550006\
                   &VerifyEventSubscriptionEnabled=true&Push.IncludeDate=true";
        let kept = changed(None, all).unwrap();
        let settings = OwnServiceSettings::read(&kept).unwrap();
        let name = |text| Some(ProviderName::parse(text).unwrap());
        assert_eq!(
            settings,
            OwnServiceSettings {
                dtmf_input_required: true,
                tts_name: name("Al\u{ed}ce"),
                mailer_sid: Some("MD0123456789abcdef0123456789abcdef".parse().unwrap()),
                whatsapp_msg_service_sid: Some("MG0123456789abcdef0123456789abcdef".parse().unwrap()),
                whatsapp_from: name("+15005550006"),
                verify_event_subscription_enabled: true,
                push_include_date: true,
            }
        );
        // Only what is named changes.
        let changed_once = changed(Some(&kept), "TtsName=&VerifyEventSubscriptionEnabled=false").unwrap();
        let expected = OwnServiceSettings {
            tts_name: None,
            verify_event_subscription_enabled: false,
            ..settings
        };
        assert_eq!(OwnServiceSettings::read(&changed_once).unwrap(), expected);
    }

    #[test]
    fn what_holds_anyway_is_not_kept() {
        assert_eq!(changed(None, "DtmfInputRequired=false&TtsName="), None);
        let kept = changed(None, "TtsName=Alice");
        assert_eq!(changed(kept.as_ref(), "TtsName="), None);
    }

    /// The bytes that are in stores: a later version must read them.
    #[test]
    fn the_form_that_is_kept_is_known() {
        let kept = changed(
            None,
            "DtmfInputRequired=true&MailerSid=MD0123456789ABCDEF0123456789abcdef",
        )
        .unwrap();
        let text = r#"{"dtmf_input_required":true,"tts_name":null,"mailer_sid":"MD0123456789abcdef0123456789abcdef","whatsapp_msg_service_sid":null,"whatsapp_from":null,"verify_event_subscription_enabled":false,"push_include_date":false}"#;
        assert_eq!((kept.version(), kept.bytes()), (1, text.as_bytes()));
        let fewer = Attachment::new(1, br#"{"tts_name":"Alice"}"#.to_vec()).unwrap();
        assert!(OwnServiceSettings::read(&fewer).is_ok());
        for (version, text) in [
            (2, "{}"),
            (1, ""),
            (1, r#"{"later":1}"#),
            (1, r#"{"mailer_sid":"MG0"}"#),
        ] {
            let kept = Attachment::new(version, text.as_bytes().to_vec()).unwrap();
            let read = OwnServiceSettings::read(&kept);
            assert!(matches!(read, Err(AttachedError::Unreadable(_))), "{text}");
        }
    }
}
