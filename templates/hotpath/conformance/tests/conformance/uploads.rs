//! Requests that are refused, or come too late, cost their neighbours nothing.
use crate::support::{MIB, PATIENCE, call, ended, framed, head, metric, order, order_of, raw, start};
use bytes::Bytes;
use h2::client::SendRequest;
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep, time::timeout};
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

/// As a client does that has half of its message under way when its answer comes: the other half follows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn uploads_that_are_late_do_not_end_their_connection() {
    let server = start(&[("MEMORY_BUDGET", "512MiB")]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let neighbour = neighbour(&requests);
    let whole = framed(&order_of(60_000, 0));
    let mut uploads = JoinSet::new();
    for _ in 0..UPLOADS {
        let late = head("Call", &[("grpc-timeout", "20m")]);
        let (response, mut body) = ready(&mut requests).await.send_request(late, false).unwrap();
        let whole = whole.clone();
        uploads.spawn(async move {
            body.send_data(whole.slice(..100), false).unwrap();
            let status = response.await.unwrap().headers()["grpc-status"].clone();
            for part in 1..10 {
                // Without waiting for what the server says to it.
                drop(body.send_data(whole.slice(part * 100..(part + 1) * 100), false));
                sleep(Duration::from_millis(1)).await;
            }
            status
        });
        if uploads.len() >= 16 {
            assert_eq!(uploads.join_next().await.unwrap().unwrap(), (Code::DeadlineExceeded as u16).to_string());
        }
    }
    uploads.join_all().await;
    assert_eq!(ended(server.admin(), "Call", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await, UPLOADS as f64);
    alive(requests, neighbour).await;
    server.stop(true).await;
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
