//! What only a process of its own can show: exit codes, signals, descriptors, state across restarts.
use crate::support::{PATIENCE, client, eventually, order, page, pb::Order, start};
use hotpath::{Dialect, Env, OnPanic};
use std::{
    fs::File,
    net::SocketAddr,
    path::PathBuf,
    process::{Child, Command, Stdio},
    time::Instant,
};
use tokio::net::TcpStream;

/// The process that the other tests start: this test binary once more, as a server.
#[test]
#[ignore = "started by the other tests"]
fn fixture_process() {
    let Some(on_panic) = std::env::var_os("FIXTURE_PROCESS") else { return };
    let on_panic = if on_panic == "abort" { OnPanic::Abort } else { OnPanic::Drain };
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "nothing is changed without TLS"))]
    let mut app = hotpath_conformance::app(on_panic, Dialect::GoGrpcMiddleware);
    #[cfg(feature = "tls")]
    if std::env::var_os("FIXTURE_TLS").is_some_and(|tls| tls == "mutual") {
        app.tls = hotpath::Tls::Mutual;
    }
    std::process::exit(hotpath::serve(&app, Env::process()).into());
}

pub struct Process {
    pub child: Child,
    log: PathBuf,
    pub folder: PathBuf,
}

impl Process {
    /// Starts one, under `ulimit` where given.
    pub fn start(name: &str, ulimit: &str, settings: &[(&str, &str)]) -> Self {
        Self::start_with(name, ulimit, settings, None)
    }

    /// Starts one whose log goes to `stderr` and not to a file.
    pub fn start_with(name: &str, ulimit: &str, settings: &[(&str, &str)], stderr: Option<Stdio>) -> Self {
        let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR"))
            .join(format!("fixture-process-{}-{name}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let log = folder.join("log");
        let command = format!("{ulimit} exec \"$0\" --exact process::fixture_process --ignored --nocapture");
        let child = Command::new("sh")
            .args(["-c", &command])
            .arg(std::env::current_exe().unwrap())
            .env("FIXTURE_PROCESS", "drain")
            .envs([("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0")])
            .env("STATE_DIR", folder.join("state"))
            .envs(settings.iter().copied())
            .stdout(File::create(folder.join("stdout")).unwrap())
            .stderr(stderr.unwrap_or_else(|| File::create(&log).unwrap().into()))
            .spawn()
            .unwrap();
        Self { child, log, folder }
    }

    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap()
    }

    /// An address that it logged when it began to serve.
    pub async fn address(&self, name: &str) -> SocketAddr {
        let key = format!("\"{name}\":\"");
        eventually("it serves", async || self.log().contains(&key)).await;
        let log = self.log();
        log.split(&key).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
    }

    /// The most bytes that it had resident.
    #[cfg(target_os = "linux")]
    pub fn peak_memory(&self) -> usize {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<usize>().unwrap() << 10
    }

    pub fn signal(&self, name: &str) {
        let status = Command::new("kill").args([name, &self.child.id().to_string()]).status().unwrap();
        assert!(status.success());
    }

    /// How it ended: its exit code, or none and the signal.
    pub async fn ended(&mut self) -> (Option<i32>, Option<i32>) {
        use std::os::unix::process::ExitStatusExt as _;
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status.code(), status.signal());
            }
            assert!(Instant::now() < end, "still runs: {}", self.log());
            tokio::time::sleep(std::time::Duration::from_millis(10)).await;
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
        drop(std::fs::remove_dir_all(&self.folder));
    }
}

#[tokio::test]
async fn sigterm_and_sigint_end_it_with_success() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::start(signal, "", &[]);
        client(process.address("listen").await).await.call(order("echo", 1)).await.unwrap();
        process.signal(signal);
        assert_eq!(process.ended().await, (Some(0), None));
        assert!(process.log().lines().all(|line| line.starts_with('{') && line.ends_with('}')), "{}", process.log());
    }
}

#[tokio::test]
async fn a_cut_call_ends_it_with_75() {
    let mut process = Process::start("cut", "", &[("DRAIN_MS", "50"), ("MAX_DEADLINE_MS", "600000")]);
    let mut stream =
        client(process.address("listen").await).await.stream(order("endless", 1)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(75), None));
}

