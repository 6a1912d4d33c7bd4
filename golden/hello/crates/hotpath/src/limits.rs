//! Every bound, from one number: the memory budget.
use crate::env::Env;
use crate::policy::{Policy, Work};
use hotpath_telemetry::{Failure, Name};
use serde_json::{Value, json};
use std::{fs, num::NonZeroU64, path::Path, sync::Arc, time::Duration};
use tokio::{sync::Semaphore, time::Instant};

/// More threads of one kind than any machine has CPUs for. Without a bound a mistyped number would start threads until the
/// memory is gone, before anything is logged.
pub(crate) const MOST_THREADS: usize = 1_024;
const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What the process takes at rest: code, runtime, telemetry, a scrape, the probes' reserve. Measured, and rounded up.
const BASELINE: u64 = 24 * MIB;
/// What a call takes beside its messages and its heap: task, futures, headers, span.
const CALL_OVERHEAD: u64 = 32 * KIB;
/// What is set aside for a connection: task, header tables, frames being read and written, a health watcher, and what comes
/// for calls that are refused. What waits for an admitted call is in the memory of that call.
const CONNECTION_MEMORY: u64 = 320 * KIB;
/// What a peer may send on one stream before the handler reads it.
pub(crate) const STREAM_WINDOW: u64 = 64 * KIB;
/// The same on one connection, over all of its streams: fifteen whose handlers read slowly leave room for the others. From
/// this number h2 also derives how many frames of a few bytes may wait before it takes them for an attack: some 2,100.
pub(crate) const CONNECTION_WINDOW: u64 = MIB;
/// What the transport buffers for a reader, a stream.
pub(crate) const SEND_BUFFER: u64 = 64 * KIB;
/// The least number of calls in flight of a method that computes. With fewer, calls that arrive in a burst are refused at a
/// load that the CPUs can carry (at 80% of it 5 to 10% of them with 8 on two CPUs; up to 5% with 12).
const MIN_IN_FLIGHT: f64 = 12.0;
/// HTTP/2 streams at once on one connection, unless a setting says otherwise.
const STREAMS: u32 = 128;
/// Bytes of headers, of a request or of another service's answer: tokens are long.
pub(crate) const HEADER_LIST: u32 = 16 << 10;
/// Percent of the budgets that one connection may hold, unless a setting says otherwise.
const CONNECTION_SHARE: u8 = 33;
/// Percent of the call memory that calls without a deadline may hold together. The rest is for calls that end soon.
const ENDLESS_SHARE: u64 = 75;

/// The three decisions that the bounds follow from, and what the service keeps beside its calls.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The memory budget of the process in bytes. `MEMORY_BUDGET`, and four fifths of a lower cgroup limit, take its place.
    pub memory: u64,
    /// The largest message in bytes, in and out.
    pub max_message: u64,
    /// The deadline of a call that brings none, and the cap on one that does. Streams have none, but for their policy's and
    /// their caller's.
    pub deadline: Duration,
    /// Bytes of what lives as long as the process: state, caches, queues.
    pub reserve: u64,
}

/// The bounds of the process; logged at start, printed by the `limits` subcommand.
///
/// budget = baseline + reserve + connections x 320 KiB + call memory;
/// a quarter of what baseline and reserve leave is for connections.
#[derive(Clone, Debug)]
pub struct Limits {
    /// The budget that the rest is derived from, in bytes.
    pub memory: u64,
    /// The bytes of the budget that admitted calls share.
    pub call_memory: u64,
    /// Bytes that replies may take while they wait for slow readers, or for peers that have stopped reading.
    pub unread: u64,
    /// The largest message in bytes, in and out.
    pub max_message: u64,
    /// Connections at once; `CONNECTIONS` takes its place.
    pub connections: usize,
    /// HTTP/2 streams at once on one connection; `STREAMS_PER_CONNECTION` takes its place.
    pub streams: u32,
    /// Percent of the call memory, and of `unread`, that one connection may hold while no other holds any; of what is left,
    /// where others do. `CONNECTION_SHARE` takes its place.
    pub connection_share: u8,
    /// Bytes of the headers of one call, as HTTP/2 counts them; `HEADER_LIST_BYTES` takes its place.
    pub header_list: u32,
    /// Calls that compute at once: the CPUs of the process; `CPU_WIDTH` takes its place.
    pub cpu_width: usize,
    /// See [`Defaults::deadline`].
    pub deadline: Duration,
    /// How long a new connection may take to speak HTTP/2.
    pub handshake: Duration,
    /// How long a connection may be without a call.
    pub idle: Duration,
    /// How often a peer that sends nothing is pinged. Without an answer within a third of it the connection is closed.
    pub keepalive: Duration,
    /// The age at which a connection is asked to go, so that load spreads over new replicas; a tenth more or less.
    pub connection_age: Duration,
    /// Between "not serving" and GOAWAY, for the balancer to notice.
    pub drain_delay: Duration,
    /// How long calls may take to finish once the process stops.
    pub drain: Duration,
}

