//! The connections that are open, and whose they are: no peer gets so many that others find no place.
//!
//! A peer is an address, of IPv6 a /64, which is what one host or household has. It may have three quarters of all places,
//! and less if others want as much ([`Shares`]). Whoever wants more gives up its oldest idle connection for a new one, or is
//! turned away. When all places are taken, one of those who have most gives up its oldest idle one for others; for whoever has
//! none, anybody does, the oldest first. A proxy that the operator trusts brings many clients: each of its connections counts
//! for itself, and what one of its clients has at work is counted by `requests` beside it.
//!
//! A place is given away when the connection that had it is gone, not before: one that got a request at the last moment
//! keeps it.
//!
//! There is one of these in a process, whatever is spoken on its listeners.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

use super::requests::RequestsAtWork;
use crate::dialect::{RequestStage, Stage};
use crate::domain::shares::Shares;
use crate::web::client_address::{TrustedProxies, network};
use crate::web::connection_tally::ConnectionTally;

/// All connections of a process.
#[derive(Debug)]
pub struct OpenConnections {
    most: usize,
    proxies: TrustedProxies,
    requests: Arc<RequestsAtWork>,
    state: Mutex<ConnectionsState>,
    freed: Notify,
    tally: Arc<ConnectionTally>,
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
    /// Whether it was asked to go, for somebody who waits.
    asked: AtomicBool,
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
    /// Somebody who is idle was asked to go.
    Asked,
    /// All places are taken, and nobody can be asked for one.
    Full,
    /// Its peer has its share.
    TurnedAway,
}

