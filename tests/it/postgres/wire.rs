//! A client that says what a test tells it, message for message.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::postgres_server::Database;

/// A connection on which the login is done.
pub(super) struct Wire {
    stream: TcpStream,
    cancel_key: Vec<u8>,
}

impl Wire {
    pub(super) fn connect(database: &Database) -> Self {
        Self::try_connect(database).unwrap()
    }

    pub(super) fn try_connect(database: &Database) -> io::Result<Self> {
        let mut stream = TcpStream::connect(database.address())?;
        stream.set_nodelay(true)?;
        let parameters = format!("user\0postgres\0database\0{}\0\0", database.name());
        stream.write_all(&opening(PROTOCOL, parameters.as_bytes()))?;
        let mut wire = Self {
            stream,
            cancel_key: Vec::new(),
        };
        loop {
            let (kind, body) = wire.message()?;
            match kind {
                b'K' => wire.cancel_key = body,
                b'Z' => return Ok(wire),
                _ => {}
            }
        }
    }

    /// Asks the server to give up what it does here.
    pub(super) fn cancel(&self, through: SocketAddr) {
        let mut stream = TcpStream::connect(through).unwrap();
        stream.write_all(&opening(CANCEL, &self.cancel_key)).unwrap();
        // It is closed when that is done.
        assert_eq!(stream.read(&mut [0]).unwrap(), 0);
    }

    pub(super) fn send(&mut self, messages: &[Vec<u8>]) {
        self.stream.write_all(&messages.concat()).unwrap();
    }

    /// The types of the messages up to the answers' end, of so many requests; errors with their `SQLSTATE`, the end with the
    /// state of the transaction. `EOF` where the connection ends.
    pub(super) fn answers(&mut self, requests: usize) -> String {
        let mut answers = Vec::new();
        let mut ends = 0;
        while ends < requests {
            let (kind, body) = match self.message() {
                Ok(message) => message,
                Err(problem) if is_waiting(&problem) => {
                    answers.push("silence".to_owned());
                    break;
                }
                Err(_) => {
                    answers.push("EOF".to_owned());
                    break;
                }
            };
            let detail = match kind {
                b'E' => body
                    .split(|byte| *byte == 0)
                    .find(|field| field.starts_with(b"C")),
                b'Z' => Some(body.as_slice()),
                _ => None,
            };
            let detail = detail.unwrap_or_default();
            let detail = String::from_utf8_lossy(detail.strip_prefix(b"C").unwrap_or(detail));
            answers.push(format!("{}{detail}", char::from(kind)));
            ends += usize::from(kind == b'Z');
        }
        answers.join(" ")
    }

    pub(super) fn ask(&mut self, messages: &[Vec<u8>]) -> String {
        self.send(messages);
        self.answers(1)
    }

    /// From now on nothing within this time is silence.
    pub(super) fn wait_at_most(&self, time: Duration) {
        self.stream.set_read_timeout(Some(time)).unwrap();
    }

    fn message(&mut self) -> io::Result<(u8, Vec<u8>)> {
        let mut head = [0; 5];
        self.stream.read_exact(&mut head)?;
        let length = u32::from_be_bytes(head[1..].try_into().unwrap());
        let mut body = vec![0; length as usize - 4];
        self.stream.read_exact(&mut body)?;
        Ok((head[0], body))
    }
}

fn is_waiting(problem: &io::Error) -> bool {
    matches!(
        problem.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn opening(code: u32, rest: &[u8]) -> Vec<u8> {
    let length = u32::try_from(rest.len() + 8).unwrap();
    [&length.to_be_bytes(), &code.to_be_bytes(), rest].concat()
}

fn message(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len() + 4).unwrap();
    [&[kind], length.to_be_bytes().as_slice(), body].concat()
}

pub(super) fn query(statements: &str) -> Vec<u8> {
    message(b'Q', format!("{statements}\0").as_bytes())
}

/// Parse, Bind and Execute of a statement, without names.
pub(super) fn execute(statement: &str) -> Vec<u8> {
    let parse = message(b'P', format!("\0{statement}\0\0\0").as_bytes());
    [parse, message(b'B', &[0; 8]), message(b'E', &[0; 5])].concat()
}

/// Prepares a statement of this name.
pub(super) fn parse(name: &str, statement: &str) -> Vec<u8> {
    message(b'P', format!("{name}\0{statement}\0\0\0").as_bytes())
}

/// Bind and Execute of a statement of this name.
pub(super) fn execute_prepared(name: &str) -> Vec<u8> {
    let bind = message(b'B', format!("\0{name}\0\0\0\0\0\0\0").as_bytes());
    [bind, message(b'E', &[0; 5])].concat()
}

pub(super) fn sync() -> Vec<u8> {
    message(b'S', b"")
}

/// Data that are copied to the server, and their end.
pub(super) fn copied(data: &str) -> Vec<u8> {
    [message(b'd', data.as_bytes()), message(b'c', b"")].concat()
}

const CANCEL: u32 = 80_877_102;
const PROTOCOL: u32 = 3 << 16;
