//! A running server, in a process of its own or in a test.
use crate::app::App;
use crate::budget::Budget;
use crate::env::Env;
use crate::host::Host;
use crate::queue::Finish;
use crate::shared::Shared;
use crate::{admin, connections, methods};
use hotpath_telemetry::Failure;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::runtime::Handle;
use tokio::time::{sleep, timeout};
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tonic_health::{ServingStatus, server::HealthReporter};
use tracing::{error, info};

/// How long a worker may take for what is still queued when the process stops.
const FINISH: Duration = Duration::from_secs(5);

/// A server that accepts calls. It serves until [`stop`](Self::stop).
pub struct Server {
    listen: SocketAddr,
    admin: SocketAddr,
    shared: Arc<Shared>,
    names: Vec<&'static str>,
    health: HealthReporter,
    drain: CancellationToken,
    listener: JoinHandle<bool>,
    queues: Vec<Finish>,
    stores: Vec<Finish>,
}

impl Server {
    /// Binds the ports, makes the handlers, and serves.
    ///
    /// # Errors
    /// If a setting is wrong, a policy is missing, a port is taken, or the service itself does not start.
    pub async fn start(app: &App, env: Env) -> Result<Self, Failure> {
        let mut host = Host::new(&app.defaults, app.called, app.metrics, env)?;
        let call_metrics = app.metrics.server(&host.metrics.registry)?;
        let methods = methods::build(app.descriptors, app.policies, &host.limits, &call_metrics)?;
        let listen = host.env.get("LISTEN", SocketAddr::from(([0, 0, 0, 0], 50_051)))?;
        let admin = host.env.get("ADMIN", SocketAddr::from(([0, 0, 0, 0], 9_090)))?;
        let routes = (app.start)(&mut host)?;
        let names: Vec<&str> = routes.names().chain([""]).collect();
        let (health, probes) = tonic_health::server::health_reporter();
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(app.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
            .build_v1()?;
        let listener = TcpListener::bind(listen).await?;
        let port = std::net::TcpListener::bind(admin)?;
        let listen = listener.local_addr()?;
        let admin = port.local_addr()?;
        let shared = Arc::new(Shared {
            version: app.version,
            on_panic: app.on_panic,
            stateful: !host.stores.is_empty(),
            memory: Budget::new(host.limits.call_memory),
            unread: Budget::new(host.limits.unread),
            limits: host.limits,
            methods,
            routes: routes.with(probes).with(reflection),
            cpu: host.cpu,
            metrics: host.metrics,
            runtime: Handle::current().metrics(),
            ready: AtomicBool::new(true),
        });
        admin::spawn(port, Arc::clone(&shared))?;
        for name in &names {
            health.set_service_status(name, ServingStatus::Serving).await;
        }
        let drain = CancellationToken::new();
        #[expect(clippy::disallowed_methods, reason = "one listener")]
        let listener = tokio::spawn(connections::listen(listener, Arc::clone(&shared), drain.clone()));
        let limits = methods::describe(&shared.limits, &shared.methods);
        info!(%listen, %admin, memory_budget = shared.limits.memory, %limits, "serving");
        Ok(Self {
            listen,
            admin,
            shared,
            names,
            health,
            drain,
            listener,
            queues: host.queues,
            stores: host.stores,
        })
    }

    /// Where it listens for calls.
    pub fn listen(&self) -> SocketAddr {
        self.listen
    }

    /// Where it answers `/metrics`.
    pub fn admin(&self) -> SocketAddr {
        self.admin
    }

    /// Stops: says "not serving", waits for the balancer to notice (`Limits::drain_delay`) unless `at_once`, drains (at most
    /// `Limits::drain`), and flushes.
    pub async fn stop(mut self, at_once: bool) -> Stopped {
        self.shared.ready.store(false, Relaxed);
        for name in &self.names {
            self.health.set_service_status(name, ServingStatus::NotServing).await;
        }
        if !at_once {
            sleep(self.shared.limits.drain_delay).await;
        }
        // Ends the watches of health, which would otherwise outlast every call.
        for name in &self.names {
            self.health.clear_service_status(name).await;
        }
        self.drain.cancel();
        let whole = self.listener.await.unwrap_or(false);
        // Before the stores, which they may write to.
        for queue in self.queues {
            if !matches!(timeout(FINISH, queue).await, Ok(true)) {
                error!("a queue was not worked off");
            }
        }
        let mut flushed = true;
        for store in self.stores {
            flushed &= store.await;
        }
        Stopped { whole, flushed }
    }
}

/// How it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// No call was cut: all that were in flight have ended by themselves.
    pub whole: bool,
    /// Every state was written to its snapshot. True where there is no store.
    pub flushed: bool,
}
