//! Reports as plain text in columns.
use crate::{
    judge::{State, Verdict},
    run::{Cores, NOTICED_CORES, Phase, Run},
    schedule::Class,
    units::show,
};
use std::fmt::Write as _;
use tonic::Code;

/// Prints a run on standard output.
pub fn print(run: &Run, verdicts: &[Verdict]) {
    print!("{}", text(run, verdicts));
}

fn text(run: &Run, verdicts: &[Verdict]) -> String {
    let mut out = String::from("\n");
    for (name, text) in run.made.lines() {
        let _ = writeln!(out, "{name:<9}  {text}");
    }
    let _ = writeln!(out, "\ncapacity {:.0} heavy calls/s\n", run.capacity);
    let mut rows = vec![columns(&[
        "phase",
        "calls",
        "offered/s",
        "answered/s",
        "p50",
        "p99",
        "p99.9",
        "max",
        "refused",
        "late",
        "other",
    ])];
    for phase in &run.phases {
        rows.extend(Class::ALL.iter().filter_map(|class| row(phase, *class)));
    }
    out.push_str(&align(&rows));
    out.push('\n');
    out.push_str(&streams(run));
    if !run.samples.is_empty() {
        out.push_str(&process(run));
        out.push('\n');
        out.push_str(&noise(run.others()));
    }
    let mut rows = Vec::new();
    for verdict in verdicts {
        let state = match verdict.state {
            State::Passed => "ok",
            State::Broken => "BROKEN",
            State::Inconclusive => "unclear",
            State::Skipped => "skipped",
        };
        rows.push(columns(&[state, verdict.gate, &verdict.measured, &verdict.limit, &verdict.what]));
    }
    out.push_str(&align(&rows));
    for verdict in verdicts.iter().filter(|verdict| verdict.state == State::Broken) {
        let _ = writeln!(out, "\ngate {} broke: {}", verdict.gate, verdict.what);
        let _ = writeln!(out, "  measured: {}, allowed: {}", verdict.measured, verdict.limit);
        let _ = writeln!(out, "  likely:   {}", verdict.cause.as_deref().unwrap_or("unknown"));
    }
    for verdict in verdicts.iter().filter(|verdict| verdict.state == State::Inconclusive) {
        let _ = writeln!(out, "\ngate {} is inconclusive: {}", verdict.gate, verdict.what);
        let _ = writeln!(out, "  measured: {}, allowed: {}", verdict.measured, verdict.limit);
        let _ = writeln!(out, "  because:  {}", verdict.cause.as_deref().unwrap_or("unknown"));
    }
    out
}

/// What the readers of streams saw; empty where the workload has none.
fn streams(run: &Run) -> String {
    let seen: Vec<&Phase> = run.phases.iter().filter(|phase| phase.log.streams.open > 0).collect();
    if seen.is_empty() {
        return String::new();
    }
    let head =
        ["streams", "open", "opened", "messages/s", "first p50", "first p99", "gap p50", "gap p99", "gap max", "cut"];
    let mut rows = vec![columns(&head)];
    for phase in seen {
        let streams = &phase.log.streams;
        let ms = |value: f64| show(value, "ms");
        let times = [streams.first_p50, streams.first_p99, streams.gap_p50, streams.gap_p99, streams.gap_max].map(ms);
        let mut row = vec![
            phase.name.to_owned(),
            streams.open.to_string(),
            streams.opened.to_string(),
            format!("{:.0}", streams.messages_per_second),
        ];
        row.extend(times);
        row.push(streams.cut.to_string());
        rows.push(row);
    }
    align(&rows) + "\n"
}

/// The steps of the search for the capacity.
pub fn capacity(run: &Run) -> String {
    let mut rows = vec![["callers", "answered/s", "p99", "refused"].map(str::to_owned).to_vec()];
    for step in &run.steps {
        rows.push(vec![
            step.callers.to_string(),
            format!("{:.0}", step.goodput),
            format!("{:.1} ms", step.p99),
            format!("{:.0}%", step.refused * 100.0),
        ]);
    }
    format!("{}\ncapacity {:.0} heavy calls/s", align(&rows), run.capacity)
}

fn row(phase: &Phase, class: Class) -> Option<Vec<String>> {
    let calls = phase.log.of(class);
    if calls.offered == 0 {
        return None;
    }
    let seconds = (phase.to - phase.from).max(0.001);
    let (refused, late) = (calls.count(Code::ResourceExhausted), calls.count(Code::DeadlineExceeded));
    let other = calls.codes.values().sum::<u64>() - refused - late;
    let ms = |value: f64| show(value, "ms");
    Some(vec![
        phase.name.to_owned(),
        class.name().to_owned(),
        format!("{:.0}", calls.offered as f64 / seconds),
        format!("{:.0}", calls.goodput),
        ms(calls.p50),
        ms(calls.p99),
        ms(calls.p999),
        ms(calls.max),
        refused.to_string(),
        late.to_string(),
        other.to_string(),
    ])
}

