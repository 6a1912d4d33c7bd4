//! The process. What it serves is in the library beside it.
use std::process::ExitCode;

fn main() -> ExitCode {
    hotpath::run(service::app::app())
}
