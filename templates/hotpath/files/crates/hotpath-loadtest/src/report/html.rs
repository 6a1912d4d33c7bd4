//! The report as one HTML page that loads nothing from elsewhere.
use super::plot::{Axis, Band, Chart, Line, Scale, nines};
use crate::{
    calls::Point,
    judge::{Outcome, State, Verdict},
    observe::Sample,
    run::{BURST, Phase, Run, SOAK, STEADY},
    schedule::Class,
    units::show,
};
use plotters::style::RGBColor;
use std::fmt::Write as _;
use tonic::Code;

const BLUE: RGBColor = RGBColor(0x09, 0x69, 0xda);
const RED: RGBColor = RGBColor(0xcf, 0x22, 0x2e);
const GREEN: RGBColor = RGBColor(0x1a, 0x7f, 0x37);
const AMBER: RGBColor = RGBColor(0xbf, 0x87, 0x00);
const GREY: RGBColor = RGBColor(0x8c, 0x95, 0x9f);

const STYLE: &str = "\
:root{color-scheme:light}body{font:15px/1.5 system-ui,sans-serif;color:#1f2328;margin:2rem auto;max-width:1120px;padding:0 1rem}\
h1{font-size:1.5rem;margin:0}h2{font-size:1.1rem;margin:2.2rem 0 .4rem}p{margin:.3rem 0}.note{color:#57606a}\
.banner{padding:.7rem 1rem;border-radius:6px;margin:1rem 0;font-weight:600}.pass{background:#dafbe1;color:#116329}.fail{background:#ffebe9;color:#a40e26}.unclear{background:#fff8c5;color:#7d4e00}\
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}th,td{padding:.3rem .6rem;border-bottom:1px solid #d8dee4;text-align:left;vertical-align:top}\
th{font-weight:600;color:#57606a}td.n,th.n{text-align:right;white-space:nowrap}tr.group td{border-top:2px solid #d0d7de}\
.ok{color:#1a7f37}.broken{color:#cf222e;font-weight:600}.skipped{color:#57606a}.made{width:auto;font-size:.9rem}.cause{color:#a40e26}\
svg{width:100%;height:auto}.legend span{display:inline-block;margin-right:1.2rem}.legend i{display:inline-block;width:1.1em;height:.25em;border-radius:2px;margin-right:.4em;vertical-align:middle}\
td:first-child{white-space:nowrap}";

/// The page.
pub fn page(run: &Run, verdicts: &[Verdict]) -> String {
    let mut out = String::with_capacity(1 << 18);
    let broken: Vec<&str> = verdicts.iter().filter(|v| v.state == State::Broken).map(|v| v.gate).collect();
    let name = escape(run.service);
    let _ = write!(
        out,
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content=\"width=device-width\"><title>{name} under load</title><style>{STYLE}</style>\
         <h1>{name} under load</h1><p class=note>{}{} · capacity {:.0} heavy calls/s · seed {}</p>",
        escape(&run.target),
        if run.variant.is_empty() { String::new() } else { format!(" · {}", escape(&run.variant)) },
        run.capacity,
        run.seed
    );
    made(&mut out, run);
    let _ = if Outcome::of(verdicts) == Outcome::Inconclusive {
        let unclear = verdicts.iter().filter(|v| v.state == State::Inconclusive).map(|v| v.gate);
        write!(out, "<div class=\"banner unclear\">Inconclusive: {}</div>", unclear.collect::<Vec<_>>().join(", "))
    } else if broken.is_empty() {
        let held = verdicts.iter().filter(|verdict| verdict.state == State::Passed).count();
        write!(out, "<div class=\"banner pass\">{held} of {} gates held, none broke</div>", verdicts.len())
    } else {
        write!(out, "<div class=\"banner fail\">Broken: {}</div>", broken.join(", "))
    };
    gates(&mut out, verdicts);
    phases(&mut out, run);
    streams(&mut out, run);
    charts(&mut out, run);
    out.push_str("</html>\n");
    out
}

/// Of what the run was, when, and where.
fn made(out: &mut String, run: &Run) {
    out.push_str("<table class=made>");
    for (name, text) in run.made.lines() {
        let _ = write!(out, "<tr><th>{name}<td>{}", escape(&text));
    }
    out.push_str("</table>");
}

