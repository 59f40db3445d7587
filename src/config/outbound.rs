//! Whom this server may connect to.

use std::net::IpAddr;

use ipnet::IpNet;

use super::sources::Sources;
use super::{ConfigError, Key, Settings};

/// The networks beside the public internet that webhooks and devices' push endpoints may lead to, such as `10.1.0.0/16`;
/// several are separated by commas, or listed in the file. None by default.
pub const OUTBOUND_ALLOW: Key = Key::list("outbound_allow", Sources::All);

/// Whom this server may connect to.
#[derive(Clone, Debug, Default)]
pub struct Outbound {
    /// Networks beside the public internet.
    pub allow: Vec<IpNet>,
}

pub(super) fn read(settings: &mut Settings) -> Result<Outbound, ConfigError> {
    let expected = "networks such as 10.1.0.0/16 or fd00:1::/32, or single addresses, separated by commas, with no bits \
                    set behind the network's";
    let allow = settings.take(&OUTBOUND_ALLOW, expected, |text| {
        text.split(',')
            .map(|network| network_in(network.trim()))
            .collect()
    })?;
    Ok(Outbound {
        allow: allow.unwrap_or_default(),
    })
}

/// A network that is not written as one (`10.1.2.3/8`) may be a typing error that opens more than was meant.
pub(super) fn network_in(text: &str) -> Option<IpNet> {
    if let Ok(address) = text.parse::<IpAddr>() {
        return Some(IpNet::from(address));
    }
    let network: IpNet = text.parse().ok()?;
    (network.trunc() == network).then_some(network)
}
