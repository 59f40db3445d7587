//! A receiver of events that remembers what it took. It may fail one time in three, but never fails an event more than four
//! times: pauses grow with each failure, and by bad luck a test would wait for minutes.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use super::random::Random;

/// What happened to what.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Told {
    pub(crate) event: String,
    pub(crate) factor: String,
    pub(crate) challenge: Option<String>,
}

pub(crate) struct Receiver {
    port: u16,
    memory: Arc<Mutex<Memory>>,
}

struct Memory {
    /// Of one that fails.
    random: Option<Random>,
    /// The events that were taken, by their identifier.
    taken: BTreeMap<String, Told>,
    /// The identifiers of each factor's events, in the order in which they were first taken.
    order: BTreeMap<String, Vec<String>>,
    /// How often it failed an event.
    in_vain: BTreeMap<String, u32>,
    tries: usize,
    failures: usize,
}

impl Receiver {
    /// One that never fails.
    pub(crate) fn start() -> Self {
        Self::with(None)
    }

    /// One that fails at moments that follow from `seed`.
    pub(crate) fn failing(seed: u64) -> Self {
        Self::with(Some(Random::new(seed)))
    }

    fn with(random: Option<Random>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let memory = Arc::new(Mutex::new(Memory {
            random,
            taken: BTreeMap::new(),
            order: BTreeMap::new(),
            in_vain: BTreeMap::new(),
            tries: 0,
            failures: 0,
        }));
        let shared = Arc::clone(&memory);
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let memory = Arc::clone(&shared);
                thread::spawn(move || while answer(&stream, &memory).is_some() {});
            }
        });
        Self { port, memory }
    }

    pub(crate) fn url(&self) -> String {
        format!("http://127.0.0.1:{}/events", self.port)
    }

    /// What was taken.
    pub(crate) fn taken(&self) -> BTreeSet<Told> {
        self.memory.lock().unwrap().taken.values().cloned().collect()
    }

    pub(crate) fn tries(&self) -> usize {
        self.memory.lock().unwrap().tries
    }

    pub(crate) fn failures(&self) -> usize {
        self.memory.lock().unwrap().failures
    }

    /// Each event has one identifier; the events of a factor were taken in the order of theirs, which is the one in which
    /// such things happen.
    pub(crate) fn check_order(&self) {
        let memory = self.memory.lock().unwrap();
        let distinct: BTreeSet<&Told> = memory.taken.values().collect();
        assert_eq!(
            distinct.len(),
            memory.taken.len(),
            "one event has two identifiers"
        );
        for (factor, order) in &memory.order {
            assert!(order.is_sorted(), "{factor}: {order:?}");
            let events: Vec<&str> = order
                .iter()
                .map(|uuid| memory.taken[uuid].event.as_str())
                .collect();
            assert_eq!(events[0], "factor.created", "{factor}");
            let verified = events.iter().position(|event| *event == "factor.verified");
            assert!(verified.is_none_or(|at| at == 1), "{factor}: {events:?}");
            let deleted = events.iter().position(|event| *event == "factor.deleted");
            assert!(
                deleted.is_none_or(|at| at == events.len() - 1),
                "{factor}: {events:?}"
            );
        }
    }
}

/// Answers a request, or fails; whether the connection goes on.
fn answer(stream: &TcpStream, memory: &Mutex<Memory>) -> Option<()> {
    let told = read_request(stream)?;
    let (fate, late) = {
        let mut memory = memory.lock().unwrap();
        memory.tries += 1;
        let (drawn, late) = match &mut memory.random {
            Some(random) => (random.below(9), random.below(400)),
            None => (TAKEN, 0),
        };
        let fate = match drawn {
            fate @ 0..=2 if memory.may_fail(&told) => fate,
            _ => TAKEN,
        };
        if fate == TAKEN {
            memory.take(&told);
        } else {
            memory.failures += 1;
        }
        (fate, Duration::from_millis(late))
    };
    let mut stream = stream;
    match fate {
        0 => stream
            .write_all(b"HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n")
            .ok(),
        1 => None,
        2 => {
            thread::sleep(late);
            None
        }
        _ => stream
            .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
            .ok(),
    }
}

const TAKEN: u64 = 3;

impl Memory {
    /// Counts a failure of this event, if it was not failed too often.
    fn may_fail(&mut self, body: &Value) -> bool {
        const MOST: u32 = 4;
        let uuid = body["uuid"].as_str().unwrap().to_owned();
        let failed = self.in_vain.entry(uuid).or_default();
        *failed += 1;
        *failed <= MOST
    }

    fn take(&mut self, body: &Value) {
        let text = |name: &str| body[name].as_str().map(str::to_owned);
        let told = Told {
            event: text("type").unwrap(),
            factor: text("factor_sid").unwrap(),
            challenge: text("challenge_sid").filter(|sid| !sid.is_empty()),
        };
        let uuid = text("uuid").unwrap();
        match self.taken.insert(uuid.clone(), told.clone()) {
            Some(before) => assert_eq!(before, told, "{uuid} is two events"),
            None => self.order.entry(told.factor).or_default().push(uuid),
        }
    }
}

fn read_request(stream: &TcpStream) -> Option<Value> {
    let mut reader = BufReader::new(stream);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let line = line.trim_end();
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().ok()?;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}
