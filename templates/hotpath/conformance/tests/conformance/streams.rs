//! Streams, which tonic's limits and timeouts do not see once their headers are sent.
use crate::support::{PATIENCE, app, client, eventually, framed, head, metric, order, pb::Done, pb::Order, raw, read};
use crate::support::{start, start_app};
use bytes::Bytes;
use hotpath::{App, Policy};
use std::time::{Duration, Instant};
use tokio::time::timeout;
use tonic::{Code, Request, Status, Streaming};

/// An order whose caller waits so many milliseconds.
fn within(millis: u64, what: &str) -> Request<Order> {
    let mut request = Request::new(order(what, 0));
    request.set_timeout(Duration::from_millis(millis));
    request
}

/// Under tonic's timeout a stream of 4 s survived 300 ms.
#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let server = start(&[]).await;
    let stream = client(server.listen()).await.stream(within(100, "endless")).await.unwrap().into_inner();
    assert_eq!(end_of(stream).await.code(), Code::DeadlineExceeded);
    server.stop(true).await;
}

/// A producer that always has more, and a reader that takes it all, leave no pause in which to see that time is up.
#[tokio::test]
async fn a_stream_that_never_pauses_ends_at_its_deadline() {
    let server = start(&[]).await;
    let begun = Instant::now();
    let stream = client(server.listen()).await.stream(within(100, "full")).await.unwrap().into_inner();
    assert_eq!(end_of(stream).await.code(), Code::DeadlineExceeded);
    assert!(begun.elapsed() < PATIENCE / 4, "{:?}", begun.elapsed());
    server.stop(true).await;
}

/// A stream has no deadline but its caller's and its policy's: the one of calls that answer once would end it.
#[tokio::test]
async fn a_stream_has_no_deadline_of_its_own() {
    let server = start(&[("MAX_DEADLINE_MS", "50")]).await;
    let mut client = client(server.listen()).await;
    let mut stream = client.stream(order("ticks", 0)).await.unwrap().into_inner();
    for _ in 0..5 {
        assert!(stream.message().await.unwrap().is_some());
    }
    assert_eq!(client.call(order("sleep", 60_000)).await.unwrap_err().code(), Code::DeadlineExceeded);
    server.stop(true).await;
}

/// Who writes `Duration::MAX` means no deadline; the first call of such a method once ended the process.
#[tokio::test]
async fn the_longest_deadline_that_there_is_means_none() {
    let app = App { policies: ENDLESS, ..app() };
    let server = start_app(&app, &[("MAX_DEADLINE_MS", "50")]).await;
    let mut client = client(server.listen()).await;
    client.call(order("sleep", 200)).await.unwrap();
    let mut stream = client.stream(order("ticks", 0)).await.unwrap().into_inner();
    assert!(stream.message().await.unwrap().is_some());
    assert_eq!(
        end_of(client.stream(within(100, "endless")).await.unwrap().into_inner()).await.code(),
        Code::DeadlineExceeded
    );
    server.stop(true).await;
}

const ENDLESS: &[(&str, Policy)] = &[
    ("Call", Policy::light().deadline(Duration::MAX)),
    ("Compute", Policy::cpu(Duration::from_millis(1), Duration::from_millis(1)).deadline(Duration::MAX)),
    ("Stream", Policy::light().deadline(Duration::MAX)),
    ("Collect", Policy::light().deadline(Duration::MAX)),
    ("Chat", Policy::light().deadline(Duration::MAX)),
];

/// Reads a stream to its end.
async fn end_of(mut stream: Streaming<Done>) -> Status {
    let end = async {
        loop {
            match stream.message().await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("OK, and half of the data"),
                Err(status) => break status,
            }
        }
    };
    timeout(PATIENCE, end).await.expect("it ends")
}

/// tonic gives a permit back at the response headers: a limit of 2 ran 6 streams.
#[tokio::test]
async fn a_permit_lives_until_the_last_byte_of_a_slow_reader() {
    let server = start(&[]).await;
    let admin = server.admin();
    let in_use = async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await;
    for window in [0, 1, 65_535] {
        let mut slow = raw(server.listen(), window).await;
        let (response, mut body) = slow.send_request(head("Call", &[]), false).unwrap();
        body.send_data(framed(&order("reply", 500_000)), true).unwrap();
        let reply = response.await.unwrap().into_body();
        // The handler is done: what is held is what its bytes take, and no more than that.
        eventually("the worst case is given back", async || in_use().await < 520_000.0).await;
        assert!(in_use().await >= 500_000.0, "half a megabyte waits for its reader: window {window}");
        assert_eq!(metric(admin, "hotpath_in_flight", &["grpc_method=\"Call\""]).await, 0.0, "and no slot");
        drop((reply, body, slow));
        eventually("its bytes are given back too", async || in_use().await == 0.0).await;
    }
    server.stop(true).await;
}

/// A peer that neither reads nor resets holds memory: its stream ends soon after its deadline all the same.
#[tokio::test]
async fn a_stream_that_nobody_reads_is_cut_after_its_deadline() {
    let server = start(&[]).await;
    let admin = server.admin();
    for window in [0, 1, 65_535] {
        let mut slow = raw(server.listen(), window).await;
        let mut held = Vec::new();
        for what in ["full", "endless"] {
            let (response, mut body) = slow.send_request(head("Stream", &[("grpc-timeout", "50m")]), false).unwrap();
            body.send_data(framed(&order(what, 0)), true).unwrap();
            held.push((response.await.unwrap(), body));
        }
        assert!(metric(admin, "hotpath_memory_in_use_bytes", &[]).await > 0.0);
        let what = format!("with a window of {window} both are cut");
        eventually(&what, async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await == 0.0).await;
        drop((held, slow));
    }
    server.stop(true).await;
}

/// A reply may be larger than the client's windows, of the stream and of the connection, and a message than the stream's:
/// the rest comes as it reads.
#[tokio::test]
async fn a_stream_is_pulled_by_its_reader() {
    let server = start(&[]).await;
    let mut order = order("count", 200);
    order.payload = Bytes::from(vec![1; 1_000]);
    let (bytes, trailers) = read(&mut raw(server.listen(), 500).await, head("Stream", &[]), &order).await;
    // Before the payload: five bytes of gRPC's, and three of the message's.
    assert_eq!(bytes, 200 * (5 + 3 + 1_000));
    assert_eq!(trailers["grpc-status"], (Code::Ok as u16).to_string());
    server.stop(true).await;
}
