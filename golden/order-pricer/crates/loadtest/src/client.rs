//! The callers: connections to the service, and one call of each class.
use crate::{
    schedule::Class,
    workload::{self, DEADLINE},
};
use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};
use tokio::time::timeout_at;
use tonic::{
    Code, Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// What `workload.rs` calls the service through: a connection that sends every call's deadline along.
pub type Caller = InterceptedService<Channel, SendDeadline>;

#[derive(Clone, Copy, Debug)]
pub struct SendDeadline;

impl Interceptor for SendDeadline {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(DEADLINE);
        Ok(request)
    }
}

/// As many connections as a service of this size has callers. The cheap calls and the health checks have their own, as
/// other callers and the orchestrator do: what they suffer is then the service's doing, not a shared connection's.
const HEAVY_CONNECTIONS: usize = 8;
const CHEAP_CONNECTIONS: usize = 2;

pub struct Callers {
    heavy: Vec<Caller>,
    cheap: Vec<Caller>,
    health: HealthClient<Caller>,
    calls: AtomicU64,
}

impl Callers {
    pub async fn connect(target: &str) -> Result<Self, String> {
        let endpoint = Endpoint::from_shared(target.to_owned())
            .map_err(|error| format!("{target} is no URI: {error}"))?
            .connect_timeout(Duration::from_secs(5))
            .tcp_nodelay(true);
        let connect = async || {
            let channel =
                endpoint.connect().await.map_err(|error| format!("{target} does not answer: {}", chain(&error)))?;
            Ok::<_, String>(InterceptedService::new(channel, SendDeadline))
        };
        let (mut heavy, mut cheap) = (Vec::new(), Vec::new());
        for _ in 0..HEAVY_CONNECTIONS {
            heavy.push(connect().await?);
        }
        for _ in 0..CHEAP_CONNECTIONS {
            cheap.push(connect().await?);
        }
        Ok(Self {
            heavy,
            cheap,
            health: HealthClient::new(connect().await?),
            calls: AtomicU64::new(0),
        })
    }

    /// One call, given up at its deadline as every gRPC client does: its code, and what an unexpected one said.
    pub async fn call(&self, class: Class, due: Instant) -> (Code, Option<Box<str>>) {
        let n = self.calls.fetch_add(1, Ordering::Relaxed);
        let pick = |callers: &[Caller]| callers.get(n as usize % callers.len().max(1)).cloned();
        let answer = async {
            match class {
                Class::Heavy => workload::heavy(pick(&self.heavy).ok_or_else(none)?, n).await,
                Class::Cheap => workload::cheap(pick(&self.cheap).ok_or_else(none)?, n).await,
                Class::Health => self.health().await,
            }
        };
        let status = match timeout_at((due + DEADLINE).into(), answer).await {
            Ok(Ok(())) => return (Code::Ok, None),
            // Whatever a stream that is cut off at its deadline is called: the caller's time was up.
            Ok(Err(_)) if due.elapsed() >= DEADLINE => return (Code::DeadlineExceeded, None),
            Err(_) => return (Code::DeadlineExceeded, None),
            Ok(Err(status)) => status,
        };
        let expected = matches!(status.code(), Code::ResourceExhausted | Code::DeadlineExceeded);
        (status.code(), (!expected).then(|| chain(&status).into()))
    }

    async fn health(&self) -> Result<(), Status> {
        let request = HealthCheckRequest { service: workload::SERVICE.to_owned() };
        match self.health.clone().check(request).await?.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            other => Err(Status::unavailable(other.as_str_name())),
        }
    }
}

fn none() -> Status {
    Status::internal("no connection")
}

/// An error with its causes: tonic's says "transport error" and hides why.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
