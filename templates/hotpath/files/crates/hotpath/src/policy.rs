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
    /// Next to no CPU.
    Light,
    /// Health and reflection: a reserve of their own, so that an overloaded process still answers its probes.
    Probe(usize),
}

impl Policy {
    /// A method that computes: `wall` and `cpu` are the times of one call on an idle machine, measured. The in-flight limit
    /// follows from them (Little's law: calls beyond what the CPUs can finish would only wait). It is at least twelve, for
    /// calls that arrive in a burst, but no more on that account than the CPUs finish in half of the deadline, if there is one.
    ///
    /// Little's law asks how long a call lasts. Of a stream that stays open nobody knows: give it [`light`](Self::light), and
    /// [`in_flight`](Self::in_flight) if you know how many there may be.
    pub const fn cpu(wall: Duration, cpu: Duration) -> Self {
        Self { work: Work::Cpu(wall, cpu), ..Self::light() }
    }

    pub(crate) const fn probe(in_flight: usize) -> Self {
        Self { work: Work::Probe(in_flight), ..Self::light() }
    }

    /// A method that costs next to no CPU, or a stream that mostly waits: only memory bounds it. All calls without a deadline
    /// together may take three quarters of the memory of calls.
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

    /// The most bytes that the handler allocates for a call beside its messages: tables, buffers, answers of other services.
    /// None if it is not given.
    #[must_use]
    pub const fn heap(mut self, bytes: u64) -> Self {
        self.heap = bytes;
        self
    }

    /// The largest request message in bytes, where it is smaller than the service's cap ([`Defaults`](crate::Defaults)).
    /// A smaller one admits more calls.
    #[must_use]
    pub const fn request(mut self, bytes: u64) -> Self {
        self.request = Some(bytes);
        self
    }

    /// The largest reply message in bytes, where it is smaller than the service's cap. A smaller one admits more calls.
    #[must_use]
    pub const fn reply(mut self, bytes: u64) -> Self {
        self.reply = Some(bytes);
        self
    }

    /// The method's own deadline, in the place of the service's. It is also the cap of what a caller may ask for. Methods that
    /// stream, in either direction, have none unless it is given here: they last until their caller's deadline, if it has
    /// one. [`Duration::MAX`] is no deadline, for a method that answers once.
    #[must_use]
    pub const fn deadline(mut self, most: Duration) -> Self {
        self.deadline = Some(most);
        self
    }

    /// The in-flight limit, measured rather than derived: calls of this method at once, in the whole process.
    #[must_use]
    pub const fn in_flight(mut self, most: usize) -> Self {
        self.in_flight = Some(most);
        self
    }
}
