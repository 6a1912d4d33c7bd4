//! What a service is given at start, to make its handlers from.
use crate::admission::Shed;
use crate::cpu::Cpu;
use crate::env::Env;
use crate::limits::{Defaults, Limits};
use crate::outbound::{Called, Outbound};
use crate::queue::{Finish, Queue};
use crate::store::{State, Store};
use hotpath_telemetry::{Dialect, Failure, Metrics};
use prometheus::Registry;
use std::{io, net::SocketAddr};

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
    /// Derives the bounds from `defaults` and `env`, and makes what they bound. `called` are the descriptors of the
    /// services that handlers may call, which are counted in `dialect`.
    pub(crate) fn new(defaults: &Defaults, called: &[u8], dialect: Dialect, env: Env) -> Result<Self, Failure> {
        let limits = Limits::derive(defaults, &env)?;
        let metrics = Metrics::new(&Shed::OF_CALLS.map(Shed::reason))?;
        let cpu = Cpu::new(limits.cpu_width, &metrics);
        let called = Called::new(called, dialect, &metrics.registry)?;
        Ok(Self {
            env,
            limits,
            metrics,
            cpu,
            called,
            queues: Vec::new(),
            stores: Vec::new(),
        })
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

    /// Where CPU work is run.
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

    /// A client's transport to the service `name`, for the generated `XClient::new`. Its address is `default`, or what
    /// `DOWNSTREAM_<NAME>` says instead: `http://HOST:PORT`, or several of them with commas between. Calls go to every
    /// replica that the addresses lead to; `DOWNSTREAM_<NAME>_RESOLVE_MS`, `_IN_FLIGHT` and `_DEADLINE_MS` bound them.
    ///
    /// # Errors
    /// If an address is not of that form, or a bound is malformed.
    pub fn downstream(&self, name: &str, default: &str) -> Result<Outbound, Failure> {
        Outbound::to_name(name, default, &self.env, self.limits.deadline, &self.called)
    }

    /// The same, for a service that no name server knows: `look_up` finds the addresses of its replicas, and is asked again as
    /// a name server would be. Where it fails, or finds none, the last ones stay.
    ///
    /// # Errors
    /// If `name` cannot be a host's, or a bound is malformed.
    pub fn downstream_at<R>(
        &self,
        name: &str,
        look_up: impl Fn() -> R + Send + Sync + 'static,
    ) -> Result<Outbound, Failure>
    where
        R: Future<Output = io::Result<Vec<SocketAddr>>> + Send + 'static,
    {
        Outbound::to_found(name, look_up, &self.env, self.limits.deadline, &self.called)
    }
}