#[tokio::test]
async fn a_wrong_setting_is_named_and_ends_it_with_78() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().map(|address| (address.to_string(), taken)).unwrap();
    for (name, value) in [
        ("MEMORY_BUDGET", "much"),
        ("MEMORY_BUDGET", "25MiB"),
        ("WORKERS", "two"),
        ("WORKERS", "99999999"),
        ("LISTEN", "nowhere"),
        ("LISTEN", &taken.0),
        ("ADMIN", &taken.0),
        ("TRACE_RATIO", "7"),
        ("TRACE_RATIO", "NaN"),
    ] {
        let mut process = Process::start("wrong", "", &[(name, value)]);
        assert_eq!(process.ended().await, (Some(78), None), "{name}={value}");
        let log = process.log();
        assert_eq!(log.lines().filter(|line| line.contains("\"ERROR\"")).count(), 1, "{log}");
        assert!(log.lines().any(|line| line.contains("\"ERROR\"") && line.contains("cannot start")), "{log}");
        assert!(log.contains(&format!("{name}={value}")) || log.contains("memory budget"), "{log}");
    }
}

/// Waits until a process that does not serve yet has its own handler for SIGTERM.
#[cfg(target_os = "linux")]
async fn handles_signals(process: &Process) {
    const SIGTERM: u64 = 1 << (15 - 1);
    let status = format!("/proc/{}/status", process.child.id());
    eventually("it handles SIGTERM", async || {
        let status = std::fs::read_to_string(&status).unwrap();
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:\t")).unwrap();
        u64::from_str_radix(caught, 16).unwrap() & SIGTERM != 0
    })
    .await;
}

/// A service that waits for its database, say, is not there for good because of it.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_signal_before_it_serves_ends_it() {
    for signal in ["-TERM", "-INT"] {
        let mut process = Process::start(&format!("early{signal}"), "", &[("FIXTURE_START_MS", "600000")]);
        handles_signals(&process).await;
        process.signal(signal);
        assert_eq!(process.ended().await, (Some(0), None));
        assert!(process.log().contains("stopped before it served"), "{}", process.log());
    }
}

#[tokio::test]
async fn ctrl_c_does_not_wait_for_a_balancer() {
    let mut process = Process::start("ctrl-c", "", &[("DRAIN_DELAY_MS", "600000")]);
    client(process.address("listen").await).await.call(order("echo", 1)).await.unwrap();
    process.signal("-INT");
    assert_eq!(process.ended().await, (Some(0), None));
}

#[tokio::test]
async fn a_second_signal_ends_it_at_once() {
    for (first, second) in [("-TERM", "-TERM"), ("-TERM", "-INT"), ("-INT", "-INT")] {
        let patient = [("DRAIN_DELAY_MS", "600000"), ("DRAIN_MS", "600000"), ("MAX_DEADLINE_MS", "600000")];
        let mut process = Process::start(&format!("twice{first}{second}"), "", &patient);
        let mut client = client(process.address("listen").await).await;
        let mut stream = client.stream(order("endless", 1)).await.unwrap().into_inner();
        stream.message().await.unwrap();
        process.signal(first);
        eventually("it stops", async || process.log().contains("\"stopping\"")).await;
        process.signal(second);
        assert_eq!(process.ended().await, (Some(75), None), "{first} {second}");
        let last = process.log().lines().last().unwrap().to_owned();
        assert!(last.contains("ended by a second signal") && last.ends_with('}'), "{last}");
        assert!(last.contains(if second == "-INT" { "SIGINT" } else { "SIGTERM" }), "{last}");
    }
}

/// tonic's accept loop spins at 82% of a core, and says nothing.
#[tokio::test]
async fn out_of_descriptors_it_waits_and_says_so() {
    let process = Process::start("descriptors", "ulimit -n 40;", &[]);
    let (listen, admin) = (process.address("listen").await, process.address("admin").await);
    let mut held = Vec::new();
    for _ in 0..60 {
        held.push(TcpStream::connect(listen).await.unwrap());
    }
    eventually("it says so", async || process.log().contains("Too many open files")).await;
    let cpu = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", process.child.id())).unwrap();
        let ticks: Vec<u64> =
            stat.rsplit_once(')').unwrap().1.split(' ').filter_map(|text| text.parse().ok()).collect();
        ticks[10] + ticks[11]
    };
    let before = cpu();
    tokio::time::sleep(std::time::Duration::from_secs(1)).await;
    assert!(cpu() - before < 40, "it spins");
    drop(held);
    client(listen).await.call(order("echo", 1)).await.unwrap();
    assert!(page(admin, "/healthz").await.contains("200"));
}

