//! A proxy between clients and a server that makes faults when it is told.
//!
//! It reads the protocol (version 3, without TLS) just far enough to know which message commits, which answer belongs to
//! it, and how to fail one without getting out of step. It runs in threads of its own: a test may block, and may stop time.

mod connection;
mod faults;
mod frames;
mod session;
mod statement;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};

use self::faults::{Controls, CutMoment};

/// Listens on a port of 127.0.0.1 that was free. Every connection through it is cut when it is dropped.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    controls: Arc<Controls>,
    /// Gone while it is dropped only.
    runtime: Option<Runtime>,
}

impl Proxy {
    /// A proxy to this server, which makes no faults yet.
    pub fn start(server: SocketAddr) -> Self {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let controls = Arc::new(Controls::new(server));
        let accepting = Arc::clone(&controls);
        runtime.spawn(async move {
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                tokio::spawn(connection::serve(client, Arc::clone(&accepting)));
            }
        });
        Self {
            address,
            controls,
            runtime: Some(runtime),
        }
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts every connection now, whatever is under way on it.
    pub fn cut(&self) {
        self.controls.change(|faults| faults.cuts += 1);
    }

    /// The next message that commits a change does not reach the server: the connection is cut before it.
    ///
    /// That is a `COMMIT`, or what ends statements outside of a transaction of which one changes something by its words
    /// (`INSERT`, `CREATE` ...). What a function changes is not seen.
    pub fn cut_before_commit(&self) {
        self.controls.cut_at(CutMoment::BeforeCommit);
    }

    /// The next message that commits a change does, but the answer is lost: the connection is cut when the server has given
    /// it. Otherwise as [`Self::cut_before_commit`].
    pub fn cut_after_commit(&self) {
        self.controls.cut_at(CutMoment::AfterCommit);
    }

    /// Every answer from now on comes later by so much; zero ends that.
    pub fn delay_answers(&self, delay: Duration) {
        self.controls.change(|faults| faults.delay = delay);
    }

    /// Passes on nothing more, and closes nothing: the connections that are there and those that are made look alive. What
    /// was sent meanwhile arrives after [`Self::thaw`].
    pub fn freeze(&self) {
        self.controls.change(|faults| faults.is_frozen = true);
    }

    /// Ends [`Self::freeze`].
    pub fn thaw(&self) {
        self.controls.change(|faults| faults.is_frozen = false);
    }

    /// Resets every new connection, or no longer does. Those that are there stay.
    pub fn refuse_connections(&self, refuse: bool) {
        self.controls.change(|faults| faults.is_refusing = refuse);
    }

    /// New connections go to this server.
    pub fn redirect(&self, server: SocketAddr) {
        self.controls.change(|faults| faults.server = server);
    }

    /// One in so many statements fails with `SQLSTATE` 40001 instead of being done, counted over all connections; 0 ends
    /// that. What begins and ends transactions, and what concerns the session only (`SET`, `LISTEN` ...), never does.
    pub fn fail_one_statement_in(&self, number: usize) {
        self.controls.failing_statements.set(number);
    }

    /// One in so many commits of statements outside of a transaction fails with `SQLSTATE` 40001, after the statements
    /// were answered as done; otherwise as [`Self::fail_one_statement_in`]. `COMMIT` itself never does.
    pub fn fail_one_commit_in(&self, number: usize) {
        self.controls.failing_commits.set(number);
    }

    /// How many requests were answered whole: those that are sent before the answers to earlier ones count as well, logins
    /// do not.
    pub fn round_trips(&self) -> usize {
        self.controls.round_trips.get()
    }

    /// How many statements were sent, those that failed here included. Of a text of several each counts.
    pub fn statements(&self) -> usize {
        self.controls.statements.get()
    }

    /// How many connections were made, those that were refused not included.
    pub fn connections(&self) -> usize {
        self.controls.connections.get()
    }

    /// How many connections were cut around a commit.
    pub fn cuts_at_commits(&self) -> usize {
        self.controls.cuts_at_commits.get()
    }

    /// How many statements and commits failed here.
    pub fn failures(&self) -> usize {
        self.controls.failing_statements.failures() + self.controls.failing_commits.failures()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        // Without waiting, which is forbidden where a test is asynchronous.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}
