//! What only this API keeps with a push factor: kept as it is given, and shown again.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::NAME;
use crate::domain::attached::{AttachedChange, AttachedError, Attachment};
use crate::domain::factor::PushFactor;
use crate::domain::text::{Charset, Invalid};

/// The version of the SDK in a device's app: 1 to 64 characters that people may be shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct SdkVersion(String);

impl SdkVersion {
    pub(super) fn parse(text: &str) -> Result<Self, Invalid> {
        Invalid::unless_written(text, 1, 64, Charset::Shown)?;
        Ok(Self(text.to_owned()))
    }

    /// The version as the app says it; nothing for a factor that no SDK of this API's enrolled.
    pub(super) fn of(factor: &PushFactor) -> Result<String, AttachedError> {
        let kept = factor.attached.of(NAME).map(KeptOfFactor::read).transpose()?;
        Ok(kept.map_or_else(String::new, |kept| kept.sdk_version.0))
    }

    /// For the flow.
    pub(super) fn shared(self) -> Arc<dyn AttachedChange> {
        Arc::new(KeptOfFactor { sdk_version: self })
    }
}

/// The form in which it is kept.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KeptOfFactor {
    sdk_version: SdkVersion,
}

impl KeptOfFactor {
    const VERSION: u8 = 1;

    fn read(kept: &Attachment) -> Result<Self, AttachedError> {
        if kept.version() != Self::VERSION {
            let why = format!("version {} is not known", kept.version());
            return Err(AttachedError::Unreadable(why));
        }
        serde_json::from_slice(kept.bytes()).map_err(|error| AttachedError::Unreadable(error.to_string()))
    }
}

impl AttachedChange for KeptOfFactor {
    fn dialect(&self) -> &'static str {
        NAME
    }

    fn apply(&self, _: Option<&Attachment>) -> Result<Option<Attachment>, AttachedError> {
        let bytes = serde_json::to_vec(self).map_err(|error| AttachedError::Unreadable(error.to_string()))?;
        Attachment::new(Self::VERSION, bytes).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The bytes that are in stores: a later version must read them.
    #[test]
    fn the_form_that_is_kept_is_known() {
        let version = SdkVersion::parse("1.3.0").unwrap();
        let kept = version.clone().shared().apply(None).unwrap().unwrap();
        assert_eq!(
            (kept.version(), kept.bytes()),
            (1, &br#"{"sdk_version":"1.3.0"}"#[..])
        );
        assert_eq!(KeptOfFactor::read(&kept).unwrap().sdk_version, version);
        for (version, text) in [(2, r#"{"sdk_version":"1"}"#), (1, "{}"), (1, "")] {
            let kept = Attachment::new(version, text.as_bytes().to_vec()).unwrap();
            assert!(
                matches!(KeptOfFactor::read(&kept), Err(AttachedError::Unreadable(_))),
                "{text}"
            );
        }
    }
}
