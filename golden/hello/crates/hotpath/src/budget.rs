//! Budgets of bytes, and what each connection uses of them.
use std::sync::{Arc, atomic::AtomicU64, atomic::Ordering::Relaxed};
use tokio::sync::Notify;

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
pub(crate) struct Usage {
    pub(crate) budget: Arc<Budget>,
    pub(crate) held: AtomicU64,
    /// Percent of the budget that this connection may hold while no other holds any.
    share: u64,
    /// How often something was given back.
    pub(crate) returns: AtomicU64,
    /// Told when something was given back.
    pub(crate) room: Arc<Notify>,
}

impl Usage {
    pub(crate) fn of(budget: &Arc<Budget>, share: u8) -> Arc<Self> {
        Arc::new(Self {
            budget: Arc::clone(budget),
            held: AtomicU64::new(0),
            share: share.into(),
            returns: AtomicU64::new(0),
            room: Arc::default(),
        })
    }

    /// Whether the connection may hold so many bytes more. It may hold one thing always, and more up to its share: with a
    /// share of a third, a single busy connection may take a third of the budget, each greedy one after it a third of what is
    /// left, and there is still room for one more.
    pub(crate) fn fits(&self, bytes: u64) -> bool {
        let held = self.held.load(Relaxed);
        bytes == 0 || held == 0 || (held + bytes) * (100 - self.share) <= self.free() * self.share
    }

    /// Bytes that nobody holds.
    pub(crate) fn free(&self) -> u64 {
        self.budget.limit.saturating_sub(self.budget.used())
    }

    /// Takes so many bytes, whether they fit or not.
    pub(crate) fn take(self: &Arc<Self>, bytes: u64) -> MemoryPermit {
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
        if bytes < before {
            self.usage.returns.fetch_add(1, Relaxed);
            self.usage.room.notify_one();
        }
    }

    /// Parts `bytes` of it, to be given back apart from the rest.
    pub(crate) fn split(&mut self, bytes: u64) -> Self {
        let bytes = bytes.min(self.bytes);
        self.bytes -= bytes;
        Self { usage: Arc::clone(&self.usage), bytes }
    }
}

impl Drop for MemoryPermit {
    fn drop(&mut self) {
        self.resize(0);
    }
}
