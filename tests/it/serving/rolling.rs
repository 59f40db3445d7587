//! Servers that are restarted one after the other, behind a load balancer.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::database::Servers;
use super::process::{Process, basic, get, stdout_of};
use crate::postgres_server::Cluster;

#[test]
fn a_server_that_is_told_to_stop_is_not_ready_first_and_serves_on() {
    let directory = tempfile::TempDir::new().unwrap();
    let mut server = started(directory.path(), &["--drain-delay-seconds", "2"]);
    let (sid, token) = server.process.credentials();
    let basic = basic(&sid, &token);
    let mut kept = Connection::to(&server.process.url).unwrap();
    assert!(!kept.fetch_services(&basic).unwrap().closes);
    assert!(get(&server.ops, "/ready").starts_with("HTTP/1.1 200"));
    let told = Instant::now();
    server.process.signal("TERM");
    server
        .process
        .wait_for_log("not ready from now on; requests are served for another 2 s");
    let ready = get(&server.ops, "/ready");
    assert!(ready.starts_with("HTTP/1.1 503"), "{ready}");
    assert!(ready.ends_with("the server is shutting down\n"), "{ready}");
    // Each connection is good for one more answer, also a new one.
    assert!(kept.fetch_services(&basic).unwrap().closes);
    let mut new = Connection::to(&server.process.url).unwrap();
    assert!(new.fetch_services(&basic).unwrap().closes);
    assert!(told.elapsed() < Duration::from_secs(2), "the machine is too slow");
    assert_eq!(server.process.wait(), Some(0));
    assert!(told.elapsed() >= Duration::from_secs(2));
}

#[test]
fn no_request_fails_while_servers_are_restarted_one_after_the_other() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let servers = Servers::on(&database);
    let data: Vec<PathBuf> = ["one", "two", "three"].map(|name| servers.data(name, 1)).into();
    stdout_of(&data[0], &["store", "migrate", "--store", &servers.url]);
    let start = |data: &PathBuf| started(data, &["--store", &servers.url, "--drain-delay-seconds", "2"]);
    let mut first = start(&data[0]);
    let (sid, token) = first.process.credentials();
    let basic = basic(&sid, &token);
    let balancer = Balancer::default();
    let mut running: Vec<Option<Server>> = vec![Some(first)];
    running.extend(data[1..].iter().map(|data| Some(start(data))));
    for server in running.iter().flatten() {
        balancer.add(server);
    }
    let (over, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    thread::scope(|scope| {
        let _ends_also_if_it_fails = OverWhenDropped(&over);
        scope.spawn(|| balancer.watch(&over));
        for client in 0..6 {
            let (balancer, over, answered, basic) = (&balancer, &over, &answered, &basic);
            scope.spawn(move || {
                balancer.use_services(client, basic, over, answered);
            });
        }
        for (position, data) in data.iter().enumerate() {
            until_more_are_answered(&answered);
            let old = running[position].take().unwrap();
            old.process.signal("TERM");
            let url = old.process.url.clone();
            assert_eq!(old.process.wait(), Some(0));
            balancer.forget(&url);
            let new = start(data);
            balancer.add(&new);
            running[position] = Some(new);
        }
        until_more_are_answered(&answered);
    });
}

/// Whoever works until it is over ends also with a test that fails.
struct OverWhenDropped<'a>(&'a AtomicBool);

impl Drop for OverWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Until each client has had some requests answered.
fn until_more_are_answered(answered: &AtomicUsize) {
    let before = answered.load(Ordering::Relaxed);
    let begun = Instant::now();
    while answered.load(Ordering::Relaxed) < before + 60 {
        assert!(begun.elapsed() < Duration::from_mins(1), "no client gets on");
        thread::sleep(Duration::from_millis(10));
    }
}

/// A server and where it says whether it is ready.
pub(super) struct Server {
    pub(super) process: Process,
    pub(super) ops: String,
}

pub(super) fn started(data: &Path, arguments: &[&str]) -> Server {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap().to_string();
    drop(free);
    let arguments: Vec<&str> = [arguments, &["--ops-listen", &address]].concat();
    Server {
        process: Process::start_with(data, &arguments, &[]),
        ops: format!("http://{address}"),
    }
}

/// What a load balancer knows of the servers behind it.
#[derive(Default)]
struct Balancer(Mutex<Vec<Backend>>);

struct Backend {
    url: String,
    ops: String,
    ready: bool,
}

