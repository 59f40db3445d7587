//! Clients that speak HTTP where TLS is spoken: a mistyped `http://`, a proxy that was set up for the other port. They are told so in
//! what they understand, and nothing of what they send is read or served.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
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
        pass_over(&mut stream).await
    };
    // Whoever does not listen is not waited for.
    let _told_or_not = tokio::time::timeout(PATIENCE, said).await;
}

/// Takes what the client goes on to send: it would have the answer thrown away if nobody did.
async fn pass_over(stream: &mut (impl AsyncRead + Unpin)) -> io::Result<()> {
    let (mut unread, mut left) = ([0; 4096], MOST_BYTES);
    while left > 0 {
        match stream.read(&mut unread).await? {
            0 => break,
            bytes => left = left.saturating_sub(bytes),
        }
    }
    Ok(())
}

/// The version of HTTP that every client reads, those of HTTP/2 included.
const ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\n\
    Content-Type: text/plain\r\n\
    Content-Length: 45\r\n\
    Connection: close\r\n\
    \r\n\
    This port speaks HTTPS: begin with https://.\n";

const PATIENCE: Duration = Duration::from_secs(2);

/// Which no head has more than.
const MOST_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    /// However small the pieces are that it comes in.
    #[tokio::test]
    async fn what_a_client_goes_on_to_send_is_taken_up_to_a_number_of_bytes() {
        let (mut client, mut stream) = tokio::io::duplex(1);
        let sending = tokio::spawn(async move {
            let mut sent = 0;
            while client.write_all(b"x").await.is_ok() {
                sent += 1;
            }
            sent
        });
        pass_over(&mut stream).await.unwrap();
        drop(stream);
        let sent = sending.await.unwrap();
        assert!((MOST_BYTES..MOST_BYTES + 2).contains(&sent), "{sent}");
    }

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
