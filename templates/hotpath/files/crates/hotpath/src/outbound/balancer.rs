//! Keeps one connection to each replica of a called service, as the resolver names them.
use super::connection::{Connection, connect};
use super::members::{Members, Random};
use super::resolver::Resolver;
use super::settings::Bounds;
use super::way::Way;
use prometheus::IntGauge;
use std::collections::BTreeMap;
use std::{io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};
use tokio::sync::{Notify, watch};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, sleep_until};
use tokio_util::sync::{CancellationToken, DropGuard};
use tracing::{info, warn};

/// The least time between two look-ups, however many connections end.
const LOOK_UP: Duration = Duration::from_secs(1);
/// How long a look-up may take before callers are told that there is no address. It goes on.
const SLOW: Duration = Duration::from_secs(5);
/// The waits between attempts to reach one replica: the first, and the longest.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(3));
/// A connection that ends before this age does not count as a success.
const LIVED: Duration = Duration::from_millis(100);

/// What the tasks of one called service share.
pub(super) struct Balancer {
    pub(super) service: String,
    pub(super) members: watch::Sender<Members>,
    pub(super) connections: IntGauge,
    pub(super) random: Random,
    pub(super) way: Way,
    pub(super) bounds: Bounds,
    /// A connection has ended, or could not be made: the addresses may have changed.
    lost: Notify,
}

impl Balancer {
    /// `members` is told of the connections to `service`, which are made by `way` and within `bounds`.
    pub(super) fn new(
        service: &str,
        way: Way,
        bounds: Bounds,
        connections: IntGauge,
        members: watch::Sender<Members>,
    ) -> Self {
        Self {
            service: service.to_owned(),
            members,
            connections,
            random: Random::default(),
            way,
            bounds,
            lost: Notify::new(),
        }
    }

    /// Follows `resolver` until nobody calls the service any longer.
    pub(super) async fn run(self: Arc<Self>, resolver: Resolver, interval: Duration) {
        let mut replicas = BTreeMap::<SocketAddr, DropGuard>::new();
        let mut tasks = JoinSet::new();
        let unused = pin!(self.members.closed());
        let follow = async {
            loop {
                let begun = Instant::now();
                self.look_up(&resolver, &mut replicas, &mut tasks).await;
                // It was lost before this look-up, or during it.
                while tasks.try_join_next().is_some() {}
                tokio::select! {
                    () = sleep(interval.mul_f64(self.random.jitter())) => {}
                    () = self.lost.notified() => sleep_until(begun + LOOK_UP.min(interval)).await,
                }
            }
        };
        tokio::select! {
            () = unused => {}
            () = follow => {}
        }
    }

    /// Asks the resolver, and begins and ends connections by what it says. Where it fails, the last addresses stay.
    async fn look_up(
        self: &Arc<Self>,
        resolver: &Resolver,
        replicas: &mut BTreeMap<SocketAddr, DropGuard>,
        tasks: &mut JoinSet<()>,
    ) {
        let mut asked = pin!(resolver.resolve());
        let found = tokio::select! {
            found = asked.as_mut() => found,
            () = sleep(SLOW) => {
                self.unresolved(&io::ErrorKind::TimedOut.into());
                asked.await
            }
        };
        let found = match found {
            Ok(found) => found,
            Err(error) => return self.unresolved(&error),
        };
        let gone: Vec<SocketAddr> = replicas.keys().filter(|address| !found.contains_key(address)).copied().collect();
        for address in &gone {
            replicas.remove(address);
        }
        self.change(|members| {
            for address in gone {
                members.removed(address);
            }
            members.addresses = found.len();
            members.unresolved = None;
        });
        for (address, name) in found {
            replicas.entry(address).or_insert_with(|| {
                let removed = CancellationToken::new();
                #[expect(clippy::disallowed_methods, reason = "one task for each address of the name")]
                tasks.spawn(Arc::clone(self).keep(address, name, removed.clone()));
                removed.drop_guard()
            });
        }
    }

    /// Keeps a connection to `address`, where the name of this number leads, until it is removed.
    async fn keep(self: Arc<Self>, address: SocketAddr, name: usize, removed: CancellationToken) {
        let mut wait = BACKOFF.0;
        loop {
            let attempt = tokio::select! {
                biased;
                () = removed.cancelled() => return,
                attempt = connect(address, name, &self.way, &self.bounds) => attempt,
            };
            match attempt {
                Ok((connection, serving)) => {
                    let since = Instant::now();
                    if self.serve(connection, serving, &removed).await {
                        return;
                    }
                    if since.elapsed() >= LIVED {
                        wait = BACKOFF.0;
                        continue;
                    }
                }
                Err(error) => self.failed(address, &error),
            }
            tokio::select! {
                () = removed.cancelled() => return,
                () = sleep(wait.mul_f64(self.random.jitter())) => {}
            }
            wait = BACKOFF.1.min(wait * 2);
        }
    }

    /// Offers a connection to callers until it ends, or until its replica does not answer. True if its address was removed:
    /// then the calls on it have ended.
    async fn serve(
        &self,
        connection: Arc<Connection>,
        serving: impl Future<Output = ()> + Send + 'static,
        removed: &CancellationToken,
    ) -> bool {
        let address = connection.address;
        self.joined(Arc::clone(&connection));
        let mut serving = Box::pin(serving);
        let silent = tokio::select! {
            () = serving.as_mut() => false,
            () = connection.silent() => true,
            () = removed.cancelled() => {
                drop(connection);
                serving.await;
                return true;
            }
        };
        self.change(|members| members.left(address));
        self.lost.notify_one();
        if silent {
            warn!(service = self.service, %address, "a replica does not answer: it is connected to anew");
            #[expect(clippy::disallowed_methods, reason = "it ends with the calls that are left on it")]
            tokio::spawn(serving);
        }
        false
    }

    fn joined(&self, connection: Arc<Connection>) {
        let address = connection.address;
        let mut was_down = false;
        self.change(|members| was_down = members.joined(connection));
        if was_down {
            info!(service = self.service, %address, "connected again");
        }
    }

    fn failed(&self, address: SocketAddr, error: &io::Error) {
        let mut is_new = false;
        self.change(|members| is_new = members.failed(address, error.kind()));
        if is_new {
            warn!(service = self.service, %address, %error, "cannot connect");
        }
        self.lost.notify_one();
    }

    fn unresolved(&self, error: &io::Error) {
        let why: Arc<str> = format!("no address: {error}").into();
        let mut is_new = false;
        self.change(|members| is_new = members.unresolved.replace(Arc::clone(&why)).as_ref() != Some(&why));
        if is_new {
            warn!(service = self.service, %error, "cannot look up its addresses; the last ones stay");
        }
    }

    fn change(&self, change: impl FnOnce(&mut Members)) {
        self.members.send_modify(|members| {
            change(members);
            self.connections.set(members.connected() as i64);
        });
    }
}