fn process(run: &Run) -> String {
    let mut rows = vec![columns(&[
        "process",
        "RSS before burst",
        "peak",
        "after",
        "threads",
        "descriptors",
        "cores",
        "generator cores",
        "other cores",
    ])];
    let most = |of: fn(&crate::observe::Sample) -> u64| run.samples.iter().map(of).max().unwrap_or(0).to_string();
    let mib = |bytes: Option<f64>| bytes.map_or_else(|| "-".to_owned(), |bytes| show(bytes, "MiB"));
    let cores = run.cores(0.0, f64::MAX);
    let share = |of: fn(Cores) -> f64| cores.map_or_else(|| "-".to_owned(), |cores| format!("{:.2}", of(cores)));
    rows.push(vec![
        if run.variant.is_empty() { "service".to_owned() } else { run.variant.clone() },
        mib(run.rss_before()),
        mib(run.peak_rss().map(|bytes| bytes as f64)),
        mib(run.rss_after()),
        most(|sample| sample.threads),
        most(|sample| sample.descriptors),
        share(|cores| cores.service),
        share(|cores| cores.generator),
        share(|cores| cores.others),
    ]);
    align(&rows)
}

fn columns(cells: &[&str]) -> Vec<String> {
    cells.iter().map(|cell| (*cell).to_owned()).collect()
}

/// Aligns rows in columns: numbers to the right, words to the left.
pub fn align(rows: &[Vec<String>]) -> String {
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| {
        rows.iter().filter_map(|row| row.get(column)).map(|cell| cell.chars().count()).max().unwrap_or(0)
    };
    let widths: Vec<usize> = (0..count).map(width).collect();
    let numeric = |column: usize| {
        rows.last()
            .and_then(|row| row.get(column))
            .is_some_and(|cell| cell.starts_with(|first: char| first.is_ascii_digit()))
    };
    let numbers: Vec<bool> = (0..count).map(numeric).collect();
    let mut out = String::new();
    for row in rows {
        let mut line = String::from(" ");
        for ((cell, width), number) in row.iter().zip(&widths).zip(&numbers) {
            let _ = if *number { write!(line, " {cell:>width$} ") } else { write!(line, " {cell:<width$} ") };
        }
        let _ = writeln!(out, "{}", line.trim_end());
    }
    out
}

/// Variants, a row each, below what the runs were of.
pub fn comparison(made: &[(&'static str, String)], title: &str, rows: &[Vec<String>], advice: &str) -> String {
    let made: String = made.iter().map(|(name, text)| format!("{name:<9}  {text}\n")).collect();
    format!("\n{made}\n{title}\n\n{}\n{advice}\n", align(rows))
}

/// A warning, if other processes used more cores than can be neglected.
fn noise(others: f64) -> String {
    if others <= NOTICED_CORES {
        return String::new();
    }
    format!("Other processes used up to {others:.1} cores under load, and the numbers are worse for it.\n\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{broken_run, gates, good_run},
        judge::judge,
    };

    #[test]
    fn a_broken_gate_is_named_with_its_cause() {
        let run = broken_run();
        let text = text(&run, &judge(&run, &gates()));
        assert!(text.contains("BROKEN"), "{text}");
        assert!(text.contains("gate burst-goodput broke"), "{text}");
        assert!(text.contains("likely:   no admission limit held"), "{text}");
    }

    #[test]
    fn streams_and_what_the_run_was_of_are_said() {
        let mut run = good_run();
        run.made.date = "2026-01-02T03:04:05Z".to_owned();
        run.made.revision = "0123456789ab".to_owned();
        let text = text(&run, &judge(&run, &gates()));
        for said in ["date       2026-01-02T03:04:05Z", "revision   0123456789ab", "first p99", "streams-gap-p99"] {
            assert!(text.contains(said), "{said}: {text}");
        }
    }

    #[test]
    fn an_inconclusive_gate_says_what_disturbed_it() {
        let mut run = broken_run();
        run.samples.iter_mut().for_each(|sample| sample.all_cpu += sample.at);
        let text = text(&run, &judge(&run, &gates()));
        assert!(text.contains("gate burst-goodput is inconclusive") && !text.contains("BROKEN"), "{text}");
        assert!(text.contains("because:  this machine, first: "), "{text}");
    }

    #[test]
    fn columns_line_up() {
        let rows = [columns(&["phase", "p99"]), columns(&["burst", "1.0 ms"]), columns(&["steady", "123.0 ms"])];
        let lines: Vec<String> = align(&rows).lines().map(str::to_owned).collect();
        assert_eq!(lines, ["  phase        p99", "  burst     1.0 ms", "  steady  123.0 ms"]);
    }
}
