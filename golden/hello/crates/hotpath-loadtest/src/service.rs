//! The service under test: built, started on free ports, and always stopped.
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    io::{BufRead as _, BufReader, Write as _},
    net::SocketAddr,
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
    sync::{
        Once,
        atomic::{AtomicI32, Ordering},
        mpsc,
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

/// How long the service may take until it says that it serves.
const START: Duration = Duration::from_secs(20);
/// How long the service may take to stop. Its drain takes at most 20 s unless it was set otherwise.
const STOP: Duration = Duration::from_secs(30);
/// Lines of its log that an error repeats.
const LAST_LINES: usize = 12;

/// The process of the service, for the hook that kills it when this process panics: under `panic = "abort"` nothing is
/// dropped. 0 while there is none.
static CHILD: AtomicI32 = AtomicI32::new(0);
static HOOK: Once = Once::new();

/// A way to build the service. The default is its own: without a name, and with its default features.
#[derive(Clone, Debug, Default)]
pub struct Variant {
    pub name: String,
    /// The features to build with instead of the default ones, separated by commas.
    pub features: Option<String>,
}

/// Builds the service as it is shipped and returns its binary, which is called `name`.
pub fn build(workspace: &Path, name: &str, variant: &Variant) -> Result<PathBuf, String> {
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.args(["build", "--release", "--locked", "--bin", name, "--message-format", "json-render-diagnostics"]);
    if let Some(features) = &variant.features {
        cargo.args(["--no-default-features", "--features", features]);
    }
    let output = cargo
        .current_dir(workspace)
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("cargo does not run: {error}"))?;
    if !output.status.success() {
        return Err(format!("the service does not build: {cargo:?}"));
    }
    String::from_utf8_lossy(&output.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok()?.get("executable")?.as_str().map(PathBuf::from))
        .find(|path| path.file_name().is_some_and(|file| file == name))
        .ok_or_else(|| format!("cargo built no binary named {name}"))
}

/// The process of the service; dropping it stops it.
pub struct Service {
    child: Child,
    log: Option<JoinHandle<VecDeque<String>>>,
    state: PathBuf,
    pub listen: SocketAddr,
    pub admin: Option<SocketAddr>,
}

/// How the service ended.
pub struct Ended {
    /// None if it had to be killed.
    pub status: Option<ExitStatus>,
    pub last_lines: String,
}

impl Service {
    /// Starts the binary with these environment variables and its log in `folder`, and waits until it serves. The error
    /// repeats the last lines of its log.
    pub fn start(binary: &Path, env: &BTreeMap<&str, String>, folder: &Path) -> Result<Self, String> {
        let state = folder.join(format!("state-{}", std::process::id()));
        fs::create_dir_all(&state).map_err(|error| format!("{}: {error}", state.display()))?;
        let mut command = Command::new(binary);
        command
            .env("LISTEN", "127.0.0.1:0")
            .env("ADMIN", "127.0.0.1:0")
            .env("DRAIN_DELAY_MS", "0")
            .env("STATE_DIR", &state)
            .envs(env)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            // The terminal's Ctrl-C does not reach another process group: this process stops the service.
            .process_group(0);
        let mut child = command.spawn().map_err(|error| format!("{}: {error}", binary.display()))?;
        CHILD.store(i32::try_from(child.id()).unwrap_or(0), Ordering::Relaxed);
        let stderr = child.stderr.take().ok_or("no standard error")?;
        let file = folder.join("server.log");
        let file = fs::File::create(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let (serving, served) = mpsc::sync_channel(1);
        let log = thread::spawn(move || follow(stderr, file, &serving));
        let none = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut service = Self { child, log: Some(log), state, listen: none, admin: None };
        match served.recv_timeout(START) {
            Ok((listen, admin)) => {
                (service.listen, service.admin) = (listen, admin);
                Ok(service)
            }
            Err(_) => {
                let ended = service.stop();
                Err(format!("the service did not say that it serves; its last lines:\n{}", ended.last_lines))
            }
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether the service has ended by itself.
    pub fn is_gone(&mut self) -> bool {
        !matches!(self.child.try_wait(), Ok(None))
    }

    /// Sends SIGTERM, waits for the drain, and kills a service that has not ended by then.
    pub fn stop(mut self) -> Ended {
        let status = self.end();
        let lines = self.log.take().and_then(|log| log.join().ok()).unwrap_or_default();
        Ended { status, last_lines: Vec::from(lines).join("\n") }
    }

    fn end(&mut self) -> Option<ExitStatus> {
        if let Ok(None) = self.child.try_wait() {
            let _ = kill_process(Pid::from_child(&self.child), Signal::TERM);
        }
        let deadline = Instant::now() + STOP;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.child.try_wait() {
                CHILD.store(0, Ordering::Relaxed);
                return Some(status);
            }
            thread::sleep(Duration::from_millis(20));
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        CHILD.store(0, Ordering::Relaxed);
        None
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.end();
        let _ = fs::remove_dir_all(&self.state);
    }
}

/// From here on a panic of this process kills the service before it is reported.
pub fn kill_on_panic() {
    HOOK.call_once(|| {
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |info| {
            if let Some(pid) = Pid::from_raw(CHILD.load(Ordering::Relaxed)) {
                let _ = kill_process(pid, Signal::KILL);
            }
            before(info);
        }));
    });
}

/// Copies the log to a file, finds the line that says where it serves, and keeps the last lines for an error.
fn follow(
    stderr: ChildStderr,
    mut file: fs::File,
    serving: &mpsc::SyncSender<(SocketAddr, Option<SocketAddr>)>,
) -> VecDeque<String> {
    let mut last = VecDeque::with_capacity(LAST_LINES);
    let mut served = false;
    for line in BufReader::new(stderr).lines().map_while(Result::ok) {
        let _ = writeln!(file, "{line}");
        if !served && let Some(addresses) = addresses(&line) {
            served = serving.send(addresses).is_ok();
        }
        if last.len() == LAST_LINES {
            last.pop_front();
        }
        last.push_back(line);
    }
    last
}

/// The addresses of the line that says "serving", wherever its fields stand.
fn addresses(line: &str) -> Option<(SocketAddr, Option<SocketAddr>)> {
    let value: Value = serde_json::from_str(line).ok()?;
    let field = |name: &str| {
        let own = value.get(name).or_else(|| value.get("fields")?.get(name));
        own.and_then(Value::as_str)
    };
    if field("message")? != "serving" {
        return None;
    }
    Some((field("listen")?.parse().ok()?, field("admin").and_then(|admin| admin.parse().ok())))
}

#[cfg(test)]
mod tests {
    use super::addresses;

    #[test]
    fn finds_where_the_service_serves() {
        let line =
            r#"{"level":"INFO","message":"serving","listen":"127.0.0.1:4000","admin":"127.0.0.1:4001","limits":{}}"#;
        let (listen, admin) = addresses(line).unwrap();
        assert_eq!((listen.port(), admin.unwrap().port()), (4_000, 4_001));
        let nested = r#"{"level":"INFO","fields":{"message":"serving","listen":"127.0.0.1:4000"}}"#;
        assert_eq!(addresses(nested).unwrap().0.port(), 4_000);
        assert!(addresses(r#"{"message":"starting","listen":"127.0.0.1:4000"}"#).is_none());
        assert!(addresses("thread main panicked").is_none());
    }
}
