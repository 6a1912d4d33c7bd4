//! The class of streams: so many are open all the time, and read to their ends. Their readers show what the heavy calls do to
//! those who wait for the next message.
use crate::{
    callers::Callers,
    calls::{Streams, code_name},
    interrupt::Interrupt,
    record::{at, histogram, keep},
};
use hdrhistogram::Histogram;
use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::{task::JoinSet, time::timeout_at};
use tonic::Status;

/// How long a reader waits before it opens its stream again after one that was cut.
const PAUSE: Duration = Duration::from_millis(100);

/// The readers of one phase.
pub struct Readers {
    tasks: JoinSet<Tally>,
    open: usize,
    length: Duration,
}

impl Readers {
    /// Opens the streams of the workload, if it has any, and reads them for `length`.
    pub fn start(callers: &Arc<Callers>, interrupt: &Interrupt, length: Duration) -> Self {
        let mut tasks = JoinSet::new();
        let open = callers.streams_open();
        let end = Instant::now() + length;
        for _ in 0..open {
            tasks.spawn(read(Arc::clone(callers), interrupt.clone(), end));
        }
        Self { tasks, open, length }
    }

    /// What they saw, once the phase has ended.
    pub async fn finish(mut self) -> Streams {
        let mut all = Tally::new();
        while let Some(tally) = self.tasks.join_next().await {
            if let Ok(tally) = tally {
                all.add(tally);
            }
        }
        all.streams(self.open, self.length)
    }
}

/// Reads one stream after the other until `end`.
async fn read(callers: Arc<Callers>, interrupt: Interrupt, end: Instant) -> Tally {
    let mut tally = Tally::new();
    while Instant::now() < end && !interrupt.is_set() {
        tally.opened += 1;
        let mut last = None;
        let opened = Instant::now();
        let whole = async {
            let mut messages = callers.open_stream().await?;
            while messages.next().await? {
                tally.message(opened, &mut last);
            }
            Ok::<(), Status>(())
        };
        match timeout_at(end.into(), whole).await {
            Ok(Ok(())) => {}
            Ok(Err(status)) => {
                tally.cut(&status);
                tokio::time::sleep(PAUSE).await;
            }
            Err(_still_open) => break,
        }
    }
    tally
}

struct Tally {
    opened: u64,
    cut: u64,
    messages: u64,
    first: Histogram<u64>,
    gap: Histogram<u64>,
    codes: BTreeMap<String, u64>,
    said: BTreeMap<String, String>,
}

impl Tally {
    fn new() -> Self {
        Self {
            opened: 0,
            cut: 0,
            messages: 0,
            first: histogram(3),
            gap: histogram(3),
            codes: BTreeMap::new(),
            said: BTreeMap::new(),
        }
    }

    /// A message came now, after the one at `last` or as the first of a stream that was `opened` then.
    fn message(&mut self, opened: Instant, last: &mut Option<Instant>) {
        let now = Instant::now();
        self.messages += 1;
        match last.replace(now) {
            Some(before) => keep(&mut self.gap, now - before),
            None => keep(&mut self.first, now - opened),
        }
    }

    fn cut(&mut self, status: &Status) {
        self.cut += 1;
        let code = code_name(status.code()).to_owned();
        self.said.entry(code.clone()).or_insert_with(|| status.message().to_owned());
        *self.codes.entry(code).or_default() += 1;
    }

    fn add(&mut self, other: Self) {
        self.opened += other.opened;
        self.cut += other.cut;
        self.messages += other.messages;
        // Histograms of the same digits, which grow: nothing is lost.
        let _ = self.first.add(other.first);
        let _ = self.gap.add(other.gap);
        for (code, count) in other.codes {
            *self.codes.entry(code).or_default() += count;
        }
        for (code, said) in other.said {
            self.said.entry(code).or_insert(said);
        }
    }

    fn streams(self, open: usize, length: Duration) -> Streams {
        Streams {
            open,
            opened: self.opened,
            cut: self.cut,
            messages: self.messages,
            messages_per_second: self.messages as f64 / length.as_secs_f64().max(0.001),
            first_p50: at(&self.first, 0.5),
            first_p99: at(&self.first, 0.99),
            gap_p50: at(&self.gap, 0.5),
            gap_p99: at(&self.gap, 0.99),
            gap_max: at(&self.gap, 1.0),
            codes: self.codes,
            said: self.said,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_message_and_the_gaps_are_told_apart() {
        let ago = |ms| Instant::now().checked_sub(Duration::from_millis(ms)).unwrap();
        let mut tally = Tally::new();
        let mut last = None;
        tally.message(ago(50), &mut last);
        last = Some(ago(200));
        tally.message(ago(500), &mut last);
        tally.cut(&Status::resource_exhausted("slow"));
        let mut all = Tally::new();
        all.add(tally);
        let streams = all.streams(2, Duration::from_secs(2));
        assert_eq!((streams.messages, streams.messages_per_second, streams.cut), (2, 1.0, 1));
        assert!((50.0..150.0).contains(&streams.first_p99), "{streams:?}");
        assert!((200.0..300.0).contains(&streams.gap_p99), "{streams:?}");
        assert_eq!(streams.codes["RESOURCE_EXHAUSTED"], 1);
        assert_eq!(streams.said["RESOURCE_EXHAUSTED"], "slow");
    }
}
