//! A provider of text messages that takes its time, over HTTP.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

/// The provider, and whom it was to send something.
pub(super) struct SmsProvider {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<String>>>,
}

impl SmsProvider {
    /// How long an answer takes.
    pub(super) const TAKES: Duration = Duration::from_secs(2);

    pub(super) fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let taken = Arc::default();
        let noted = Arc::clone(&taken);
        thread::spawn(move || {
            for connection in listener.incoming() {
                let noted = Arc::clone(&noted);
                thread::spawn(move || answer(&connection.unwrap(), &noted));
            }
        });
        Self { address, taken }
    }

    /// A server's configuration that has no other sender.
    pub(super) fn settings(&self) -> String {
        format!(
            "[[senders]]\nname = \"provider\"\nkind = \"http\"\nchannels = [\"sms\"]\nurl = \"http://{}/\"\ntext = \"{{{{to}}}}\"\n\
             content_type = \"text/plain\"\n",
            self.address
        )
    }

    /// The numbers of all messages so far, in the order in which they came.
    pub(super) fn taken(&self) -> Vec<String> {
        self.taken.lock().unwrap().clone()
    }
}

/// Notes one message of a connection, and says later that it was sent.
fn answer(mut connection: &TcpStream, taken: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(connection);
    let mut length = 0;
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).unwrap() == 0 {
            return;
        }
        let line = line.trim_end().to_ascii_lowercase();
        if let Some(value) = line.strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();
    taken.lock().unwrap().push(String::from_utf8(body).unwrap());
    thread::sleep(SmsProvider::TAKES);
    connection
        .write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        .unwrap();
}
