//! Where push providers are. The defaults are theirs; other addresses are for proxies and tests.

use url::{Host, Url};

use super::sources::Sources;
use super::{ConfigError, Key, Settings};

/// Apple's production environment. Default `https://api.push.apple.com`.
pub(super) const APNS_URL: Key = Key::new("apns_url", Sources::EnvironmentAndFile);

/// Apple's development environment. Default `https://api.sandbox.push.apple.com`.
pub(super) const APNS_SANDBOX_URL: Key = Key::new("apns_sandbox_url", Sources::EnvironmentAndFile);

/// Google's API. Default `https://fcm.googleapis.com`.
pub(super) const FCM_URL: Key = Key::new("fcm_url", Sources::EnvironmentAndFile);

/// Where the access tokens for Google's API are asked for, whatever a service account says. Default
/// `https://oauth2.googleapis.com/token`.
pub(super) const FCM_TOKEN_URL: Key = Key::new("fcm_token_url", Sources::EnvironmentAndFile);

/// Where push providers are, as far as the operator said so.
#[derive(Debug, Default)]
pub struct Push {
    /// Apple's production environment.
    pub apns: Option<Url>,
    /// Apple's development environment.
    pub apns_sandbox: Option<Url>,
    /// Google's API.
    pub fcm: Option<Url>,
    /// Where Google's access tokens are asked for.
    pub fcm_tokens: Option<Url>,
}

pub(super) fn read(settings: &mut Settings) -> Result<Push, ConfigError> {
    Ok(Push {
        apns: settings.take(&APNS_URL, EXPECTED, provider)?,
        apns_sandbox: settings.take(&APNS_SANDBOX_URL, EXPECTED, provider)?,
        fcm: settings.take(&FCM_URL, EXPECTED, provider)?,
        fcm_tokens: settings.take(&FCM_TOKEN_URL, EXPECTED, provider)?,
    })
}

const EXPECTED: &str =
    "an https URL without user, query and fragment (http only for an address of this machine, in HTTP/2)";

/// Tokens of devices and of this server travel there: in plain text within this machine only.
fn provider(text: &str) -> Option<Url> {
    let url = Url::parse(text).ok()?;
    let here = match url.host()? {
        Host::Domain(name) => name == "localhost",
        Host::Ipv4(address) => address.is_loopback(),
        Host::Ipv6(address) => address.is_loopback(),
    };
    let secure = url.scheme() == "https" || (url.scheme() == "http" && here);
    let plain = url.username().is_empty()
        && url.password().is_none()
        && url.query().is_none()
        && url.fragment().is_none();
    (secure && plain).then_some(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for good in [
            "https://api.push.apple.com",
            "https://10.0.0.1:8443/apns/",
            "http://127.0.0.1:9000",
            "http://[::1]:9000",
            "http://localhost:9000/token",
        ] {
            assert!(provider(good).is_some(), "{good}");
        }
        for bad in [
            "http://api.push.apple.com",
            "http://10.0.0.1",
            "http://localhost.example",
            "ftp://127.0.0.1",
            "https://user@x.example",
            "https://x.example/?a",
            "https://x.example/#a",
            "api.push.apple.com",
            "",
        ] {
            assert!(provider(bad).is_none(), "{bad}");
        }
    }
}
