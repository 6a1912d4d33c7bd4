//! What changed between two runs, by their reports.
use crate::{
    report::align,
    run::{BURST, SOAK, STEADY},
    units::show,
};
use serde_json::Value;
use std::{collections::BTreeSet, fmt::Write as _, fs, path::Path};

/// A figure of a run: how it is called, where it stands in the report, and its unit.
type Figure = (&'static str, fn(&Value) -> Option<f64>, &'static str);

const FIGURES: &[Figure] = &[
    ("capacity", |report| at(report, "/run/capacity").as_f64(), "/s"),
    ("steady p50", |report| call(report, STEADY, "heavy", "p50"), "ms"),
    ("steady p99", |report| call(report, STEADY, "heavy", "p99_with_late"), "ms"),
    ("steady p99.9", |report| call(report, STEADY, "heavy", "p999_with_late"), "ms"),
    ("soak p99", |report| call(report, SOAK, "heavy", "p99_with_late"), "ms"),
    ("burst goodput", |report| call(report, BURST, "heavy", "goodput"), "/s"),
    ("burst p99", |report| call(report, BURST, "heavy", "p99"), "ms"),
    ("burst cheap p99", |report| call(report, BURST, "cheap", "p99"), "ms"),
    ("burst health p99", |report| call(report, BURST, "health", "p99"), "ms"),
    ("burst stream gap p99", |report| call(report, BURST, "streams", "gap_p99"), "ms"),
    ("peak RSS", peak, "MiB"),
];

/// The comparison as text. The error says which file is no report of a run.
pub fn compare(before: &Path, after: &Path) -> Result<String, String> {
    let (before, after) = (read(before)?, read(after)?);
    Ok(text(&before, &after))
}

fn read(path: &Path) -> Result<Value, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let report: Value = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
    if at(&report, "/run/capacity").is_f64() {
        Ok(report)
    } else {
        Err(format!("{}: not the report.json of a run", path.display()))
    }
}

fn text(before: &Value, after: &Value) -> String {
    let mut out = String::new();
    let mut head = vec![["", "before", "after"].map(str::to_owned).to_vec()];
    for part in ["date", "version", "revision"] {
        head.push(vec![part.to_owned(), made(before, part), made(after, part)]);
    }
    head.push(vec!["outcome".to_owned(), word(at(before, "/outcome")), word(at(after, "/outcome"))]);
    let _ = writeln!(out, "\n{}", align(&head));
    for line in differences(before, after) {
        let _ = writeln!(out, "{line}");
    }
    let _ = write!(out, "\n{}", align(&rows(before, after)));
    out
}

/// What else than the service may be why two runs differ.
fn differences(before: &Value, after: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    let changed = |path: &str| {
        let (then, now) = (word(at(before, path)), word(at(after, path)));
        (then != now).then_some((then, now))
    };
    for (name, path) in [("CPUs", "cpus"), ("CPU", "cpu"), ("kernel", "kernel")] {
        if let Some((then, now)) = changed(&format!("/run/made/machine/{path}")) {
            lines.push(format!("another machine: {name} {then}, then {now}: compare with care"));
        }
    }
    let decisions = [before, after].map(|report| at(report, "/run/made/decisions").as_object());
    let names: BTreeSet<&String> = decisions.into_iter().flatten().flat_map(|decisions| decisions.keys()).collect();
    for name in names {
        if let Some((then, now)) = changed(&format!("/run/made/decisions/{name}")) {
            lines.push(format!("decision {name}: {then}, then {now}"));
        }
    }
    for (when, report) in [("before", before), ("after", after)] {
        if at(report, "/outcome") == "inconclusive" {
            lines.push(format!("the machine disturbed the run {when}: what differs may be its doing"));
        }
    }
    lines
}

