//! Puts the same load on variants of the service, and prints them side by side.
use crate::{
    disturbance,
    error::Error,
    judge::{Outcome, State, judge},
    measure, report,
    run::{BURST, Run, STEADY},
    service::{self, Variant},
    session::Subject,
    settings::{Settings, workspace},
    units::show,
};
use serde::Serialize;
use std::{
    fs,
    path::{Path, PathBuf},
};

const ALLOCATORS: [&str; 3] = ["alloc-system", "alloc-jemalloc", "alloc-mimalloc"];
const RUNTIMES: [&str; 2] = ["runtime-multi-thread", "runtime-current-thread"];
/// The features of the variants that differ from a build without features.
const NEEDED: [&str; 3] = ["alloc-jemalloc", "alloc-mimalloc", "runtime-current-thread"];

const ALLOCATOR_RULE: &str = "\
How to choose: take the lowest p99.9 among those that break no gate and whose peak and RSS after the burst leave room in
the memory budget.
A difference of less than a tenth is noise: then system, which is one dependency less; jemalloc, where heap profiles
of a running process are wanted. Then make the choice with `rustgen set allocator=...`.";
const RUNTIME_RULE: &str = "\
How to choose: multi-thread, unless replicas have one CPU. There take current-thread, if it breaks no gate and its p99.9 is
not higher: it needs no synchronisation and less memory. Then make the choice with `rustgen set runtime=...`.";

/// Builds and loads the service with each allocator.
pub fn allocators(settings: &Settings, repeats: u8) -> Result<Outcome, Error> {
    let features = Features::read(&workspace(&settings.workload))?;
    let variants = ALLOCATORS.map(|feature| features.variant(feature, "alloc-"));
    compare("allocators", &variants, settings, repeats, ALLOCATOR_RULE)
}

/// Builds and loads the service with each runtime.
pub fn runtimes(settings: &Settings, repeats: u8) -> Result<Outcome, Error> {
    let features = Features::read(&workspace(&settings.workload))?;
    let variants = RUNTIMES.map(|feature| features.variant(feature, "runtime-"));
    compare("runtimes", &variants, settings, repeats, RUNTIME_RULE)
}

/// The Cargo features of the service.
pub struct Features {
    known: Vec<String>,
    /// Those that are on by default, as the team decided.
    default: Vec<String>,
}

impl Features {
    /// Of the workspace in this folder. The error names the file.
    pub fn read(workspace: &Path) -> Result<Self, String> {
        let path = workspace.join("Cargo.toml");
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let manifest: toml::Table = toml::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        let table = manifest.get("features").and_then(toml::Value::as_table).cloned().unwrap_or_default();
        let default = table.get("default").and_then(toml::Value::as_array).into_iter().flatten();
        Ok(Self {
            default: default.filter_map(toml::Value::as_str).map(str::to_owned).collect(),
            known: table.keys().cloned().collect(),
        })
    }

    /// An error that names the variants that cannot be built, if there are any.
    pub fn complete(&self) -> Result<(), String> {
        let missing: Vec<&str> =
            NEEDED.into_iter().filter(|feature| !self.known.iter().any(|known| known == feature)).collect();
        if missing.is_empty() { Ok(()) } else { Err(format!("Cargo.toml has no feature {}", missing.join(", "))) }
    }

    /// The service with `feature` in the place of its default features of the same kind. A variant that is what the service is
    /// without a feature needs none.
    fn variant(&self, feature: &str, kind: &str) -> Variant {
        let chosen = self.known.iter().filter(|known| *known == feature);
        let kept = self.default.iter().filter(|default| !default.starts_with(kind));
        let features: Vec<&str> = chosen.chain(kept).map(String::as_str).collect();
        Variant {
            name: feature.trim_start_matches(kind).to_owned(),
            features: Some(features.join(",")),
        }
    }
}

/// The medians of one variant's runs. Rates are calls per second, percentiles milliseconds, memory bytes.
#[derive(Debug, Serialize)]
struct Row {
    name: String,
    capacity: f64,
    p50: f64,
    p99: f64,
    p999: f64,
    goodput: f64,
    burst_p99: f64,
    peak: f64,
    after: f64,
    broken: Vec<&'static str>,
}

