//! Admission: who gets in is decided from the request head, before a byte of body is read. It never queues: behind an
//! open-loop load a queue adds its length to every latency, and nothing to goodput.
use crate::limits::MethodLimits;
use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::{Status, metadata::MetadataValue};

/// The memory semaphore counts these.
const UNIT: u64 = 1 << 10;

/// The memory that all calls share.
#[derive(Debug)]
pub(crate) struct Admission {
    memory: Arc<Semaphore>,
    units: usize,
}

/// The calls of one method.
#[derive(Debug)]
pub(crate) struct Class {
    slots: Arc<Semaphore>,
    limit: usize,
    work: u32,
    answer: u32,
}

/// What one connection holds.
#[derive(Debug, Default)]
pub(crate) struct Share(AtomicUsize);

/// Part of the shared memory, given back on drop.
#[derive(Debug)]
pub(crate) struct Memory {
    permit: OwnedSemaphorePermit,
    share: Arc<Share>,
}

/// What an admitted call holds while anything works for it.
#[derive(Debug)]
pub(crate) struct Permit {
    _slot: OwnedSemaphorePermit,
    _memory: Memory,
}

/// Why a call was not admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Shed {
    InFlight,
    Memory,
    Connection,
    Queue,
}

impl Class {
    pub(crate) fn new(limits: &MethodLimits) -> Self {
        Self {
            slots: Arc::new(Semaphore::new(limits.in_flight)),
            limit: limits.in_flight,
            work: units(limits.work),
            answer: units(limits.answer),
        }
    }

    pub(crate) fn limit(&self) -> usize {
        self.limit
    }

    pub(crate) fn in_flight(&self) -> usize {
        self.limit - self.slots.available_permits()
    }
}

impl Admission {
    pub(crate) fn new(memory: u64) -> Self {
        let units = (memory / UNIT) as usize;
        Self { memory: Arc::new(Semaphore::new(units)), units }
    }

    /// Room for the call, and apart from it room for its reply, which may outlive the call on its way to a slow reader.
    ///
    /// A connection holds at most half of what it leaves free, or else one call: a single busy one may take a third of
    /// the memory, each greedy one after it a third of what is left, and one more still finds room.
    pub(crate) fn admit(&self, class: &Class, share: &Arc<Share>) -> Result<(Permit, Memory), Shed> {
        let slot = Arc::clone(&class.slots).try_acquire_owned().map_err(|_| Shed::InFlight)?;
        let (units, held) = ((class.work + class.answer) as usize, share.0.load(Relaxed));
        if held > 0 && held + units > self.memory.available_permits() / 2 {
            return Err(Shed::Connection);
        }
        let memory = self.take(class.work, share)?;
        let answer = self.take(class.answer, share)?;
        Ok((Permit { _slot: slot, _memory: memory }, answer))
    }

    fn take(&self, units: u32, share: &Arc<Share>) -> Result<Memory, Shed> {
        let permit = Arc::clone(&self.memory).try_acquire_many_owned(units).map_err(|_| Shed::Memory)?;
        share.0.fetch_add(permit.num_permits(), Relaxed);
        Ok(Memory { permit, share: Arc::clone(share) })
    }

    pub(crate) fn limit(&self) -> u64 {
        self.units as u64 * UNIT
    }

    pub(crate) fn in_use(&self) -> u64 {
        (self.units - self.memory.available_permits()) as u64 * UNIT
    }
}

impl Memory {
    /// Keeps what `bytes` take, and gives back the rest.
    pub(crate) fn shrink(&mut self, bytes: usize) {
        let rest = self.permit.num_permits().saturating_sub(units(bytes as u64) as usize);
        if let Some(rest) = self.permit.split(rest) {
            self.share.0.fetch_sub(rest.num_permits(), Relaxed);
        }
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        self.share.0.fetch_sub(self.permit.num_permits(), Relaxed);
    }
}

impl Shed {
    /// RESOURCE_EXHAUSTED, with the pushback that makes a retrying gRPC client wait.
    pub(crate) fn status(self) -> Status {
        let mut status = Status::resource_exhausted(format!("overloaded: {}", self.reason()));
        status.metadata_mut().insert("grpc-retry-pushback-ms", MetadataValue::from_static("100"));
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

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn class(work: u64, answer: u64, in_flight: usize) -> Class {
        Class::new(&MethodLimits {
            request: 0,
            reply: 0,
            work,
            answer,
            in_flight,
            deadline: Duration::ZERO,
        })
    }

    #[test]
    fn memory_and_slots_both_bound_and_come_back() {
        let (heavy, light) = (class(500 << 10, 100 << 10, 5), class(1 << 10, 0, 2));
        let admission = Admission::new(1 << 20);
        let (one, other) = (Arc::<Share>::default(), Arc::<Share>::default());
        let first = admission.admit(&heavy, &one).unwrap();
        assert_eq!(admission.admit(&heavy, &other).unwrap_err(), Shed::Memory);
        let held = [admission.admit(&light, &other).unwrap(), admission.admit(&light, &other).unwrap()];
        assert_eq!(admission.admit(&light, &other).unwrap_err(), Shed::InFlight);
        drop((first, held));
        assert_eq!((admission.in_use(), heavy.in_flight(), light.in_flight()), (0, 0, 0));
        assert_eq!((one.0.load(Relaxed), other.0.load(Relaxed)), (0, 0));
    }

    #[test]
    fn greedy_connections_leave_room_for_one_more() {
        let (admission, call) = (Admission::new(1 << 20), class(1 << 10, 0, 2_000));
        let mut held = Vec::new();
        for _ in 0..10 {
            let greedy = Arc::default();
            while let Ok(permit) = admission.admit(&call, &greedy) {
                held.push(permit);
            }
        }
        assert!(admission.admit(&call, &Arc::default()).is_ok(), "{} held", held.len());
    }

    #[test]
    fn a_reply_keeps_what_its_bytes_take() {
        let (admission, share) = (Admission::new(1 << 20), Arc::<Share>::default());
        let (permit, mut answer) = admission.admit(&class(0, 500 << 10, 1), &share).unwrap();
        drop(permit);
        answer.shrink(1_500);
        assert_eq!((admission.in_use(), share.0.load(Relaxed)), (2 << 10, 2));
    }

    #[test]
    fn a_retrying_client_is_told_to_wait() {
        let status = Shed::Memory.status();
        assert_eq!(status.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
    }
}
