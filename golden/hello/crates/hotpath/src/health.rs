//! Health: whether this process wants calls, for probes, for balancers, and for clients that watch it.
use crate::stream::{Replies, stream};
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::watch;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse, health_server};

/// The name that a liveness probe asks for. It is SERVING as long as the process answers, also while it wants no calls: to
/// restart a process because its database is gone would help nobody.
const LIVENESS: &str = "liveness";

/// Whether the service wants calls: withdrawn, health says NOT_SERVING and `/readyz` 503, so that callers go to other
/// replicas; calls that come nevertheless are served. A service is ready from its start on, unless it says otherwise.
///
/// Cheap to clone; all clones are of the same process.
#[derive(Clone, Debug)]
pub struct Readiness(Arc<watch::Sender<State>>);

#[derive(Clone, Copy, Debug, Default)]
struct State {
    /// The service has withdrawn its readiness.
    withdrawn: bool,
    /// The process stops.
    stopping: bool,
    /// Connections are told to go. Watches of health end, which would otherwise outlast every call.
    draining: bool,
}

impl Readiness {
    pub(crate) fn new() -> Self {
        Self(Arc::new(watch::Sender::new(State::default())))
    }

    /// Withdraws the readiness of the service, or gives it back. A process that stops is never ready again.
    pub fn set(&self, ready: bool) {
        self.0.send_modify(|state| state.withdrawn = !ready);
    }

    /// Whether health says SERVING.
    pub fn is_serving(&self) -> bool {
        self.0.borrow().is_serving()
    }

    /// The process stops: from now on it wants no calls.
    pub(crate) fn stop(&self) {
        self.0.send_modify(|state| state.stopping = true);
    }

    /// Ends what watches health.
    pub(crate) fn drain(&self) {
        self.0.send_modify(|state| state.draining = true);
    }
}

impl State {
    fn is_serving(self) -> bool {
        !self.withdrawn && !self.stopping
    }
}

/// The service `grpc.health.v1.Health`. tonic-health's own answers a watch of an unknown service with NOT_FOUND, where the
/// protocol wants SERVICE_UNKNOWN and a stream that stays open.
#[derive(Clone)]
pub(crate) struct Health {
    names: Arc<BTreeSet<&'static str>>,
    readiness: Readiness,
}

impl Health {
    /// Answers for the services `names` and for the whole process, whose name is empty.
    pub(crate) fn new(names: impl Iterator<Item = &'static str>, readiness: &Readiness) -> Self {
        Self {
            names: Arc::new(names.chain([""]).collect()),
            readiness: readiness.clone(),
        }
    }

    fn status(&self, service: &str, state: State) -> ServingStatus {
        match service {
            LIVENESS => ServingStatus::Serving,
            known if !self.names.contains(known) => ServingStatus::ServiceUnknown,
            _ if state.is_serving() => ServingStatus::Serving,
            _ => ServingStatus::NotServing,
        }
    }
}

#[tonic::async_trait]
impl health_server::Health for Health {
    async fn check(&self, request: Request<HealthCheckRequest>) -> Result<Response<HealthCheckResponse>, Status> {
        let service = request.into_inner().service;
        let state = *self.readiness.0.borrow();
        match self.status(&service, state) {
            ServingStatus::ServiceUnknown => Err(Status::not_found(format!("unknown service {service}"))),
            status => Ok(Response::new(HealthCheckResponse { status: status.into() })),
        }
    }

    type WatchStream = Replies<HealthCheckResponse>;

    async fn watch(&self, request: Request<HealthCheckRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let service = request.into_inner().service;
        let (health, mut states) = (self.clone(), self.readiness.0.subscribe());
        Ok(Response::new(stream(async move |replies| {
            let mut said = None;
            loop {
                let state = *states.borrow_and_update();
                let status = health.status(&service, state);
                if said.replace(status) != Some(status) {
                    replies.send(HealthCheckResponse { status: status.into() }).await?;
                }
                if state.draining || states.changed().await.is_err() {
                    return Ok(());
                }
            }
        })))
    }
}