fn compare(what: &str, variants: &[Variant], settings: &Settings, repeats: u8, rule: &str) -> Result<Outcome, Error> {
    let mut known: Vec<&Option<String>> = variants.iter().map(|variant| &variant.features).collect();
    known.sort_unstable();
    known.dedup();
    if known.len() < variants.len() {
        let text = format!("Cargo.toml lacks a feature for one of the {what}: two of the builds would be the same");
        return Err(Error::Failed(text));
    }
    let mut binaries = Vec::new();
    for variant in variants {
        eprintln!("building with {}", variant.name);
        binaries.push(build_and_keep(variant, settings)?);
    }
    // Every variant gets the same load, which the weakest of them can take.
    let mut capacities = Vec::new();
    for (variant, binary) in variants.iter().zip(&binaries) {
        eprintln!("capacity with {}", variant.name);
        let run =
            measure::with(&Subject::Binary(binary, variant), settings, |session| measure::capacity(session, settings))?;
        capacities.push(run.capacity);
    }
    let load = capacities.iter().copied().fold(f64::MAX, f64::min);
    let mut runs: Vec<Vec<Run>> = variants.iter().map(|_| Vec::new()).collect();
    // The variants take turns, so that a machine that becomes slower slows all of them.
    for turn in 1..=repeats {
        for ((variant, binary), runs) in variants.iter().zip(&binaries).zip(&mut runs) {
            eprintln!("{}, run {turn} of {repeats}", variant.name);
            let mut run = measure::with(&Subject::Binary(binary, variant), settings, |session| {
                session.closed_loop("warm-up".to_owned(), 2, settings.plan.warm_up)?;
                measure::under(session, settings, load)
            })?;
            run.capacity = load;
            runs.push(run);
        }
    }
    let rows: Vec<Row> = variants
        .iter()
        .zip(&runs)
        .zip(&capacities)
        .map(|((variant, runs), capacity)| row(&variant.name, *capacity, runs, settings))
        .collect();
    let disturbed = runs.iter().flatten().find_map(disturbance::of);
    let json = serde_json::to_string_pretty(&rows).map_err(|error| error.to_string())?;
    report::save(&settings.out.join(format!("{what}.json")), &json)?;
    let title = format!(
        "{what} at the same load: {:.0}% of {load:.0} calls/s, then {} times as much; medians of {repeats}; late calls are in p99 and p99.9",
        settings.gates.steady.load * 100.0,
        settings.gates.burst.load
    );
    let made = runs.iter().flatten().next().map(|run| run.made.lines()).unwrap_or_default();
    let advice = advice(&rows, disturbed.as_deref(), rule);
    print!("{}", report::comparison(&made, &title, &cells(&rows), &advice));
    Ok(if disturbed.is_some() { Outcome::Inconclusive } else { Outcome::Held })
}

/// How to choose between the variants: by `rule`, without those that broke a gate. A run that the machine disturbed is no
/// basis for a choice.
fn advice(rows: &[Row], disturbed: Option<&str>, rule: &str) -> String {
    if let Some(disturbed) = disturbed {
        return format!("Inconclusive, measure again: {disturbed}.");
    }
    let (left, out): (Vec<&Row>, Vec<&Row>) = rows.iter().partition(|row| row.broken.is_empty());
    let broke = |row: &&Row| format!("{} is left out: it broke {}.\n", row.name, row.broken.join(", "));
    let out: String = out.iter().map(broke).collect();
    match left.as_slice() {
        [] => format!("{out}None is left to choose: mend the service, or its gates, first."),
        [only] => format!("{out}{} is left.", only.name),
        _ => format!("{out}{rule}"),
    }
}

/// Builds a variant and copies its binary to where the next build does not overwrite it.
fn build_and_keep(variant: &Variant, settings: &Settings) -> Result<PathBuf, String> {
    let built = service::build(&workspace(&settings.workload), settings.workload.binary, variant)?;
    let kept = settings.out.join(format!("service-{}", variant.name));
    fs::create_dir_all(&settings.out)
        .and_then(|()| fs::copy(&built, &kept))
        .map_err(|error| format!("{}: {error}", kept.display()))?;
    Ok(kept)
}

