//! A client of HTTP/2 that sends exactly the frames that it is told to, whatever the rules say (RFC 9113, section 4).

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::serving::http::{PATIENCE, Served};

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const ACK: u8 = 1;
pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

pub(super) const NO_ERROR: u32 = 0;
pub(super) const ENHANCE_YOUR_CALM: u32 = 11;
pub(super) const REFUSED_STREAM: u32 = 7;
pub(super) const CANCEL: u32 = 8;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One connection.
pub(super) struct Raw {
    stream: TcpStream,
    unread: Vec<u8>,
}

/// A frame of the server's.
#[derive(Clone, Debug)]
pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) flags: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

impl Frame {
    /// Of a reset, or of the end of a connection.
    pub(super) fn reason(&self) -> u32 {
        let at = if self.kind == GOAWAY { 4 } else { 0 };
        u32::from_be_bytes(self.payload[at..at + 4].try_into().unwrap())
    }
}

impl Raw {
    /// A connection on which nothing was sent.
    pub(super) async fn silent(server: &Served) -> Self {
        let stream = server.connect().await;
        // Some tests send little and wait for what comes of it, thousands of times.
        stream.set_nodelay(true).unwrap();
        Self {
            stream,
            unread: Vec::new(),
        }
    }

    /// A connection that began as it should, with these settings.
    pub(super) async fn with(server: &Served, settings: &[(u16, u32)]) -> Self {
        let mut raw = Self::silent(server).await;
        let pairs = settings.iter().flat_map(|(id, value)| {
            let (id, value) = (id.to_be_bytes(), value.to_be_bytes());
            id.into_iter().chain(value)
        });
        let pairs: Vec<_> = pairs.collect();
        raw.send(
            &[
                PREFACE,
                &frame(SETTINGS, 0, 0, &pairs),
                &frame(SETTINGS, ACK, 0, &[]),
            ]
            .concat(),
        )
        .await;
        raw
    }

    pub(super) async fn of(server: &Served) -> Self {
        Self::with(server, &[]).await
    }

    /// The server may be gone already.
    pub(super) async fn send(&mut self, bytes: &[u8]) {
        let _maybe_gone = tokio::time::timeout(PATIENCE, self.stream.write_all(bytes))
            .await
            .expect("the server reads, or ends the connection");
    }

    /// Sends again and again until the connection is gone, and reads nothing.
    pub(super) async fn flood(&mut self, bytes: &[u8]) {
        let flooding = async { while self.stream.write_all(bytes).await.is_ok() {} };
        tokio::time::timeout(PATIENCE, flooding)
            .await
            .expect("the server ends the connection");
    }

    /// Lets the client say nothing more.
    pub(super) async fn shut(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// The next frame, or `None` if the connection is gone.
    pub(super) async fn next(&mut self) -> Option<Frame> {
        let read = async {
            loop {
                if let Some(frame) = self.take() {
                    return Some(frame);
                }
                let mut piece = [0; 4096];
                match self.stream.read(&mut piece).await {
                    Ok(0) | Err(_) => return None,
                    Ok(length) => self.unread.extend_from_slice(&piece[..length]),
                }
            }
        };
        tokio::time::timeout(PATIENCE, read)
            .await
            .expect("a frame comes, or the end")
    }

    /// The next frame of a kind; all others are left out.
    pub(super) async fn next_of(&mut self, kind: u8) -> Frame {
        loop {
            let frame = self.next().await.expect("the connection goes on");
            if frame.kind == kind {
                return frame;
            }
        }
    }

    /// Reads until the connection is gone; why it ended, if that was told.
    pub(super) async fn until_gone(&mut self) -> Option<u32> {
        let mut reason = None;
        while let Some(frame) = self.next().await {
            if frame.kind == GOAWAY {
                reason = Some(frame.reason());
            }
        }
        reason
    }

    fn take(&mut self) -> Option<Frame> {
        let (head, rest) = self.unread.split_first_chunk::<9>()?;
        let length = usize::from(head[0]) << 16 | usize::from(head[1]) << 8 | usize::from(head[2]);
        let payload = rest.get(..length)?.to_vec();
        let frame = Frame {
            kind: head[3],
            flags: head[4],
            stream: u32::from_be_bytes(head[5..].try_into().unwrap()),
            payload,
        };
        self.unread.drain(..9 + length);
        Some(frame)
    }
}

/// A frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let [_, length @ ..] = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// A whole head.
pub(super) fn head(stream: u32, method: &str, path: &str, ends: bool) -> Vec<u8> {
    let flags = END_HEADERS | if ends { END_STREAM } else { 0 };
    frame(HEADERS, flags, stream, &block(method, path, &[]))
}

pub(super) fn reset(stream: u32) -> Vec<u8> {
    frame(RST_STREAM, 0, stream, &CANCEL.to_be_bytes())
}

/// The headers of a request, written without a table and without compression (RFC 7541, 6.2.2).
pub(super) fn block(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    [
        block_with_authority(method, path, "verify.example"),
        fields(headers),
    ]
    .concat()
}

pub(super) fn block_with_authority(method: &str, path: &str, authority: &str) -> Vec<u8> {
    block_without_authority(method, path, &[(":authority", authority)])
}

pub(super) fn block_without_authority(method: &str, path: &str, headers: &[(&str, &str)]) -> Vec<u8> {
    let pseudo = [(":method", method), (":scheme", "http"), (":path", path)];
    [fields(&pseudo), fields(headers)].concat()
}

fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    fields
        .iter()
        .flat_map(|(name, value)| field(name, value))
        .collect()
}

fn field(name: &str, value: &str) -> Vec<u8> {
    [&[0][..], &text(name), &text(value)].concat()
}

/// A text behind its length, which is a number with a prefix of seven bits (RFC 7541, 5.1 and 5.2).
fn text(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut length = text.len();
    if length < 127 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(127);
        length -= 127;
        while length >= 128 {
            bytes.push(u8::try_from(length % 128).unwrap() | 128);
            length /= 128;
        }
        bytes.push(u8::try_from(length).unwrap());
    }
    bytes.extend_from_slice(text.as_bytes());
    bytes
}
