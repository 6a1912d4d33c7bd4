//! The command line.
use crate::{
    compare,
    error::Error,
    gates::Gates,
    judge::{Outcome, judge},
    measure,
    plan::Plan,
    report,
    run::Run,
    service::{self, Variant},
    session::{Remote, Session, Subject},
    settings::{Settings, home, workspace},
    transport, versus,
    workload::Workload,
};
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};

const FAILED: u8 = 1;
const GATE_BROKE: u8 = 4;
const INCONCLUSIVE: u8 = 5;
const INTERRUPTED: u8 = 130;

/// The load test of a service: reads the command line of this process, runs what it says, and prints what came of it.
///
/// The exit code is 0 if every gate held, 1 if the run failed, 2 if the command line is wrong, 4 if a gate broke, 5 if the
/// machine disturbed the run so much that it says nothing, and 130 if Ctrl-C or SIGTERM ended it. However it ends, a service that it started is stopped.
pub fn main(workload: Workload) -> ExitCode {
    service::kill_on_panic();
    match run(Cli::parse(), &Arc::new(workload)) {
        Ok(Outcome::Held) => ExitCode::SUCCESS,
        Ok(Outcome::Broken) => ExitCode::from(GATE_BROKE),
        Ok(Outcome::Inconclusive) => ExitCode::from(INCONCLUSIVE),
        Err(error) => {
            eprintln!("{error}");
            ExitCode::from(if error == Error::Interrupted { INTERRUPTED } else { FAILED })
        }
    }
}

/// Puts the service under load and holds it to gates.toml.
#[derive(Parser)]
#[command(name = "loadtest")]
struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// All phases and gates: idle, warm-up, capacity, steady load, burst, recovery. A run that the machine disturbed is made
    /// once more by itself
    Run {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Only finds how many heavy calls a second the service answers
    Capacity {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        target: TargetArgs,
    },
    /// Steady load for a long time: does anything grow?
    Soak {
        #[command(flatten)]
        options: Options,
        #[command(flatten)]
        target: TargetArgs,
        /// For how long, such as 90s, 30m or 8h
        #[arg(long = "for", value_name = "DURATION", default_value = "30m", value_parser = duration)]
        length: Duration,
    },
    /// What changed between two runs, by their report.json
    Compare {
        /// The report of the run before
        before: PathBuf,
        /// The report of the run after
        after: PathBuf,
    },
    /// Builds and loads the service with each allocator
    CompareAllocators(Variants),
    /// Builds and loads the service with each Tokio runtime
    CompareRuntimes(Variants),
    /// Makes certificates for the service and a caller of it on this machine, and prints the variables that the service needs
    #[cfg(feature = "tls")]
    Certificates {
        /// Where they go, in the place of those that are there
        #[arg(default_value = "target/tls")]
        folder: PathBuf,
    },
}

#[derive(Args)]
struct Options {
    /// Shorter phases, for a pipeline: about a minute and a half
    #[arg(long)]
    quick: bool,
    /// Makes every phase longer or shorter by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Seed of the arrival times: the same seed and rates give the same arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The limits [default: loadtest/gates.toml]
    #[arg(long, value_name = "FILE")]
    gates: Option<PathBuf>,
    /// Where report.html, report.json and server.log go [default: target/loadtest]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
}

#[derive(Args)]
struct TargetArgs {
    /// Load a service that runs already, such as http://127.0.0.1:50051, instead of building and starting it
    #[arg(long, value_name = "URI")]
    target: Option<String>,
    /// Its process on this machine: without it, memory is not measured
    #[arg(long, requires = "target")]
    pid: Option<u32>,
    /// Its admin address: without it, causes are guessed from outside
    #[arg(long, value_name = "IP:PORT", requires = "target")]
    admin: Option<SocketAddr>,
    #[cfg(feature = "tls")]
    #[command(flatten)]
    files: transport::Files,
}

#[derive(Args)]
struct Variants {
    #[command(flatten)]
    options: Options,
    /// Runs of each variant, in turn; the medians are printed [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    repeat: Option<u8>,
}

impl Options {
    fn settings(&self, workload: &Arc<Workload>) -> Result<Settings, String> {
        let path = self.gates.clone().unwrap_or_else(|| home(workload).join("gates.toml"));
        let gates = Gates::read(&path)?;
        for limit in gates.out_of_reach(workload.deadline) {
            eprintln!("warning: {}: {limit}", path.display());
        }
        let plan = if self.quick { Plan::quick(gates.recovery()) } else { Plan::full(gates.recovery()) };
        let out = self.out.clone().unwrap_or_else(|| workspace(workload).join("target/loadtest"));
        Ok(Settings {
            workload: Arc::clone(workload),
            gates,
            plan: plan.scaled(self.scale),
            seed: self.seed,
            out,
        })
    }
}

