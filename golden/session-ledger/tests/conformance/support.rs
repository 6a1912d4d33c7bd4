//! A fixture service behind the real server layer, and clients that behave, or do not.
use bytes::Bytes;
use hotpath::prometheus::IntCounter;
use hotpath::{App, Cpu, Defaults, Env, Failure, Host, Policy, Replies, Routes, Server};
use http::{HeaderMap, Request};
use pb::fixture_client::FixtureClient;
use pb::fixture_server::{Fixture, FixtureServer};
use pb::{Done, Order};
use std::{
    future::Future,
    net::SocketAddr,
    sync::atomic::{AtomicUsize, Ordering::SeqCst},
    time::{Duration, Instant},
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::{sleep, timeout},
};
use tonic::{Response, Status, transport::Channel};

#[allow(clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("fixture.v1");
}

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

pub fn app() -> App {
    App {
        name: "fixture",
        version: "0",
        descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/fixture.bin")),
        policies: POLICIES,
        defaults: DEFAULTS,
        start: start_handlers,
    }
}

fn start_handlers(host: &mut Host) -> Result<Routes, Failure> {
    let service = FixtureServer::new(Handlers::new(host)?);
    Ok(Routes::default().with(service.max_decoding_message_size(usize::MAX)))
}

/// A server of its own, on ports of its own.
pub async fn start(settings: &[(&str, &str)]) -> Server {
    Server::start(&app(), env(settings)).await.unwrap()
}

pub fn env(settings: &[(&str, &str)]) -> Env {
    let quick = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0"), ("CPU_WIDTH", "2")];
    let folder = std::env::temp_dir().join(format!("fixture-{}-{}", std::process::id(), unique()));
    let folder = [("STATE_DIR", folder.to_str().unwrap())];
    Env::from_pairs(quick.iter().chain(&folder).chain(settings).copied())
}

fn unique() -> usize {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    NEXT.fetch_add(1, SeqCst)
}

pub fn order(what: &str, n: u32) -> Order {
    Order { what: what.into(), n, payload: Bytes::new() }
}

pub async fn client(address: SocketAddr) -> FixtureClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    FixtureClient::new(endpoint.connect().await.unwrap()).max_decoding_message_size(64 << 20)
}

/// Asks again and again until it holds.
pub async fn eventually<F: Future<Output = bool>>(what: &str, holds: impl Fn() -> F) {
    let end = Instant::now() + PATIENCE;
    while !holds().await {
        assert!(Instant::now() < end, "never came: {what}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// A value of `/metrics`, summed over the series that have all of `labels`.
pub async fn metric(admin: SocketAddr, name: &str, labels: &[&str]) -> f64 {
    let page = page(admin, "/metrics").await;
    let series = page.lines().filter(|line| line.split(['{', ' ']).next() == Some(name));
    let wanted = series.filter(|line| labels.iter().all(|label| line.contains(label)));
    wanted.map(|line| line.rsplit(' ').next().unwrap().parse::<f64>().unwrap()).sum()
}

pub async fn page(admin: SocketAddr, path: &str) -> String {
    let mut socket = TcpStream::connect(admin).await.unwrap();
    socket.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    text
}

/// How often a method of the fixture ended with `code`, given in both dialects' spelling.
pub async fn ended(admin: SocketAddr, method: &str, code: (&str, &str)) -> f64 {
    let (method, code) = (format!("grpc_method=\"{method}\""), format!("grpc_code=\"{}\"", code.0));
    metric(admin, "grpc_server_handled_total", &[&method, &code]).await
}

/// An HTTP/2 connection whose windows are as small as a test wants them, and which reads only when it is told to.
pub async fn raw(address: SocketAddr, window: u32) -> h2::client::SendRequest<Bytes> {
    let socket = TcpStream::connect(address).await.unwrap();
    let mut builder = h2::client::Builder::new();
    builder.initial_window_size(window);
    let (requests, connection) = builder.handshake(socket).await.unwrap();
    tokio::spawn(connection);
    requests.ready().await.unwrap()
}

/// The head of a call to the fixture.
pub fn head(method: &str, headers: &[(&'static str, &str)]) -> Request<()> {
    let mut request = Request::post(format!("http://fixture/fixture.v1.Fixture/{method}"));
    for (name, value) in [("content-type", "application/grpc"), ("te", "trailers")].iter().chain(headers) {
        request = request.header(*name, *value);
    }
    request.body(()).unwrap()
}

/// A message as it stands in a body.
pub fn framed(order: &Order) -> Bytes {
    let message = prost::Message::encode_to_vec(order);
    let mut frame = vec![0];
    frame.extend((message.len() as u32).to_be_bytes());
    frame.extend(message);
    frame.into()
}

/// Makes a call on a raw connection and reads it to its end: its trailers, or its head where that is all.
pub async fn call(requests: &mut h2::client::SendRequest<Bytes>, request: Request<()>, order: &Order) -> HeaderMap {
    read(requests, request, order).await.1
}

/// The same, and how many bytes came.
pub async fn read(
    requests: &mut h2::client::SendRequest<Bytes>,
    request: Request<()>,
    order: &Order,
) -> (usize, HeaderMap) {
    let (response, mut body) = requests.send_request(request, false).unwrap();
    body.send_data(framed(order), true).unwrap();
    let whole = async {
        let (parts, mut body) = response.await.unwrap().into_parts();
        let mut bytes = 0;
        while let Some(data) = body.data().await {
            let length = data.unwrap().len();
            bytes += length;
            body.flow_control().release_capacity(length).unwrap();
        }
        (bytes, body.trailers().await.unwrap().unwrap_or(parts.headers))
    };
    timeout(PATIENCE, whole).await.expect("the call ends")
}

pub struct Handlers {
    cpu: Cpu,
    computed: IntCounter,
    memory: hotpath::Store<Remembered>,
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
            memory: host.store("fixture")?,
        })
    }
}

#[tonic::async_trait]
impl Fixture for Handlers {
    async fn call(&self, request: tonic::Request<Order>) -> Result<Response<Done>, Status> {
        let Order { what, n, payload } = request.into_inner();
        let payload = match what.as_str() {
            "echo" => payload,
            "reply" => vec![7; n as usize].into(),
            "sleep" => {
                sleep(Duration::from_millis(n.into())).await;
                payload
            }
            "panic" => panic!("planted"),
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

#[derive(Default)]
pub struct Remembered(u64);

impl Remembered {
    fn add(&mut self, n: u32) -> u64 {
        self.0 += u64::from(n);
        self.0
    }
}

impl hotpath::State for Remembered {
    const VERSION: u32 = 2;

    fn encode(&self) -> Vec<u8> {
        self.0.to_le_bytes().into()
    }

    fn decode(version: u32, bytes: &[u8]) -> Result<Self, Failure> {
        assert_eq!(version, Self::VERSION);
        Ok(Self(u64::from_le_bytes(bytes.try_into()?)))
    }
}
