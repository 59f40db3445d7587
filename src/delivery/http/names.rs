//! From names to addresses that may be reached.

use std::collections::HashSet;
use std::fmt;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs as _};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::HttpError;
use super::address::AddressGuard;
use crate::domain::shares::Shares;
use crate::domain::sid::AccountSid;

/// Who knows the addresses of a name.
#[async_trait]
pub trait Names: Send + Sync + fmt::Debug {
    /// The addresses of `host`.
    ///
    /// # Errors
    /// When there are none, or nobody could be asked.
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>>;
}

tokio::task_local! {
    static ASKED_BY: AccountSid;
}

/// Does `work`, whose lookups are counted as those of `account`: no account's lookups take so many places that there is
/// none for another one's.
pub fn asked_by<Work: Future>(account: AccountSid, work: Work) -> impl Future<Output = Work::Output> {
    ASKED_BY.scope(account, work)
}

/// For whom this is done, if that is known.
pub(in crate::delivery) fn asker() -> Option<AccountSid> {
    ASKED_BY.try_with(|account| *account).ok()
}

/// The system's resolver: `/etc/hosts`, DNS, and whatever else it is set up to ask.
///
/// Names that took long or failed the last time have places of their own, so that the name servers of some, which may say
/// nothing for as long as anybody listens, do not keep others from being asked.
///
/// Which name servers there are, and how long they have, is the system's to know (`/etc/resolv.conf`): there is no setting
/// for it here, or there would be two answers to what a name means on one machine.
pub struct SystemNames {
    quick: Arc<Lookups>,
    slow: Arc<Lookups>,
    /// The names that took long or failed the last time.
    known_as_slow: Arc<Mutex<HashSet<String>>>,
    look_up: Arc<LookUp>,
}

/// Asks for the addresses of a name, and keeps its thread until it has an answer.
type LookUp = dyn Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync;

impl fmt::Debug for SystemNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SystemNames")
    }
}

/// Places for lookups.
#[derive(Debug)]
struct Lookups {
    shares: Mutex<Shares<Option<AccountSid>>>,
    given_back: Notify,
}

/// A place for a lookup, until dropped.
struct LookupPlace {
    lookups: Arc<Lookups>,
    account: Option<AccountSid>,
}

impl Default for SystemNames {
    fn default() -> Self {
        Self::asking(|host| {
            let found = (host, 0).to_socket_addrs()?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

impl SystemNames {
    /// The same with another resolver in place of the system's. It may keep its thread for as long as it likes.
    #[must_use]
    pub fn asking(look_up: impl Fn(&str) -> io::Result<Vec<IpAddr>> + Send + Sync + 'static) -> Self {
        Self {
            quick: Lookups::new(MOST_LOOKUPS),
            slow: Lookups::new(MOST_SLOW_LOOKUPS),
            known_as_slow: Arc::default(),
            look_up: Arc::new(look_up),
        }
    }
}

#[async_trait]
impl Names for SystemNames {
    async fn addresses(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let account = asker();
        let is_slow = lock(&self.known_as_slow).contains(host);
        let lookups = if is_slow { &self.slow } else { &self.quick };
        let place = Lookups::take(lookups, account).await;
        let (host, look_up) = (host.to_owned(), Arc::clone(&self.look_up));
        let known_as_slow = Arc::clone(&self.known_as_slow);
        let asking = tokio::task::spawn_blocking(move || {
            let began = Instant::now();
            let found = look_up(&host);
            let mut known_as_slow = lock(&known_as_slow);
            if found.is_ok() && began.elapsed() < SLOW {
                known_as_slow.remove(&host);
            } else {
                // Whoever has names without end makes others of that kind be forgotten: each then waits in the quick
                // pool once more, before it is known again.
                if known_as_slow.len() >= MOST_KNOWN {
                    known_as_slow.clear();
                }
                known_as_slow.insert(host);
            }
            // Kept until the system is done, which may be long after everybody has stopped waiting for it.
            drop(place);
            found
        });
        asking.await.map_err(io::Error::other)?
    }
}

impl Lookups {
    fn new(most: usize) -> Arc<Self> {
        Arc::new(Self {
            shares: Mutex::new(Shares::halves(most)),
            given_back: Notify::new(),
        })
    }

    /// Waits for a place.
    async fn take(lookups: &Arc<Self>, account: Option<AccountSid>) -> LookupPlace {
        loop {
            let given_back = lookups.given_back.notified();
            if lock(&lookups.shares).take(account) {
                return LookupPlace {
                    lookups: Arc::clone(lookups),
                    account,
                };
            }
            given_back.await;
        }
    }
}

impl Drop for LookupPlace {
    fn drop(&mut self) {
        lock(&self.lookups.shares).give_back(self.account);
        // All of them: whose turn it is depends on what each has.
        self.lookups.given_back.notify_waiters();
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
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
const MOST_LOOKUPS: usize = 64;

/// The same for names that took long or failed the last time.
const MOST_SLOW_LOOKUPS: usize = 32;

/// A lookup that takes longer is slow.
const SLOW: Duration = Duration::from_secs(1);

/// So many slow names are remembered.
const MOST_KNOWN: usize = 10_000;

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u8) -> AccountSid {
        AccountSid::from_bytes([number; 16])
    }

    /// A resolver to which names of some domains take their time.
    fn names() -> Arc<SystemNames> {
        Arc::new(SystemNames::asking(|host| {
            let time = match host.rsplit('.').next() {
                Some("hangs") => 4000,
                Some("lags") => 1100,
                _ => 0,
            };
            std::thread::sleep(Duration::from_millis(time));
            Ok(vec![IpAddr::from([192, 0, 2, 1])])
        }))
    }

    async fn within(time: Duration, names: &Arc<SystemNames>, of: AccountSid, host: &str) -> bool {
        tokio::time::timeout(time, asked_by(of, names.addresses(host)))
            .await
            .is_ok()
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn names_that_hang_do_not_keep_other_accounts_from_asking() {
        let names = names();
        for number in 0..2 * MOST_LOOKUPS {
            for of in [1, 2] {
                let names = Arc::clone(&names);
                tokio::spawn(asked_by(account(of), async move {
                    names.addresses(&format!("{number}.hangs")).await
                }));
            }
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        for number in 0..20 {
            let host = format!("{number}.fine");
            assert!(within(Duration::from_secs(1), &names, account(3), &host).await);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_name_that_took_long_waits_among_its_like_until_it_is_quick_again() {
        let names = names();
        names.addresses("a.lags").await.unwrap();
        names.addresses("a.fine").await.unwrap();
        assert_eq!(*lock(&names.known_as_slow), HashSet::from(["a.lags".to_owned()]));
        // Its own account's other names are not in its way either: the places of slow ones are all taken.
        while lock(&names.slow.shares).take(Some(account(1))) {}
        let (quick, slow) = tokio::join!(
            within(Duration::from_secs(1), &names, account(1), "b.fine"),
            within(Duration::from_secs(2), &names, account(1), "a.lags"),
        );
        assert!(quick && !slow);
    }
}
