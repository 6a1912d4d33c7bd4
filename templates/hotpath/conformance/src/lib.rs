//! A fixture service behind the real server layer, for the tests beside it: what must hold of the layer under any API.
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a fixture for tests: it panics and blocks where it is told to"
)]
use hotpath::prometheus::IntCounter;
use hotpath::{
    App, Call, Caller, Cpu, Defaults, Dialect, Failure, Host, OnPanic, Outbound, Policy, Replies, Routes, State, Store,
    Tls,
};
use pb::fixture_client::FixtureClient;
use pb::fixture_server::{Fixture, FixtureServer};
use pb::{Done, Order};
use std::future::ready;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use std::{fmt, io};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;
use tokio::time::{interval, sleep};
use tonic::codec::CompressionEncoding;
use tonic::{Response, Status, Streaming, metadata::MetadataMap};
use tracing::{Instrument as _, Span, field, info};

/// The messages, the client and the server of `proto/fixture.proto`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("fixture.v1");
}

/// A mebibyte.
pub const MIB: u64 = 1 << 20;
/// No test waits longer than this for what must come.
pub const PATIENCE: Duration = Duration::from_secs(20);

const DEFAULTS: Defaults = Defaults {
    memory: 64 * MIB,
    max_message: MIB,
    // Out of the way: no test may pass because this came.
    deadline: PATIENCE.saturating_mul(30),
    reserve: 0,
};
const POLICIES: &[(&str, Policy)] = &[
    ("Call", Policy::light()),
    ("Compute", Policy::cpu(Duration::from_millis(1), Duration::from_millis(1)).in_flight(2)),
    ("Stream", Policy::light().request(8 << 10).reply(64 << 10)),
    ("Collect", Policy::light().request(8 << 10).reply(1 << 10)),
    ("Chat", Policy::light().request(8 << 10).reply(8 << 10)),
];

/// The fixture, with what a service decides in its `App`.
pub fn app(on_panic: OnPanic, metrics: Dialect) -> App {
    App {
        name: "fixture",
        version: "0",
        revision: "none",
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/fixture.bin")),
        called: include_bytes!(concat!(env!("OUT_DIR"), "/fixture.bin")),
        policies: POLICIES,
        defaults: DEFAULTS,
        on_panic,
        tls: Tls::None,
        metrics,
        start: |host| Box::pin(start(host)),
    }
}

async fn start(host: &mut Host) -> Result<Routes, Failure> {
    // Something that a service waits for before it serves.
    sleep(host.env().millis("FIXTURE_START_MS", Duration::ZERO)?).await;
    let gzip = CompressionEncoding::Gzip;
    Ok(Routes::default().with(server(host)?.accept_compressed(gzip).send_compressed(gzip)))
}

/// The fixture's handlers, as its `start` serves them.
///
/// # Errors
/// As what they are made from.
pub fn server(host: &Host) -> Result<FixtureServer<Handlers>, Failure> {
    Ok(FixtureServer::new(Handlers::new(host)?).max_decoding_message_size(host.limits().max_message as usize))
}

/// The handlers.
pub struct Handlers {
    background: Background,
    cpu: Cpu,
    computed: IntCounter,
    peer: FixtureClient<Outbound>,
    memory: Store<Remembered>,
}

impl Handlers {
    fn new(host: &Host) -> Result<Self, Failure> {
        let made = IntCounter::new("fixture_handlers_total", "How often the handlers were made.")?;
        made.inc();
        host.registry().register(Box::new(made))?;
        let computed = IntCounter::new("fixture_computed_total", "How often a CPU took up a call.")?;
        host.registry().register(Box::new(computed.clone()))?;
        let peer = FixtureClient::new(peer(host)?);
        Ok(Self {
            background: background(host, peer.clone()),
            // Work that computes.
            cpu: host.cpu(),
            computed,
            peer,
            memory: host.store("fixture")?,
        })
    }

    /// Logs a line in each place where the code of a call may run.
    async fn log_everywhere(&self) -> Result<(), Status> {
        info!("in the handler");
        let compute = |_call: &Call| {
            info!("in CPU work");
            Ok(())
        };
        self.cpu.run(compute).await?;
        self.memory.with(|_state| info!("in the state")).await?;
        query("a\nkey").await;
        let mut tasks = JoinSet::new();
        tasks.spawn(async { info!("in a task") }.in_current_span());
        tasks.join_all().await;
        Ok(())
    }

