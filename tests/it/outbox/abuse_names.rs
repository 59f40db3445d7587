//! The same with names that hang: a name server of the test's own is asked over UDP, and says nothing of most names.

use std::collections::HashSet;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use countersign::delivery::http::{AddressGuard, HttpClient, HttpPolicy, Plaintext, Reach, SystemNames};
use countersign::flows::outbox::worker::Limits;

use super::abuse::{Arrivals, Delivering, Load, prove_with};
use super::abuse_sockets::{Senders, hang, listen, mail, relay, take, url};

/// A name server that knows all names below `fine.test`, and never answers about others.
#[derive(Clone)]
struct NameServer {
    address: SocketAddr,
    /// What it did not answer about.
    unanswered: Arc<Mutex<HashSet<Vec<u8>>>>,
    over: Arc<AtomicBool>,
}

impl NameServer {
    fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(GLANCE)).unwrap();
        let server = Self {
            address: socket.local_addr().unwrap(),
            unanswered: Arc::default(),
            over: Arc::default(),
        };
        let ours = server.clone();
        std::thread::spawn(move || {
            let mut message = [0; 512];
            while !ours.over.load(Ordering::Relaxed) {
                let Ok((length, from)) = socket.recv_from(&mut message) else {
                    continue;
                };
                let query = &message[..length];
                let name = &query[HEADER..length - 5];
                if name.ends_with(b"\x04fine\x04test") {
                    let _gone = socket.send_to(&answer(query), from);
                } else {
                    ours.unanswered.lock().unwrap().insert(name.to_vec());
                }
            }
        });
        server
    }

    /// Asks as the system's resolver does: twice, five seconds each, and its thread waits.
    fn look_up(&self, host: &str) -> io::Result<Vec<IpAddr>> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(self.address)?;
        socket.set_read_timeout(Some(GLANCE))?;
        let query = query(host);
        let mut message = [0; 512];
        for _ in 0..2 {
            socket.send(&query)?;
            let sent = Instant::now();
            while sent.elapsed() < Duration::from_secs(5) && !self.over.load(Ordering::Relaxed) {
                if let Ok(length) = socket.recv(&mut message) {
                    let address: [u8; 4] = message[length - 4..length].try_into().unwrap();
                    return Ok(vec![Ipv4Addr::from(address).into()]);
                }
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }

    /// A resolver of its own that asks this server, as every kind of delivery has one.
    fn names(&self) -> Arc<SystemNames> {
        let server = self.clone();
        Arc::new(SystemNames::asking(move |host| server.look_up(host)))
    }

    /// A server with resolvers of its own, and receivers at these ports: one hangs, one takes what comes, one relays mail.
    async fn delivering(&self, [hangs, takes, relay]: [u16; 3]) -> Delivering {
        let guard = AddressGuard::allowing(vec!["127.0.0.0/8".parse().unwrap()]);
        let senders = Senders {
            webhooks: HttpClient::new(HttpPolicy::webhooks(guard.clone(), self.names())),
            push_services: HttpClient::new(HttpPolicy {
                plaintext: Plaintext::Permitted,
                ..HttpPolicy::push_services(guard.clone(), self.names())
            }),
            gateway: HttpClient::new(HttpPolicy {
                reach: Reach::Public {
                    guard,
                    names: self.names(),
                },
                ..HttpPolicy::gateway(Duration::from_secs(10), None)
            }),
            mail: mail(relay),
            hangs: url(hangs),
            takes: url(takes),
            has_names: true,
            arrivals: Arrivals::default(),
        };
        let limits = Limits {
            delivery: Duration::from_secs(5),
            ..Limits::default()
        };
        senders.delivering(limits).await
    }
}

/// A query for the IPv4 addresses of `host` (RFC 1035, 4.1).
fn query(host: &str) -> Vec<u8> {
    let mut query = vec![0x47, 0x11, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in host.split('.') {
        query.push(u8::try_from(label.len()).unwrap());
        query.extend(label.as_bytes());
    }
    query.extend([0, 0, 1, 0, 1]);
    query
}

/// The answer that its name, which is pointed to, has this machine's address.
fn answer(query: &[u8]) -> Vec<u8> {
    let mut answer = query.to_vec();
    answer[2] |= 0x80;
    answer[7] = 1;
    answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 0, 0, 4, 127, 0, 0, 1]);
    answer
}

/// Webhooks, devices' endpoints and mail domains, all of names that nobody resolves: 400 at once and twice as many, of each of
/// two accounts.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_accounts_messages_leave_at_once_while_names_of_two_others_do_not_resolve() {
    for lookups in [400, 800] {
        let names = NameServer::start();
        let ports = [listen(hang).await, listen(take).await, listen(relay).await];
        let load = Load {
            webhooks: lookups / 2,
            pushes: lookups / 2,
            mails: lookups,
        };
        prove_with(load, names.delivering(ports).await, names.delivering(ports).await).await;
        names.over.store(true, Ordering::Relaxed);
        let unanswered = names.unanswered.lock().unwrap().len();
        eprintln!("{unanswered} names of {} were asked for in vain", 2 * lookups);
        assert!(unanswered >= 64, "only {unanswered} names were asked for");
    }
}

/// How long nobody looks whether the test is over.
const GLANCE: Duration = Duration::from_millis(250);

/// So many bytes stand before a query's name.
const HEADER: usize = 12;
