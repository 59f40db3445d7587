//! The messages of the protocol as far as the proxy reads them.

use std::io;

use bytes::{Buf, BufMut, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// A message behind the first: its type, and what follows the length.
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) body: Bytes,
}

impl Frame {
    pub(super) fn new(kind: u8, body: impl Into<Bytes>) -> Self {
        let body = body.into();
        Self { kind, body }
    }

    /// Takes the first message of the buffer, if all of it is there.
    pub(super) fn take(buffer: &mut BytesMut) -> Option<Self> {
        let length = usize::try_from(buffer.get(1..)?.try_get_u32().ok()?).ok()?;
        if buffer.len() < 1 + length {
            return None;
        }
        let mut frame = buffer.split_to(1 + length);
        let kind = frame.get_u8();
        frame.advance(4);
        Some(Self::new(kind, frame))
    }

    pub(super) fn put(&self, output: &mut BytesMut) {
        output.put_u8(self.kind);
        output.put_u32(u32::try_from(self.body.len() + 4).unwrap());
        output.put_slice(&self.body);
    }

    /// The texts that the message begins with, each of which a zero ends.
    pub(super) fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.body.split(|byte| *byte == 0)
    }
}

/// What a client begins with.
pub(super) enum Opening {
    /// It wants a statement of another connection to be given up.
    Cancel(Bytes),
    Login(Bytes),
}

impl Opening {
    /// Reads it. Whoever asks for encryption is told that there is none.
    pub(super) async fn read(client: &mut TcpStream) -> io::Result<Self> {
        loop {
            let length = client.read_u32().await?;
            let rest = usize::try_from(length)
                .ok()
                .and_then(|length| length.checked_sub(4));
            let mut message = BytesMut::new();
            message.put_u32(length);
            message.resize(4 + rest.ok_or(io::ErrorKind::InvalidData)?, 0);
            client.read_exact(&mut message[4..]).await?;
            match message.get(4..).unwrap_or_default().try_get_u32() {
                Ok(SSL_REQUEST | GSS_REQUEST) => client.write_all(b"N").await?,
                Ok(CANCEL_REQUEST) => return Ok(Self::Cancel(message.freeze())),
                _ => return Ok(Self::Login(message.freeze())),
            }
        }
    }
}

const CANCEL_REQUEST: u32 = 80_877_102;
const SSL_REQUEST: u32 = 80_877_103;
const GSS_REQUEST: u32 = 80_877_104;

/// The types of messages that clients send.
pub(super) mod request {
    pub(in super::super) const BIND: u8 = b'B';
    pub(in super::super) const COPY_DONE: u8 = b'c';
    pub(in super::super) const COPY_FAIL: u8 = b'f';
    pub(in super::super) const EXECUTE: u8 = b'E';
    pub(in super::super) const PARSE: u8 = b'P';
    pub(in super::super) const QUERY: u8 = b'Q';
    pub(in super::super) const SYNC: u8 = b'S';
}

/// The types of messages that servers send.
pub(super) mod answer {
    pub(in super::super) const ERROR: u8 = b'E';
    pub(in super::super) const READY: u8 = b'Z';
}
