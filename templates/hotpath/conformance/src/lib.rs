//! A fixture service behind the real server layer, for the tests beside it: what must hold of the layer under any API.
#![allow(
    clippy::panic,
    clippy::disallowed_methods,
    reason = "a fixture for tests: it panics and blocks where it is told to"
)]
use hotpath::prometheus::IntCounter;
use hotpath::{App, Cpu, Defaults, Dialect, Failure, Host, OnPanic, Outbound, Policy, Replies, Routes, State, Store};
use pb::fixture_client::FixtureClient;
use pb::fixture_server::{Fixture, FixtureServer};
use pb::{Done, Order};
use std::future::ready;
use std::io;
use std::time::{Duration, Instant};
use tokio::time::sleep;
use tonic::{Response, Status, metadata::MetadataMap};

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
    ("Stream", Policy::light().request(1 << 10).reply(64 << 10)),
];

/// The fixture, with what a service decides in its `App`.
pub fn app(on_panic: OnPanic, metrics: Dialect) -> App {
    App {
        name: "fixture",
        version: "0",
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/fixture.bin")),
        called: include_bytes!(concat!(env!("OUT_DIR"), "/fixture.bin")),
        policies: POLICIES,
        defaults: DEFAULTS,
        on_panic,
        metrics,
        start,
    }
}

fn start(host: &mut Host) -> Result<Routes, Failure> {
    let service = FixtureServer::new(Handlers::new(host)?);
    Ok(Routes::default().with(service.max_decoding_message_size(usize::MAX)))
}

struct Handlers {
    cpu: Cpu,
    computed: IntCounter,
    peer: FixtureClient<Outbound>,
    memory: Store<Remembered>,
}

impl Handlers {
    fn new(host: &mut Host) -> Result<Self, Failure> {
        let made = IntCounter::new("fixture_handlers_total", "How often the handlers were made.")?;
        made.inc();
        host.registry().register(Box::new(made))?;
        let computed = IntCounter::new("fixture_computed_total", "How often a CPU took up a call.")?;
        host.registry().register(Box::new(computed.clone()))?;
        Ok(Self {
            // Work that computes.
            cpu: host.cpu(),
            computed,
            peer: FixtureClient::new(peer(host)?),
            memory: host.store("fixture")?,
        })
    }
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
        let (asked, _, Order { what, n, payload }) = request.into_parts();
        let payload = match what.as_str() {
            "echo" => payload,
            "reply" => vec![7; n as usize].into(),
            "sleep" => {
                sleep(Duration::from_millis(n.into())).await;
                payload
            }
            "panic" => panic!("planted"),
            // A header of its caller, as it came.
            "header grpc-timeout" => header(&asked, "grpc-timeout"),
            "header traceparent" => header(&asked, "traceparent"),
            ask if ask.starts_with("ask ") => {
                let order = Order { what: ask.trim_start_matches("ask ").into(), n, payload };
                let answer = self.peer.clone().call(order).await;
                answer.map_err(|status| Outbound::failed("peer", &status))?.into_inner().payload
            }
            "remember" => self.memory.with(move |memory| memory.add(n)).await?.to_string().into(),
            "panic in the state" => self.memory.with(|_| panic!("planted")).await?,
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
                "full" => loop {
                    replies.send(Done { payload: vec![7; 32 << 10].into() }).await?;
                },
                _ => Ok(()),
            }
        })))
    }
}

/// The state of the fixture: a sum.
#[derive(Default)]
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
        Ok(Self(u64::from_le_bytes(bytes.try_into()?)))
    }
}
