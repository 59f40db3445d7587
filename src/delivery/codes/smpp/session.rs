//! A session with a message centre: bound once, kept alive, many requests under way at the same time.
//!
//! Invariant: a session that ends for whatever reason leaves nobody waiting.

use std::collections::HashMap;
use std::io;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, timeout};

use super::link::Link;
use super::pdu::{Bind, Pdu, command};
use super::{SmppSettings, status};

/// A bound session. It is unbound when this is dropped.
#[derive(Debug)]
pub(super) struct SmppSession(mpsc::Sender<SmppRequest>);

/// A short message to be submitted, and who waits for the answer.
struct SmppRequest {
    body: Vec<u8>,
    answer: oneshot::Sender<Pdu>,
}

impl SmppSession {
    /// Connects and binds.
    ///
    /// # Errors
    /// What went wrong; it names no secret.
    pub(super) async fn open(settings: &SmppSettings) -> Result<Self, String> {
        let mut link = Link::open(settings)
            .await
            .map_err(|error| format!("no connection: {error}"))?;
        bind(&mut link, settings).await?;
        let (requests, inbox) = mpsc::channel(settings.window.max(1));
        tokio::spawn(Bound::new(link, settings).run(inbox));
        Ok(Self(requests))
    }

    /// Whether requests can be sent.
    pub(super) fn is_open(&self) -> bool {
        !self.0.is_closed()
    }

    /// Submits a short message; the answer, or `None` if the session ended before it came.
    pub(super) async fn submit(&self, body: Vec<u8>) -> Option<Pdu> {
        let (answer, answered) = oneshot::channel();
        self.0.send(SmppRequest { body, answer }).await.ok()?;
        answered.await.ok()
    }
}

async fn bind(link: &mut Link, settings: &SmppSettings) -> Result<(), String> {
    let (request, failure) = (
        if settings.receives {
            command::BIND_TRANSCEIVER
        } else {
            command::BIND_TRANSMITTER
        },
        |error: io::Error| format!("no answer to the bind: {error}"),
    );
    let body = Bind {
        system_id: &settings.system_id,
        password: settings
            .password
            .as_ref()
            .map_or("", |password| password.expose()),
        system_type: &settings.system_type,
    };
    let body = zeroize::Zeroizing::new(body.body());
    link.write(request, 0, FIRST, &body).await.map_err(failure)?;
    loop {
        let pdu = link.read().await.map_err(failure)?;
        match pdu.command {
            answer if answer == request | command::RESPONSE || answer == command::GENERIC_NACK => {
                return match pdu.status {
                    0 if answer != command::GENERIC_NACK => Ok(()),
                    refused => Err(format!("the bind was refused: {}", status::told(refused))),
                };
            }
            command::ENQUIRE_LINK => {
                let answer = link.write(command::ENQUIRE_LINK | command::RESPONSE, 0, pdu.sequence, &[]);
                answer.await.map_err(failure)?;
            }
            _ => return Err("the answer to the bind is not one".to_owned()),
        }
    }
}

/// The side of the session that reads and writes.
struct Bound {
    link: Link,
    timeout: Duration,
    rest: Duration,
    waiting: HashMap<u32, oneshot::Sender<Pdu>>,
    sequence: u32,
    heard: Instant,
    /// Since when an answer to an enquiry is due.
    enquired: Option<Instant>,
}

/// Why the session ends.
enum SessionEnd {
    /// The connection failed, or what came makes no sense.
    Broken,
    /// Nobody will send anything any more.
    Dropped,
    /// The message centre wants it.
    Unbound,
}

impl From<io::Error> for SessionEnd {
    fn from(_: io::Error) -> Self {
        Self::Broken
    }
}

impl Bound {
    fn new(link: Link, settings: &SmppSettings) -> Self {
        Self {
            link,
            timeout: settings.timeout,
            rest: settings.enquire_link,
            waiting: HashMap::new(),
            sequence: FIRST,
            heard: Instant::now(),
            enquired: None,
        }
    }

    async fn run(mut self, mut inbox: mpsc::Receiver<SmppRequest>) {
        let end = loop {
            if let Err(end) = self.step(&mut inbox).await {
                break end;
            }
        };
        // From here on nobody takes the session for an open one, and whoever waits is told.
        drop(inbox);
        self.waiting.clear();
        if let SessionEnd::Dropped = end {
            let sequence = self.next_sequence();
            let goodbye = self.link.write(command::UNBIND, 0, sequence, &[]);
            let _ = timeout(self.timeout, goodbye).await;
        }
        let _ = timeout(self.timeout, self.link.close()).await;
    }

    async fn step(&mut self, inbox: &mut mpsc::Receiver<SmppRequest>) -> Result<(), SessionEnd> {
        let due = match self.enquired {
            Some(since) => since + self.timeout,
            None => self.heard + self.rest,
        };
        tokio::select! {
            pdu = self.link.read() => {
                let pdu = pdu?;
                self.heard = Instant::now();
                self.enquired = None;
                self.take(pdu).await
            }
            request = inbox.recv() => {
                let SmppRequest { body, answer } = request.ok_or(SessionEnd::Dropped)?;
                // Those who gave up.
                self.waiting.retain(|_, answer| !answer.is_closed());
                let sequence = self.next_sequence();
                self.waiting.insert(sequence, answer);
                self.write(command::SUBMIT_SM, 0, sequence, &body).await
            }
            () = tokio::time::sleep_until(due) => {
                if self.enquired.is_some() {
                    return Err(SessionEnd::Broken);
                }
                self.enquired = Some(Instant::now());
                let sequence = self.next_sequence();
                self.write(command::ENQUIRE_LINK, 0, sequence, &[]).await
            }
        }
    }

    async fn take(&mut self, pdu: Pdu) -> Result<(), SessionEnd> {
        let sequence = pdu.sequence;
        match pdu.command {
            answer if answer & command::RESPONSE != 0 => {
                if let Some(waiting) = self.waiting.remove(&sequence) {
                    // Who waited may have given up this very moment.
                    let _ = waiting.send(pdu);
                }
                Ok(())
            }
            command::ENQUIRE_LINK => {
                self.write(command::ENQUIRE_LINK | command::RESPONSE, 0, sequence, &[])
                    .await
            }
            // What phones or the message centre send is not for this server; left without an answer it would come again.
            request @ (command::DELIVER_SM | command::DATA_SM) => {
                self.write(request | command::RESPONSE, 0, sequence, b"\0").await
            }
            command::UNBIND => {
                self.write(command::UNBIND | command::RESPONSE, 0, sequence, &[])
                    .await?;
                Err(SessionEnd::Unbound)
            }
            _ => {
                self.write(command::GENERIC_NACK, status::INVALID_COMMAND, sequence, &[])
                    .await
            }
        }
    }

    async fn write(
        &mut self,
        command: u32,
        status: u32,
        sequence: u32,
        body: &[u8],
    ) -> Result<(), SessionEnd> {
        let writing = self.link.write(command, status, sequence, body);
        timeout(self.timeout, writing)
            .await
            .map_err(|_| SessionEnd::Broken)??;
        Ok(())
    }

    /// Never 0, and never one that is reserved (3.2).
    fn next_sequence(&mut self) -> u32 {
        self.sequence = if self.sequence == LAST {
            FIRST
        } else {
            self.sequence + 1
        };
        self.sequence
    }
}

const FIRST: u32 = 1;
const LAST: u32 = 0x7fff_ffff;
