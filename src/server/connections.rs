//! The connections that are open, and whose they are: no peer gets so many that others find no place.
//!
//! A peer is an address, of IPv6 a /64, which is what one host or household has. It may have three quarters of all places,
//! and less if others want as much ([`Shares`]). Whoever wants more gives up its oldest idle connection for a new one, or is
//! turned away. When all places are taken, the peer that has most gives up its oldest idle one for others. A proxy that the
//! operator trusts brings many clients: each of its connections counts for itself, the oldest idle one goes for whoever has
//! none, and what one of its clients has at work is counted by `requests` beside it.
//!
//! There is one of these in a process, whatever is spoken on its listeners.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::requests::RequestsAtWork;
use crate::dialect::{RequestStage, Stage};
use crate::domain::shares::Shares;
use crate::web::client_address::TrustedProxies;

/// All connections of a process.
#[derive(Debug)]
pub struct OpenConnections {
    most: usize,
    proxies: TrustedProxies,
    requests: Arc<RequestsAtWork>,
    state: Mutex<ConnectionsState>,
    freed: Notify,
}

#[derive(Debug)]
struct ConnectionsState {
    shares: Shares<Peer>,
    /// The connections of each peer, the oldest first.
    open: HashMap<Peer, BTreeMap<u64, Arc<OpenConnection>>>,
    /// The peers by how many they have.
    order: BTreeSet<(usize, Peer)>,
    accepted: u64,
}

/// Who has a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Peer {
    /// An address, or the first one of a network.
    Host(IpAddr),
    /// One of the connections of a trusted proxy.
    Proxied(u64),
}

/// A connection, as others see it.
#[derive(Debug)]
struct OpenConnection {
    since: Instant,
    /// Whether a request of it is being answered.
    stage: Arc<RequestStage>,
    end: Notify,
}

/// A connection's place, until dropped.
pub(super) struct ConnectionPlace {
    all: Arc<OpenConnections>,
    peer: Peer,
    number: u64,
    connection: Arc<OpenConnection>,
}

/// What becomes of a new connection.
enum Entrant {
    Entered(Peer, u64, Arc<OpenConnection>),
    /// All places are taken, and nobody has to give up one.
    Full,
    /// Its peer has its share.
    TurnedAway,
}

impl OpenConnections {
    /// Room for `most` connections, and as many requests at work.
    #[must_use]
    pub fn new(most: usize, proxies: TrustedProxies) -> Arc<Self> {
        let state = ConnectionsState {
            shares: Shares::three_quarters(most),
            open: HashMap::new(),
            order: BTreeSet::new(),
            accepted: 0,
        };
        Arc::new(Self {
            most,
            requests: RequestsAtWork::new(most, proxies.clone()),
            proxies,
            state: Mutex::new(state),
            freed: Notify::new(),
        })
    }

    /// Waits for a place for a new connection from `peer`; `None` if it is turned away.
    pub(super) async fn enter(self: &Arc<Self>, peer: IpAddr) -> Option<ConnectionPlace> {
        let mut said = false;
        loop {
            let freed = self.freed.notified();
            let proxied = self.proxies.trust(peer);
            let entry = self.lock().enter(peer, proxied);
            match entry {
                Entrant::Entered(peer, number, connection) => {
                    return Some(ConnectionPlace {
                        all: Arc::clone(self),
                        peer,
                        number,
                        connection,
                    });
                }
                Entrant::TurnedAway => {
                    tracing::debug!("a connection from {peer} is turned away: it has its share");
                    return None;
                }
                Entrant::Full if !said => {
                    said = true;
                    let most = self.most;
                    tracing::warn!("{most} connections are open; new ones wait (see max_connections)");
                }
                Entrant::Full => {}
            }
            freed.await;
        }
    }

