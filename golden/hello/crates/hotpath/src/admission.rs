//! Admission: who gets in is decided from the request head, before a byte of body is read. It never queues: behind an
//! open-loop load a queue adds its length to every latency, and nothing to goodput.
use crate::{Metrics, limits::MethodLimits};
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, metadata::MetadataValue};

/// Bytes that all connections share.
#[derive(Debug, Default)]
pub(crate) struct Pool {
    pub(crate) most: u64,
    used: AtomicU64,
}

impl Pool {
    pub(crate) fn new(most: u64) -> Arc<Self> {
        Arc::new(Self { most, ..Self::default() })
    }

    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }
}

/// What one connection has of a pool.
#[derive(Debug, Default)]
struct Share {
    pool: Arc<Pool>,
    held: AtomicU64,
    /// How often something was given back.
    returns: AtomicU64,
}

impl Share {
    fn of(pool: &Arc<Pool>) -> Arc<Self> {
        Arc::new(Self { pool: Arc::clone(pool), ..Self::default() })
    }

    /// A connection holds at most half of what it leaves free, or else one thing: a single busy one may take a third of
    /// the pool, each greedy one after it a third of what is left, and one more still finds room.
    fn fits(&self, bytes: u64) -> Result<(), Shed> {
        let (held, free) = (self.held.load(Relaxed), self.pool.most.saturating_sub(self.pool.used()));
        if bytes == 0 || held == 0 || held + bytes <= free / 2 {
            return Ok(());
        }
        Err(if bytes > free { Shed::Memory } else { Shed::Connection })
    }

    fn take(self: &Arc<Self>, bytes: u64) -> Held {
        let mut taken = Held { share: Arc::clone(self), bytes: 0 };
        taken.resize(bytes);
        taken
    }
}

/// Part of a pool, given back on drop.
#[derive(Debug)]
pub(crate) struct Held {
    share: Arc<Share>,
    bytes: u64,
}

impl Held {
    /// Takes more, or gives back some.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        for count in [&self.share.held, &self.share.pool.used] {
            count.fetch_add(bytes, Relaxed);
            count.fetch_sub(before, Relaxed);
        }
        self.share.returns.fetch_add(u64::from(bytes < before), Relaxed);
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// The door of one connection.
#[derive(Debug, Default)]
pub(crate) struct Admission {
    memory: Arc<Share>,
    unread: Arc<Share>,
}

/// What an admitted call holds while anything works for it.
#[derive(Debug)]
pub(crate) struct Permit {
    _slot: OwnedSemaphorePermit,
    _memory: Held,
}

impl Admission {
    pub(crate) fn new(memory: &Arc<Pool>, unread: &Arc<Pool>) -> Self {
        Self { memory: Share::of(memory), unread: Share::of(unread) }
    }

    /// Room for the call, and apart from it room for its reply, which may outlive the call on its way to a slow reader.
    pub(crate) fn admit(&self, method: &MethodLimits) -> Result<(Permit, Held), Shed> {
        let slot = Arc::clone(&method.slots).try_acquire_owned().map_err(|_| Shed::InFlight)?;
        // Nothing more is done for a peer that does not read what was done before; a probe, which takes nothing, is answered.
        self.unread.fits(method.work.min(1)).map_err(|_| Shed::Connection)?;
        self.memory.fits(method.work + method.answer)?;
        let (memory, answer) = (self.memory.take(method.work), self.memory.take(method.answer));
        if self.memory.pool.used() > self.memory.pool.most {
            return Err(Shed::Memory);
        }
        Ok((Permit { _slot: slot, _memory: memory }, answer))
    }

    /// Lets the transport have a reply that takes `bytes` while it waits there for its reader. Those that nobody reads
    /// are bounded apart from the memory of calls, and much lower. A reply of a stream, which goes on, keeps to the share
    /// of its connection; a single one, for which all was done, is let go while there is any room.
    pub(crate) fn hand_over(&self, bytes: u64, many: bool) -> Result<Held, Shed> {
        let room = self.unread.held.load(Relaxed) == 0 || self.unread.pool.used() + bytes <= self.unread.pool.most;
        let fits = room && (!many || self.unread.fits(bytes).is_ok());
        fits.then(|| self.unread.take(bytes)).ok_or(Shed::Connection)
    }

    /// How many replies were read, or let go: a peer that is slow moves this, and one that is deaf does not.
    pub(crate) fn progress(&self) -> u64 {
        self.unread.returns.load(Relaxed)
    }

    /// The same, while something waits for the peer to read it.
    pub(crate) fn waiting(&self) -> Option<u64> {
        (self.unread.held.load(Relaxed) > 0).then(|| self.progress())
    }
}

/// Why a call was not admitted, or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    InFlight,
    Memory,
    Connection,
    Queue,
}

impl Shed {
    /// The reasons that any call may meet; [`Self::Queue`] is counted where there is a queue.
    pub(crate) const OF_CALLS: [Self; 3] = [Self::InFlight, Self::Memory, Self::Connection];