    /// Panics in one of these places.
    async fn panic_in(&self, place: &str) -> Result<(), Status> {
        match place {
            "CPU work" => self.cpu.run(|_call| panic!("planted")).await?,
            "the state" => self.memory.with(|_state| panic!("planted")).await?,
            "a task" => {
                let mut tasks = JoinSet::new();
                tasks.spawn(async { panic!("planted") }.in_current_span());
                tasks.join_next().await;
            }
            "a span" => {
                record_what_panics().await;
            }
            _ => panic!("planted"),
        }
        Ok(())
    }
}

/// A span of the handlers' own.
#[tracing::instrument(fields(rows = 3))]
async fn query(key: &str) {
    info!("in a span");
}

/// Records into its own span what cannot be written.
#[tracing::instrument(fields(bad = field::Empty))]
async fn record_what_panics() {
    struct Bad;
    impl fmt::Debug for Bad {
        fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
            panic!("planted")
        }
    }
    Span::current().record("bad", field::debug(Bad));
}

/// The way to the background task.
type Background = mpsc::Sender<(Order, oneshot::Sender<Result<Done, Status>>)>;

/// A background task that does what calls hand to it.
fn background(host: &Host, mut peer: FixtureClient<Outbound>) -> Background {
    let (orders, mut taken) = mpsc::channel::<(Order, oneshot::Sender<_>)>(1);
    let cpu = host.cpu();
    host.spawn("background", |stop| async move {
        while let Some(Some((order, reply))) = stop.run_until_cancelled(taken.recv()).await {
            let done = match order.what.as_str() {
                "panic" => panic!("planted"),
                "compute" => cpu.run(move |call| call.check().map(|()| Done { payload: order.payload })).await,
                _ => peer.call(order).await.map(Response::into_inner),
            };
            reply.send(done).ok();
        }
    });
    orders
}

/// The way to another instance of the fixture: at `DOWNSTREAM_PEER`, or at the addresses in the file that `PEERS` names, which
/// may change.
fn peer(host: &Host) -> Result<Outbound, Failure> {
    let Some(file) = host.env().text("PEERS").map(str::to_owned) else {
        return host.downstream("peer", "http://127.0.0.1:1");
    };
    host.downstream_at("peer", move || {
        let addresses = std::fs::read_to_string(&file);
        let parse = |text: String| text.lines().map(|line| line.parse().map_err(io::Error::other)).collect();
        ready(addresses.and_then(parse))
    })
}

/// The bytes of a header; none where it is not there.
fn header(headers: &MetadataMap, name: &str) -> bytes::Bytes {
    headers.get(name).map(|value| value.as_bytes().to_vec()).unwrap_or_default().into()
}

#[tonic::async_trait]
impl Fixture for Handlers {
    async fn call(&self, request: tonic::Request<Order>) -> Result<Response<Done>, Status> {
        let peer = request.remote_addr();
        let caller = Caller::of(&request).map_or_else(|_nobody| "nobody".to_owned(), Caller::to_string);
        let (asked, _, Order { what, n, payload }) = request.into_parts();
        let payload = match what.as_str() {
            "echo" => payload,
            "reply" => vec![7; n as usize].into(),
            "sleep" => {
                sleep(Duration::from_millis(n.into())).await;
                payload
            }
            "panic" => panic!("planted"),
            "fail" => return Err(Status::internal("the database is gone")),
            "log" => {
                self.log_everywhere().await?;
                payload
            }
            "chatter" => {
                (0..n).for_each(|line| info!(line, "{}", "x".repeat(1 << 10)));
                payload
            }
            // A header of its caller, as it came.
            "header grpc-timeout" => header(&asked, "grpc-timeout"),
            "header traceparent" => header(&asked, "traceparent"),
            ask if ask.starts_with("ask ") => {
                let order = Order { what: ask.trim_start_matches("ask ").into(), n, payload };
                let answer = self.peer.clone().call(order).await;
                answer.map_err(|status| Outbound::failed("peer", &status))?.into_inner().payload
            }
            // Whose call it is.
            "address" => peer.map_or_else(String::new, |peer| peer.to_string()).into(),
            "caller" => caller.into(),
            order if order.starts_with("background ") => {
                let (reply, done) = oneshot::channel();
                let order = Order {
                    what: order.trim_start_matches("background ").into(),
                    n,
                    payload,
                };
                self.background.send((order, reply)).await.map_err(|_gone| Status::unavailable("stopping"))?;
                done.await.map_err(|_gone| Status::internal("the task panicked"))??.payload
            }
            "remember" => self.memory.with(move |memory| memory.add(n)).await?.to_string().into(),
            place if place.starts_with("panic in ") => {
                self.panic_in(place.trim_start_matches("panic in ")).await?;
                payload
            }
            other => return Err(Status::invalid_argument(other)),
        };
        Ok(Response::new(Done { payload }))
    }