    fn lock(&self) -> MutexGuard<'_, ConnectionsState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ConnectionsState {
    fn enter(&mut self, address: IpAddr, proxied: bool) -> Entrant {
        self.accepted += 1;
        let number = self.accepted;
        let peer = if proxied {
            Peer::Proxied(number)
        } else {
            Peer::Host(network(address))
        };
        loop {
            if self.shares.take(peer) {
                let connection = Arc::new(OpenConnection {
                    since: Instant::now(),
                    stage: Arc::default(),
                    end: Notify::new(),
                });
                let open = self.open.entry(peer).or_default();
                self.order.remove(&(open.len(), peer));
                open.insert(number, Arc::clone(&connection));
                self.order.insert((open.len(), peer));
                return Entrant::Entered(peer, number, connection);
            }
            let mine = self.shares.held(peer);
            let full = self.shares.free() == 0;
            let given_up = if full {
                let greedy = self.idle_of_those_with_more_than(mine + 1);
                greedy.or_else(|| self.idle_of_proxies().filter(|_| mine == 0))
            } else {
                self.idle_of(peer).map(|idle| (peer, idle))
            };
            match given_up {
                Some((other, idle)) => {
                    if let Some(connection) = self.leave(other, idle) {
                        connection.end.notify_one();
                    }
                }
                // Others would wait behind one that has to wait for its own.
                None if full && (mine == 0 || self.order.len() == 1 || !self.has_most(mine)) => {
                    return Entrant::Full;
                }
                None => return Entrant::TurnedAway,
            }
        }
    }

    /// Takes out a connection, unless that is done already.
    fn leave(&mut self, peer: Peer, number: u64) -> Option<Arc<OpenConnection>> {
        let open = self.open.get_mut(&peer)?;
        let before = open.len();
        let connection = open.remove(&number)?;
        self.shares.give_back(peer);
        self.order.remove(&(before, peer));
        if open.is_empty() {
            self.open.remove(&peer);
        } else {
            self.order.insert((before - 1, peer));
        }
        Some(connection)
    }

    fn has_most(&self, mine: usize) -> bool {
        self.order.last().is_none_or(|(most, _)| *most <= mine)
    }

    /// The oldest idle connection of whoever has most, if that is more than `few`.
    fn idle_of_those_with_more_than(&self, few: usize) -> Option<(Peer, u64)> {
        let greedy = self.order.iter().rev().take_while(|(held, _)| *held > few);
        let mut greedy = greedy.take(MOST_ASKED);
        greedy.find_map(|(_, peer)| Some((*peer, self.idle_of(*peer)?)))
    }

    /// The oldest idle connection of trusted proxies. Costs a look at each of theirs if all are busy.
    fn idle_of_proxies(&self) -> Option<(Peer, u64)> {
        let ones = (1, Peer::Proxied(0))..=(1, Peer::Proxied(u64::MAX));
        let mut peers = self.order.range(ones);
        peers.find_map(|(_, peer)| Some((*peer, self.idle_of(*peer)?)))
    }

    fn idle_of(&self, peer: Peer) -> Option<u64> {
        let mut open = self.open.get(&peer)?.iter();
        open.find(|(_, connection)| connection.is_idle())
            .map(|(number, _)| *number)
    }
}

impl OpenConnection {
    /// Whether nothing is being answered, and it had time to ask for something.
    fn is_idle(&self) -> bool {
        match self.stage.stage() {
            Stage::Idle | Stage::Stranger => true,
            Stage::Head => self.since.elapsed() >= GRACE,
            Stage::Body | Stage::Answering => false,
        }
    }
}

impl ConnectionPlace {
    /// Where it is to be said whether a request is being answered.
    pub(super) fn stage(&self) -> Arc<RequestStage> {
        Arc::clone(&self.connection.stage)
    }

    /// The requests of everybody.
    pub(super) fn requests(&self) -> Arc<RequestsAtWork> {
        Arc::clone(&self.all.requests)
    }

    /// Waits until the place was given to somebody else. A request that came in between is answered.
    pub(super) async fn given_up(&self) {
        loop {
            self.connection.end.notified().await;
            if self.connection.is_idle() {
                return;
            }
        }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        drop(self.all.lock().leave(self.peer, self.number));
        self.all.freed.notify_waiters();
    }
}

/// What counts as one host.
pub(super) fn network(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => address.into(),
        IpAddr::V6(address) => Ipv6Addr::from_bits(address.to_bits() & (u128::MAX << 64)).into(),
    }
}

/// So long a new connection has to ask for something before it counts as idle.
const GRACE: Duration = Duration::from_secs(1);

