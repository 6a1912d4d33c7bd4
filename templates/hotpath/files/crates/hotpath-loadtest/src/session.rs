//! A service under load: started or found, called, watched, and stopped.
use crate::{
    callers::Callers,
    calls::Log,
    error::Error,
    generate::{self, Target},
    interrupt::Interrupt,
    made::Made,
    observe::Observer,
    progress::Progress,
    run::{Phase, Run},
    schedule::Rates,
    service::{Service, Variant},
    settings::{Settings, workspace},
    transport::Trust,
};
use std::{
    fs,
    net::SocketAddr,
    path::Path,
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::runtime::Runtime;
use tonic::transport::Endpoint;

/// Health checks per second: more than an orchestrator sends, so that there is a p99.
const HEALTH_RATE: f64 = 10.0;

/// A service that runs already.
#[derive(Clone, Debug)]
pub struct Remote {
    pub endpoint: Endpoint,
    /// Its process on this machine; without it memory is not measured.
    pub pid: Option<u32>,
    /// Its admin address; without it metrics are not read.
    pub admin: Option<SocketAddr>,
}

/// What is put under load.
pub enum Subject<'a> {
    Binary(&'a Path, &'a Variant),
    Remote(&'a Remote),
}

/// A service that is under load, and what was measured of it so far.
pub struct Session {
    runtime: Runtime,
    interrupt: Interrupt,
    /// Cheap calls per second.
    cheap_rate: f64,
    callers: Arc<Callers>,
    origin: Instant,
    observer: Observer,
    service: Option<Service>,
    /// Its files are read again while the service runs.
    _trust: Trust,
    pub progress: Progress,
    pub run: Run,
}

impl Session {
    /// Starts the service, or connects to one that runs already, and begins to watch it.
    pub fn open(subject: &Subject<'_>, settings: &Settings) -> Result<Self, Error> {
        let (workload, out) = (&settings.workload, &settings.out);
        fs::create_dir_all(out).map_err(|error| format!("{}: {error}", out.display()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            // The service's computing threads yield the cores to its async workers, which these callers must not take.
            .on_thread_start(|| {
                #[cfg(target_os = "linux")]
                let _nicer = rustix::process::nice(5);
            })
            .enable_all()
            .build()
            .map_err(|error| format!("no runtime: {error}"))?;
        let interrupt = Interrupt::listen(&runtime);
        let trust = Trust::make(workload.transport)?;
        let (service, endpoint, pid, admin, variant) = match subject {
            Subject::Binary(binary, variant) => {
                let _in_runtime = runtime.enter();
                let mut environment = (workload.simulated)()?;
                environment.extend(trust.environment());
                let service = Service::start(binary, &environment, out)?;
                let (endpoint, pid, admin) = (trust.endpoint(service.listen)?, service.pid(), service.admin);
                (Some(service), endpoint, Some(pid), admin, variant.name.clone())
            }
            Subject::Remote(remote) => (None, remote.endpoint.clone(), remote.pid, remote.admin, String::new()),
        };
        let target = endpoint.uri().to_string();
        let callers = Arc::new(runtime.block_on(Callers::connect(endpoint, workload))?);
        let origin = Instant::now();
        let observer = Observer::start(origin, pid, admin);
        let progress = Progress::new(Arc::clone(&observer.rss));
        let own = service.is_some();
        let cpus = thread::available_parallelism().map_or(1, usize::from);
        let run = Run {
            made: Made::now(own.then(|| workspace(workload)).as_deref()),
            service: workload.service,
            variant,
            target,
            seed: settings.seed,
            own,
            cpus,
            ..Run::default()
        };
        let cheap_rate = workload.cheap_rate;
        Ok(Self {
            runtime,
            interrupt,
            cheap_rate,
            callers,
            origin,
            observer,
            service,
            _trust: trust,
            progress,
            run,
        })
    }

    fn target(&self) -> Target<'_> {
        Target {
            callers: &self.callers,
            interrupt: &self.interrupt,
            origin: self.origin,
            progress: &self.progress,
        }
    }

    /// One phase of open-loop load, with the cheap calls and health checks that every phase has.
    pub fn phase(&mut self, name: &'static str, title: String, heavy: f64, length: Duration) -> Result<(), Error> {
        let rates = Rates { heavy, cheap: self.cheap_rate, health: HEALTH_RATE };
        let seed = self.run.seed.wrapping_add(self.run.phases.len() as u64);
        self.progress.title(title);
        let from = self.origin.elapsed().as_secs_f64();
        let log = self.runtime.block_on(generate::open_loop(&self.target(), rates, length, seed));
        // The phase ends when its time is up: the wait for the last replies belongs to none.
        self.run.phases.push(Phase { name, from, to: from + length.as_secs_f64(), rates, log });
        self.check()
    }

    /// Load by callers that wait for their replies; its results are not a phase of the run.
    pub fn closed_loop(&mut self, title: String, callers: usize, length: Duration) -> Result<Log, Error> {
        self.progress.title(title);
        let log = self.runtime.block_on(generate::closed_loop(&self.target(), callers, length));
        self.check().map(|()| log)
    }

    /// Whether the run can go on: it was not interrupted, and the service is still there.
    fn check(&mut self) -> Result<(), Error> {
        if self.interrupt.is_set() {
            return Err(Error::Interrupted);
        }
        if self.service.as_mut().is_some_and(Service::is_gone) {
            let ended = self.service.take().map(Service::stop);
            let (status, lines) = ended.map(|ended| (ended.status, ended.last_lines)).unwrap_or_default();
            let status = status.map_or_else(String::new, |status| format!(" ({status})"));
            return Err(Error::Failed(format!("the service died under load{status}; its last lines:\n{lines}")));
        }
        Ok(())
    }

    /// Stops everything and returns what was measured.
    pub fn close(self) -> Run {
        let Self { runtime, callers, observer, service, _trust, mut run, .. } = self;
        (run.samples, run.gauges) = observer.finish();
        run.memory_budget = run.last(f64::MAX, |gauges| gauges.memory_budget).map(|bytes| bytes as u64);
        drop(callers);
        if let Some(service) = service {
            run.exit = service.stop().status.and_then(|status| status.code());
        }
        // Nobody waits for the calls that are still in flight.
        runtime.shutdown_background();
        run
    }
}
