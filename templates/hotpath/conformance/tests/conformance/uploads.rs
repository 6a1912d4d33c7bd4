//! Requests that are refused, or come too late, cost their neighbours nothing.
use crate::support::{MIB, PATIENCE, call, ended, eventually, framed, head, metric, order, order_of, raw, start};
use bytes::Bytes;
use h2::client::SendRequest;
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::{net::TcpStream, task::JoinSet, time::sleep, time::timeout};
use tonic::Code;

/// The most that h2 bears, 128 in the life of a connection, and some more.
const UPLOADS: usize = 200;

/// After 128 of them the connection ended, with ENHANCE_YOUR_CALM: 32 to 42% of the calls beside them were cut.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_are_too_large_do_not_end_their_connection() {
    let server = start(&[("MEMORY_BUDGET", "512MiB")]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let neighbour = neighbour(&requests);
    let large = framed(&order_of(2 * MIB as usize, 0));
    let mut uploads = JoinSet::new();
    for _ in 0..UPLOADS {
        let (response, mut body) = ready(&mut requests).await.send_request(head("Call", &[]), false).unwrap();
        body.send_data(large.clone(), true).unwrap();
        uploads.spawn(async move { response.await.unwrap().headers()["grpc-status"].clone() });
        if uploads.len() >= 8 {
            assert_eq!(uploads.join_next().await.unwrap().unwrap(), (Code::ResourceExhausted as u16).to_string());
        }
    }
    uploads.join_all().await;
    assert_eq!(
        metric(server.admin(), "hotpath_shed_total", &[]).await,
        0.0,
        "each was served, and refused by its size"
    );
    alive(requests, neighbour).await;
    server.stop(true).await;
}

/// What a client had under way when its answer came arrives after it.
#[tokio::test]
async fn uploads_that_are_late_do_not_end_their_connection() {
    const ENHANCE_YOUR_CALM: u8 = 11;
    let server = start(&[("MEMORY_BUDGET", "512MiB")]).await;
    let mut socket = TcpStream::connect(server.listen()).await.unwrap();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    // POST, http, and names and values as they are.
    let mut head = b"\x83\x86\x04\x1b/fixture.v1.Fixture/Collect\x0f\x10\x10application/grpc".to_vec();
    head.extend(b"\0\x02te\x08trailers\0\x0cgrpc-timeout\x0320m");
    for round in 0..UPLOADS as u32 / 100 {
        let streams = (round * 200 + 1..round * 200 + 200).step_by(2);
        // HEADERS, and that is all of them.
        let heads = streams.clone().flat_map(|stream| frame(1, 4, stream, &head));
        socket.write_all(&heads.collect::<Vec<_>>()).await.unwrap();
        let late = async || ended(server.admin(), "Collect", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await;
        eventually("all are late", async || late().await == f64::from((round + 1) * 100)).await;
        // DATA, and that is the end of the stream.
        let data = streams.flat_map(|stream| frame(0, 1, stream, b"x"));
        socket.write_all(&data.collect::<Vec<_>>()).await.unwrap();
        sleep(Duration::from_millis(100)).await;
    }
    drop(socket.shutdown().await);
    let mut said = Vec::new();
    timeout(PATIENCE, socket.read_to_end(&mut said)).await.expect("it ends").unwrap();
    let mut frames = said.as_slice();
    let mut answers = 0;
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let (body, rest) = rest.split_at(length);
        assert!(head[3] != 7 || body[7] != ENHANCE_YOUR_CALM, "after {answers} answers");
        answers += usize::from(head[3] == 1);
        frames = rest;
    }
    assert_eq!(answers, UPLOADS);
    server.stop(true).await;
}

fn frame(kind: u8, flags: u8, stream: u32, body: &[u8]) -> Vec<u8> {
    [&[0, 0, body.len() as u8, kind, flags], &stream.to_be_bytes()[..], body].concat()
}

/// What is no gRPC is told so as HTTP does, takes no permit, and is counted as no call.
#[tokio::test]
async fn what_is_not_grpc_is_refused_before_it_is_a_call() {
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    for (verb, content, code) in [
        ("POST", "application/json", 415),
        ("POST", "application/grpc-web+proto", 415),
        ("POST", "application/grpc+json", 415),
        ("GET", "application/grpc", 405),
    ] {
        let request = http::Request::builder().method(verb).uri("http://fixture/fixture.v1.Fixture/Call");
        let request = request.header("content-type", content).body(()).unwrap();
        let (response, mut body) = requests.send_request(request, false).unwrap();
        body.send_data(Bytes::from_static(b"{}"), true).unwrap();
        assert_eq!(timeout(PATIENCE, response).await.unwrap().unwrap().status(), code, "{verb} {content}");
    }
    let admin = server.admin();
    assert_eq!(metric(admin, "grpc_server_started_total", &[]).await, 0.0);
    assert_eq!(metric(admin, "hotpath_shed_total", &[]).await, 0.0);
    let trailers =
        call(&mut requests, head("Call", &[("content-type", "application/grpc+proto")]), &order("echo", 0)).await;
    assert_eq!(trailers["grpc-status"], "0");
    server.stop(true).await;
}

/// A method that takes one request is called with one. With none, or with more, the handler sees nothing of it, and the code
/// is the one that gRPC has for it.
#[tokio::test]
async fn where_one_request_is_due_one_is_taken() {
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let one = framed(&order("echo", 0));
    for method in ["Call", "Stream"] {
        for (name, body) in [
            ("none", Bytes::new()),
            ("two", [&one[..], &one].concat().into()),
            ("the begin of a second", [&one[..], &[0]].concat().into()),
        ] {
            let (response, mut upload) = requests.send_request(head(method, &[]), false).unwrap();
            upload.send_data(body, true).unwrap();
            let response = timeout(PATIENCE, response).await.unwrap().unwrap();
            let code = (Code::Unimplemented as u16).to_string();
            assert_eq!(response.headers()["grpc-status"], code, "{method} with {name}");
        }
    }
    let trailers = call(&mut requests, head("Call", &[]), &order("echo", 0)).await;
    assert_eq!(trailers["grpc-status"], "0");
    server.stop(true).await;
}

async fn ready(requests: &mut SendRequest<Bytes>) -> SendRequest<Bytes> {
    requests.clone().ready().await.expect("the connection lives")
}

/// A call of another caller on the same connection.
fn neighbour(requests: &SendRequest<Bytes>) -> tokio::task::JoinHandle<http::HeaderMap> {
    let mut requests = requests.clone();
    tokio::spawn(async move { call(&mut requests, head("Call", &[]), &order("sleep", 3_000)).await })
}

async fn alive(mut requests: SendRequest<Bytes>, neighbour: tokio::task::JoinHandle<http::HeaderMap>) {
    assert_eq!(neighbour.await.unwrap()["grpc-status"], "0");
    let trailers = call(&mut requests, head("Call", &[]), &order("echo", 0)).await;
    assert_eq!(trailers["grpc-status"], "0");
}