impl Limits {
    /// Derives the bounds from the defaults and what the environment says instead.
    ///
    /// # Errors
    /// If a variable is malformed, or the budget has no room for a single call.
    pub fn derive(defaults: &Defaults, env: &Env) -> Result<Self, Failure> {
        let memory = budget(env.size("MEMORY_BUDGET", defaults.memory)?);
        let spendable = memory.saturating_sub(BASELINE + defaults.reserve);
        let for_connections = spendable / 4;
        let call_memory = spendable - for_connections;
        let connections = (for_connections / CONNECTION_MEMORY).clamp(4, 4_096);
        // Zero is refused: it would end things at once, and whoever writes it means never.
        let positive = |name: &str, default: Duration| {
            let default = NonZeroU64::new(default.as_millis() as u64).unwrap_or(NonZeroU64::MIN);
            env.get(name, default).map(|millis| Duration::from_millis(millis.get()))
        };
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        Ok(Self {
            memory,
            call_memory,
            unread: (call_memory / 24).max(8 * MIB),
            max_message: defaults.max_message,
            connections: env.within("CONNECTIONS", connections as usize, 1..=1 << 20)?,
            streams: env.within("STREAMS_PER_CONNECTION", STREAMS, 1..=1 << 20)?,
            connection_share: env.within("CONNECTION_SHARE", CONNECTION_SHARE, 1..=99)?,
            header_list: env.within("HEADER_LIST_BYTES", HEADER_LIST, 1 << 10..=1 << 20)?,
            cpu_width: env.within("CPU_WIDTH", cores, 1..=MOST_THREADS)?,
            deadline: positive("MAX_DEADLINE_MS", defaults.deadline)?,
            handshake: positive("HANDSHAKE_MS", Duration::from_secs(5))?,
            idle: positive("CONNECTION_IDLE_MS", Duration::from_secs(300))?,
            keepalive: positive("KEEPALIVE_MS", Duration::from_secs(30))?,
            connection_age: positive("CONNECTION_AGE_MS", Duration::from_secs(900))?,
            drain_delay: env.millis("DRAIN_DELAY_MS", Duration::from_secs(3))?,
            drain: env.millis("DRAIN_MS", Duration::from_secs(20))?,
        })
    }

    /// The bounds of the method `name`.
    pub(crate) fn method(&self, policy: &Policy, name: &Name) -> MethodLimits {
        let request = policy.request.map_or(self.max_message, |bytes| bytes.min(self.max_message));
        let reply = policy.reply.map_or(self.max_message, |bytes| bytes.min(self.max_message));
        // A message is held twice: as received, and decoded; as built, and encoded. The next ones of a stream wait in its
        // window meanwhile.
        let waiting = if name.requests_stream() { STREAM_WINDOW } else { 0 };
        let work = CALL_OVERHEAD + policy.heap + 2 * request + waiting;
        let answer = 2 * reply;
        let fits = (self.call_memory / (work + answer)).max(1) as usize;
        let never = |limit: &Duration| Instant::now().checked_add(*limit).is_none();
        let deadline = policy.deadline.or((!name.streams() && !name.requests_stream()).then_some(self.deadline));
        let deadline = deadline.filter(|limit| !never(limit));
        let (most, probe) = match policy.work {
            Work::Cpu(wall, cpu) => {
                let width = self.cpu_width as f64;
                let cpu = cpu.as_secs_f64().max(1e-6);
                // Enough to keep the CPUs busy while calls wait for others, and as much again for bursts; and no more on
                // account of those than the CPUs finish in half of the deadline.
                let twice = 2.0 * width * (wall.as_secs_f64() / cpu).max(1.0);
                let in_time = deadline.map_or(f64::INFINITY, |limit| width * limit.as_secs_f64() / cpu / 2.0);
                let fewest = MIN_IN_FLIGHT.min(in_time);
                (twice.max(fewest).ceil() as usize, false)
            }
            Work::Light => (fits, false),
            Work::Probe(in_flight) => (in_flight, true),
        };
        let in_flight = policy.in_flight.unwrap_or(most).max(1);
        MethodLimits {
            request: request as usize,
            reply: reply as usize,
            work: if probe { 0 } else { work },
            answer: if probe { 0 } else { answer },
            in_flight,
            in_flight_permits: Arc::new(Semaphore::new(in_flight)),
            most: if deadline.is_some() { self.call_memory } else { self.call_memory / 100 * ENDLESS_SHARE },
            deadline,
            stalled: deadline.unwrap_or(self.deadline),
        }
    }