fn run(cli: Cli, workload: &Arc<Workload>) -> Result<Outcome, Error> {
    match cli.command {
        Cmd::Run { options, target } => {
            let settings = options.settings(workload)?;
            let once = || {
                let run = measured(&target, &settings, |session| measure::phases(session, &settings))?;
                judged(&run, &settings)
            };
            match once()? {
                Outcome::Inconclusive => {
                    eprintln!("inconclusive, for the reasons above: once more");
                    once()
                }
                outcome => Ok(outcome),
            }
        }
        Cmd::Capacity { options, target } => {
            let settings = options.settings(workload)?;
            let run = measured(&target, &settings, |session| measure::capacity(session, &settings))?;
            println!("{}", report::capacity(&run));
            Ok(Outcome::Held)
        }
        Cmd::Soak { options, target, length } => {
            let settings = options.settings(workload)?;
            let run = measured(&target, &settings, |session| measure::soak(session, &settings, length))?;
            judged(&run, &settings)
        }
        Cmd::Compare { before, after } => {
            print!("{}", versus::compare(&before, &after)?);
            Ok(Outcome::Held)
        }
        Cmd::CompareAllocators(args) => compare::allocators(&args.options.settings(workload)?, args.repeats()),
        Cmd::CompareRuntimes(args) => compare::runtimes(&args.options.settings(workload)?, args.repeats()),
        #[cfg(feature = "tls")]
        Cmd::Certificates { folder } => {
            println!("{}", transport::certificates(&folder)?);
            Ok(Outcome::Held)
        }
    }
}

impl Variants {
    fn repeats(&self) -> u8 {
        self.repeat.unwrap_or(if self.options.quick { 1 } else { 3 })
    }
}

fn measured(
    target: &TargetArgs,
    settings: &Settings,
    work: impl FnOnce(&mut Session) -> Result<(), Error>,
) -> Result<Run, Error> {
    let Some(uri) = &target.target else {
        let variant = Variant::default();
        let binary = service::build(&workspace(&settings.workload), settings.workload.binary, &variant)?;
        return measure::with(&Subject::Binary(&binary, &variant), settings, work);
    };
    let endpoint = transport::remote(uri)?;
    #[cfg(feature = "tls")]
    let endpoint = target.files.trusted(endpoint)?;
    let remote = Remote { endpoint, pid: target.pid, admin: target.admin };
    eprintln!(
        "loading {uri}, which this test did not start: its other callers feel the load, and are measured with it"
    );
    if target.pid.is_none() {
        eprintln!("no --pid: memory, threads and descriptors are not measured, and their gates are skipped");
    }
    if target.admin.is_none() {
        eprintln!("no --admin: the memory budget is not known, and causes are guessed from outside");
    }
    measure::with(&Subject::Remote(&remote), settings, work)
}

fn judged(run: &Run, settings: &Settings) -> Result<Outcome, Error> {
    let verdicts = judge(run, &settings.gates);
    report::write(run, &verdicts, &settings.out)?;
    report::print(run, &verdicts);
    println!("\n{} and report.json", settings.out.join("report.html").display());
    Ok(Outcome::of(&verdicts))
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.1..=100.0).contains(&factor) => Ok(factor),
        _ => Err("a number from 0.1 to 100".to_owned()),
    }
}

/// Parses a duration such as "90s", "30m" or "8h".
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a number and a unit, such as 90s, 30m or 8h, up to 7 days".to_owned();
    let (number, unit) = text.split_at_checked(text.len().saturating_sub(1)).ok_or_else(wrong)?;
    let each = match unit {
        "s" => 1,
        "m" => 60,
        "h" => 3_600,
        _ => return Err(wrong()),
    };
    let seconds = number.parse::<u64>().ok().and_then(|number| number.checked_mul(each)).ok_or_else(wrong)?;
    if (10..=7 * 86_400).contains(&seconds) {
        Ok(Duration::from_secs(seconds))
    } else {
        Err("from 10s to 168h".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("8h"), Ok(Duration::from_secs(28_800)));
        for wrong in ["", "5", "m", "1d", "-1m", "9s", "999h", "é"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
