//! From names to addresses that may be reached.

use std::fmt;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::Arc;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Semaphore;

use super::HttpError;
use super::address::AddressGuard;

/// Who knows the addresses of a name.
#[async_trait]
pub trait Names: Send + Sync + fmt::Debug {
    /// The addresses of `host`.
    ///
    /// # Errors
    /// When there are none, or nobody could be asked.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

/// The system's resolver: `/etc/hosts`, DNS, and whatever else it is set up to ask.
#[derive(Debug)]
pub struct SystemNames {
    lookups: Arc<Semaphore>,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self {
            lookups: Arc::new(Semaphore::new(MOST_LOOKUPS)),
        }
    }
}

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let turn = Arc::clone(&self.lookups).acquire_owned().await;
        let turn = turn.map_err(io::Error::other)?;
        let host = host.to_owned();
        let lookup = tokio::task::spawn_blocking(move || {
            // Kept until the system is done, which may be long after everybody has stopped waiting for it.
            let _turn = turn;
            let found = (host.as_str(), 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        });
        lookup.await.map_err(io::Error::other)?
    }
}

/// What the HTTP client asks before it connects: it gets no address that must not be reached, and connects to no other.
#[derive(Debug)]
pub(super) struct GuardedNames {
    pub(super) guard: AddressGuard,
    pub(super) names: Arc<dyn Names>,
}

impl Resolve for GuardedNames {
    fn resolve(&self, name: Name) -> Resolving {
        let (guard, names) = (self.guard.clone(), Arc::clone(&self.names));
        Box::pin(async move {
            let host = name.as_str();
            let found = names.addresses(host).await;
            let found = found.map_err(|error| HttpError::Unresolved {
                host: host.to_owned(),
                reason: error.to_string(),
            })?;
            let permitted: Vec<_> = found
                .iter()
                .copied()
                .filter(|address| guard.permits(*address))
                .collect();
            match (permitted.as_slice(), found.first()) {
                ([], Some(&address)) => Err(HttpError::Blocked {
                    host: host.to_owned(),
                    address,
                }
                .into()),
                ([], None) => Err(HttpError::Unresolved {
                    host: host.to_owned(),
                    reason: "it has none".to_owned(),
                }
                .into()),
                // The client puts the URL's port in place of 0.
                _ => {
                    let addresses = permitted.into_iter().map(|address| SocketAddr::new(address, 0));
                    Ok(Box::new(addresses) as Addrs)
                }
            }
        })
    }
}

/// A lookup holds a thread of those that the store needs, too, and a name server that is silent holds it for long.
const MOST_LOOKUPS: usize = 128;