/// So many peers are looked at for an idle connection.
const MOST_ASKED: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn room(most: usize) -> Arc<OpenConnections> {
        OpenConnections::new(most, TrustedProxies::these(vec!["10.9.0.0/16".parse().unwrap()]))
    }

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    /// Enters if that takes no waiting.
    fn enter(all: &Arc<OpenConnections>, peer: &str) -> Option<ConnectionPlace> {
        let peer = address(peer);
        let entry = all.lock().enter(peer, all.proxies.trust(peer));
        match entry {
            Entrant::Entered(peer, number, connection) => Some(ConnectionPlace {
                all: Arc::clone(all),
                peer,
                number,
                connection,
            }),
            Entrant::Full | Entrant::TurnedAway => None,
        }
    }

    fn is_given_up(place: &ConnectionPlace) -> bool {
        let given_up = std::pin::pin!(place.given_up());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        given_up.poll(&mut context).is_ready()
    }

    #[tokio::test(start_paused = true)]
    async fn one_host_gets_no_more_than_its_share_and_others_are_served() {
        for host in ["192.0.2.1", "2001:db8::"] {
            let all = room(64);
            let name = |number: u16| match address(host) {
                IpAddr::V4(_) => host.to_owned(),
                IpAddr::V6(_) => format!("{host}{number:x}"),
            };
            // Busy ones are not given up.
            let places: Vec<_> = (0..128).filter_map(|number| enter(&all, &name(number))).collect();
            assert_eq!(places.len(), 48);
            for place in &places {
                place.stage().reach(Stage::Answering);
            }
            tokio::time::advance(GRACE).await;
            assert!(enter(&all, &name(200)).is_none());
            let others: Vec<_> = (1..=16)
                .map(|number| enter(&all, &format!("198.51.100.{number}")).unwrap())
                .collect();
            assert!(enter(&all, "198.51.100.17").is_none(), "all are taken");
            // The oldest that is idle goes, whoever comes.
            places[7].stage().reach(Stage::Idle);
            let last = enter(&all, "198.51.100.17").unwrap();
            assert!(is_given_up(&places[7]) && !is_given_up(&places[0]));
            drop((places, others, last));
            let state = all.lock();
            assert!(state.open.is_empty() && state.order.is_empty() && state.shares.taken() == 0);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_host_with_its_share_gives_up_its_oldest_idle_connection_for_a_new_one() {
        let all = room(64);
        let mut places: Vec<_> = (0..48).filter_map(|_| enter(&all, "192.0.2.1")).collect();
        assert!(enter(&all, "192.0.2.1").is_none(), "they had no time to ask");
        tokio::time::advance(GRACE).await;
        places[0].stage().reach(Stage::Answering);
        places.push(enter(&all, "192.0.2.1").unwrap());
        assert!(is_given_up(&places[1]));
        assert!(
            !places
                .iter()
                .enumerate()
                .any(|(number, place)| number != 1 && is_given_up(place))
        );
    }

    #[tokio::test(start_paused = true)]
    async fn two_greedy_hosts_leave_places_for_a_third_one() {
        let all = room(64);
        let mut places = Vec::new();
        for _ in 0..128 {
            for host in ["192.0.2.1", "192.0.2.2"] {
                places.extend(enter(&all, host));
            }
        }
        for number in 0..5 {
            places.push(enter(&all, "192.0.2.3").unwrap_or_else(|| panic!("{number}")));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_trusted_proxys_connections_count_for_themselves_and_its_oldest_idle_one_goes() {
        let all = room(64);
        let mut places: Vec<_> = (0..100).filter_map(|_| enter(&all, "10.9.8.7")).collect();
        assert_eq!(places.len(), 64);
        // What waits behind it is not kept out by what the proxy merely keeps.
        tokio::time::advance(GRACE).await;
        for place in &places[..40] {
            place.stage().reach(Stage::Answering);
        }
        for (came, peer) in ["10.9.8.7", "192.0.2.1"].into_iter().enumerate() {
            places.push(enter(&all, peer).unwrap());
            assert!(is_given_up(&places[40 + came]) && !is_given_up(&places[0]));
        }
        assert!(!is_given_up(&places[42]));
    }
}
