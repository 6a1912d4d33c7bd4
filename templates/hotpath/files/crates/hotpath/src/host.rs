//! What a service is given at start, to make its handlers from.
use crate::admission::Shed;
use crate::background::{Hook, Tasks, outside_calls};
use crate::cpu::Cpu;
use crate::env::Env;
use crate::health::Readiness;
use crate::limits::{Defaults, Limits};
use crate::locked::Locked;
use crate::outbound::{Called, Outbound};
use crate::queue::{Finish, Queue};
use crate::store::{State, Store};
#[cfg(feature = "tls")]
use crate::tls::Loader;
use hotpath_telemetry::{Dialect, Failure, Metrics};
use prometheus::Registry;
use std::{io, net::SocketAddr};
use tokio_util::sync::CancellationToken;

/// What the handlers are made from.
pub struct Host {
    pub(crate) env: Env,
    pub(crate) limits: Limits,
    pub(crate) metrics: Metrics,
    pub(crate) cpu: Cpu,
    pub(crate) called: Called,
    /// Reads certificates again when they change.
    #[cfg(feature = "tls")]
    pub(crate) loader: Loader,
    pub(crate) readiness: Readiness,
    pub(crate) ends: Locked<Ends>,
}

/// What the service has beside its handlers, in the order in which it ends.
#[derive(Default)]
pub(crate) struct Ends {
    pub(crate) tasks: Tasks,
    pub(crate) queues: Vec<Finish>,
    pub(crate) stores: Vec<Finish>,
    pub(crate) hooks: Vec<Hook>,
}

impl Host {
    /// Derives the bounds from `defaults` and `env`, and makes what they bound. `called` are the descriptors of the
    /// services that handlers may call, which are counted in `dialect`. `certified`: the service has a certificate, for its port.
    #[cfg_attr(not(feature = "tls"), expect(unused_variables, reason = "without TLS no certificate is shown"))]
    pub(crate) fn new(
        defaults: &Defaults,
        called: &[u8],
        dialect: Dialect,
        certified: bool,
        env: Env,
    ) -> Result<Self, Failure> {
        let limits = Limits::derive(defaults, &env)?;
        let metrics = Metrics::new(&Shed::OF_CALLS.map(Shed::reason))?;
        let cpu = Cpu::new(limits.cpu_width, &metrics);
        #[cfg(feature = "tls")]
        let loader = Loader::new(&env)?;
        #[cfg(feature = "tls")]
        loader.register(&metrics.registry)?;
        #[cfg(feature = "tls")]
        let certificates = (loader.clone(), certified);
        #[cfg(not(feature = "tls"))]
        let certificates = ();
        let called = Called::new(called, dialect, &metrics.registry, certificates)?;
        Ok(Self {
            env,
            limits,
            metrics,
            cpu,
            called,
            #[cfg(feature = "tls")]
            loader,
            readiness: Readiness::new(),
            ends: Locked::default(),
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

    /// By which the service says whether it wants calls.
    pub fn readiness(&self) -> Readiness {
        self.readiness.clone()
    }

    /// Runs `task` in the background, `name` in the log. It is given a token that is cancelled when the process drains; then
    /// it has as long as the calls in flight have, and 5 s more, before it is dropped. Calls of other services and CPU work
    /// have no deadline in it but their own. A panic of it does to the process what any panic does.
    ///
    /// ```
    /// # use hotpath::Host;
    /// # use std::time::Duration;
    /// # fn demo(host: &Host, refresh: impl Fn() + Send + Sync + 'static) {
    /// host.spawn("refresh", |stop| async move {
    ///     let mut tick = tokio::time::interval(Duration::from_secs(30));
    ///     while stop.run_until_cancelled(tick.tick()).await.is_some() {
    ///         refresh();
    ///     }
    /// });
    /// # }
    /// ```
    pub fn spawn<T: Future<Output = ()> + Send + 'static>(
        &self,
        name: &'static str,
        task: impl FnOnce(CancellationToken) -> T,
    ) {
        self.ends.with(|ends| ends.tasks.spawn(name, task(ends.tasks.stop.clone())));
    }

    /// Runs `hook` at the end of the process, `name` in the log: when all calls, background tasks, queues and stores have
    /// ended, and before the last spans are sent. It has 5 s. What was made last ends first.
    pub fn on_stop(&self, name: &'static str, hook: impl Future<Output = ()> + Send + 'static) {
        self.ends.with(|ends| ends.hooks.push(Hook { name, run: Box::pin(hook) }));
    }

    /// A bounded queue of `depth` items, `name` in its metrics, and the worker that takes them in batches. What is queued
    /// when the process stops is still worked off.
    ///
    /// # Errors
    /// If the depth is not one that a queue can have.
    pub fn queue<T: Send + 'static, W: Future<Output = ()> + Send + 'static>(
        &self,
        name: &str,
        depth: usize,
        work: impl FnMut(Vec<T>) -> W + Send + 'static,
    ) -> Result<Queue<T>, Failure> {
        let (queue, worker, finish) = Queue::new(name, depth, &self.metrics)?;
        #[expect(clippy::disallowed_methods, reason = "one worker a queue, made at start")]
        tokio::spawn(outside_calls(worker.run(work)));
        self.ends.with(|ends| ends.queues.push(finish));
        Ok(queue)
    }

    /// Recovers the state named `name` from its last snapshot, and starts the thread that owns it.
    ///
    /// # Errors
    /// If there is a snapshot that cannot be read: damaged, or from a later version. Never an empty start instead. If
    /// another process uses it.
    pub fn store<S: State>(&self, name: &str) -> Result<Store<S>, Failure> {
        let (store, finish) = Store::open(name, &self.env, &self.metrics)?;
        self.ends.with(|ends| ends.stores.push(finish));
        Ok(store)
    }

    /// A client's transport to the service `name`, for the generated `XClient::new`. Its address is `default`, or what
    /// `DOWNSTREAM_<NAME>` says instead: `http://HOST:PORT`, or several of them with commas between; `https` is TLS, for which
    /// this needs the feature `tls` and an authority. Calls go to every replica that the addresses lead to;
    /// `DOWNSTREAM_<NAME>_RESOLVE_MS`, `_IN_FLIGHT` and `_DEADLINE_MS` bound them. The README has all settings.
    ///
    /// # Errors
    /// If an address is not of that form, a bound is malformed, or a certificate is missing.
    pub fn downstream(&self, name: &str, default: &str) -> Result<Outbound, Failure> {
        Outbound::to_name(name, default, &self.env, self.limits.deadline, &self.called)
    }

    /// The same, for a service that no name server knows: `look_up` finds the addresses of its replicas, and is asked again as
    /// a name server would be. Where it fails, or finds none, the last ones stay. What `DOWNSTREAM_<NAME>` says is no address here,
    /// but the name that the replicas are called by: `https://NAME:PORT` for TLS with certificates for NAME.
    ///
    /// # Errors
    /// If `name` cannot be a host's, a bound is malformed, or a certificate is missing.
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