/// What the readers of streams saw, where the workload has some.
fn streams(out: &mut String, run: &Run) {
    let seen: Vec<&Phase> = run.phases.iter().filter(|phase| phase.log.streams.open > 0).collect();
    if seen.is_empty() {
        return;
    }
    out.push_str("<h2>Streams</h2><table><tr><th>Phase");
    for title in ["open", "messages/s", "first p50", "first p99", "gap p50", "gap p99", "gap max", "cut"] {
        let _ = write!(out, "<th class=n>{title}");
    }
    for phase in seen {
        let streams = &phase.log.streams;
        let _ = write!(
            out,
            "<tr><td>{}<td class=n>{}<td class=n>{:.0}",
            phase.name, streams.open, streams.messages_per_second
        );
        for time in [streams.first_p50, streams.first_p99, streams.gap_p50, streams.gap_p99, streams.gap_max] {
            let _ = write!(out, "<td class=n>{}", show(time, "ms"));
        }
        let _ = write!(out, "<td class=n>{}", streams.cut);
    }
    out.push_str("</table>");
}

fn gates(out: &mut String, verdicts: &[Verdict]) {
    out.push_str("<h2>Gates</h2><table><tr><th>Gate<th class=n>Measured<th class=n>Limit<th>What");
    for verdict in verdicts {
        let (class, mark) = match verdict.state {
            State::Passed => ("ok", "✓"),
            State::Broken => ("broken", "✗"),
            State::Inconclusive => ("unclear", "?"),
            State::Skipped => ("skipped", "–"),
        };
        let cause = verdict
            .cause
            .as_deref()
            .map(|cause| format!("<br><span class=cause>{}</span>", escape(cause)))
            .unwrap_or_default();
        let _ = write!(
            out,
            "<tr><td class={class}>{mark} {}<td class=n>{}<td class=n>{}<td>{}{cause}",
            verdict.gate,
            escape(&verdict.measured),
            escape(&verdict.limit),
            escape(&verdict.what)
        );
    }
    out.push_str("</table>");
}

fn phases(out: &mut String, run: &Run) {
    out.push_str("<h2>Phases</h2><table><tr><th>Phase<th>Calls");
    for title in ["offered/s", "answered/s", "p50", "p90", "p99", "p99.9", "max", "refused", "late", "other"] {
        let _ = write!(out, "<th class=n>{title}");
    }
    for phase in &run.phases {
        let mut first = true;
        for class in Class::ALL {
            let calls = phase.log.of(class);
            if calls.offered == 0 {
                continue;
            }
            let (refused, late) = (calls.count(Code::ResourceExhausted), calls.count(Code::DeadlineExceeded));
            let other = calls.codes.values().sum::<u64>() - refused - late;
            let (group, name) = if first { (" class=group", phase.name) } else { ("", "") };
            first = false;
            let _ = write!(out, "<tr{group}><td>{name}<td>{}", class.name());
            let rates = [calls.offered as f64 / (phase.to - phase.from).max(0.001), calls.goodput]
                .map(|rate| format!("{rate:.0}"));
            let times = [calls.p50, calls.p90, calls.p99, calls.p999, calls.max].map(|time| show(time, "ms"));
            let counts = [refused, late, other].map(|count| count.to_string());
            for cell in rates.iter().chain(&times).chain(&counts) {
                let _ = write!(out, "<td class=n>{cell}");
            }
        }
    }
    out.push_str(
        "</table><p class=note>Latency counts from when a call was due, of answered calls only. \
         The gates of the steady load count late calls too, as long as their callers waited.</p>",
    );
}

fn charts(out: &mut String, run: &Run) {
    calls(out, run);
    process(out, run);
    percentiles(out, run);
}

/// Charts of what the calls came to, over time.
fn calls(out: &mut String, run: &Run) {
    let (heavy, cheap, health) = (Class::Heavy, Class::Cheap, Class::Health);
    let line = |name, colour, class: Class, of: fn(&Point) -> Option<f64>| {
        let mut points = Vec::new();
        for phase in &run.phases {
            points.extend(phase.log.line(class).iter().map(|point| (point.at, of(point))));
            points.push((phase.to, None));
        }
        Line { name, colour, points }
    };
    over_time(
        out,
        run,
        "Latency of heavy calls",
        &[line("p50", BLUE, heavy, |point| point.p50), line("p99", RED, heavy, |point| point.p99)],
        (Scale::Log, "ms"),
    );
    over_time(
        out,
        run,
        "Latency beside them: p99",
        &[
            line("cheap calls", GREEN, cheap, |point| point.p99),
            line("health checks", AMBER, health, |point| point.p99),
        ],
        (Scale::Log, "ms"),
    );
    over_time(
        out,
        run,
        "Heavy calls a second",
        &[
            line("offered", GREY, heavy, |point| Some(point.offered)),
            line("refused", AMBER, heavy, |point| Some(point.refused)),
            line("late or failed", RED, heavy, |point| Some(point.late + point.failed)),
            line("answered", GREEN, heavy, |point| Some(point.answered)),
        ],
        (Scale::Linear, "/s"),
    );
}

