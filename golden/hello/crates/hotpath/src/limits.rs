//! Every bound, from one number: the memory budget.
use crate::env::Env;
use crate::policy::{Policy, Work};
use hotpath_telemetry::Failure;
use serde_json::{Value, json};
use std::{fs, num::NonZeroU64, path::Path, sync::Arc, time::Duration};
use tokio::sync::Semaphore;

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// What the process takes at rest: code, runtime, telemetry, a scrape, the probes' reserve. Measured, and rounded up.
const BASELINE: u64 = 24 * MIB;
/// What a call takes beside its messages and its heap: task, futures, headers, span.
const CALL_OVERHEAD: u64 = 32 * KIB;
/// What a connection takes beside its window: task, header tables, frames being written, a health watcher.
const CONNECTION_OVERHEAD: u64 = 64 * KIB;
/// What a peer may send on one connection, or on one stream, before it is read.
pub(crate) const WINDOW: u64 = 256 * KIB;
/// What the transport buffers for a reader, a stream.
pub(crate) const SEND_BUFFER: u64 = 64 * KIB;
/// The least number of calls in flight of a method that computes. With fewer, calls that arrive in a burst are refused at a
/// load that the CPUs can carry (at 80% of it 5 to 10% of them with 8 on two CPUs; up to 5% with 12).
const MIN_IN_FLIGHT: f64 = 12.0;
/// HTTP/2 streams at once on one connection.
pub(crate) const STREAMS: u32 = 128;
/// Bytes of headers, of a request or of another service's answer.
pub(crate) const HEADER_LIST: u32 = 8 << 10;

/// The three decisions that the bounds follow from, and what the service keeps beside its calls.
#[derive(Clone, Copy, Debug)]
pub struct Defaults {
    /// The memory budget of the process in bytes. `MEMORY_BUDGET`, and four fifths of a lower cgroup limit, take its place.
    pub memory: u64,
    /// The largest message in bytes, in and out.
    pub max_message: u64,
    /// The deadline of a call that brings none, and the cap on one that does.
    pub deadline: Duration,
    /// Bytes of what lives as long as the process: state, caches, queues.
    pub reserve: u64,
}

/// The bounds of the process; logged at start, printed by the `limits` subcommand.
///
/// budget = baseline + reserve + connections x (window + overhead) + call memory;
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
        let connections = (for_connections / (WINDOW + CONNECTION_OVERHEAD)).clamp(4, 4_096);
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
            connections: env.get("CONNECTIONS", connections as usize)?.max(1),
            cpu_width: env.get("CPU_WIDTH", cores)?.max(1),
            deadline: positive("MAX_DEADLINE_MS", defaults.deadline)?,
            handshake: positive("HANDSHAKE_MS", Duration::from_secs(5))?,
            idle: positive("CONNECTION_IDLE_MS", Duration::from_secs(300))?,
            keepalive: positive("KEEPALIVE_MS", Duration::from_secs(30))?,
            connection_age: positive("CONNECTION_AGE_MS", Duration::from_secs(900))?,
            drain_delay: env.millis("DRAIN_DELAY_MS", Duration::from_secs(3))?,
            drain: env.millis("DRAIN_MS", Duration::from_secs(20))?,
        })
    }

    /// The bounds of one method.
    pub(crate) fn method(&self, policy: &Policy) -> MethodLimits {
        let request = policy.request.map_or(self.max_message, |bytes| bytes.min(self.max_message));
        let reply = policy.reply.map_or(self.max_message, |bytes| bytes.min(self.max_message));
        // A message is held twice: as received, and decoded; as built, and encoded.
        let work = CALL_OVERHEAD + policy.heap + 2 * request;
        let answer = 2 * reply;
        let fits = (self.call_memory / (work + answer)).max(1) as usize;
        let deadline = policy.deadline.unwrap_or(self.deadline);
        let (most, probe) = match policy.work {
            Work::Cpu(wall, cpu) => {
                let width = self.cpu_width as f64;
                let cpu = cpu.as_secs_f64().max(1e-6);
                // Enough to keep the CPUs busy while calls wait for others, and as much again for bursts; and no more on
                // account of those than the CPUs finish in half of the deadline.
                let twice = 2.0 * width * (wall.as_secs_f64() / cpu).max(1.0);
                let fewest = MIN_IN_FLIGHT.min(width * deadline.as_secs_f64() / cpu / 2.0);
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
            deadline,
        }
    }

    /// As one JSON object, for the log and the `limits` subcommand.
    pub(crate) fn to_json(&self) -> Value {
        json!({
            "memory_bytes": self.memory, "baseline_bytes": BASELINE,
            "call_memory_bytes": self.call_memory, "unread_bytes": self.unread,
            "max_message_bytes": self.max_message, "connections": self.connections,
            "streams_per_connection": STREAMS, "window_bytes": WINDOW,
            "header_list_bytes": HEADER_LIST, "send_buffer_bytes": SEND_BUFFER,
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
    pub(crate) deadline: Duration,
}

impl MethodLimits {
    /// Bytes that a stream may take while it waits for its reader: its own overhead, twice for fragmentation, and what the
    /// transport buffers of its replies.
    pub(crate) fn unread(&self) -> u64 {
        2 * CALL_OVERHEAD + self.answer.min(SEND_BUFFER)
    }

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
            let connections = limits.connections as u64 * (WINDOW + CONNECTION_OVERHEAD);
            assert!(BASELINE + MIB + connections + limits.call_memory <= memory, "{limits:?}");
        }
    }

    #[test]
    fn no_time_at_all_is_refused() {
        let defaults = Defaults {
            memory: 64 * MIB,
            max_message: KIB,
            deadline: Duration::from_secs(1),
            reserve: 0,
        };
        for name in ["MAX_DEADLINE_MS", "HANDSHAKE_MS", "CONNECTION_IDLE_MS", "KEEPALIVE_MS", "CONNECTION_AGE_MS"] {
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
        assert_eq!(limits(512 * MIB).method(&policy).in_flight, 20);
        assert_eq!(limits(512 * MIB).method(&policy.in_flight(3)).in_flight, 3);
        let busy = |cpu| limits(512 * MIB).method(&Policy::cpu(cpu, cpu)).in_flight;
        assert_eq!(busy(Duration::from_millis(5)), 12, "room for a burst");
        assert_eq!(busy(Duration::from_millis(100)), 10, "which is served in half of the deadline");
        assert_eq!(busy(Duration::from_millis(400)), 4);
    }

    #[test]
    fn a_smaller_message_admits_more() {
        let limits = limits(512 * MIB);
        let (wide, narrow) = (limits.method(&Policy::light()), limits.method(&Policy::light().request(KIB).reply(KIB)));
        assert!(narrow.in_flight > 10 * wide.in_flight);
        assert_eq!(limits.method(&Policy::light().request(64 * MIB)).request, MIB as usize, "never above the cap");
    }
}