    /// As one JSON object, for the log and the `limits` subcommand.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "memory_bytes": self.memory, "baseline_bytes": BASELINE,
            "call_memory_bytes": self.call_memory, "unread_bytes": self.unread,
            "max_message_bytes": self.max_message, "connections": self.connections,
            "streams_per_connection": self.streams, "connection_share_percent": self.connection_share,
            "connection_window_bytes": CONNECTION_WINDOW, "stream_window_bytes": STREAM_WINDOW,
            "header_list_bytes": self.header_list, "send_buffer_bytes": SEND_BUFFER,
            "cpu_width": self.cpu_width, "deadline_ms": self.deadline.as_millis() as u64,
            "handshake_ms": self.handshake.as_millis() as u64, "idle_ms": self.idle.as_millis() as u64,
            "keepalive_ms": self.keepalive.as_millis() as u64,
            "connection_age_ms": self.connection_age.as_millis() as u64,
            "drain_delay_ms": self.drain_delay.as_millis() as u64, "drain_ms": self.drain.as_millis() as u64,
        })
    }
}

/// The bounds of one method, worked out.
#[derive(Debug)]
pub(crate) struct MethodLimits {
    /// The largest request message.
    pub(crate) request: usize,
    /// The largest reply message.
    pub(crate) reply: usize,
    /// Worst case in memory of the request and the handler.
    pub(crate) work: u64,
    /// Worst case in memory of the reply.
    pub(crate) answer: u64,
    /// Calls at once.
    pub(crate) in_flight: usize,
    /// One permit for each of them.
    pub(crate) in_flight_permits: Arc<Semaphore>,
    /// Bytes that all calls may hold when one of these is admitted.
    pub(crate) most: u64,
    /// The longest that a call may take; none for a stream, unless its policy gives it one.
    pub(crate) deadline: Option<Duration>,
    /// How long a finished reply may wait without its reader taking any of it.
    pub(crate) stalled: Duration,
}

impl MethodLimits {
    /// Calls in flight now.
    pub(crate) fn taken(&self) -> usize {
        self.in_flight - self.in_flight_permits.available_permits()
    }
}

/// The decision, or four fifths of the cgroup's limit where that is lower: allocators fragment, and the kernel charges
/// page tables and socket buffers too.
fn budget(decided: u64) -> u64 {
    cgroup_limit("/proc/self/cgroup", "/sys/fs/cgroup").map_or(decided, |limit| decided.min(limit / 5 * 4))
}

