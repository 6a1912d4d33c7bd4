//! Reports of a run: a table on standard output, JSON for programs, and an HTML page with charts.
mod html;
mod plot;
mod table;

use crate::{
    judge::{Outcome, Verdict},
    run::Run,
};
use serde::Serialize;
use std::{fs, path::Path};
pub use table::{align, capacity, comparison, print};

#[derive(Serialize)]
struct Report<'a> {
    /// Whether no gate is broken, nor inconclusive.
    passed: bool,
    outcome: Outcome,
    gates: &'a [Verdict],
    run: &'a Run,
}

/// Writes report.json and report.html. The error names the file.
pub fn write(run: &Run, verdicts: &[Verdict], out: &Path) -> Result<(), String> {
    let outcome = Outcome::of(verdicts);
    let report = Report {
        passed: outcome == Outcome::Held,
        outcome,
        gates: verdicts,
        run,
    };
    let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    save(&out.join("report.json"), &json)?;
    save(&out.join("report.html"), &html::page(run, verdicts))
}

/// Writes a file. The error names it.
pub fn save(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}
