//! Admission: whether a call is served is decided from the request head, before a byte of body is read. It never queues:
//! behind an open-loop load a queue adds its length to every latency, and nothing to goodput.
use crate::budget::{Budget, MemoryPermit, Usage};
use crate::limits::MethodLimits;
use prometheus::IntCounterVec;
use std::sync::{Arc, atomic::Ordering::Relaxed};
use std::task::{Context, Poll};
use std::{future::Future as _, pin::Pin};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::futures::OwnedNotified;
use tonic::{Status, metadata::MetadataValue};

/// The pushback of a call that was shed before anything was done for it, in milliseconds.
pub(crate) const RETRY_LATER: &str = "100";
/// The pushback of a call that was executed: below zero, a client does not send it a second time.
const NEVER_RETRY: &str = "-1";

/// What a frame takes in the transport beside its bytes: the frame itself, and the owner of its permits.
const FRAME_OVERHEAD: u64 = 512;

/// A stream's place in the queue of those that wait for room; see [`Admission::poll_room`].
#[derive(Debug, Default)]
pub(crate) struct Waiter(Option<Pin<Box<OwnedNotified>>>);

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
    /// `share` is [`Limits::connection_share`](crate::Limits::connection_share).
    pub(crate) fn new(memory: &Arc<Budget>, unread: &Arc<Budget>, share: u8, shed: &IntCounterVec) -> Self {
        Self {
            memory: Usage::of(memory, share),
            unread: Usage::of(unread, share),
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
        if !self.unread.fits(method.work.min(1)) {
            return Err(Shed::Connection);
        }
        check_share(&self.memory, method.work + method.answer)?;
        let call = self.memory.take(method.work);
        let reply = self.memory.take(method.answer);
        if self.memory.budget.used() > self.memory.budget.limit().min(method.most) && method.work > 0 {
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
        // One reply of each connection always fits.
        let fits =
            self.unread.held.load(Relaxed) == 0 || self.unread.budget.used() + bytes <= self.unread.budget.limit();
        if fits {
            return Ok(self.unread.take(bytes));
        }
        Shed::Connection.count(&self.shed);
        Err(Shed::Connection.status(NEVER_RETRY))
    }

    /// Waits until the connection may hold one more frame of a stream, which is likely to have so many bytes. Nothing is
    /// taken yet: what comes of it is charged by [`charge_frame`](Self::charge_frame).
    pub(crate) fn poll_room(&self, bytes: u64, waiter: &mut Waiter, cx: &mut Context<'_>) -> Poll<()> {
        loop {
            let woken = waiter.0.as_mut().is_some_and(|told| told.as_mut().poll(cx).is_ready());
            if self.unread.fits(bytes + FRAME_OVERHEAD) {
                // Dropped unheard, a notice goes to the next in the queue.
                waiter.0 = None;
                return Poll::Ready(());
            }
            if waiter.0.is_some() && !woken {
                return Poll::Pending;
            }
            waiter.0 = Some(Box::pin(Arc::clone(&self.unread.room).notified_owned()));
        }
    }

    /// A permit for a frame of a stream, of so many bytes, until the transport has written it. If there is room for more, the
    /// next stream in the queue is told.
    pub(crate) fn charge_frame(&self, bytes: u64) -> MemoryPermit {
        let permit = self.unread.take(bytes + FRAME_OVERHEAD);
        self.retry_streams();
        permit
    }

    /// Lets a stream that waits for room look again: others may have given some back.
    pub(crate) fn retry_streams(&self) {
        if self.unread.fits(FRAME_OVERHEAD) {
            self.unread.room.notify_one();
        }
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

/// Checks the share of one connection.
fn check_share(usage: &Usage, bytes: u64) -> Result<(), Shed> {
    if usage.fits(bytes) {
        return Ok(());
    }
    Err(if bytes > usage.free() { Shed::Memory } else { Shed::Connection })
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
    use futures_util::task::noop_waker_ref;
    use hotpath_telemetry::{Metrics, Name};
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
        let name = Name {
            kind: "unary",
            service: String::new(),
            method: String::new(),
            full: "".into(),
        };
        MethodLimits {
            work,
            answer,
            ..limits.method(&Policy::light().in_flight(in_flight), &name)
        }
    }

    /// A megabyte for calls, and 16 KiB for what waits unread.
    fn connections() -> (Arc<Budget>, impl Fn() -> Admission) {
        let (memory, unread) = (Budget::new(1 << 20), Budget::new(16 * KIB));
        let shed = Metrics::new(&[]).unwrap().shed;
        (Arc::clone(&memory), move || Admission::new(&memory, &unread, 33, &shed))
    }

    /// Whether a single reply may wait for its reader.
    fn reply(connection: &Admission) -> Result<MemoryPermit, tonic::Code> {
        connection.admit_reply(KIB).map_err(|status| {
            assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), NEVER_RETRY);
            status.code()
        })
    }

    /// A frame of a stream, where there is room for one.
    fn frame(connection: &Admission, waiter: &mut Waiter) -> Option<MemoryPermit> {
        let room = connection.poll_room(KIB, waiter, &mut Context::from_waker(noop_waker_ref()));
        room.is_ready().then(|| connection.charge_frame(KIB))
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
            while let Some(frame) = frame(connection, &mut Waiter::default()) {
                unread.push(frame);
            }
        }
        assert!(unread.len() < 24, "{} wait", unread.len());
        assert_eq!(stopped[0].admit(&call).unwrap_err(), Shed::Connection);
        assert!(stopped[0].admit(&method(0, 0, 1)).is_ok(), "a probe");
        let honest = connect();
        for _ in 0..100 {
            drop(reply(&honest).unwrap());
        }
        assert_eq!((honest.replies_read(), stopped[0].replies_read()), (100, 0));
        drop(honest.admit(&call).unwrap());
        assert_eq!(honest.replies_read(), 100, "a call that ends is not a reply that is read");
        unread.clear();
        assert!(stopped[0].admit(&call).is_ok(), "what was read is forgotten");
    }

    #[test]
    fn streams_wait_for_room_in_their_order_and_are_told() {
        let (_, connect) = connections();
        let connection = connect();
        let [mut first, mut second] = [Waiter::default(), Waiter::default()];
        let mut held: Vec<_> = std::iter::from_fn(|| frame(&connection, &mut Waiter::default())).collect();
        assert!(held.len() > 2, "{}", held.len());
        assert!(frame(&connection, &mut first).is_none() && frame(&connection, &mut second).is_none());
        held.pop();
        assert!(
            first
                .0
                .as_mut()
                .is_some_and(|told| told.as_mut().poll(&mut Context::from_waker(noop_waker_ref())).is_ready())
        );
        drop(first);
        held.extend(frame(&connection, &mut second));
        assert!(second.0.is_none(), "what the first was told and did not use went to the second");
    }

    #[test]
    fn calls_without_a_deadline_leave_room_for_those_that_end_soon() {
        let (call, (_, connect)) = (method(100 * KIB, 0, 20), connections());
        let endless = MethodLimits { most: 700 * KIB, ..method(100 * KIB, 0, 20) };
        let held: Vec<_> = std::iter::from_fn(|| connect().admit(&endless).ok()).collect();
        assert_eq!(held.len(), 7);
        assert_eq!(connect().admit(&endless).unwrap_err(), Shed::Memory);
        assert!(connect().admit(&call).is_ok());
    }

    #[test]
    fn a_single_reply_is_sent_while_there_is_any_room() {
        let (_, connect) = connections();
        let (busy, other) = (connect(), connect());
        let waiting: Vec<_> = (0..16).map(|_| reply(&busy).unwrap()).collect();
        assert_eq!(reply(&busy).unwrap_err(), tonic::Code::ResourceExhausted);
        let one = reply(&other).unwrap();
        assert_eq!(reply(&other).unwrap_err(), tonic::Code::ResourceExhausted, "one thing, always");
        drop((waiting, one));
        assert!(reply(&busy).is_ok());
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
