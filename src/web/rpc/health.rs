//! `grpc.health.v1.Health`: whether calls are served.

use std::pin::Pin;
use std::sync::Arc;

use futures_util::Stream;
use futures_util::stream::unfold;
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::Health as HealthRpc;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

/// How the server is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ServerHealth {
    /// Calls are served.
    Serving,
    /// Its clock is too far from those of the servers that share the store.
    ClockIsWrong,
    /// The store does not answer.
    Failing,
    /// It is shutting down.
    Ending,
}

/// Tells of the whole server, which is the service without a name, and of each service the same.
#[derive(Debug)]
pub(super) struct HealthService {
    pub(super) health: watch::Receiver<ServerHealth>,
    /// The full names of what there is.
    pub(super) services: Arc<[String]>,
}

impl HealthService {
    fn knows(&self, service: &str) -> bool {
        service.is_empty() || self.services.iter().any(|known| known == service)
    }
}

#[tonic::async_trait]
impl HealthRpc for HealthService {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        if !self.knows(&request.get_ref().service) {
            return Err(Status::not_found("there is no such service"));
        }
        let health = *self.health.borrow();
        Ok(Response::new(told(status_of(health))))
    }

    type WatchStream = Pin<Box<dyn Stream<Item = Result<HealthCheckResponse, Status>> + Send>>;

    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let watching = Watching {
            known: self.knows(&request.get_ref().service),
            health: self.health.clone(),
            last: None,
        };
        Ok(Response::new(Box::pin(unfold(watching, Watching::next))))
    }
}

/// One who is told of every change.
struct Watching {
    known: bool,
    health: watch::Receiver<ServerHealth>,
    last: Option<ServingStatus>,
}

impl Watching {
    /// What there is to tell next; nothing more once the server has said that it ends.
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let health = *self.health.borrow_and_update();
            let status = if self.known {
                status_of(health)
            } else {
                ServingStatus::ServiceUnknown
            };
            if self.last.replace(status) != Some(status) {
                return Some((Ok(told(status)), self));
            }
            if health == ServerHealth::Ending || self.health.changed().await.is_err() {
                return None;
            }
        }
    }
}

fn status_of(health: ServerHealth) -> ServingStatus {
    match health {
        ServerHealth::Serving => ServingStatus::Serving,
        ServerHealth::ClockIsWrong | ServerHealth::Failing | ServerHealth::Ending => {
            ServingStatus::NotServing
        }
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse {
        status: status.into(),
    }
}
