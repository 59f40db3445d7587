//! Clients that speak HTTP where TLS is spoken: a mistyped `http://`, a proxy that was set up for the other port. They are told so in
//! what they understand, and nothing of what they send is read or served.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Whether the client begins as nobody does who speaks TLS, but as a request of HTTP does. Waits for its first byte, and leaves it to
/// be read.
pub(super) async fn begins(stream: &TcpStream) -> io::Result<bool> {
    let mut first = [0];
    Ok(stream.peek(&mut first).await? == 1 && first[0].is_ascii_uppercase())
}

/// Answers, and closes the connection.
pub(super) async fn refuse(mut stream: TcpStream) {
    let said = async {
        stream.write_all(ANSWER).await?;
        stream.shutdown().await?;
        // What it goes on to send would have the answer thrown away if nobody took it.
        let mut unread = [0; 4096];
        for _ in 0..MOST_READS {
            if stream.read(&mut unread).await? == 0 {
                break;
            }
        }
        io::Result::Ok(())
    };
    // Whoever does not listen is not waited for.
    let _told_or_not = tokio::time::timeout(PATIENCE, said).await;
}

/// The version of HTTP that every client reads, those of HTTP/2 included.
const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 45\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks HTTPS: begin with https://.\n";

const PATIENCE: Duration = Duration::from_secs(2);

/// 64 KiB, which no head has more than.
const MOST_READS: usize = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_answer_is_as_long_as_it_says() {
        let answer = std::str::from_utf8(ANSWER).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        assert!(
            head.contains(&format!("\r\nContent-Length: {}\r\n", body.len())),
            "{answer}"
        );
        assert!(!head.contains("\r\n "), "{answer}");
    }
}
