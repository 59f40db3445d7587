//! A keep-alive HTTP/1.1 connection that costs little: whole requests out, `Content-Length` answers in.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// An open connection and what was read from it beyond the last answer.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
    consumed: usize,
}

/// An answer, borrowed from its connection until the next request.
pub(super) struct Response<'a> {
    pub(super) status: u16,
    head: &'a [u8],
    pub(super) body: &'a [u8],
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream,
            buffer: Vec::with_capacity(4096),
            consumed: 0,
        })
    }

    /// Sends one request and waits for its whole answer.
    pub(super) async fn exchange(&mut self, request: &[u8]) -> io::Result<Response<'_>> {
        self.stream.write_all(request).await?;
        self.buffer.drain(..self.consumed);
        self.consumed = 0;
        let head = loop {
            match Head::read(&self.buffer)? {
                Some(head) => break head,
                None => self.fill().await?,
            }
        };
        let end = head.length + head.body_length;
        while self.buffer.len() < end {
            self.fill().await?;
        }
        self.consumed = end;
        let (head_bytes, rest) = self.buffer.split_at(head.length);
        Ok(Response {
            status: head.status,
            head: head_bytes,
            body: &rest[..head.body_length],
        })
    }

    async fn fill(&mut self) -> io::Result<()> {
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err(io::ErrorKind::UnexpectedEof.into()),
            _ => Ok(()),
        }
    }
}

impl Response<'_> {
    /// The value of a header; `name` in lower case.
    pub(super) fn header(&self, name: &str) -> Option<&str> {
        lines(self.head).find_map(|line| value_of(line, name.as_bytes()))
    }

    /// Whether the body contains `text`.
    pub(super) fn contains(&self, text: &str) -> bool {
        std::str::from_utf8(self.body).is_ok_and(|body| body.contains(text))
    }

    /// The status and the beginning of the body, for a person.
    pub(super) fn excerpt(&self) -> String {
        let body = String::from_utf8_lossy(&self.body[..self.body.len().min(1000)]);
        format!("HTTP {} {}", self.status, body.replace(char::is_control, " "))
    }
}

struct Head {
    status: u16,
    length: usize,
    body_length: usize,
}

impl Head {
    /// The head at the beginning of `bytes`, if all of it is there.
    fn read(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") else {
            return Ok(None);
        };
        let head = &bytes[..end + 2];
        let status = bytes
            .get(9..12)
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok())
            .ok_or_else(|| invalid("the answer has no status"))?;
        let length = lines(head).find_map(|line| value_of(line, b"content-length"));
        let body_length = match (length, status) {
            (Some(text), _) => text
                .parse()
                .map_err(|_| invalid("the answer's Content-Length is no number"))?,
            (None, 204 | 304) => 0,
            (None, _) => return Err(invalid("the answer has no Content-Length")),
        };
        Ok(Some(Self {
            status,
            length: end + 4,
            body_length,
        }))
    }
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    head.split(|byte| *byte == b'\n').skip(1)
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a str> {
    let (found, value) = line.split_at_checked(name.len())?;
    let value = value.strip_prefix(b":")?;
    if !found.eq_ignore_ascii_case(name) {
        return None;
    }
    std::str::from_utf8(value).ok().map(str::trim)
}

fn invalid(text: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, text)
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn answers_in_pieces_and_back_to_back_are_told_apart() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 4];
            stream.read_exact(&mut request).await.unwrap();
            for piece in ["HTTP/1.1 201 Created\r\ncontent-len", "gth: 5\r\n\r\nhe", "llo"] {
                stream.write_all(piece.as_bytes()).await.unwrap();
                stream.flush().await.unwrap();
            }
            stream.read_exact(&mut request).await.unwrap();
            let next =
                "HTTP/1.1 200 OK\r\nA: b\r\nContent-Length: 2\r\n\r\n{}HTTP/1.1 204 No Content\r\n\r\n";
            stream.write_all(next.as_bytes()).await.unwrap();
            stream.read_exact(&mut request).await.unwrap();
        });
        let mut connection = Connection::open(address).await.unwrap();
        let first = connection.exchange(b"ping").await.unwrap();
        assert_eq!((first.status, first.body), (201, b"hello".as_slice()));
        assert!(first.contains("ell") && !first.contains("elo"));
        let second = connection.exchange(b"ping").await.unwrap();
        assert_eq!((second.status, second.body), (200, b"{}".as_slice()));
        assert_eq!(second.header("a"), Some("b"));
        assert_eq!(second.header("content"), None);
        assert_eq!(connection.exchange(b"ping").await.unwrap().status, 204);
        server.await.unwrap();
        assert!(connection.exchange(b"ping").await.is_err());
    }

    #[test]
    fn an_answer_of_unknown_length_is_an_error() {
        assert!(Head::read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").is_err());
        assert!(Head::read(b"HTTP/1.1 200 OK\r\n").unwrap().is_none());
    }
}