/// The lowest memory limit of the process's cgroup and of those around it, of version 2 or 1. A container may see the path
/// of its cgroup and not the cgroups on it: then the mount's own limit is the container's.
#[expect(clippy::disallowed_methods, reason = "before the runtime starts")]
fn cgroup_limit(groups: &str, mount: &str) -> Option<u64> {
    let limit_of = |group: &str| {
        let (controllers, path) = group.split_once(':')?.1.split_once(':')?;
        let (hierarchy, file) = match controllers {
            "" => ("", "memory.max"),
            "memory" => ("/memory", "memory.limit_in_bytes"),
            _ => return None,
        };
        let read = |path: &Path| fs::read_to_string(format!("{mount}{hierarchy}{}/{file}", path.display())).ok();
        Path::new(path).ancestors().filter_map(|path| read(path)?.trim().parse().ok()).min()
    };
    fs::read_to_string(groups).ok()?.lines().filter_map(limit_of).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(kind: &'static str) -> Name {
        Name {
            kind,
            service: "acme.v1.Orders".into(),
            method: "Get".into(),
            full: "acme.v1.Orders/Get".into(),
        }
    }

    fn limits(memory: u64) -> Limits {
        let defaults = Defaults {
            memory,
            max_message: MIB,
            deadline: Duration::from_secs(1),
            reserve: MIB,
        };
        let env = Env::from_pairs([("MEMORY_BUDGET", memory.to_string()), ("CPU_WIDTH", "2".into())]);
        Limits::derive(&defaults, &env).unwrap()
    }

    #[test]
    fn the_parts_fit_the_budget() {
        for memory in [64 * MIB, 256 * MIB, 512 * MIB, 4 << 30] {
            let limits = limits(memory);
            let connections = limits.connections as u64 * CONNECTION_MEMORY;
            assert!(BASELINE + MIB + connections + limits.call_memory <= memory, "{limits:?}");
        }
    }

    #[test]
    fn nothing_at_all_is_refused() {
        let defaults = Defaults {
            memory: 64 * MIB,
            max_message: KIB,
            deadline: Duration::from_secs(1),
            reserve: 0,
        };
        let times = ["MAX_DEADLINE_MS", "HANDSHAKE_MS", "CONNECTION_IDLE_MS", "KEEPALIVE_MS", "CONNECTION_AGE_MS"];
        for name in times.into_iter().chain(["CONNECTIONS", "CPU_WIDTH", "STREAMS_PER_CONNECTION"]) {
            let error = Limits::derive(&defaults, &Env::from_pairs([(name, "0")])).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}=0: ")), "{error}");
        }
    }

    #[test]
    #[expect(clippy::disallowed_methods, reason = "a test")]
    fn the_lowest_limit_around_the_process_counts() {
        let folder = std::env::temp_dir().join(format!("hotpath-cgroups-{}", std::process::id()));
        let write = |path: &str, text: &str| {
            let path = folder.join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        let limit = |groups: &str| {
            write("self", groups);
            let (groups, mount) = (folder.join("self"), folder.join("mount"));
            cgroup_limit(groups.to_str().unwrap(), mount.to_str().unwrap())
        };
        assert_eq!(limit("0::/a/b\n"), None);
        write("mount/memory.max", "max\n");
        assert_eq!(limit("0::/a/b\n"), None);
        write("mount/a/memory.max", "300\n");
        write("mount/a/b/memory.max", "500\n");
        assert_eq!((limit("0::/a/b\n"), limit("0::/a\n"), limit("0::/\n")), (Some(300), Some(300), None));
        write("mount/memory/memory.limit_in_bytes", "200\n");
        assert_eq!(limit("4:memory:/not/seen/inside\n3:cpu:/\n0::/a\n"), Some(200));
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn calls_in_flight_follow_from_their_times() {
        let policy = Policy::cpu(Duration::from_millis(25), Duration::from_millis(5));
        assert_eq!(limits(512 * MIB).method(&policy, &name("unary")).in_flight, 20);
        assert_eq!(limits(512 * MIB).method(&policy.in_flight(3), &name("unary")).in_flight, 3);
        let busy = |cpu| limits(512 * MIB).method(&Policy::cpu(cpu, cpu), &name("unary")).in_flight;
        assert_eq!(busy(Duration::from_millis(5)), 12, "room for a burst");
        assert_eq!(busy(Duration::from_millis(100)), 10, "which is served in half of the deadline");
        assert_eq!(busy(Duration::from_millis(400)), 4);
    }

    #[test]
    fn a_stream_has_no_deadline_of_its_own_and_a_call_may_have_none() {
        let limits = limits(512 * MIB);
        let deadline = |kind, policy: Policy| limits.method(&policy, &name(kind)).deadline;
        let minute = Duration::from_secs(60);
        assert_eq!(deadline("unary", Policy::light()), Some(Duration::from_secs(1)));
        for kind in ["server_stream", "client_stream", "bidi_stream"] {
            assert_eq!(deadline(kind, Policy::light()), None, "{kind}");
            assert_eq!(deadline(kind, Policy::light().deadline(minute)), Some(minute), "{kind}");
        }
        for kind in ["unary", "server_stream"] {
            assert_eq!(deadline(kind, Policy::light().deadline(Duration::MAX)), None, "{kind}");
            let work = Policy::cpu(minute, minute).deadline(Duration::MAX);
            assert_eq!(limits.method(&work, &name(kind)).in_flight, 12, "a burst, and no deadline to serve it within");
        }
    }

    #[test]
    fn what_one_connection_may_hold_is_a_setting_and_a_wrong_one_is_named() {
        let defaults = Defaults {
            memory: 64 * MIB,
            max_message: KIB,
            deadline: Duration::from_secs(1),
            reserve: 0,
        };
        let derive = |name: &str, value: &str| Limits::derive(&defaults, &Env::from_pairs([(name, value)]));
        assert_eq!(derive("STREAMS_PER_CONNECTION", "1000").unwrap().streams, 1_000);
        assert_eq!(derive("CONNECTION_SHARE", "80").unwrap().connection_share, 80);
        assert_eq!(derive("HEADER_LIST_BYTES", "65536").unwrap().header_list, 65_536);
        for (name, wrong) in [("STREAMS_PER_CONNECTION", "0"), ("CONNECTION_SHARE", "100"), ("HEADER_LIST_BYTES", "8")]
        {
            let error = derive(name, wrong).unwrap_err().to_string();
            assert!(error.starts_with(&format!("{name}={wrong}: not from ")), "{error}");
        }
    }

    #[test]
    fn a_smaller_message_admits_more() {
        let limits = limits(512 * MIB);
        let method = |policy: Policy| limits.method(&policy, &name("unary"));
        let (wide, narrow) = (method(Policy::light()), method(Policy::light().request(KIB).reply(KIB)));
        assert!(narrow.in_flight > 10 * wide.in_flight);
        assert_eq!(method(Policy::light().request(64 * MIB)).request, MIB as usize, "never above the cap");
    }
}
