//! A server for suites that others wrote: connectrpc's conformance suite, gRPC's interop client, h2spec. The same handlers
//! are served behind the server layer (`hotpath-suites hotpath`) and by tonic alone (`hotpath-suites tonic`), so that a
//! failure can be told from one that tonic has.
//!
//! It starts as the conformance suite wants: it reads a `ServerCompatRequest` from its input, writes a
//! `ServerCompatResponse` with its port to its output, each after its length in four bytes, and serves until SIGTERM.
#![expect(clippy::disallowed_types, reason = "a program for tests, which also serves with tonic's own server")]
mod conformance;
mod interop;
mod orca;
mod trailers;

use conformance::pb::conformance_service_server::ConformanceServiceServer;
use conformance::{Conformance, pb::ServerCompatRequest, pb::ServerCompatResponse, pb::TlsCreds};
use hotpath::{App, Defaults, Dialect, Env, Failure, OnPanic, Policy, Routes, Server, Tls};
use interop::{Interop, pb::test_service_server::TestServiceServer};
use orca::{Orca, pb::open_rca_service_server::OpenRcaServiceServer};
use prost::Message as _;
use std::io::{Read as _, Write as _, stdin, stdout};
use std::{env, net::SocketAddr, time::Duration};
use tempfile::NamedTempFile;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;
use tonic::codec::CompressionEncoding::Gzip;
use tonic::transport::server::TcpIncoming;
use trailers::WithTrailers;

/// The most bytes of a request of the conformance suite: what it asks a server for that has such a limit.
const REQUEST: u32 = 200 << 10;
const MIB: u64 = 1 << 20;

const DEFAULTS: Defaults = Defaults {
    memory: 512 * MIB,
    max_message: MIB,
    // No case takes as long.
    deadline: Duration::from_secs(60),
    reserve: 0,
};
const POLICIES: &[(&str, Policy)] = &[
    ("Unary", Policy::light().request(REQUEST as u64)),
    ("ServerStream", Policy::light().request(REQUEST as u64)),
    ("ClientStream", Policy::light().request(REQUEST as u64)),
    ("BidiStream", Policy::light().request(REQUEST as u64)),
    ("EmptyCall", Policy::light()),
    ("UnaryCall", Policy::light()),
    ("StreamingOutputCall", Policy::light()),
    ("StreamingInputCall", Policy::light()),
    ("FullDuplexCall", Policy::light()),
    ("StreamCoreMetrics", Policy::light()),
];
const APP: App = App {
    name: "suites",
    version: "0",
    revision: "none",
    descriptors: include_bytes!(concat!(env!("OUT_DIR"), "/suites.bin")),
    called: &[],
    policies: POLICIES,
    defaults: DEFAULTS,
    on_panic: OnPanic::Drain,
    tls: Tls::None,
    metrics: Dialect::GoGrpcMiddleware,
    start: |_host| Box::pin(async { Ok(routes()) }),
};

fn routes() -> Routes {
    let (interop, orca) = interop();
    Routes::default().with(conformance()).with(interop).with(orca)
}

fn conformance() -> WithTrailers<ConformanceServiceServer<Conformance>> {
    let service = ConformanceServiceServer::new(Conformance);
    let service = service.accept_compressed(Gzip).send_compressed(Gzip);
    WithTrailers(service.max_decoding_message_size(REQUEST as usize))
}

fn interop() -> (WithTrailers<TestServiceServer<Interop>>, OpenRcaServiceServer<Orca>) {
    let (reports, told) = watch::channel(Default::default());
    (WithTrailers(TestServiceServer::new(Interop(reports))), OpenRcaServiceServer::new(Orca(told)))
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let asked = asked()?;
    let limit = asked.message_receive_limit;
    if limit != 0 && limit != REQUEST {
        return Err(format!("the suite wants a limit of {limit} bytes for a request, and not {REQUEST}").into());
    }
    let mut terminated = signal(SignalKind::terminate())?;
    match env::args().nth(1).as_deref() {
        Some("hotpath") => {
            let (server, certificate) = start(asked).await?;
            say(server.listen(), certificate)?;
            terminated.recv().await;
            server.stop(true).await;
        }
        Some("tonic") if asked.use_tls => return Err("plain tonic is served without TLS only".into()),
        Some("tonic") => {
            let incoming = TcpIncoming::bind(SocketAddr::from(([127, 0, 0, 1], 0)))?.with_nodelay(Some(true));
            say(incoming.local_addr()?, Vec::new())?;
            let (interop, orca) = interop();
            let mut server = tonic::transport::Server::builder();
            let server = server.add_service(conformance()).add_service(interop).add_service(orca);
            tokio::select! {
                served = server.serve_with_incoming(incoming) => served?,
                _ = terminated.recv() => {}
            }
        }
        _ => return Err("an argument is missing: hotpath or tonic".into()),
    }
    Ok(())
}

/// Serves behind the server layer; by TLS where that is asked for, and then with the certificate that is given.
async fn start(asked: ServerCompatRequest) -> Result<(Server, Vec<u8>), Failure> {
    let ports = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0")];
    if !asked.use_tls {
        return Ok((Server::start(&APP, Env::from_pairs(ports)).await?, Vec::new()));
    }
    let TlsCreds { cert, key } = asked.server_creds.ok_or("TLS is wanted without a certificate")?;
    let (certificate, private) = (file(&cert)?, file(&key)?);
    let names = [("TLS_CERT", name(&certificate)?), ("TLS_KEY", name(&private)?)];
    let app = App { tls: Tls::Server, ..APP };
    let server = Server::start(&app, Env::from_pairs(ports.into_iter().chain(names))).await?;
    Ok((server, cert))
}

/// A file with these bytes, as long as the value lives: the server has read it by then.
fn file(bytes: &[u8]) -> Result<NamedTempFile, Failure> {
    let mut file = NamedTempFile::new()?;
    file.write_all(bytes)?;
    Ok(file)
}

fn name(file: &NamedTempFile) -> Result<&str, Failure> {
    file.path().to_str().ok_or_else(|| "a temporary file's name is not UTF-8".into())
}

/// What the suite asks the server for.
fn asked() -> Result<ServerCompatRequest, Failure> {
    let mut length = [0; 4];
    stdin().read_exact(&mut length)?;
    let mut message = vec![0; u32::from_be_bytes(length) as usize];
    stdin().read_exact(&mut message)?;
    Ok(ServerCompatRequest::decode(message.as_slice())?)
}

/// Says where the server listens, and with which certificate.
fn say(listen: SocketAddr, pem_cert: Vec<u8>) -> Result<(), Failure> {
    let host = listen.ip().to_string();
    let message = ServerCompatResponse { host, port: listen.port().into(), pem_cert }.encode_to_vec();
    let mut out = stdout().lock();
    out.write_all(&u32::try_from(message.len())?.to_be_bytes())?;
    out.write_all(&message)?;
    Ok(out.flush()?)
}
