//! The age of a connection. A caller looks for replicas when a connection of it ends, so none is kept for long; and connections
//! grow old faster while calls are shed, which may be why there are new replicas.
use std::time::Duration;
use tokio::time::{Instant, sleep};

/// How many times as fast a connection grows old while calls are shed. Their ages differ, and so connections still go one after
/// the other.
const HASTE: u32 = 6;
/// The longest between two looks at what was shed.
const LOOK: Duration = Duration::from_secs(1);

/// Waits until a connection that begins now has reached `age`. The time between two looks counts [`HASTE`] times if `shed`,
/// which counts the calls that were shed, rose in it.
pub(crate) async fn reached(age: Duration, shed: impl Fn() -> u64) {
    let look = (age / 60).min(LOOK);
    let mut left = age;
    let mut last = (Instant::now(), shed());
    while !left.is_zero() {
        sleep(look.min(left)).await;
        let now = (Instant::now(), shed());
        let haste = if now.1 > last.1 { HASTE } else { 1 };
        left = left.saturating_sub((now.0 - last.0) * haste);
        last = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::Cell;

    #[tokio::test]
    async fn a_connection_grows_old_faster_while_calls_are_shed() {
        let age = Duration::from_millis(600);
        let shed = Cell::new(0);
        let rising = || shed.replace(shed.get() + 1);
        tokio::select! {
            biased;
            () = reached(age, || 7) => panic!("older than one that sheds"),
            () = reached(age, rising) => {}
        }
        assert!((8..=60).contains(&shed.get()), "{} looks", shed.get());
    }
}