    async fn compute(&self, request: tonic::Request<Order>) -> Result<Response<Done>, Status> {
        let end = Instant::now() + Duration::from_millis(request.into_inner().n.into());
        let computed = self.computed.clone();
        self.cpu
            .run(move |call| {
                computed.inc();
                while Instant::now() < end {
                    call.check()?;
                    std::thread::sleep(Duration::from_millis(1));
                }
                Ok(())
            })
            .await?;
        Ok(Response::new(Done::default()))
    }

    type StreamStream = Replies<Done>;

    async fn stream(&self, request: tonic::Request<Order>) -> Result<Response<Self::StreamStream>, Status> {
        let Order { what, n, payload } = request.into_inner();
        Ok(Response::new(hotpath::stream(async move |replies| {
            for _ in 0..n {
                replies.send(Done { payload: payload.clone() }).await?;
            }
            match what.as_str() {
                "panic" => panic!("planted"),
                "endless" => loop {
                    sleep(Duration::from_millis(10)).await;
                    replies.send(Done::default()).await?;
                },
                // At the same moment as all others that began within the same tenth of a second.
                "ticks" => loop {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    sleep(Duration::from_millis(100 - now.as_millis() as u64 % 100)).await;
                    replies.send(Done { payload: vec![7; 3_500].into() }).await?;
                },
                "often" => {
                    let mut clock = interval(Duration::from_millis(10));
                    loop {
                        clock.tick().await;
                        replies.send(Done { payload: vec![7; 3_500].into() }).await?;
                    }
                }
                "full" => loop {
                    replies.send(Done { payload: vec![7; 32 << 10].into() }).await?;
                },
                _ => Ok(()),
            }
        })))
    }

    async fn collect(&self, request: tonic::Request<Streaming<Order>>) -> Result<Response<Done>, Status> {
        let mut orders = request.into_inner();
        let mut count = 0u64;
        while worked_off(&mut orders).await?.is_some() {
            count += 1;
        }
        Ok(Response::new(Done { payload: count.to_string().into() }))
    }

    type ChatStream = Replies<Done>;

    async fn chat(&self, request: tonic::Request<Streaming<Order>>) -> Result<Response<Self::ChatStream>, Status> {
        let mut orders = request.into_inner();
        Ok(Response::new(hotpath::stream(async move |replies| {
            while let Some(Order { payload, .. }) = worked_off(&mut orders).await? {
                replies.send(Done { payload }).await?;
            }
            Ok(())
        })))
    }
}

/// An order of a stream, after the time that it takes.
async fn worked_off(orders: &mut Streaming<Order>) -> Result<Option<Order>, Status> {
    let order = orders.message().await?;
    if let Some(Order { n, .. }) = &order {
        sleep(Duration::from_millis((*n).into())).await;
    }
    Ok(order)
}

/// The state of the fixture: a sum.
#[derive(Clone, Default)]
struct Remembered(u64);

impl Remembered {
    fn add(&mut self, n: u32) -> u64 {
        self.0 += u64::from(n);
        self.0
    }
}

impl State for Remembered {
    const VERSION: u32 = 2;

    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().into()
    }

    fn decode(version: u32, bytes: &[u8]) -> Result<Self, Failure> {
        assert_eq!(version, Self::VERSION);
        // What follows the sum is there for tests of large snapshots.
        Ok(Self(u64::from_le_bytes(*bytes.first_chunk().ok_or("no sum")?)))
    }
}