impl Balancer {
    fn add(&self, server: &Server) {
        self.lock().push(Backend {
            url: server.process.url.clone(),
            ops: server.ops.clone(),
            ready: true,
        });
    }

    fn forget(&self, url: &str) {
        self.lock().retain(|backend| backend.url != url);
    }

    /// Asks each server every half second whether it is ready.
    fn watch(&self, over: &AtomicBool) {
        while !over.load(Ordering::Relaxed) {
            let all: Vec<String> = self.lock().iter().map(|backend| backend.ops.clone()).collect();
            for ops in all {
                let ready = is_ready(&ops);
                for backend in self.lock().iter_mut().filter(|backend| backend.ops == ops) {
                    backend.ready = ready;
                }
            }
            thread::sleep(Duration::from_millis(500));
        }
    }

    /// Sends one request after the other, on connections that are kept for as long as their servers are ready.
    fn use_services(&self, client: usize, basic: &str, over: &AtomicBool, answered: &AtomicUsize) {
        let mut kept: Option<(String, Connection)> = None;
        for turn in client.. {
            if over.load(Ordering::Relaxed) {
                return;
            }
            let url = self.ready_server(turn);
            let (to, mut connection) = match kept.take() {
                Some((to, connection)) if self.is_ready(&to) => (to, connection),
                _ => (
                    url.clone(),
                    Connection::to(&url).expect("a ready server takes connections"),
                ),
            };
            let answer = if turn % 2 == 0 {
                connection.create_service(basic, turn)
            } else {
                connection.fetch_services(basic)
            };
            let answer = answer.unwrap_or_else(|error| panic!("a request to {to} failed: {error}"));
            assert!(matches!(answer.status, 200 | 201), "{to}: {}", answer.status);
            answered.fetch_add(1, Ordering::Relaxed);
            kept = (!answer.closes && turn % 7 != 0).then_some((to, connection));
            thread::sleep(Duration::from_millis(20));
        }
    }

    fn ready_server(&self, turn: usize) -> String {
        let all = self.lock();
        let ready: Vec<&Backend> = all.iter().filter(|backend| backend.ready).collect();
        ready[turn % ready.len()].url.clone()
    }

    fn is_ready(&self, url: &str) -> bool {
        self.lock()
            .iter()
            .any(|backend| backend.url == url && backend.ready)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Backend>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn is_ready(ops: &str) -> bool {
    let Ok(mut stream) = TcpStream::connect(ops.trim_start_matches("http://")) else {
        return false;
    };
    let mut answer = String::new();
    write!(
        stream,
        "GET /ready HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
    )
    .is_ok()
        && stream.read_to_string(&mut answer).is_ok()
        && answer.starts_with("HTTP/1.1 200")
}

/// A connection that is kept from one request to the next.
struct Connection(BufReader<TcpStream>);

struct Answer {
    status: u16,
    /// Whether no other request may follow.
    closes: bool,
}

impl Connection {
    fn to(url: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(url.trim_start_matches("http://"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        Ok(Self(BufReader::new(stream)))
    }

    fn fetch_services(&mut self, basic: &str) -> io::Result<Answer> {
        self.call(&format!(
            "GET /v2/Services?PageSize=1 HTTP/1.1\r\nHost: x\r\nAuthorization: {basic}\r\n\r\n"
        ))
    }

    fn create_service(&mut self, basic: &str, number: usize) -> io::Result<Answer> {
        let body = format!("FriendlyName=Service-{}", number % 1000);
        self.call(&format!(
            "POST /v2/Services HTTP/1.1\r\nHost: x\r\nAuthorization: {basic}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        ))
    }

    fn call(&mut self, request: &str) -> io::Result<Answer> {
        self.0.get_mut().write_all(request.as_bytes())?;
        let mut line = String::new();
        if self.0.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the connection was closed instead of an answer"));
        }
        let mut answer = Answer {
            status: line[9..12].parse().map_err(io::Error::other)?,
            closes: false,
        };
        let mut length = 0;
        loop {
            line.clear();
            self.0.read_line(&mut line)?;
            let header = line.trim_end().to_ascii_lowercase();
            match header.split_once(": ") {
                Some(("content-length", value)) => length = value.parse().map_err(io::Error::other)?,
                Some(("connection", "close")) => answer.closes = true,
                Some(_) => {}
                None => break,
            }
        }
        self.0.read_exact(&mut vec![0; length])?;
        Ok(answer)
    }
}
