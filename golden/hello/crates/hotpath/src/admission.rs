//! Admission: whether a call is served is decided from the request head, before a byte of body is read. It never queues:
//! behind an open-loop load a queue adds its length to every latency, and nothing to goodput.
use crate::limits::MethodLimits;
use prometheus::IntCounterVec;
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed};
use tokio::sync::OwnedSemaphorePermit;
use tonic::{Status, metadata::MetadataValue};

/// The pushback of a call that was shed before anything was done for it, in milliseconds.
pub(crate) const RETRY_LATER: &str = "100";
/// The pushback of a call that was executed: below zero, a client does not send it a second time.
const NEVER_RETRY: &str = "-1";

/// Bytes that all connections share.
#[derive(Debug)]
pub(crate) struct Budget {
    limit: u64,
    used: AtomicU64,
}

impl Budget {
    pub(crate) fn new(limit: u64) -> Arc<Self> {
        Arc::new(Self { limit, used: AtomicU64::new(0) })
    }

    /// Bytes that there are in all.
    pub(crate) fn limit(&self) -> u64 {
        self.limit
    }

    /// Bytes that permits hold now.
    pub(crate) fn used(&self) -> u64 {
        self.used.load(Relaxed)
    }
}

/// What one connection uses of a budget.
#[derive(Debug)]
struct Usage {
    budget: Arc<Budget>,
    held: AtomicU64,
    /// How often something was given back.
    returns: AtomicU64,
}

impl Usage {
    fn of(budget: &Arc<Budget>) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            held: AtomicU64::new(0),
            returns: AtomicU64::new(0),
        })
    }

    /// Checks the share of one connection. It may hold one thing always, and more while that is at most half of what it
    /// leaves free: a single busy connection may take a third of the budget, each greedy one after it a third of what is
    /// left, and there is still room for one more.
    fn check_share(&self, bytes: u64) -> Result<(), Shed> {
        let held = self.held.load(Relaxed);
        let free = self.budget.limit.saturating_sub(self.budget.used());
        if bytes == 0 || held == 0 || held + bytes <= free / 2 {
            return Ok(());
        }
        Err(if bytes > free { Shed::Memory } else { Shed::Connection })
    }

    fn take(self: &Arc<Self>, bytes: u64) -> MemoryPermit {
        let mut permit = MemoryPermit { usage: Arc::clone(self), bytes: 0 };
        permit.resize(bytes);
        permit
    }
}

/// Part of a budget, given back on drop.
#[derive(Debug)]
pub(crate) struct MemoryPermit {
    usage: Arc<Usage>,
    bytes: u64,
}

impl MemoryPermit {
    /// Takes more, or gives back some.
    pub(crate) fn resize(&mut self, bytes: u64) {
        let before = std::mem::replace(&mut self.bytes, bytes);
        for count in [&self.usage.held, &self.usage.budget.used] {
            count.fetch_add(bytes, Relaxed);
            count.fetch_sub(before, Relaxed);
        }
        self.usage.returns.fetch_add(u64::from(bytes < before), Relaxed);
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.resize(0);
    }
}

/// Admits the calls of one connection.
#[derive(Debug)]
pub(crate) struct Admission {
    memory: Arc<Usage>,
    unread: Arc<Usage>,
    /// Calls that were shed, by reason.
    shed: IntCounterVec,
}

/// What an admitted call holds while anything works for it.
#[derive(Debug)]
pub(crate) struct CallPermit {
    _in_flight: OwnedSemaphorePermit,
    _memory: MemoryPermit,
}

impl Admission {
    /// Admission of one connection's calls, from the budgets of the server for calls and for replies that wait to be read.
    pub(crate) fn new(memory: &Arc<Budget>, unread: &Arc<Budget>, shed: &IntCounterVec) -> Self {
        Self {
            memory: Usage::of(memory),
            unread: Usage::of(unread),
            shed: shed.clone(),
        }
    }

    /// Admits a call of `method`. Returns the permit of the call, and apart from it that of the reply, which may outlive
    /// the call on its way to a slow reader.
    ///
    /// # Errors
    /// What was short, which is counted.
    pub(crate) fn admit(&self, method: &MethodLimits) -> Result<(CallPermit, MemoryPermit), Shed> {
        self.try_admit(method).inspect_err(|shed| shed.count(&self.shed))
    }

    fn try_admit(&self, method: &MethodLimits) -> Result<(CallPermit, MemoryPermit), Shed> {
        let in_flight = Arc::clone(&method.in_flight_permits).try_acquire_owned().map_err(|_| Shed::InFlight)?;
        // A peer that does not read what it was sent gets nothing more done. A probe, which takes nothing, is answered.
        self.unread.check_share(method.work.min(1)).map_err(|_| Shed::Connection)?;
        self.memory.check_share(method.work + method.answer)?;
        let call = self.memory.take(method.work);
        let reply = self.memory.take(method.answer);
        if self.memory.budget.used() > self.memory.budget.limit {
            return Err(Shed::Memory);
        }
        Ok((CallPermit { _in_flight: in_flight, _memory: call }, reply))
    }

    /// A permit for the single reply of a call, of `bytes`, while it waits in the transport for its reader. Replies that
    /// nobody reads have a budget apart from that of the calls, and much lower. All was done for this one, so it is sent
    /// while there is any room.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED where too much waits unread, counted, and with the pushback that says not to try again.
    pub(crate) fn admit_reply(&self, bytes: u64) -> Result<MemoryPermit, Status> {
        self.reply_permit(bytes, self.reply_fits(bytes))
    }

