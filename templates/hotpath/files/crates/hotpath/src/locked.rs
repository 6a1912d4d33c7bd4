//! A mutex whose guard cannot span an await, because nobody is given one.
#![expect(clippy::disallowed_types, reason = "this is what wraps it")]
use std::sync::{Mutex, PoisonError};

/// A value that handlers share and change.
#[derive(Debug, Default)]
pub struct Locked<T>(Mutex<T>);

impl<T> Locked<T> {
    /// Shares `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Runs `f` under the lock. A panic in an earlier `f` does not lock everybody out: the process is ending by then.
    pub fn with<R>(&self, f: impl FnOnce(&mut T) -> R) -> R {
        f(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
