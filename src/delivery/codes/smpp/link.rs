//! A connection to a message centre, unit by unit.

use std::io;
use std::sync::Arc;

use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::SmppSettings;
use super::pdu::{self, Pdu};
use crate::delivery::trust;

trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, and what came over it and is no whole unit yet.
pub(super) struct Link {
    stream: Box<dyn Stream>,
    came: Vec<u8>,
}

impl Link {
    /// Connects, with TLS unless the settings say otherwise.
    pub(super) async fn open(settings: &SmppSettings) -> io::Result<Self> {
        let tcp = TcpStream::connect((settings.host.as_str(), settings.port)).await?;
        tcp.set_nodelay(true)?;
        let stream: Box<dyn Stream> = if settings.tls {
            let config = trust::client_config(settings.authorities.as_ref()).map_err(io::Error::other)?;
            let name = ServerName::try_from(settings.host.clone()).map_err(io::Error::other)?;
            Box::new(TlsConnector::from(Arc::new(config)).connect(name, tcp).await?)
        } else {
            Box::new(tcp)
        };
        Ok(Self {
            stream,
            came: Vec::new(),
        })
    }

    /// The next unit. Nothing is lost if the caller stops waiting for it.
    pub(super) async fn read(&mut self) -> io::Result<Pdu> {
        loop {
            if let Some((pdu, taken)) = Pdu::read(&self.came).map_err(io::Error::other)? {
                self.came.drain(..taken);
                return Ok(pdu);
            }
            if self.stream.read_buf(&mut self.came).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    /// Sends one unit.
    pub(super) async fn write(
        &mut self,
        command: u32,
        status: u32,
        sequence: u32,
        body: &[u8],
    ) -> io::Result<()> {
        let octets = pdu::write(command, status, sequence, body);
        self.stream.write_all(&octets).await?;
        self.stream.flush().await
    }

    /// Says goodbye, as far as that is possible.
    pub(super) async fn close(mut self) {
        // Whoever does not listen any more need not be told.
        let _ = self.stream.shutdown().await;
    }
}
