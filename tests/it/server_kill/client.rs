//! HTTP/1.1 over one connection that is kept, as little of it as these tests need.

use std::io::{self, BufRead as _, BufReader, ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

/// A connection.
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    address: String,
    /// Of whoever has no other ones.
    credentials: String,
}

/// What was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Value,
}

impl Answer {
    /// The body, if the status is this one.
    pub(crate) fn expect(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{}", self.body);
        self.body
    }

    /// The header of this name, in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        headers
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }
}

impl Client {
    pub(crate) fn connect(address: &str, credentials: &str) -> Self {
        Self::try_connect(address, credentials).unwrap()
    }

    /// # Errors
    /// When nobody listens.
    pub(crate) fn try_connect(address: &str, credentials: &str) -> io::Result<Self> {
        let stream = TcpStream::connect(address)?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        stream.set_nodelay(true)?;
        Ok(Self {
            stream: BufReader::new(stream),
            address: address.to_owned(),
            credentials: credentials.to_owned(),
        })
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Sends a form and reads the answer.
    ///
    /// # Errors
    /// When the server is gone before the whole answer is here. One that is there and does not answer fails the test.
    pub(crate) fn call(&mut self, method: &str, path: &str, form: &[(&str, &str)]) -> io::Result<Answer> {
        let credentials = self.credentials.clone();
        self.call_as(&credentials, method, path, form)
    }

    /// The same as somebody else, `user:password`.
    ///
    /// # Errors
    /// As [`Self::call`].
    pub(crate) fn call_as(
        &mut self,
        credentials: &str,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> io::Result<Answer> {
        let answer = self.exchange(credentials, method, path, form);
        if let Err(error) = &answer {
            let hangs = matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut);
            assert!(!hangs, "{method} {path} is not answered");
        }
        answer
    }

    fn exchange(
        &mut self,
        credentials: &str,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> io::Result<Answer> {
        let body = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\nAuthorization: Basic {}\r\n\
             Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{body}",
            self.address,
            STANDARD.encode(credentials),
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes())?;
        let status = self.line()?;
        let status = status.split(' ').nth(1).ok_or(ErrorKind::UnexpectedEof)?;
        let mut headers = Vec::new();
        let mut length = 0;
        loop {
            let line = self.line()?;
            if line.is_empty() {
                break;
            }
            let (name, value) = line.split_once(": ").ok_or(ErrorKind::UnexpectedEof)?;
            if name.eq_ignore_ascii_case("content-length") {
                length = value.parse().unwrap();
            }
            headers.push((name.to_owned(), value.to_owned()));
        }
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body)?;
        Ok(Answer {
            status: status.parse().unwrap(),
            headers,
            body: serde_json::from_slice(&body).unwrap_or_default(),
        })
    }

    /// The next line, without its end.
    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}