    /// The same for one reply of a stream. The stream goes on, so the connection keeps to its share.
    ///
    /// # Errors
    /// As [`admit_reply`](Self::admit_reply).
    pub(crate) fn admit_stream_reply(&self, bytes: u64) -> Result<MemoryPermit, Status> {
        self.reply_permit(bytes, self.reply_fits(bytes) && self.unread.check_share(bytes).is_ok())
    }

    /// Whether the budget has room. One reply of each connection always fits.
    fn reply_fits(&self, bytes: u64) -> bool {
        self.unread.held.load(Relaxed) == 0 || self.unread.budget.used() + bytes <= self.unread.budget.limit
    }

    fn reply_permit(&self, bytes: u64, fits: bool) -> Result<MemoryPermit, Status> {
        if fits {
            return Ok(self.unread.take(bytes));
        }
        Shed::Connection.count(&self.shed);
        Err(Shed::Connection.status(NEVER_RETRY))
    }

    /// How many replies were read so far, or given up. A slow reader moves this; a peer that has stopped reading does not.
    pub(crate) fn replies_read(&self) -> u64 {
        self.unread.returns.load(Relaxed)
    }

    /// The same, while replies wait for the peer to read them.
    pub(crate) fn replies_waiting(&self) -> Option<u64> {
        (self.unread.held.load(Relaxed) > 0).then(|| self.replies_read())
    }
}

/// Why a call was not admitted, or not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    /// As many calls of the method as may be are in flight.
    InFlight,
    /// The calls of all connections hold the memory that there is.
    Memory,
    /// The connection holds its share.
    Connection,
    /// The queue that the call wants to use is full.
    Queue,
}

impl Shed {
    /// The reasons that any call may meet; [`Self::Queue`] is counted where there is a queue.
    pub(crate) const OF_CALLS: [Self; 3] = [Self::InFlight, Self::Memory, Self::Connection];

    fn count(self, shed: &IntCounterVec) {
        shed.with_label_values(&[self.reason()]).inc();
    }

    /// RESOURCE_EXHAUSTED, with the pushback that makes a retrying gRPC client wait so many milliseconds, or, below zero,
    /// not try again.
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
    use crate::env::Env;
    use crate::limits::{Defaults, Limits};
    use crate::policy::Policy;
    use hotpath_telemetry::Metrics;
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
    fn connections() -> (Arc<Budget>, impl Fn() -> Admission) {
        let (memory, unread) = (Budget::new(1 << 20), Budget::new(16 * KIB));
        let shed = Metrics::new(&[]).unwrap().shed;
        (Arc::clone(&memory), move || Admission::new(&memory, &unread, &shed))
    }

    /// Whether a reply of a stream, or of a single call, may wait for its reader.
    fn reply(connection: &Admission, of_stream: bool) -> Result<MemoryPermit, tonic::Code> {
        let permit = if of_stream { connection.admit_stream_reply(KIB) } else { connection.admit_reply(KIB) };
        permit.map_err(|status| {
            assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), NEVER_RETRY);
            status.code()
        })
    }

    #[test]
    fn memory_and_calls_in_flight_are_both_bounded_and_come_back() {
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
        let stopped: Vec<_> = (0..8).map(|_| connect()).collect();
        let mut unread = Vec::new();
        for connection in &stopped {
            while let Ok(reply) = reply(connection, true) {
                unread.push(reply);
            }
        }
        assert!(unread.len() < 24, "{} wait", unread.len());
        assert_eq!(stopped[0].admit(&call).unwrap_err(), Shed::Connection);
        assert!(stopped[0].admit(&method(0, 0, 1)).is_ok(), "a probe");
        let honest = connect();
        for _ in 0..100 {
            drop(reply(&honest, false).unwrap());
        }
        assert_eq!((honest.replies_read(), stopped[0].replies_read()), (100, 0));
        drop(honest.admit(&call).unwrap());
        assert_eq!(honest.replies_read(), 100, "a call that ends is not a reply that is read");
        unread.clear();
        assert!(stopped[0].admit(&call).is_ok(), "what was read is forgotten");
    }

    #[test]
    fn a_single_reply_is_sent_while_there_is_any_room() {
        let (_, connect) = connections();
        let (busy, other) = (connect(), connect());
        let waiting: Vec<_> = (0..16).map(|_| reply(&busy, false).unwrap()).collect();
        assert_eq!(reply(&busy, false).unwrap_err(), tonic::Code::ResourceExhausted);
        let one = reply(&other, false).unwrap();
        assert_eq!(reply(&other, false).unwrap_err(), tonic::Code::ResourceExhausted, "one thing, always");
        drop((waiting, one));
        assert!(reply(&busy, false).is_ok());
    }

    #[test]
    fn what_is_shed_is_counted_once_by_its_reason() {
        let (call, (_, connect)) = (method(KIB, 0, 1), connections());
        let connection = connect();
        let _held = connection.admit(&call).unwrap();
        connection.admit(&call).unwrap_err();
        assert_eq!(connection.shed.with_label_values(&["in_flight"]).get(), 1);
    }

    #[test]
    fn a_retrying_client_is_told_to_wait() {
        let status = Shed::Memory.status(RETRY_LATER);
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
    }
}
