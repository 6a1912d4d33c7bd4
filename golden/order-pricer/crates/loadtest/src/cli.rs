//! The command line.
use crate::{
    capacity, compare,
    gates::{Gates, judge},
    measure,
    plan::Plan,
    report,
    run::Run,
    service::{self, Variant},
    session::{Remote, Session, Subject},
    workload::DEADLINE,
};
use clap::{Args, Parser, Subcommand};
use std::{net::SocketAddr, path::PathBuf, time::Duration};

/// Puts the service under load and holds it to gates.toml.
#[derive(Parser)]
#[command(name = "loadtest")]
pub struct Cli {
    #[command(subcommand)]
    command: Cmd,
}

#[derive(Subcommand)]
enum Cmd {
    /// All phases and gates: idle, warm-up, capacity, steady load, burst, recovery
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
    /// Builds and loads the service with each allocator
    CompareAllocators(Compare),
    /// Builds and loads the service with each Tokio runtime
    CompareRuntimes(Compare),
}

#[derive(Args)]
pub struct Options {
    /// Shorter phases, for a pipeline: about a minute and a half
    #[arg(long)]
    quick: bool,
    /// Makes every phase longer or shorter by this factor
    #[arg(long, value_name = "FACTOR", default_value_t = 1.0, value_parser = scale)]
    scale: f64,
    /// Of the arrival times: the same seed and rates give the same arrivals
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// The limits [default: crates/loadtest/gates.toml]
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
}

#[derive(Args)]
struct Compare {
    #[command(flatten)]
    options: Options,
    /// Runs of each variant, in turn; the medians are printed [default: 3, with --quick 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(1..=20))]
    repeat: Option<u8>,
}

/// Everything that a run needs to know.
pub struct Settings {
    pub gates: Gates,
    pub plan: Plan,
    pub seed: u64,
    pub out: PathBuf,
}

impl Options {
    fn settings(&self) -> Result<Settings, String> {
        let path = self.gates.clone().unwrap_or_else(|| service::home().join("gates.toml"));
        let gates = Gates::read(&path)?;
        for limit in gates.out_of_reach(DEADLINE) {
            eprintln!("warning: {}: {limit}", path.display());
        }
        let plan = if self.quick { Plan::quick(gates.recovery()) } else { Plan::full(gates.recovery()) };
        let out = self.out.clone().unwrap_or_else(|| service::workspace().join("target/loadtest"));
        Ok(Settings { gates, plan: plan.scaled(self.scale), seed: self.seed, out })
    }
}

/// Whether every gate held.
pub fn run(cli: Cli) -> Result<bool, String> {
    match cli.command {
        Cmd::Run { options, target } => {
            let settings = options.settings()?;
            let run = measured(&target, &settings, |session| measure::phases(session, &settings))?;
            judged(&run, &settings)
        }
        Cmd::Capacity { options, target } => {
            let settings = options.settings()?;
            let run = measured(&target, &settings, |session| measure::capacity(session, &settings))?;
            println!("{}", capacity::table(&run));
            Ok(true)
        }
        Cmd::Soak { options, target, length } => {
            let settings = options.settings()?;
            let run = measured(&target, &settings, |session| measure::soak(session, &settings, length))?;
            judged(&run, &settings)
        }
        Cmd::CompareAllocators(compare) => compare::allocators(&compare.options.settings()?, compare.repeats()),
        Cmd::CompareRuntimes(compare) => compare::runtimes(&compare.options.settings()?, compare.repeats()),
    }
}

impl Compare {
    fn repeats(&self) -> u8 {
        self.repeat.unwrap_or(if self.options.quick { 1 } else { 3 })
    }
}

fn measured(
    target: &TargetArgs,
    settings: &Settings,
    work: impl FnOnce(&mut Session) -> Result<(), String>,
) -> Result<Run, String> {
    let Some(uri) = &target.target else {
        let variant = Variant::default();
        let binary = service::build(&variant)?;
        return measure::with(&Subject::Binary(&binary, &variant), settings, work);
    };
    let remote = Remote { uri: uri.clone(), pid: target.pid, admin: target.admin };
    eprintln!(
        "loading {uri}, which this test did not start: whoever else uses it will feel it, and be measured with it"
    );
    if target.pid.is_none() {
        eprintln!("no --pid: memory, threads and descriptors are not measured, and their gates are skipped");
    }
    if target.admin.is_none() {
        eprintln!("no --admin: the memory budget is not known, and causes are guessed from outside");
    }
    measure::with(&Subject::Remote(&remote), settings, work)
}

fn judged(run: &Run, settings: &Settings) -> Result<bool, String> {
    let verdicts = judge(run, &settings.gates);
    report::write(run, &verdicts, &settings.out)?;
    report::print(run, &verdicts);
    println!("\n{} and report.json", settings.out.join("report.html").display());
    Ok(report::passed(&verdicts))
}

fn scale(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(factor) if (0.1..=100.0).contains(&factor) => Ok(factor),
        _ => Err("a number from 0.1 to 100".to_owned()),
    }
}

/// "90s", "30m", "8h".
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

    #[test]
    fn the_gates_of_this_service_are_readable() {
        Gates::read(&service::home().join("gates.toml")).unwrap();
    }
}
