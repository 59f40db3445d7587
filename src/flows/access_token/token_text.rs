//! The text of an access token: derived from the master key, so that the store does not hold it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::app::App;
use crate::crypto::vault::Purpose;
use crate::domain::sid::{AccessTokenSid, ServiceSid};

/// What every access token begins with, so that one that leaks is recognized.
pub(super) const PREFIX: &str = "cse1_";

/// The text: the prefix, and in base64url the bytes of the SID and a MAC over the service and them.
pub(super) fn write(app: &App, service: ServiceSid, sid: AccessTokenSid) -> String {
    let tag = app.vault.mac(Purpose::AccessToken, &message(service, sid));
    let mut bytes = Vec::with_capacity(48);
    bytes.extend_from_slice(sid.as_bytes());
    bytes.extend_from_slice(&tag);
    format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(bytes))
}

/// The SID in a text that this server wrote for this service.
pub(super) fn read(app: &App, service: ServiceSid, text: &str) -> Option<AccessTokenSid> {
    let bytes = URL_SAFE_NO_PAD.decode(text.strip_prefix(PREFIX)?).ok()?;
    let (sid, tag) = bytes.split_first_chunk::<16>()?;
    let sid = AccessTokenSid::from_bytes(*sid);
    app.vault
        .mac_matches(Purpose::AccessToken, &message(service, sid), tag)
        .then_some(sid)
}

fn message(service: ServiceSid, sid: AccessTokenSid) -> [u8; 32] {
    let mut message = [0; 32];
    message[..16].copy_from_slice(service.as_bytes());
    message[16..].copy_from_slice(sid.as_bytes());
    message
}