fn rows(before: &Value, after: &Value) -> Vec<Vec<String>> {
    let mut rows = vec![["", "before", "after", "change"].map(str::to_owned).to_vec()];
    for (name, of, unit) in FIGURES {
        let (Some(then), Some(now)) = (of(before), of(after)) else { continue };
        let change = if then == 0.0 { "-".to_owned() } else { format!("{:+.0}%", (now / then - 1.0) * 100.0) };
        rows.push(vec![(*name).to_owned(), show(then, unit), show(now, unit), change]);
    }
    for verdict in items(after, "/gates") {
        let gate = at(verdict, "/gate");
        let then = items(before, "/gates").find(|then| at(then, "/gate") == gate);
        let then = then.map_or_else(|| "-".to_owned(), |then| word(at(then, "/state")));
        let now = word(at(verdict, "/state"));
        if then != now {
            rows.push(vec![format!("gate {}", word(gate)), then, now, String::new()]);
        }
    }
    rows
}

/// A number of a class of calls in a phase.
fn call(report: &Value, phase: &str, class: &str, number: &str) -> Option<f64> {
    let of = items(report, "/run/phases").find(|each| at(each, "/name") == phase)?.get(class)?;
    // A class that had no calls has no latency either.
    let any = of.get("offered").or_else(|| of.get("open"))?.as_u64()? > 0;
    of.get(number)?.as_f64().filter(|_| any)
}

fn peak(report: &Value) -> Option<f64> {
    items(report, "/run/samples").filter_map(|sample| at(sample, "/peak").as_f64()).reduce(f64::max)
}

fn made(report: &Value, part: &str) -> String {
    word(at(report, &format!("/run/made/{part}")))
}

/// What stands at a path; null where nothing does.
fn at<'a>(value: &'a Value, path: &str) -> &'a Value {
    value.pointer(path).unwrap_or(&Value::Null)
}

/// The items of the list at a path.
fn items<'a>(value: &'a Value, path: &str) -> impl Iterator<Item = &'a Value> + use<'a> {
    at(value, path).as_array().into_iter().flatten()
}

/// A value as a word; a dash where there is none.
fn word(value: &Value) -> String {
    match value {
        Value::String(text) if !text.is_empty() => text.clone(),
        Value::Null | Value::String(_) => "-".to_owned(),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        fixture::{broken_run, gates, good_run},
        judge::judge,
        report,
        run::Run,
    };

    fn report_of(mut run: Run, name: &str, allocator: &str) -> Value {
        run.made.revision = name.to_owned();
        run.made.decisions.insert("allocator".to_owned(), allocator.to_owned());
        run.made.machine.cpus = 2;
        let folder = std::env::temp_dir().join(format!("versus-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).unwrap();
        report::write(&run, &judge(&run, &gates()), &folder).unwrap();
        let report = read(&folder.join("report.json")).unwrap();
        fs::remove_dir_all(folder).unwrap();
        report
    }

    #[test]
    fn what_changed_is_told_with_what_it_was_measured_on() {
        let before = report_of(good_run(), "aaaa", "system");
        let mut after = report_of(broken_run(), "bbbb", "jemalloc");
        after["run"]["made"]["machine"]["cpus"] = 4.into();
        let text = text(&before, &after);
        for said in [
            "aaaa",
            "bbbb",
            "decision allocator: system, then jemalloc",
            "another machine: CPUs 2, then 4",
            "burst goodput",
            "-90%",
            "gate burst-goodput",
            "broken",
        ] {
            assert!(text.contains(said), "{said}: {text}");
        }
        assert!(!text.contains("gate peak-rss"), "it held in both: {text}");
    }

    #[test]
    fn what_is_no_report_is_refused_by_name() {
        let path = std::env::temp_dir().join(format!("no-report-{}.json", std::process::id()));
        fs::write(&path, "{\"run\": {}}").unwrap();
        let error = compare(&path, &path).unwrap_err();
        fs::remove_file(&path).unwrap();
        assert!(error.ends_with("not the report.json of a run"), "{error}");
    }
}
