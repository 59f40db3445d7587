//! How much memory clients take that are connected and say nothing: most of what there is to do for them is to be there.
//!
//! `COUNTERSIGN_TEST_IDLE` sets how many (1,000 unless told).

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use countersign::dialect::telegram::envelope::{AuthKey, MtprotoMessage, SendingSide};
use countersign::dialect::telegram::schema::{BAD_SERVER_SALT, MSG_CONTAINER};
use countersign::dialect::telegram::tl::TlReader;
use countersign::domain::entropy::Entropy as _;
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::flows::client_key;
use tempfile::TempDir;
use zeroize::Zeroizing;

use super::raw::{key_name, lives, ping};
use crate::doubles::SeededEntropy;
use crate::server_kill::server::within;
use crate::serving::http::PATIENCE;
use crate::serving::process::Process;
use crate::support::number_from;

/// 10,000 in 200 MB.
const BYTES_OF_ONE: u64 = 20_000;

#[test]
fn clients_that_say_nothing_take_little_memory() {
    let count = number_from("COUNTERSIGN_TEST_IDLE", 1000);
    let data = TempDir::new().unwrap();
    let most = (2 * count).to_string();
    let arguments = ["--telegram-listen", "127.0.0.1:0", "--max-connections", &most];
    let log = [("COUNTERSIGN_LOG", "info")];
    Process::start_with(data.path(), &arguments, &log).rest_after_sigterm();
    let keys = keys(count);
    within(data.path(), async |app| {
        for (key, bytes) in &keys {
            let name = key_name(app, key.id());
            client_key::keep(app, name, bytes.as_slice(), lives(), None)
                .await
                .unwrap();
        }
    });

    let mut server = Process::start_with(data.path(), &arguments, &log);
    let lines = server.read_lines_until(|line| line.starts_with("listening on mtproto://"));
    let address = lines
        .last()
        .unwrap()
        .strip_prefix("listening on mtproto://")
        .unwrap();
    // With the first ones all is made that is made once.
    let (first, others) = keys.split_at(50);
    let mut clients: Vec<_> = first
        .iter()
        .map(|(key, _)| IdleClient::begin(address, key))
        .collect();
    let without = server.memory();
    clients.extend(others.iter().map(|(key, _)| IdleClient::begin(address, key)));
    let each = (server.memory() - without) / u64::try_from(others.len()).unwrap();
    eprintln!(
        "{count} clients, {} bytes altogether, {each} for each",
        server.memory()
    );
    assert!(each < BYTES_OF_ONE, "{each} bytes");
    assert!(server.memory() < BYTES_OF_ONE * u64::try_from(count).unwrap().max(10_000));
    // All of them are still there.
    for client in &mut clients {
        client.say();
        client.hear();
    }
}

/// Keys as clients and the server agree on them, and what they are.
fn keys(count: usize) -> Vec<(AuthKey, Zeroizing<[u8; 256]>)> {
    let entropy = SeededEntropy::new(14);
    let key = |_| {
        let mut bytes = Zeroizing::new([0; 256]);
        entropy.fill(bytes.as_mut_slice());
        (AuthKey::new(bytes.clone()), bytes)
    };
    (0..count).map(key).collect()
}

/// A client of the intermediate transport.
struct IdleClient<'a> {
    stream: TcpStream,
    key: &'a AuthKey,
    salt: i64,
    last: i64,
    said: u32,
}

impl<'a> IdleClient<'a> {
    /// It is told the salt, and has a session then.
    fn begin(address: &str, key: &'a AuthKey) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[0xee; 4]).unwrap();
        let soon = SystemClock.now().seconds() + 5;
        let mut client = Self {
            stream,
            key,
            salt: 0,
            last: i64::try_from(soon << 32).unwrap(),
            said: 0,
        };
        client.say();
        let told = client.hear();
        assert_eq!(TlReader::new(&told).word(), Ok(BAD_SERVER_SALT));
        client.salt = i64::from_le_bytes(told[20..28].try_into().unwrap());
        client.say();
        let told = client.hear();
        assert_eq!(
            TlReader::new(&told).word(),
            Ok(MSG_CONTAINER),
            "a new session, and an answer"
        );
        client
    }

    fn say(&mut self) {
        self.last += 4;
        self.said += 2;
        let message = MtprotoMessage {
            salt: self.salt,
            session: 5,
            id: self.last,
            seqno: self.said + 1,
            body: ping(),
        };
        let sealed = self
            .key
            .seal(SendingSide::Client, &message, &SeededEntropy::new(5));
        let length = u32::try_from(sealed.len()).unwrap().to_le_bytes();
        self.stream.write_all(&[&length[..], &sealed].concat()).unwrap();
    }

    fn hear(&mut self) -> Vec<u8> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        self.key.open(SendingSide::Server, &frame[8..]).unwrap().body
    }
}