#[tokio::test]
async fn the_heap_has_a_profile_where_the_allocator_keeps_one() {
    let sampling = ("_RJEM_MALLOC_CONF", "prof_active:true,lg_prof_sample:0");
    for settings in [&[sampling][..], &[]] {
        let process = Process::start("heap", "", settings);
        let page = page(process.address("admin").await, "/debug/heap").await;
        let expected = match (cfg!(feature = "alloc-jemalloc"), settings) {
            (true, [_]) => ["HTTP/1.1 200", "heap_v2/", "\n@ 0x", "MAPPED_LIBRARIES"],
            (true, _) => ["HTTP/1.1 404", "not sampled", "start with", "prof_active:true"],
            (false, _) => ["HTTP/1.1 404", "no profile", "jemalloc", "\n"],
        };
        assert!(expected.iter().all(|part| page.contains(part)), "{page}");
    }
}

/// The lines of the server layer, and of nothing else: they have their trace id all the same.
const OURS: &str = "hotpath=info";
pub const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

/// Has the fixture abort on a panic.
pub const ABORTS: (&str, &str) = ("FIXTURE_PROCESS", "abort");

/// A call in the trace of its caller.
pub fn traced(order: Order) -> tonic::Request<Order> {
    let mut request = tonic::Request::new(order);
    request.metadata_mut().insert("traceparent", format!("00-{TRACE}-00f067aa0ba902b7-00").parse().unwrap());
    request
}

/// tonic turns a handler's panic into CANCELLED and serves on, with whatever the panic left behind.
#[tokio::test]
async fn a_panic_is_internal_and_ends_it_with_70() {
    for in_stream in [false, true] {
        let mut process = Process::start("panic", "", &[("DRAIN_DELAY_MS", "600000"), ("LOG", OURS)]);
        let mut client = client(process.address("listen").await).await;
        let status = if in_stream {
            let mut stream = client.stream(traced(order("panic", 2))).await.unwrap().into_inner();
            loop {
                match stream.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => panic!("OK, and half of the data"),
                    Err(status) => break status,
                }
            }
        } else {
            client.call(traced(order("panic", 1))).await.unwrap_err()
        };
        assert_eq!(status.code(), tonic::Code::Internal);
        assert_eq!(process.ended().await, (Some(70), None));
        let log = process.log();
        let line = log.lines().find(|line| line.contains("\"panic\":\"planted\"")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.ends_with('}') && line.contains("backtrace") && line.contains("lib.rs"), "{line}");
        assert!(line.contains(TRACE), "the caller's trace: {line}");
    }
}

/// tokio catches a task's panic, and the process lives on with whatever it left behind.
#[tokio::test]
async fn a_panic_is_logged_with_its_backtrace_and_aborts() {
    const SIGABRT: i32 = 6;
    for what in ["call", "stream", "background"] {
        let mut process = Process::start("abort", "", &[("LOG", OURS), ABORTS]);
        let mut client = client(process.address("listen").await).await;
        let answer = match what {
            "call" => client.call(traced(order("panic", 1))).await.map(drop),
            "background" => client.call(order("background panic", 1)).await.map(drop),
            _ => match client.stream(traced(order("panic", 0))).await {
                Ok(stream) => stream.into_inner().message().await.map(drop),
                Err(status) => Err(status),
            },
        };
        assert!(answer.is_err());
        assert_eq!(process.ended().await, (None, Some(SIGABRT)));
        let log = process.log();
        let line = log.lines().find(|line| line.contains("\"panic\":\"planted\"")).unwrap_or_else(|| panic!("{log}"));
        assert!(line.ends_with('}') && line.contains("backtrace") && line.contains("lib.rs"), "{line}");
        assert!(line.contains(TRACE) || what == "background", "the caller's trace: {line}");
    }
}

/// tokio keeps the panic of a task to whoever awaits it.
#[tokio::test]
async fn a_panic_in_a_background_task_ends_it_with_70() {
    let mut process = Process::start("background", "", &[("DRAIN_DELAY_MS", "600000"), ("LOG", OURS)]);
    let mut client = client(process.address("listen").await).await;
    assert!(client.call(order("background panic", 1)).await.is_err());
    assert_eq!(process.ended().await, (Some(70), None));
    assert!(process.log().contains("\"panic\":\"planted\""), "{}", process.log());
}

/// What computes and what attends to calls had equal shares of a CPU: a health check waited for CPU work to use up its own.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn threads_that_compute_give_way() {
    let nice = |stat: &std::path::Path| {
        let stat = std::fs::read_to_string(stat).ok()?;
        stat.rsplit_once(") ")?.1.split(' ').nth(16)?.parse::<i32>().ok()
    };
    let server = start(&[]).await;
    client(server.listen()).await.compute(order("spin", 1)).await.unwrap();
    let own = nice("/proc/thread-self/stat".as_ref()).unwrap();
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    let lowest = threads.filter_map(|thread| nice(&thread.unwrap().path().join("stat"))).max();
    assert_eq!(lowest, Some((own + 5).min(19)));
    server.stop(true).await;
}
