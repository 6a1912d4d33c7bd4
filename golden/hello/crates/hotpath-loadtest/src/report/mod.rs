//! Reports of a run: a table on standard output, JSON for programs, and an HTML page with charts.
mod html;
mod plot;
mod table;

use crate::{
    judge::{State, Verdict},
    run::Run,
};
use serde::Serialize;
use std::{fs, path::Path};
pub use table::{capacity, comparison, print};

#[derive(Serialize)]
struct Report<'a> {
    passed: bool,
    gates: &'a [Verdict],
    run: &'a Run,
}

/// Writes report.json and report.html. The error names the file.
pub fn write(run: &Run, verdicts: &[Verdict], out: &Path) -> Result<(), String> {
    let report = Report { passed: passed(verdicts), gates: verdicts, run };
    let json = serde_json::to_string_pretty(&report).map_err(|error| error.to_string())?;
    save(&out.join("report.json"), &json)?;
    save(&out.join("report.html"), &html::page(run, verdicts))
}

/// Writes a file. The error names it.
pub fn save(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

/// Whether no gate is broken.
pub fn passed(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|verdict| verdict.state != State::Broken)
}