fn row(name: &str, capacity: f64, runs: &[Run], settings: &Settings) -> Row {
    let calls = |phase: &'static str| {
        move |run: &Run| run.phase(phase).map(|phase| phase.log.heavy.clone()).unwrap_or_default()
    };
    let median = |of: &dyn Fn(&Run) -> f64| {
        let mut values: Vec<f64> = runs.iter().map(of).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or(0.0)
    };
    let (steady, burst) = (calls(STEADY), calls(BURST));
    let mut broken: Vec<&'static str> = runs
        .iter()
        .flat_map(|run| judge(run, &settings.gates))
        .filter(|verdict| verdict.state == State::Broken)
        .map(|verdict| verdict.gate)
        .collect();
    broken.sort_unstable();
    broken.dedup();
    Row {
        name: name.to_owned(),
        capacity,
        p50: median(&|run| steady(run).p50),
        p99: median(&|run| steady(run).p99_with_late),
        p999: median(&|run| steady(run).p999_with_late),
        goodput: median(&|run| burst(run).goodput),
        burst_p99: median(&|run| burst(run).p99),
        peak: median(&|run| run.peak_rss().unwrap_or(0) as f64),
        after: median(&|run| run.rss_after().unwrap_or(0.0)),
        broken,
    }
}

fn cells(rows: &[Row]) -> Vec<Vec<String>> {
    let head = [
        "",
        "capacity",
        "p50",
        "p99",
        "p99.9",
        "goodput in burst",
        "p99 in burst",
        "peak RSS",
        "RSS after burst",
        "gates broken",
    ];
    let mut cells = vec![head.map(str::to_owned).to_vec()];
    for row in rows {
        cells.push(vec![
            row.name.clone(),
            show(row.capacity, "/s"),
            show(row.p50, "ms"),
            show(row.p99, "ms"),
            show(row.p999, "ms"),
            show(row.goodput, "/s"),
            show(row.burst_p99, "ms"),
            show(row.peak, "MiB"),
            show(row.after, "MiB"),
            if row.broken.is_empty() { "none".to_owned() } else { row.broken.join(", ") },
        ]);
    }
    cells
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variant_changes_one_decision() {
        let strings = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let features = Features {
            known: strings(&["default", "alloc-jemalloc", "alloc-mimalloc", "runtime-current-thread"]),
            default: strings(&["alloc-jemalloc", "runtime-current-thread", "tls"]),
        };
        let of = |feature, kind| features.variant(feature, kind).features.unwrap();
        assert_eq!(of("alloc-mimalloc", "alloc-"), "alloc-mimalloc,runtime-current-thread,tls");
        assert_eq!(of("alloc-system", "alloc-"), "runtime-current-thread,tls");
        assert_eq!(of("runtime-multi-thread", "runtime-"), "alloc-jemalloc,tls");
        assert_eq!(features.variant("alloc-mimalloc", "alloc-").name, "mimalloc");
        assert_eq!(features.complete(), Ok(()));
    }

    fn measured(name: &str, broken: &[&'static str]) -> Row {
        Row {
            name: name.to_owned(),
            capacity: 100.0,
            p50: 1.0,
            p99: 2.0,
            p999: 3.0,
            goodput: 90.0,
            burst_p99: 4.0,
            peak: 5.0,
            after: 6.0,
            broken: broken.to_vec(),
        }
    }

    #[test]
    fn what_breaks_a_gate_is_left_out_and_said() {
        let rows = [measured("system", &[]), measured("jemalloc", &["peak-rss"]), measured("mimalloc", &[])];
        assert_eq!(advice(&rows, None, "RULE"), "jemalloc is left out: it broke peak-rss.\nRULE");
        assert_eq!(advice(&rows[..2], None, "RULE"), "jemalloc is left out: it broke peak-rss.\nsystem is left.");
        assert!(
            advice(&rows[1..2], None, "RULE")
                .ends_with("None is left to choose: mend the service, or its gates, first.")
        );
        assert_eq!(advice(&rows, Some("noise"), "RULE"), "Inconclusive, measure again: noise.");
    }

    #[test]
    fn a_missing_feature_is_named() {
        let features = Features {
            known: vec!["alloc-jemalloc".to_owned()],
            default: Vec::new(),
        };
        let error = features.complete().unwrap_err();
        assert_eq!(error, "Cargo.toml has no feature alloc-mimalloc, runtime-current-thread");
    }
}