impl OpenConnections {
    /// Room for `most` connections, which are counted in `tally`, and as many requests at work.
    #[must_use]
    pub fn new(most: usize, proxies: TrustedProxies, tally: Arc<ConnectionTally>) -> Arc<Self> {
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
            tally,
        })
    }

    /// Has clients go on elsewhere, before the server stops: each connection over HTTP/1.1 ends with its next answer, which
    /// says so. Nothing is refused for it.
    pub fn send_away(&self) {
        self.requests.send_away();
    }

    /// Where they are counted.
    pub(super) fn tally(&self) -> &ConnectionTally {
        &self.tally
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
                Entrant::Asked | Entrant::Full => {}
            }
            // Nobody tells when a connection becomes idle, or when a new one has had its time.
            let _freed_or_not = tokio::time::timeout(LOOKS_AGAIN, freed).await;
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
        if self.shares.take(peer) {
            let connection = Arc::new(OpenConnection {
                since: Instant::now(),
                stage: Arc::default(),
                asked: AtomicBool::new(false),
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
        let idle = if full {
            let greedy = self.idle_of_those_with_more_than(mine + 1);
            greedy.or_else(|| self.oldest_idle().filter(|_| mine == 0))
        } else {
            self.idle_of(peer)
        };
        match idle {
            Some(idle) => {
                idle.asked.store(true, Ordering::Relaxed);
                idle.end.notify_one();
                Entrant::Asked
            }
            // Others would wait behind one that has to wait for its own.
            None if full && (mine == 0 || self.order.len() == 1 || !self.has_most(mine)) => Entrant::Full,
            None => Entrant::TurnedAway,
        }
    }

    /// Takes out a connection.
    fn leave(&mut self, peer: Peer, number: u64) {
        let Some(open) = self.open.get_mut(&peer) else {
            return;
        };
        let before = open.len();
        if open.remove(&number).is_none() {
            return;
        }
        self.shares.give_back(peer);
        self.order.remove(&(before, peer));
        if open.is_empty() {
            self.open.remove(&peer);
        } else {
            self.order.insert((before - 1, peer));
        }
    }

    fn has_most(&self, mine: usize) -> bool {
        self.order.last().is_none_or(|(most, _)| *most <= mine)
    }

    /// The oldest idle connection of whoever has most, if that is more than `few`.
    fn idle_of_those_with_more_than(&self, few: usize) -> Option<Arc<OpenConnection>> {
        let greedy = self.order.iter().rev().take_while(|(held, _)| *held > few);
        let mut greedy = greedy.take(MOST_ASKED);
        greedy.find_map(|(_, peer)| self.idle_of(*peer))
    }

    /// The oldest idle connection of all. It costs a look at each, so it is for whoever has none.
    fn oldest_idle(&self) -> Option<Arc<OpenConnection>> {
        let all = self.open.values().flatten();
        let idle = all.filter(|(_, connection)| connection.is_idle());
        let oldest = idle.min_by_key(|(number, _)| **number);
        oldest.map(|(_, connection)| Arc::clone(connection))
    }

    fn idle_of(&self, peer: Peer) -> Option<Arc<OpenConnection>> {
        let mut open = self.open.get(&peer)?.values();
        open.find(|connection| connection.is_idle()).cloned()
    }
}

impl OpenConnection {
    /// Whether it can be asked to go.
    fn is_idle(&self) -> bool {
        !self.asked.load(Ordering::Relaxed) && self.does_nothing()
    }

    /// Whether nothing is being answered, and it had time to ask for something.
    fn does_nothing(&self) -> bool {
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

    /// Waits until the place is wanted by somebody else. A connection that got a request in between keeps it, and whoever
    /// waits asks another one.
    pub(super) async fn given_up(&self) {
        loop {
            self.connection.end.notified().await;
            if self.connection.does_nothing() {
                return;
            }
            self.connection.asked.store(false, Ordering::Relaxed);
            self.all.freed.notify_waiters();
        }
    }
}

impl Drop for ConnectionPlace {
    fn drop(&mut self) {
        self.all.lock().leave(self.peer, self.number);
        self.all.freed.notify_waiters();
    }
}

/// So long a new connection has to ask for something before it counts as idle.
const GRACE: Duration = Duration::from_secs(1);

/// So many of those who have most are looked at for an idle connection, before all are.
const MOST_ASKED: usize = 8;

/// How often somebody who waits for a place looks again.
const LOOKS_AGAIN: Duration = Duration::from_millis(250);

#[cfg(test)]
mod tests {
    use super::*;

    fn room(most: usize) -> Arc<OpenConnections> {
        let proxies = TrustedProxies::these(vec!["10.9.0.0/16".parse().unwrap()]);
        OpenConnections::new(most, proxies, Arc::default())
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
            Entrant::Asked | Entrant::Full | Entrant::TurnedAway => None,
        }
    }

    fn is_given_up(place: &ConnectionPlace) -> bool {
        let given_up = std::pin::pin!(place.given_up());
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        given_up.poll(&mut context).is_ready()
    }

    /// Enters when the one of `places` that is asked for it is gone, which must be that with this index.
    fn enter_in_place_of(
        all: &Arc<OpenConnections>,
        peer: &str,
        places: &mut Vec<ConnectionPlace>,
        index: usize,
    ) -> ConnectionPlace {
        assert!(enter(all, peer).is_none(), "nobody has gone yet");
        let asked = places.iter().position(is_given_up);
        assert_eq!(asked, Some(index));
        drop(places.remove(index));
        enter(all, peer).unwrap()
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
            let mut places: Vec<_> = (0..128).filter_map(|number| enter(&all, &name(number))).collect();
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
            let last = enter_in_place_of(&all, "198.51.100.17", &mut places, 7);
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
        let new = enter_in_place_of(&all, "192.0.2.1", &mut places, 1);
        places.push(new);
        assert!(!places.iter().any(is_given_up));
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
        for peer in ["10.9.8.7", "192.0.2.1"] {
            let new = enter_in_place_of(&all, peer, &mut places, 40);
            places.push(new);
        }
        assert!(!places.iter().any(is_given_up));
    }

    /// Somebody with a large network has an address for each connection.
    #[tokio::test(start_paused = true)]
    async fn the_oldest_idle_connection_of_all_goes_for_whoever_has_none() {
        let all = room(64);
        let mut places: Vec<_> = (1..=64)
            .map(|number| enter(&all, &format!("198.51.100.{number}")).unwrap())
            .collect();
        places[0].stage().reach(Stage::Answering);
        assert!(enter(&all, "192.0.2.1").is_none(), "they had no time to ask");
        assert!(!places.iter().any(is_given_up));
        tokio::time::advance(GRACE).await;
        let new = enter_in_place_of(&all, "192.0.2.1", &mut places, 1);
        places.push(new);
        // Who has one already waits for his own.
        assert!(enter(&all, "192.0.2.1").is_none());
        assert!(!places.iter().any(is_given_up));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_got_a_request_at_the_last_moment_keeps_its_place() {
        let all = room(64);
        let places: Vec<_> = (0..48).filter_map(|_| enter(&all, "192.0.2.1")).collect();
        tokio::time::advance(GRACE).await;
        assert!(enter(&all, "192.0.2.1").is_none());
        places[0].stage().reach(Stage::Answering);
        assert!(!is_given_up(&places[0]));
        assert!(enter(&all, "192.0.2.1").is_none());
        assert!(is_given_up(&places[1]), "another one is asked");
        // It can be asked again, once it has answered.
        places[0].stage().reach(Stage::Idle);
        assert!(enter(&all, "192.0.2.1").is_none());
        assert!(is_given_up(&places[0]));
        assert_eq!(all.lock().shares.taken(), 48, "nobody is served without a place");
    }

    #[tokio::test(start_paused = true)]
    async fn whoever_waits_is_served_when_somebody_becomes_idle() {
        let all = room(64);
        let mut places: Vec<_> = (0..48).filter_map(|_| enter(&all, "192.0.2.1")).collect();
        places.extend((1..=16).map(|number| enter(&all, &format!("198.51.100.{number}")).unwrap()));
        for place in &places {
            place.stage().reach(Stage::Answering);
        }
        let waiting = {
            let all = Arc::clone(&all);
            tokio::spawn(async move { all.enter(address("203.0.113.1")).await })
        };
        tokio::time::sleep(Duration::from_mins(1)).await;
        assert!(!waiting.is_finished());
        places[5].stage().reach(Stage::Idle);
        let left = places.remove(5);
        let goes = tokio::spawn(async move {
            left.given_up().await;
        });
        let entered = tokio::time::timeout(Duration::from_secs(1), waiting).await;
        assert!(entered.unwrap().unwrap().is_some());
        goes.await.unwrap();
    }
}
