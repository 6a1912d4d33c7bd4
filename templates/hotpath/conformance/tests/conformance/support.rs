//! Servers of the fixture, and clients that behave, or do not.
use bytes::Bytes;
use hotpath::{App, Dialect, Env, OnPanic, Server};
pub use hotpath_conformance::{MIB, PATIENCE, pb};
use http::{HeaderMap, Request};
use pb::Order;
use pb::fixture_client::FixtureClient;
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
use tonic::transport::Channel;

/// The fixture as most tests take it.
pub fn app() -> App {
    hotpath_conformance::app(OnPanic::Drain, Dialect::GoGrpcMiddleware)
}

/// A server of its own, on ports of its own.
pub async fn start(settings: &[(&str, &str)]) -> Server {
    start_app(&app(), settings).await
}

/// The same, of an `App` that is not the usual one.
pub async fn start_app(app: &App, settings: &[(&str, &str)]) -> Server {
    Server::start(app, env(settings)).await.unwrap()
}

/// Settings under which a test is quick, and those that it asks for.
pub fn env(settings: &[(&str, &str)]) -> Env {
    let quick = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0"), ("CPU_WIDTH", "2")];
    let folder =
        std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fixture-{}-{}", std::process::id(), unique()));
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

/// An order with so many bytes, to be echoed.
pub fn order_of(bytes: usize, n: u32) -> Order {
    Order { payload: Bytes::from(vec![7; bytes]), ..order("echo", n) }
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
    page_as(admin, path, "*/*").await
}

/// A page in the format that `accept` asks for.
pub async fn page_as(admin: SocketAddr, path: &str, accept: &str) -> String {
    let mut socket = TcpStream::connect(admin).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\naccept: {accept}\r\nconnection: close\r\n\r\n");
    socket.write_all(request.as_bytes()).await.unwrap();
    let mut text = String::new();
    socket.read_to_string(&mut text).await.unwrap();
    text
}

/// How often a method of the fixture ended with `code`, given in the spelling of both dialects; a server has one of them.
pub async fn ended(admin: SocketAddr, method: &str, (go_grpc_middleware, otelgrpc): (&str, &str)) -> f64 {
    let labels = [format!("grpc_method=\"{method}\""), format!("grpc_code=\"{go_grpc_middleware}\"")];
    let handled = metric(admin, "grpc_server_handled_total", &labels.each_ref().map(String::as_str)).await;
    let labels = [format!("fixture.v1.Fixture/{method}\""), format!("rpc_response_status_code=\"{otelgrpc}\"")];
    let durations = "rpc_server_call_duration_seconds_count";
    handled + metric(admin, durations, &labels.each_ref().map(String::as_str)).await
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

/// The addresses of the replicas of a called service, as a name server would give them: a file that the fixture reads.
pub struct Peers(tempfile::TempPath);

impl Peers {
    pub fn new(replicas: &[&Server]) -> Self {
        let peers = Self(tempfile::NamedTempFile::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap().into_temp_path());
        peers.are(replicas);
        peers
    }

    /// For the setting `PEERS`.
    pub fn file(&self) -> &str {
        self.0.to_str().unwrap()
    }

    /// They are these from now on.
    pub fn are(&self, replicas: &[&Server]) {
        let lines: String = replicas.iter().map(|replica| format!("{}\n", replica.listen())).collect();
        self.write(Some(&lines));
    }

    /// What the name server says from now on; `None` where it does not answer.
    pub fn write(&self, lines: Option<&str>) {
        std::fs::remove_file(&self.0).ok();
        if let Some(lines) = lines {
            let fresh = self.0.with_extension("fresh");
            std::fs::write(&fresh, lines).unwrap();
            std::fs::rename(fresh, &self.0).unwrap();
        }
    }
}