    pub(crate) fn counted(self, metrics: &Metrics) -> Self {
        metrics.shed.with_label_values(&[self.reason()]).inc();
        self
    }

    /// RESOURCE_EXHAUSTED, with the pushback that makes a retrying gRPC client wait so many milliseconds,
    /// or, below zero, send what was executed no second time.
    pub(crate) fn status(self, pushback: &'static str) -> Status {
        let mut status = Status::resource_exhausted(format!("overloaded: {}", self.reason()));
        status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static(pushback));
        status
    }

    /// The label of the metric.
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::InFlight => "in_flight",
            Self::Memory => "memory",
            Self::Connection => "connection",
            Self::Queue => "queue",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Defaults, Env, Limits, Policy};
    use std::time::Duration;

    const KIB: u64 = 1 << 10;

    fn method(work: u64, answer: u64, in_flight: usize) -> MethodLimits {
        let defaults = Defaults {
            memory: 64 << 20,
            max_message: 1 << 20,
            deadline: Duration::ZERO,
            reserve: 0,
        };
        let limits = Limits::derive(&defaults, &Env::default()).unwrap();
        MethodLimits {
            work,
            answer,
            ..limits.method(&Policy::light().in_flight(in_flight))
        }
    }

    /// A megabyte for calls, and 16 KiB for what waits unread.
    fn connections() -> (Arc<Pool>, impl Fn() -> Admission) {
        let (memory, unread) = (Pool::new(1 << 20), Pool::new(16 * KIB));
        (Arc::clone(&memory), move || Admission::new(&memory, &unread))
    }

    #[test]
    fn memory_and_slots_both_bound_and_come_back() {
        let (heavy, light) = (method(500 * KIB, 100 * KIB, 5), method(KIB, 0, 2));
        let (memory, connect) = connections();
        let (one, other) = (connect(), connect());
        let first = one.admit(&heavy).unwrap();
        assert_eq!(other.admit(&heavy).unwrap_err(), Shed::Memory);
        let held = [other.admit(&light).unwrap(), other.admit(&light).unwrap()];
        assert_eq!(other.admit(&light).unwrap_err(), Shed::InFlight);
        drop((first, held));
        assert_eq!((memory.used(), heavy.taken(), light.taken()), (0, 0, 0));
        assert_eq!((one.memory.held.load(Relaxed), other.memory.held.load(Relaxed)), (0, 0));
    }

    #[test]
    fn greedy_connections_leave_room_for_one_more() {
        let (call, (_, connect)) = (method(KIB, 0, 2_000), connections());
        let mut held = Vec::new();
        for _ in 0..10 {
            let greedy = connect();
            while let Ok(permit) = greedy.admit(&call) {
                held.push(permit);
            }
        }
        assert!(connect().admit(&call).is_ok(), "{} held", held.len());
    }

    #[test]
    fn a_reply_keeps_what_its_bytes_take() {
        let (memory, connect) = connections();
        let (permit, mut answer) = connect().admit(&method(0, 500 * KIB, 1)).unwrap();
        drop(permit);
        answer.resize(1_500);
        assert_eq!(memory.used(), 1_500);
    }

    #[test]
    fn what_nobody_reads_is_bounded_by_itself_and_others_are_answered() {
        let (call, (_, connect)) = (method(KIB, 0, 2_000), connections());
        let deaf: Vec<_> = (0..8).map(|_| connect()).collect();
        let mut unread = Vec::new();
        for connection in &deaf {
            while let Ok(reply) = connection.hand_over(KIB, true) {
                unread.push(reply);
            }
        }
        assert!(unread.len() < 24, "{} wait", unread.len());
        assert_eq!(deaf[0].admit(&call).unwrap_err(), Shed::Connection);
        assert!(deaf[0].admit(&method(0, 0, 1)).is_ok(), "a probe");
        let honest = connect();
        for _ in 0..100 {
            drop(honest.hand_over(KIB, false).unwrap());
        }
        assert_eq!((honest.progress(), deaf[0].progress()), (100, 0));
        drop(honest.admit(&call).unwrap());
        assert_eq!(honest.progress(), 100, "a call that ends is not a reply that is read");
        unread.clear();
        assert!(deaf[0].admit(&call).is_ok(), "what was read is forgotten");
    }

    #[test]
    fn what_was_done_is_let_go_while_there_is_any_room() {
        let (_, connect) = connections();
        let (busy, other) = (connect(), connect());
        let waiting: Vec<_> = (0..16).map(|_| busy.hand_over(KIB, false).unwrap()).collect();
        assert_eq!(busy.hand_over(KIB, false).unwrap_err(), Shed::Connection);
        let one = other.hand_over(KIB, false).unwrap();
        assert_eq!(other.hand_over(KIB, false).unwrap_err(), Shed::Connection, "one thing, always");
        drop((waiting, one));
        assert!(busy.hand_over(KIB, false).is_ok());
    }

    #[test]
    fn a_retrying_client_is_told_to_wait() {
        let status = Shed::Memory.status("100");
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
    }
}
