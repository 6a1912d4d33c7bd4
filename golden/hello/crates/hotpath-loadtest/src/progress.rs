//! Reports progress on standard error: one line that is rewritten on a terminal, plain lines elsewhere.
use crate::record::Outcome;
use std::{
    cell::RefCell,
    io::{IsTerminal as _, Write as _, stderr},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tonic::Code;

/// The progress of a run.
pub struct Progress {
    terminal: bool,
    /// The service's resident bytes in the last sample; 0 while there is none.
    rss: Arc<AtomicU64>,
    now: RefCell<Phase>,
}

struct Phase {
    title: String,
    started: Instant,
    length: Duration,
    shown: Instant,
    /// Since the line was last shown.
    since: Counts,
    /// Since the phase began.
    total: Counts,
}

#[derive(Clone, Copy, Default)]
struct Counts {
    answered: u64,
    refused: u64,
    late: u64,
    failed: u64,
}

impl Progress {
    pub fn new(rss: Arc<AtomicU64>) -> Self {
        let now = Instant::now();
        let phase = Phase {
            title: String::new(),
            started: now,
            length: Duration::ZERO,
            shown: now,
            since: Counts::default(),
            total: Counts::default(),
        };
        Self {
            terminal: stderr().is_terminal(),
            rss,
            now: RefCell::new(phase),
        }
    }

    /// Prints a line that stays.
    pub fn print(&self, text: &str) {
        let clear = if self.terminal { "\r\x1b[K" } else { "" };
        let _ = writeln!(stderr(), "{clear}{text}");
    }

    /// Names the next phase.
    pub fn title(&self, title: String) {
        self.now.borrow_mut().title = title;
    }

    /// Begins a phase that takes `length`.
    pub fn begin(&self, length: Duration) {
        let mut phase = self.now.borrow_mut();
        let now = Instant::now();
        (phase.started, phase.shown, phase.length) = (now, now, length);
        (phase.since, phase.total) = (Counts::default(), Counts::default());
        if !self.terminal {
            let _ = writeln!(stderr(), "{} ({:.0} s)", phase.title, length.as_secs_f64());
        }
    }

    /// Counts a call, and shows the line again if it is time to.
    pub fn count(&self, outcome: &Outcome) {
        let mut phase = self.now.borrow_mut();
        phase.since.add(outcome.code);
        phase.total.add(outcome.code);
        let every = Duration::from_millis(if self.terminal { 250 } else { 5_000 });
        let elapsed = phase.shown.elapsed();
        if elapsed >= every {
            let line = self.line(&phase, &phase.since, elapsed);
            let _ = if self.terminal { write!(stderr(), "\r\x1b[K{line}") } else { writeln!(stderr(), "{line}") };
            phase.shown = Instant::now();
            phase.since = Counts::default();
        }
    }

    /// Ends the phase: on a terminal its totals stay.
    pub fn end(&self) {
        let phase = self.now.borrow();
        let line = self.line(&phase, &phase.total, phase.started.elapsed());
        if self.terminal {
            self.print(&line);
        }
    }

    fn line(&self, phase: &Phase, counts: &Counts, over: Duration) -> String {
        let seconds = over.as_secs_f64().max(0.001);
        let rate = |count: u64| (count as f64 / seconds).round();
        let mut line = format!(
            "  {}  {:.0}/{:.0} s  {} answered/s",
            phase.title,
            phase.started.elapsed().as_secs_f64(),
            phase.length.as_secs_f64(),
            rate(counts.answered)
        );
        for (name, count) in [("refused", counts.refused), ("late", counts.late), ("failed", counts.failed)] {
            if count > 0 {
                line.push_str(&format!("  {} {name}/s", rate(count)));
            }
        }
        let rss = self.rss.load(Ordering::Relaxed);
        if rss > 0 {
            line.push_str(&format!("  RSS {:.1} MiB", rss as f64 / f64::from(1 << 20)));
        }
        line
    }
}

impl Counts {
    const fn add(&mut self, code: Code) {
        match code {
            Code::Ok => self.answered += 1,
            Code::ResourceExhausted => self.refused += 1,
            Code::DeadlineExceeded => self.late += 1,
            _ => self.failed += 1,
        }
    }
}
