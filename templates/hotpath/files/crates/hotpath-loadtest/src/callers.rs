//! The callers: connections to the service, and one call of each class.
use crate::{
    client::{Caller, SendDeadline},
    schedule::Class,
    workload::{Messages, Workload},
};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::time::timeout_at;
use tonic::{Code, Status, service::interceptor::InterceptedService, transport::Endpoint};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// As many connections as a service of this size has callers. The cheap calls and the health checks have their own, as
/// other callers and the orchestrator do: a delay of theirs is then the service's doing, not a shared connection's.
const HEAVY_CONNECTIONS: usize = 8;
const CHEAP_CONNECTIONS: usize = 2;
const STREAM_CONNECTIONS: usize = 4;

pub struct Callers {
    workload: Arc<Workload>,
    heavy: Vec<Caller>,
    cheap: Vec<Caller>,
    streams: Vec<Caller>,
    health: HealthClient<Caller>,
    /// How many calls were made: the number of the next one.
    calls: AtomicU64,
}

impl Callers {
    /// Opens every connection. The error says why the target could not be reached.
    pub async fn connect(endpoint: Endpoint, workload: &Arc<Workload>) -> Result<Self, String> {
        let endpoint = endpoint.connect_timeout(Duration::from_secs(5)).tcp_nodelay(true);
        let target = endpoint.uri();
        let deadline = Some(workload.deadline);
        let connect = async |deadline| {
            let channel =
                endpoint.connect().await.map_err(|error| format!("{target} does not answer: {}", chain(&error)))?;
            Ok::<_, String>(InterceptedService::new(channel, SendDeadline(deadline)))
        };
        let (mut heavy, mut cheap, mut streams) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..HEAVY_CONNECTIONS {
            heavy.push(connect(deadline).await?);
        }
        for _ in 0..CHEAP_CONNECTIONS {
            cheap.push(connect(deadline).await?);
        }
        for _ in 0..workload.streams.as_ref().map_or(0, |_| STREAM_CONNECTIONS) {
            streams.push(connect(None).await?);
        }
        Ok(Self {
            workload: Arc::clone(workload),
            heavy,
            cheap,
            streams,
            health: HealthClient::new(connect(deadline).await?),
            calls: AtomicU64::new(0),
        })
    }

    /// What callers allow a call to take.
    pub fn deadline(&self) -> Duration {
        self.workload.deadline
    }

    /// One call, given up at its deadline as every gRPC client does: its code, and the message of an unexpected one.
    pub async fn call(&self, class: Class, due: Instant) -> (Code, Option<Box<str>>) {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let answer = async {
            match class {
                Class::Heavy => (self.workload.heavy)(pick(&self.heavy, number)?, number).await,
                Class::Cheap => (self.workload.cheap)(pick(&self.cheap, number)?, number).await,
                Class::Health => self.health().await,
            }
        };
        let deadline = self.deadline();
        let status = match timeout_at((due + deadline).into(), answer).await {
            Ok(Ok(())) => return (Code::Ok, None),
            // A stream that is cut off at its deadline may end with another code; its caller's time was up all the same.
            Ok(Err(_)) if due.elapsed() >= deadline => return (Code::DeadlineExceeded, None),
            Err(_) => return (Code::DeadlineExceeded, None),
            Ok(Err(status)) => status,
        };
        let expected = matches!(status.code(), Code::ResourceExhausted | Code::DeadlineExceeded);
        (status.code(), (!expected).then(|| chain(&status).into()))
    }

    /// How many streams are open at once.
    pub fn streams_open(&self) -> usize {
        self.workload.streams.as_ref().map_or(0, |streams| streams.open)
    }

    /// Opens a stream.
    pub async fn open_stream(&self) -> Result<Box<dyn Messages>, Status> {
        let number = self.calls.fetch_add(1, Ordering::Relaxed);
        let streams = self.workload.streams.as_ref().ok_or_else(unconnected)?;
        (streams.call)(pick(&self.streams, number)?, number).await
    }

    async fn health(&self) -> Result<(), Status> {
        let request = HealthCheckRequest { service: self.workload.service.to_owned() };
        match self.health.clone().check(request).await?.into_inner().status() {
            ServingStatus::Serving => Ok(()),
            other => Err(Status::unavailable(other.as_str_name())),
        }
    }
}

/// The connection for a call.
fn pick(callers: &[Caller], number: u64) -> Result<Caller, Status> {
    callers.get(number as usize % callers.len().max(1)).cloned().ok_or_else(unconnected)
}

fn unconnected() -> Status {
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
