//! The operators' listener. It is open from before the store is until after it is closed, so that whoever asks is told.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::task::JoinHandle;

use super::super::Failure;
use super::setup::occupied;
use crate::app::App;
use crate::domain::entropy::SystemEntropy;
use crate::server::{self, ClientLimits, Listener, Protocol};
use crate::web::boundary::Boundary;
use crate::web::metrics::Metrics;
use crate::web::ops::{self, Ops};

/// What operators ask, and the listener where they do, if there is one.
pub(super) struct OpsServer {
    ops: Arc<Ops>,
    listening: Option<ListeningOps>,
}

struct ListeningOps {
    url: String,
    /// Ends it, also when it is dropped.
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl OpsServer {
    /// Begins to answer, at `address` if that is given.
    ///
    /// # Errors
    /// When the address cannot be bound.
    pub(super) fn start(address: Option<SocketAddr>) -> Result<Self, Failure> {
        let ops = Arc::<Ops>::default();
        let Some(address) = address else {
            return Ok(Self { ops, listening: None });
        };
        let listener = Listener::plain(address).map_err(|error| occupied("ops_listen", address, &error))?;
        let url = listener.url();
        tracing::info!("starting; {url}/startupz says when that is done");
        let http = ops::http(Arc::clone(&ops));
        let protocol = Protocol::Http(Boundary::new(http, Arc::default(), &SystemEntropy));
        let limits = ClientLimits {
            connections: 64,
            drain: Duration::from_secs(1),
            ..ClientLimits::default()
        };
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(server::run(vec![listener], protocol, limits, async {
            let _dropped_or_sent = stopped.await;
        }));
        let listening = Some(ListeningOps { url, stop, serving });
        Ok(Self { ops, listening })
    }

    /// The server has started.
    pub(super) fn begin(&self, app: &Arc<App>, figures: Metrics) -> Arc<Ops> {
        self.ops.begin(Arc::clone(app), figures);
        if let Some(ListeningOps { url, .. }) = &self.listening {
            tracing::info!("serving /health, /ready and /metrics on {url}");
        }
        Arc::clone(&self.ops)
    }

    /// Ends it.
    pub(super) async fn stop(self) {
        if let Some(ListeningOps { stop, serving, .. }) = self.listening {
            drop(stop);
            let _ended = serving.await;
        }
    }
}
