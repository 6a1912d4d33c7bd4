//! What a service is made of, and what it is given at start.
use crate::outbound::{Called, Outbound};
use crate::queue::{Finish, Queue};
use crate::store::{State, Store};
use crate::{Cpu, Defaults, Env, Failure, Limits, Metrics, OnPanic, Policy, admission::Shed};
use futures_util::{FutureExt as _, future::ready};
use hotpath_telemetry::{Dialect, names};
use http::{Request, Response};
use prometheus::Registry;
use std::{collections::BTreeMap, convert::Infallible};
use tonic::{Status, body::Body, server::NamedService};
use tower::{Service, ServiceExt as _, util::BoxCloneSyncService};

/// A service, described: what `main` hands to [`run`](crate::run), and a test to [`Server::start`](crate::Server::start).
pub struct App {
    /// Its name in logs and traces.
    pub name: &'static str,
    /// Its version in metrics.
    pub version: &'static str,
    /// The descriptors of its proto files: what reflection answers, and which methods there are.
    pub descriptors: &'static [u8],
    /// The descriptors of the services that it calls: which methods of theirs there are. Empty where it calls none.
    pub called: &'static [u8],
    /// One line a method: its name, and what a call of it may take.
    pub policies: &'static [(&'static str, Policy)],
    /// The root of every bound.
    pub defaults: Defaults,
    /// What a panic does to the process.
    pub on_panic: OnPanic,
    /// The names under which calls are counted.
    pub metrics: Dialect,
    /// Makes the handlers, once, before the first call.
    pub start: fn(&mut Host) -> Result<Routes, Failure>,
}

/// What the handlers are made from.
pub struct Host {
    pub(crate) env: Env,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) cpu: Cpu,
    pub(crate) called: Called,
    pub(crate) queues: Vec<Finish>,
    pub(crate) stores: Vec<Finish>,
}

impl Host {
    pub(crate) fn new(app: &App, env: Env) -> Result<Self, Failure> {
        let limits = Limits::derive(&app.defaults, &env)?;
        let metrics = Metrics::new(&Shed::OF_CALLS.map(Shed::reason))?;
        let cpu = Cpu::new(limits.cpu_width, &metrics);
        let called = Called {
            names: names(app.called)?,
            metrics: app.metrics.client(&metrics.registry)?,
        };
        let (queues, stores) = (Vec::new(), Vec::new());
        Ok(Self { env, limits, metrics, cpu, called, queues, stores })
    }

    /// The environment, for the service's own settings.
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The bounds of this process.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// Where `/metrics` finds what it shows: for the service's own metrics, of the types in [`prometheus`](crate::prometheus).
    pub fn registry(&self) -> &Registry {
        &self.metrics.registry
    }

    /// The door for CPU work.
    pub fn cpu(&self) -> Cpu {
        self.cpu.clone()
    }

    /// A bounded queue of `depth` items, `name` in its metrics, and the worker that takes them in batches. What is queued
    /// when the process stops is still worked off.
    ///
    /// # Errors
    /// If the depth is not one that a queue can have.
    pub fn queue<T: Send + 'static, W: Future<Output = ()> + Send + 'static>(
        &mut self,
        name: &str,
        depth: usize,
        work: impl FnMut(Vec<T>) -> W + Send + 'static,
    ) -> Result<Queue<T>, Failure> {
        let (queue, worker, finish) = Queue::new(name, depth, &self.metrics)?;
        #[expect(clippy::disallowed_methods, reason = "one worker a queue, made at start")]
        tokio::spawn(worker.run(work));
        self.queues.push(finish);
        Ok(queue)
    }

    /// Recovers the state named `name` from its last snapshot, and starts the thread that owns it.
    ///
    /// # Errors
    /// If there is a snapshot that cannot be read: damaged, or from a later version. Never an empty start instead.
    pub fn store<S: State>(&mut self, name: &str) -> Result<Store<S>, Failure> {
        let (store, finish) = Store::open(name, &self.env, &self.metrics)?;
        self.stores.push(finish);
        Ok(store)
    }

    /// A client's transport to the service `name`, whose address stands in `DOWNSTREAM_<NAME>`; for the generated
    /// `XClient::new`. Connects at the first call.
    ///
    /// # Errors
    /// If the address is not a URI.
    pub fn downstream(&self, name: &str, default: &str) -> Result<Outbound, Failure> {
        Outbound::new(name, default, self)
    }
}

/// The services that a process serves: what the generated `XServer::new` returns, one after the other.
#[derive(Debug, Default)]
pub struct Routes(BTreeMap<&'static str, BoxCloneSyncService<Request<Body>, Response<Body>, Infallible>>);

impl Routes {
    /// Adds a service.
    #[must_use]
    pub fn with<S>(mut self, service: S) -> Self
    where
        S: NamedService + Clone + Send + Sync + 'static,
        S: Service<Request<Body>, Response = Response<Body>, Error = Infallible, Future: Send + 'static>,
    {
        self.0.insert(S::NAME, BoxCloneSyncService::new(service));
        self
    }

    /// The names of the services.
    pub fn names(&self) -> impl Iterator<Item = &'static str> {
        self.0.keys().copied()
    }

    pub(crate) fn call(&self, request: Request<Body>) -> impl Future<Output = Response<Body>> + Send + use<> {
        let name = request.uri().path().split('/').nth(1).unwrap_or_default();
        match self.0.get(name) {
            Some(service) => service.clone().oneshot(request).map(|Ok(response)| response).left_future(),
            None => ready(Status::unimplemented(format!("unknown service {name}")).into_http()).right_future(),
        }
    }
}
