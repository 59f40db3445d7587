//! Clients of a server that is a process. What they speak with was agreed on before: the store has it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;

use countersign::dialect::telegram::envelope::{AuthKey, MtprotoMessage, SendingSide};
use countersign::dialect::telegram::schema::{BAD_SERVER_SALT, MSG_CONTAINER, RPC_ERROR, RPC_RESULT};
use countersign::dialect::telegram::tl::TlReader;
use countersign::domain::entropy::Entropy as _;
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::flows::client_key;
use zeroize::Zeroizing;

use super::raw::{key_name, lives, ping};
use crate::doubles::SeededEntropy;
use crate::server_kill::server::within;
use crate::serving::http::PATIENCE;
use crate::serving::process::Process;

/// A new store in `data`, and so many keys that it knows.
pub(super) fn keys_in(data: &Path, count: usize) -> Vec<AuthKey> {
    Process::start_with(data, &["--telegram-listen", "127.0.0.1:0"], &[]).rest_after_sigterm();
    let entropy = SeededEntropy::new(14);
    let key = |_| {
        let mut bytes = Zeroizing::new([0; 256]);
        entropy.fill(bytes.as_mut_slice());
        bytes
    };
    let keys: Vec<_> = (0..count).map(key).collect();
    within(data, async |app| {
        for bytes in &keys {
            let name = key_name(app, AuthKey::new(bytes.clone()).id());
            client_key::keep(app, name, bytes.as_slice(), lives(), None)
                .await
                .unwrap();
        }
    });
    keys.into_iter().map(AuthKey::new).collect()
}

/// A server of `data`, and where it speaks with clients.
pub(super) fn start(data: &Path, arguments: &[&str], variables: &[(&str, &str)]) -> (Process, String) {
    let arguments = [&["--telegram-listen", "127.0.0.1:0"], arguments].concat();
    let mut server = Process::start_with(data, &arguments, variables);
    let lines = server.read_lines_until(|line| line.starts_with("listening on mtproto://"));
    let address = lines
        .last()
        .and_then(|line| line.strip_prefix("listening on mtproto://"));
    let address = address.unwrap().to_owned();
    (server, address)
}

/// A client of the intermediate transport.
pub(super) struct TcpClient<'a> {
    stream: TcpStream,
    key: &'a AuthKey,
    session: i64,
    salt: i64,
    last: i64,
    numbered: u32,
}

impl<'a> TcpClient<'a> {
    /// It is told the salt, and has a session then.
    pub(super) fn begin(address: &str, key: &'a AuthKey, session: i64) -> Self {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[0xee; 4]).unwrap();
        let soon = SystemClock.now().seconds() + 5;
        let mut client = Self {
            stream,
            key,
            session,
            salt: 0,
            last: i64::try_from(soon << 32).unwrap(),
            numbered: 0,
        };
        client.say(&ping());
        let (_, told) = client.hear().remove(0);
        assert_eq!(TlReader::new(&told).word(), Ok(BAD_SERVER_SALT));
        client.salt = i64::from_le_bytes(told[20..28].try_into().unwrap());
        client.ping();
        client
    }

    /// It is still there.
    pub(super) fn ping(&mut self) {
        self.say(&ping());
        self.hear();
    }

    /// What a method answers, or which error.
    pub(super) fn call(&mut self, method: &[u8]) -> Result<Vec<u8>, String> {
        let id = self.say(method);
        loop {
            for (_, told) in self.hear() {
                let mut reader = TlReader::new(&told);
                if reader.word() != Ok(RPC_RESULT) || reader.long() != Ok(id) {
                    continue;
                }
                let result = reader.rest().to_vec();
                if reader.word() == Ok(RPC_ERROR) {
                    reader.int().unwrap();
                    return Err(reader.string().unwrap().to_owned());
                }
                return Ok(result);
            }
        }
    }

    fn say(&mut self, body: &[u8]) -> i64 {
        self.last += 4;
        let message = MtprotoMessage {
            salt: self.salt,
            session: self.session,
            id: self.last,
            seqno: 2 * self.numbered + 1,
            body: body.to_vec(),
        };
        self.numbered += 1;
        let sealed = self
            .key
            .seal(SendingSide::Client, &message, &SeededEntropy::new(5));
        let length = u32::try_from(sealed.len()).unwrap().to_le_bytes();
        self.stream.write_all(&[&length[..], &sealed].concat()).unwrap();
        self.last
    }

    /// The messages that come next, together, by their identifiers.
    fn hear(&mut self) -> Vec<(i64, Vec<u8>)> {
        let mut length = [0; 4];
        self.stream.read_exact(&mut length).unwrap();
        let mut frame = vec![0; usize::try_from(u32::from_le_bytes(length)).unwrap()];
        self.stream.read_exact(&mut frame).unwrap();
        let message = self.key.open(SendingSide::Server, &frame[8..]).unwrap();
        let mut reader = TlReader::new(&message.body);
        if reader.word() != Ok(MSG_CONTAINER) {
            return vec![(message.id, message.body)];
        }
        let count = reader.count(16, 1000).unwrap();
        let part = |_| {
            let (id, _seqno, length) = (
                reader.long().unwrap(),
                reader.word().unwrap(),
                reader.word().unwrap(),
            );
            (id, reader.raw(usize::try_from(length).unwrap()).unwrap().to_vec())
        };
        (0..count).map(part).collect()
    }
}