/// Charts of what the process took, over time.
fn process(out: &mut String, run: &Run) {
    let mib = |bytes: f64| bytes / f64::from(1 << 20);
    let sampled = |name, colour, of: &dyn Fn(&Sample) -> f64| Line {
        name,
        colour,
        points: run.samples.iter().map(|sample| (sample.at, Some(of(sample)))).collect(),
    };
    let mut memory = vec![sampled("resident", BLUE, &|sample| mib(sample.rss as f64))];
    if run.gauges.iter().any(|gauges| gauges.allocated.is_some()) {
        let points = run.gauges.iter().map(|gauges| (gauges.at, gauges.allocated.map(mib))).collect();
        memory.push(Line { name: "allocated", colour: GREEN, points });
    }
    let budget = run.memory_budget.map_or_else(String::new, |bytes| format!(" (budget {})", show(bytes as f64, "MiB")));
    over_time(out, run, &format!("Memory{budget}"), &memory, (Scale::Linear, "MiB"));
    let counts = [
        sampled("threads", BLUE, &|sample| sample.threads as f64),
        sampled("descriptors", AMBER, &|sample| sample.descriptors as f64),
    ];
    over_time(out, run, "Threads and descriptors", &counts, (Scale::Linear, ""));
    let cores = |name, colour, of: fn(&Sample) -> f64| {
        // Each value is over four samples, a second: the kernel counts CPU time in hundredths of a second.
        let pairs = run.samples.iter().zip(run.samples.iter().skip(4));
        let points = pairs.map(|(a, b)| (b.at, Some((of(b) - of(a)) / (b.at - a.at).max(0.001)))).collect();
        Line { name, colour, points }
    };
    let used = [
        cores("service", BLUE, |sample| sample.cpu),
        cores("load generator", AMBER, |sample| sample.own_cpu),
        cores("everything else", GREY, |sample| sample.all_cpu - sample.cpu - sample.own_cpu),
    ];
    over_time(out, run, "Cores in use", &used, (Scale::Linear, ""));
}

/// A chart over the whole run, with its phases.
fn over_time(out: &mut String, run: &Run, title: &str, lines: &[Line], (scale, unit): (Scale, &str)) {
    let phase = |phase: &Phase| Band { name: phase.name.to_owned(), from: phase.from, to: phase.to };
    let bands: Vec<Band> = run.phases.iter().map(phase).collect();
    let sampled = run.samples.last().map_or(0.0, |sample| sample.at);
    let end = run.phases.last().map_or(1.0, |phase| phase.to).max(sampled);
    let chart = Chart {
        lines,
        bands: &bands,
        scale,
        unit,
        x: Axis::Seconds,
        shown: Some((0.0, end)),
    };
    section(out, title, &chart);
}

fn percentiles(out: &mut String, run: &Run) {
    let curve = |name, colour, phase: &str, class| {
        let points = run.phase(phase).map(|phase| &phase.log.of(class).curve)?;
        let points = points.iter().map(|(quantile, ms)| (nines(*quantile).min(4.0), Some(*ms))).collect();
        Some(Line { name, colour, points })
    };
    let lines: Vec<Line> = [
        curve("heavy, steady", BLUE, STEADY, Class::Heavy),
        curve("heavy, burst", RED, BURST, Class::Heavy),
        curve("heavy, soak", BLUE, SOAK, Class::Heavy),
        curve("cheap, steady", GREEN, STEADY, Class::Cheap),
        curve("cheap, burst", AMBER, BURST, Class::Cheap),
    ]
    .into_iter()
    .flatten()
    .collect();
    let chart = Chart {
        lines: &lines,
        bands: &[],
        scale: Scale::Log,
        unit: "ms",
        x: Axis::Nines,
        shown: None,
    };
    section(out, "Latency by percentile", &chart);
}

fn section(out: &mut String, title: &str, chart: &Chart<'_>) {
    let svg = chart.svg();
    if svg.is_empty() {
        return;
    }
    let _ = write!(out, "<h2>{}</h2><p class=legend>", escape(title));
    for line in chart.lines {
        let RGBColor(r, g, b) = line.colour;
        let _ = write!(out, "<span><i style=\"background:rgb({r},{g},{b})\"></i>{}</span>", line.name);
    }
    let _ = write!(out, "</p>{svg}");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{broken_run, gates},
        judge::judge,
    };

    #[test]
    fn one_page_with_every_gate_and_nothing_from_elsewhere() {
        let run = broken_run();
        let verdicts = judge(&run, &gates());
        let page = page(&run, &verdicts);
        for verdict in &verdicts {
            assert!(page.contains(verdict.gate), "{}", verdict.gate);
        }
        assert!(page.contains("Broken: ") && page.contains("<svg"));
        for outside in ["src=", "href=", "@import", "url("] {
            assert!(!page.contains(outside), "{outside}");
        }
    }

    #[test]
    fn escapes_what_it_did_not_write() {
        assert_eq!(escape("<b>&"), "&lt;b&gt;&amp;");
    }
}
