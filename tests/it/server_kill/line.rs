//! How a client reaches the servers: each call is another server's turn, and one that is gone is passed over.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use super::client::{Answer, Client};
use super::server::CREDENTIALS;

/// The servers that clients may ask, as everybody sees them who tells which of them are up.
#[derive(Default)]
pub(crate) struct Servers {
    /// Of each where it listens, while it does.
    addresses: Mutex<Vec<Option<String>>>,
    is_over: AtomicBool,
    /// The requests to change something that were answered, by their identifiers.
    answered: Mutex<BTreeMap<String, String>>,
    /// How long the answer took that took longest, and what was asked.
    slowest: Mutex<(Duration, String)>,
    /// Whether they may say that they cannot do it now, as they do when their database is away.
    may_refuse: bool,
}

/// A client's connections, one to each server that it asked.
pub(crate) struct Line {
    servers: Arc<Servers>,
    clients: Vec<Option<Client>>,
    turn: usize,
}

impl Servers {
    /// One that keeps its data to itself.
    pub(crate) fn only(address: &str) -> Arc<Self> {
        Arc::new(Self {
            addresses: Mutex::new(vec![Some(address.to_owned())]),
            ..Self::default()
        })
    }

    /// So many that share a database; none is up yet.
    pub(crate) fn sharing(number: usize) -> Arc<Self> {
        Arc::new(Self {
            addresses: Mutex::new(vec![None; number]),
            may_refuse: true,
            ..Self::default()
        })
    }

    /// How many there are, up or not.
    pub(crate) fn number(&self) -> usize {
        self.addresses.lock().unwrap().len()
    }

    /// Of all, which are up.
    pub(crate) fn addresses(&self) -> Vec<String> {
        let addresses = self.addresses.lock().unwrap();
        addresses.iter().map(|address| address.clone().unwrap()).collect()
    }

    /// The requests to change something that were answered since this was last asked, by their identifiers.
    pub(crate) fn take_answered(&self) -> BTreeMap<String, String> {
        std::mem::take(&mut *self.answered.lock().unwrap())
    }

    /// What was answered last of all, for whoever wonders how near that came to a client's patience.
    pub(crate) fn slowest_answer(&self) -> String {
        let (took, asked) = &*self.slowest.lock().unwrap();
        format!("the slowest answer took {took:?}: {asked}")
    }

    pub(crate) fn is_up(&self, server: usize, address: &str) {
        self.addresses.lock().unwrap()[server] = Some(address.to_owned());
    }

    pub(crate) fn is_down(&self, server: usize) {
        self.addresses.lock().unwrap()[server] = None;
    }

    /// Nobody needs to go on.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::Relaxed);
    }

    /// After [`Self::end`].
    pub(crate) fn begin_again(&self) {
        self.is_over.store(false, Ordering::Relaxed);
    }

    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }

    fn note_time(&self, took: Duration, method: &str, path: &str, answer: &io::Result<Answer>) {
        let mut slowest = self.slowest.lock().unwrap();
        if took > slowest.0 {
            let status = answer.as_ref().map_or(0, |answer| answer.status);
            *slowest = (took, format!("{method} {path}, {status}"));
        }
    }

    /// A line that begins with the server of this number, or with the one that is as much further as there are none.
    pub(crate) fn line(self: &Arc<Self>, first: usize) -> Line {
        let number = self.number();
        Line {
            servers: Arc::clone(self),
            clients: (0..number).map(|_| None).collect(),
            turn: first % number,
        }
    }
}

impl Line {
    pub(crate) fn is_over(&self) -> bool {
        self.servers.is_over()
    }

    /// Sends a form and reads the answer.
    ///
    /// # Errors
    /// When the server is gone before the whole answer is here, or says that it cannot do it now: it may have happened or
    /// not. One that is there and does not answer fails the test.
    pub(crate) fn call(&mut self, method: &str, path: &str, form: &[(&str, &str)]) -> io::Result<Answer> {
        self.call_as(CREDENTIALS, method, path, form)
    }

    /// The same as somebody else, `user:password`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn call_as(
        &mut self,
        credentials: &str,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> io::Result<Answer> {
        let server = self.next_server()?;
        let client = self.clients[server].as_mut().unwrap();
        let begin = Instant::now();
        let answer = client.call_as(credentials, method, path, form);
        self.servers.note_time(begin.elapsed(), method, path, &answer);
        match answer {
            Ok(answer) if answer.status == 503 && self.servers.may_refuse => {
                Err(io::Error::other(answer.body.to_string()))
            }
            Ok(answer) => {
                if method != "GET" && answer.status < 300 {
                    let id = answer.header("twilio-request-id").unwrap();
                    self.servers
                        .answered
                        .lock()
                        .unwrap()
                        .insert(id.to_owned(), format!("{method} {path}"));
                }
                Ok(answer)
            }
            Err(error) => {
                self.clients[server] = None;
                Err(error)
            }
        }
    }

    /// The next server that is up, to which there is a connection then.
    fn next_server(&mut self) -> io::Result<usize> {
        let number = self.clients.len();
        for _ in 0..number {
            let server = self.turn;
            self.turn = (self.turn + 1) % number;
            let address = self.servers.addresses.lock().unwrap()[server].clone();
            let Some(address) = address else { continue };
            let client = &mut self.clients[server];
            if client.as_ref().is_some_and(|client| client.address() == address) {
                return Ok(server);
            }
            *client = Client::try_connect(&address, CREDENTIALS).ok();
            if client.is_some() {
                return Ok(server);
            }
        }
        Err(ErrorKind::NotConnected.into())
    }
}
