//! What each method may take: one line a method, in the service's `policy.rs`.
use std::time::Duration;

/// The bounds of one method.
///
/// ```
/// # use hotpath::Policy;
/// # use std::time::Duration;
/// // 25 ms from end to end, 5 ms of it on a CPU, and up to 2 MiB of heap beside its messages.
/// const SCORE: Policy = Policy::cpu(Duration::from_millis(25), Duration::from_millis(5)).heap(2 << 20);
/// // Next to nothing, and small messages.
/// const LOOKUP: Policy = Policy::light().request(4 << 10).reply(4 << 10);
/// ```
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    pub(crate) work: Work,
    pub(crate) heap: u64,
    pub(crate) request: Option<u64>,
    pub(crate) reply: Option<u64>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) in_flight: Option<usize>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) enum Work {
    /// Wall time and CPU time of one call, unloaded.
    Cpu(Duration, Duration),
    Light,
    /// Health and reflection: a reserve of their own, so that an overloaded process still answers its probes.
    Probe(usize),
}

impl Policy {
    /// A method that computes: `wall` and `cpu` are the times of one call on an idle machine. The number in flight
    /// follows from them (Little's law: more than the CPUs can finish would only wait); it is twelve at least, for calls
    /// that arrive in a bunch, or what the CPUs finish in half of the deadline.
    pub const fn cpu(wall: Duration, cpu: Duration) -> Self {
        Self { work: Work::Cpu(wall, cpu), ..Self::light() }
    }

    pub(crate) const fn probe(in_flight: usize) -> Self {
        Self { work: Work::Probe(in_flight), ..Self::light() }
    }

    /// A method that costs next to no CPU, or a stream that mostly waits: only memory bounds it.
    pub const fn light() -> Self {
        Self {
            work: Work::Light,
            heap: 0,
            request: None,
            reply: None,
            deadline: None,
            in_flight: None,
        }
    }

    /// The most that the handler allocates beside its messages: tables, buffers, answers of other services.
    #[must_use]
    pub const fn heap(mut self, bytes: u64) -> Self {
        self.heap = bytes;
        self
    }

    /// The largest request message, where it is smaller than the service's cap. Smaller admits more calls.
    #[must_use]
    pub const fn request(mut self, bytes: u64) -> Self {
        self.request = Some(bytes);
        self
    }

    /// The largest reply message, where it is smaller than the service's cap. Smaller admits more calls.
    #[must_use]
    pub const fn reply(mut self, bytes: u64) -> Self {
        self.reply = Some(bytes);
        self
    }

    /// A deadline of its own, in the place of the service's: for a stream that lives longer, say.
    #[must_use]
    pub const fn deadline(mut self, most: Duration) -> Self {
        self.deadline = Some(most);
        self
    }

    /// The number in flight, measured rather than derived.
    #[must_use]
    pub const fn in_flight(mut self, most: usize) -> Self {
        self.in_flight = Some(most);
        self
    }
}
