//! One connection through the proxy.

use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::mpsc::{self, UnboundedReceiver, UnboundedSender};
use tokio::time::Instant;

use super::faults::Controls;
use super::frames::{Frame, Opening};
use super::session::{Passed, Session};

/// Serves a client until one side closes, or it is cut.
pub(super) async fn serve(client: TcpStream, controls: Arc<Controls>) {
    let faults = controls.faults();
    if faults.is_refusing {
        // A close without this would be taken for a server that changed its mind.
        let _reset = client.set_zero_linger();
        return;
    }
    controls.connections.add();
    tokio::select! {
        () = controls.cut_again(faults.cuts) => {}
        // Whichever side is gone, the other one notices.
        _end = relay(client, &controls) => {}
    }
}

async fn relay(mut client: TcpStream, controls: &Controls) -> io::Result<()> {
    client.set_nodelay(true)?;
    let opening = Opening::read(&mut client).await?;
    controls.thawed().await;
    let mut server = TcpStream::connect(controls.faults().server).await?;
    server.set_nodelay(true)?;
    match opening {
        Opening::Cancel(message) => {
            server.write_all(&message).await?;
            // It closes when it has done so.
            let _closed = server.read_u8().await;
            return Ok(());
        }
        Opening::Login(message) => server.write_all(&message).await?,
    }
    let (client_reads, client_writes) = client.into_split();
    let (server_reads, server_writes) = server.into_split();
    let direction = Direction {
        session: &Mutex::new(Session::new()),
        controls,
    };
    let (queue, queued) = mpsc::unbounded_channel();
    tokio::select! {
        end = direction.requests(client_reads, server_writes) => end,
        (end, _written) = async {
            tokio::join!(direction.answers(server_reads, queue), direction.deliver(queued, client_writes))
        } => end,
    }
}

/// What both directions know.
#[derive(Clone, Copy)]
struct Direction<'a> {
    session: &'a Mutex<Session>,
    controls: &'a Controls,
}

impl Direction<'_> {
    async fn requests(self, mut client: OwnedReadHalf, mut server: OwnedWriteHalf) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        let mut passed = Passed::On;
        while passed == Passed::On && client.read_buf(&mut buffer).await? > 0 {
            let mut output = BytesMut::new();
            while passed == Passed::On
                && let Some(frame) = Frame::take(&mut buffer)
            {
                passed = self.session().request(&frame, self.controls, &mut output);
            }
            self.controls.thawed().await;
            server.write_all(&output).await?;
        }
        Ok(())
    }

    /// Reads on while answers are delayed, so that each is delayed by the same.
    async fn answers(
        self,
        mut server: OwnedReadHalf,
        queue: UnboundedSender<(Instant, Bytes)>,
    ) -> io::Result<()> {
        let mut buffer = BytesMut::new();
        let mut passed = Passed::On;
        while passed == Passed::On && server.read_buf(&mut buffer).await? > 0 {
            let mut output = BytesMut::new();
            while passed == Passed::On
                && let Some(frame) = Frame::take(&mut buffer)
            {
                passed = self.session().answer(&frame, self.controls, &mut output);
            }
            let due = Instant::now() + self.controls.faults().delay;
            queue.send((due, output.freeze())).map_err(io::Error::other)?;
        }
        Ok(())
    }

    async fn deliver(
        self,
        mut queue: UnboundedReceiver<(Instant, Bytes)>,
        mut client: OwnedWriteHalf,
    ) -> io::Result<()> {
        while let Some((due, output)) = queue.recv().await {
            tokio::time::sleep_until(due).await;
            self.controls.thawed().await;
            client.write_all(&output).await?;
        }
        Ok(())
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
