//! The requests at work, and whose they are: no client has so many at once that others find no room.
//!
//! Connections do not tell: a proxy that the operator trusts brings many clients on each of its own, and one connection of
//! HTTP/2 carries many requests. So requests are counted by client, as far as trusted proxies name it, whatever they came
//! over, those that wait for a change included. A client is an address, of IPv6 a /64. It may have three quarters of all
//! places, and less if others want as much ([`Shares`]); one more is refused, and need not be read to its end.

use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::http::HeaderMap;

use crate::dialect::Drain;
use crate::domain::shares::Shares;
use crate::web::client_address::{TrustedProxies, network};

/// All requests of a process that are not over.
#[derive(Debug)]
pub(super) struct RequestsAtWork {
    proxies: TrustedProxies,
    shares: Mutex<Shares<IpAddr>>,
    /// Whether clients had better go on elsewhere.
    sends_away: AtomicBool,
}

/// The place of a request, until dropped: when its answer was sent, and nobody works at it any more.
#[derive(Debug)]
pub(super) struct RequestPlace {
    all: Arc<RequestsAtWork>,
    client: IpAddr,
    /// A server that stops waits until nobody works at it, also if its connection is gone.
    _awaited: Drain,
}

impl RequestsAtWork {
    /// Room for `most` requests.
    pub(super) fn new(most: usize, proxies: TrustedProxies) -> Arc<Self> {
        Arc::new(Self {
            proxies,
            shares: Mutex::new(Shares::three_quarters(most)),
            sends_away: AtomicBool::new(false),
        })
    }

    /// A place for a request with these headers that came from `peer`; `None` if its client has its share.
    pub(super) fn begin(
        self: &Arc<Self>,
        peer: IpAddr,
        headers: &HeaderMap,
        draining: &Drain,
    ) -> Option<RequestPlace> {
        let client = network(self.proxies.client(peer, headers));
        self.lock().take(client).then(|| RequestPlace {
            all: Arc::clone(self),
            client,
            _awaited: draining.clone(),
        })
    }

    /// Whether what comes from `peer` may be anybody's, because it is a trusted proxy.
    pub(super) fn is_of_proxy(&self, peer: IpAddr) -> bool {
        self.proxies.trust(peer)
    }

    /// Has every connection that serves one request after another end with its next answer.
    pub(super) fn send_away(&self) {
        self.sends_away.store(true, Ordering::Relaxed);
    }

    pub(super) fn sends_away(&self) -> bool {
        self.sends_away.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, Shares<IpAddr>> {
        self.shares.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for RequestPlace {
    fn drop(&mut self) {
        self.all.lock().give_back(self.client);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn never() -> Drain {
        Drain::new(tokio::sync::watch::channel(false).1)
    }

    fn begin(all: &Arc<RequestsAtWork>, peer: &str, named: &str) -> Option<RequestPlace> {
        let mut headers = HeaderMap::new();
        headers.insert("x-forwarded-for", named.parse().unwrap());
        all.begin(peer.parse().unwrap(), &headers, &never())
    }

    #[test]
    fn clients_behind_a_trusted_proxy_have_shares_of_their_own_and_others_count_as_one() {
        let proxies = TrustedProxies::these(vec!["10.9.0.0/16".parse().unwrap()]);
        // A client names whom it likes; it is the proxy's word that counts.
        for (peer, named) in [
            ("10.9.8.7", "2001:db8::"),
            ("10.9.8.7", "192.0.2.7, 2001:db8::"),
            ("2001:db8::7", "192.0.2."),
        ] {
            let all = RequestsAtWork::new(64, proxies.clone());
            let greedy: Vec<_> = (1..129)
                .filter_map(|number: u8| begin(&all, peer, &format!("{named}{number}")))
                .collect();
            assert_eq!(greedy.len(), 48, "{peer} {named}");
            let others: Vec<_> = (1..17)
                .filter_map(|number| begin(&all, "10.9.8.7", &format!("198.51.100.{number}")))
                .collect();
            assert_eq!(others.len(), 16);
            drop((greedy, others));
            assert_eq!(all.lock().taken(), 0);
        }
    }

    #[test]
    fn a_proxy_that_names_nobody_is_a_client_itself() {
        let proxies = TrustedProxies::these(vec!["10.9.0.0/16".parse().unwrap()]);
        let all = RequestsAtWork::new(64, proxies);
        let proxy = "10.9.8.7".parse().unwrap();
        let places: Vec<_> = (0..128)
            .filter_map(|_| all.begin(proxy, &HeaderMap::new(), &never()))
            .collect();
        assert_eq!(places.len(), 48);
    }
}
