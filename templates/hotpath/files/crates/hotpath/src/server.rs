//! A running server, in a process of its own or in a test.
use crate::app::App;
use crate::background::{FINISH, outside_calls};
use crate::budget::Budget;
use crate::env::Env;
use crate::health::Health;
use crate::host::{Ends, Host};
use crate::routes::Routes;
use crate::shared::Shared;
use crate::transport::{Tls, Transport};
use crate::{admin, connections, methods, ports, telemetry};
use futures_util::FutureExt as _;
use hotpath_telemetry::{Failure, logs};
use std::panic::AssertUnwindSafe;
use std::{net::SocketAddr, sync::Arc};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tonic_health::pb::health_server::HealthServer;
use tracing::error;

/// A server that accepts calls. It serves until [`stop`](Self::stop).
pub struct Server {
    listen: SocketAddr,
    admin: SocketAddr,
    shared: Arc<Shared>,
    /// Tells connections and background tasks.
    drain: CancellationToken,
    listener: JoinHandle<bool>,
    ends: Ends,
}

impl Server {
    /// Starts the service, binds the ports, and serves.
    ///
    /// # Errors
    /// If a setting or a certificate is wrong, a policy is missing, a port is taken, or the service itself does not start.
    pub async fn start(app: &App, env: Env) -> Result<Self, Failure> {
        let mut host = Host::new(&app.defaults, app.called, app.metrics, app.tls != Tls::None, env)?;
        #[cfg(feature = "tls")]
        host.spawn("certificates", |stop| host.loader.clone().run(stop));
        let call_metrics = app.metrics.server(&host.metrics.registry)?;
        let methods = methods::build(app.descriptors, app.policies, &host.limits, &call_metrics)?;
        for port in [ports::CALLS, ports::ADMIN] {
            // Before a service that may take its time to start.
            port.address(&host.env)?;
        }
        let transport = Transport::prepare(app.tls, &host)?;
        let starting = AssertUnwindSafe(outside_calls((app.start)(&mut host))).catch_unwind();
        let routes = starting.await.unwrap_or_else(|_panic| Err("the start of the service panicked".into()))?;
        let routes = with_built_in(routes, app, &host)?;
        let listener = ports::CALLS.bind(&host.env)?;
        let port = ports::ADMIN.bind(&host.env)?.into_std()?;
        let listen = listener.local_addr()?;
        let admin = port.local_addr()?;
        let ends = host.ends.with(std::mem::take);
        let shared = Arc::new(Shared {
            version: app.version,
            revision: app.revision,
            instance: telemetry::instance(&host.env).unwrap_or_default().to_owned(),
            on_panic: app.on_panic,
            stateful: !ends.stores.is_empty(),
            memory: Budget::new(host.limits.call_memory),
            unread: Budget::new(host.limits.unread),
            limits: host.limits,
            methods,
            routes,
            cpu: host.cpu,
            metrics: host.metrics,
            runtime: Handle::current().metrics(),
            readiness: host.readiness,
        });
        admin::spawn(port, Arc::clone(&shared))?;
        let drain = ends.tasks.stop.clone();
        #[expect(clippy::disallowed_methods, reason = "one listener")]
        let listener = tokio::spawn(connections::listen(listener, transport, Arc::clone(&shared), drain.clone()));
        let limits = methods::describe(&shared.limits, &shared.methods);
        let fields = [
            ("listen", listen.to_string().into()),
            ("admin", admin.to_string().into()),
            ("memory_budget", shared.limits.memory.into()),
            ("limits", limits),
        ];
        logs::info(module_path!(), "serving", fields);
        Ok(Self { listen, admin, shared, drain, listener, ends })
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
    pub async fn stop(self, at_once: bool) -> Stopped {
        let Ends { tasks, queues, stores, hooks } = self.ends;
        self.shared.readiness.stop();
        if !at_once {
            sleep(self.shared.limits.drain_delay).await;
        }
        self.shared.readiness.drain();
        self.drain.cancel();
        let whole = self.listener.await.unwrap_or(false);
        // Each before what it may still use.
        tasks.finish().await;
        for queue in queues {
            if !matches!(timeout(FINISH, queue).await, Ok(true)) {
                error!("a queue was not worked off");
            }
        }
        let mut flushed = true;
        for store in stores {
            flushed &= store.await;
        }
        for hook in hooks.into_iter().rev() {
            hook.finish().await;
        }
        Stopped { whole, flushed }
    }
}

/// The routes of the service, and those that every service has: health, and reflection in both of its versions.
fn with_built_in(routes: Routes, app: &App, host: &Host) -> Result<Routes, Failure> {
    let health = Health::new(routes.names(), &host.readiness);
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(app.descriptors)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(routes.with(HealthServer::new(health)).with(reflection().build_v1()?).with(reflection().build_v1alpha()?))
}

/// How it stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stopped {
    /// No call was cut: all that were in flight have ended by themselves.
    pub whole: bool,
    /// Every state was written to its snapshot. True where there is no store.
    pub flushed: bool,
}
