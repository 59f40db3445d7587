//! The senders that need a provider's key, and where they send to.

use std::sync::Arc;
use std::time::Duration;

use url::Url;

use super::apns::Apns;
use super::fcm::Fcm;
use super::provider::Provider;

/// Apple's and Google's senders, which share their connections.
#[derive(Debug)]
pub struct PushProviders {
    /// Sends to Apple.
    pub apns: Apns,
    /// Sends to Google.
    pub fcm: Fcm,
}

/// Where providers are, as far as the operator said so.
#[derive(Clone, Debug, Default)]
pub struct Addresses {
    /// Apple's production environment; `https://api.push.apple.com` by default.
    pub apns: Option<Url>,
    /// Apple's development environment; `https://api.sandbox.push.apple.com` by default.
    pub apns_sandbox: Option<Url>,
    /// Google's API; `https://fcm.googleapis.com` by default.
    pub fcm: Option<Url>,
    /// Where Google's access tokens are asked for; [`super::fcm::GOOGLE_TOKENS`] by default.
    pub fcm_tokens: Option<Url>,
    /// How long one notification may take; 10 seconds by default.
    pub timeout: Option<Duration>,
}

impl PushProviders {
    /// The senders to these addresses.
    #[must_use]
    pub fn new(addresses: Addresses) -> Self {
        let provider = Arc::new(Provider::default());
        let or = |given: Option<Url>, default: &str| given.unwrap_or_else(|| fixed(default));
        let apns = (
            or(addresses.apns, "https://api.push.apple.com"),
            or(addresses.apns_sandbox, "https://api.sandbox.push.apple.com"),
        );
        let fcm = (
            or(addresses.fcm, "https://fcm.googleapis.com"),
            addresses.fcm_tokens,
        );
        Self {
            apns: Apns::new(Arc::clone(&provider), apns, addresses.timeout),
            fcm: Fcm::new(provider, fcm, addresses.timeout),
        }
    }
}

impl Default for PushProviders {
    fn default() -> Self {
        Self::new(Addresses::default())
    }
}

fn fixed(url: &str) -> Url {
    Url::parse(url).expect("it is a URL")
}
