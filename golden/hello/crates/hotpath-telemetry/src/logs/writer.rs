//! The one way to the output: a bounded buffer, and a thread that writes it. Whoever logs never waits: a line that finds
//! the buffer full is dropped and counted.
#![expect(clippy::disallowed_types, reason = "a thread of its own waits; whoever logs only copies a line")]
use prometheus::IntCounter;
use std::io::Write;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::{io, mem, thread, time::Duration};

/// Bytes that may wait for the output; as many again may be on their way.
const CAPACITY: usize = 256 << 10;

/// Where lines are put. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Writer(Arc<Shared>);

struct Shared {
    waiting: Mutex<Waiting>,
    /// There is something to write.
    filled: Condvar,
    /// All is written.
    emptied: Condvar,
    dropped: IntCounter,
}

#[derive(Default)]
struct Waiting {
    text: Vec<u8>,
    lines: u64,
    /// The thread is writing what it took before.
    writing: bool,
    /// Lines dropped since the last line that says so.
    dropped: u64,
}

impl Waiting {
    fn is_over(&self) -> bool {
        self.text.is_empty() && !self.writing
    }
}

impl Writer {
    /// Writes to `output` on a thread of its own. Dropped lines are counted in `dropped`; once there is room again, a line
    /// says how many there were, in the words of `tell`.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub(crate) fn start(
        output: impl Write + Send + 'static,
        dropped: IntCounter,
        tell: fn(u64) -> String,
    ) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            waiting: Mutex::default(),
            filled: Condvar::new(),
            emptied: Condvar::new(),
            dropped,
        });
        let of_thread = Arc::clone(&shared);
        #[expect(clippy::disallowed_methods, reason = "one thread, until the process ends")]
        thread::Builder::new().name("logs".into()).spawn(move || of_thread.write_all_to(output, tell))?;
        Ok(Self(shared))
    }

    /// Queues a line, or drops it where too much waits already.
    pub(crate) fn put(&self, line: &str) {
        let mut waiting = self.0.lock();
        if waiting.text.len() + line.len() > CAPACITY {
            waiting.dropped += 1;
            self.0.dropped.inc();
            return;
        }
        self.0.push(&mut waiting, line);
    }

    /// Queues a line that must not be dropped, and waits until all is written, at most for `limit`.
    pub(crate) fn put_last(&self, line: &str, limit: Duration) {
        self.0.push(&mut self.0.lock(), line);
        self.flush(limit);
    }

    /// Waits until all is written, at most for `limit`. False if something is left.
    pub(crate) fn flush(&self, limit: Duration) -> bool {
        let waiting = self.0.lock();
        let emptied = self.0.emptied.wait_timeout_while(waiting, limit, |waiting| !waiting.is_over());
        emptied.unwrap_or_else(PoisonError::into_inner).0.is_over()
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, waiting: &mut Waiting, line: &str) {
        waiting.text.extend_from_slice(line.as_bytes());
        waiting.lines += 1;
        self.filled.notify_one();
    }

    /// Writes what comes, as long as the process lives.
    fn write_all_to(&self, mut output: impl Write, tell: fn(u64) -> String) {
        let mut batch = Vec::new();
        loop {
            let mut waiting = self.lock();
            waiting.writing = false;
            self.emptied.notify_all();
            let no_text = |waiting: &mut Waiting| waiting.text.is_empty();
            waiting = self.filled.wait_while(waiting, no_text).unwrap_or_else(PoisonError::into_inner);
            mem::swap(&mut waiting.text, &mut batch);
            let lines = mem::take(&mut waiting.lines);
            waiting.writing = true;
            drop(waiting);
            let written = output.write_all(&batch).and_then(|()| output.flush());
            batch.clear();
            let mut waiting = self.lock();
            if written.is_err() {
                // Nobody reads any more: counted, and tried again with the next lines.
                waiting.dropped += lines;
                self.dropped.inc_by(lines);
            } else if waiting.dropped > 0 {
                let line = tell(mem::take(&mut waiting.dropped));
                self.push(&mut waiting, &line);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    /// An output that takes something only when it is told to, and passes on what it took.
    struct Stalled(Receiver<()>, SyncSender<Vec<u8>>);

    impl Write for Stalled {
        #[expect(clippy::disallowed_methods, reason = "a test of what blocks")]
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.recv().map_err(io::Error::other)?;
            self.1.send(text.to_vec()).map_err(io::Error::other)?;
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test of what blocks")]
    fn a_stalled_output_holds_nobody_up_and_what_is_dropped_is_counted_and_said() {
        let (go, told) = sync_channel(16);
        let (written, output) = sync_channel(16);
        let counter = IntCounter::new("dropped", "Lines.").unwrap();
        let writer = Writer::start(Stalled(told, written), counter.clone(), |n| format!("lost {n}\n")).unwrap();
        let line = format!("{}\n", "x".repeat(1_023));
        for _ in 0..1_000 {
            writer.put(&line);
        }
        let dropped = counter.get();
        // What waits, and what the thread may have taken meanwhile.
        assert!((488..=744).contains(&dropped), "{dropped}");
        assert!(!writer.flush(Duration::from_millis(10)));
        (0..8).for_each(|_| go.send(()).unwrap());
        assert!(writer.flush(Duration::from_secs(20)));
        let text = String::from_utf8(output.try_iter().flatten().collect()).unwrap();
        assert_eq!(text.matches("x\n").count() as u64, 1_000 - dropped);
        assert!(text.contains(&format!("lost {dropped}\n")), "{dropped}");
    }

    #[test]
    fn an_output_that_fails_is_counted_and_nobody_waits_for_it() {
        let (go, told) = sync_channel(1);
        let (written, _) = sync_channel(1);
        drop(go);
        let counter = IntCounter::new("dropped", "Lines.").unwrap();
        let writer = Writer::start(Stalled(told, written), counter.clone(), |n| format!("lost {n}\n")).unwrap();
        writer.put("a\n");
        assert!(writer.flush(Duration::from_secs(20)));
        writer.put_last("b\n", Duration::from_secs(20));
        assert_eq!(counter.get(), 2);
    }
}
