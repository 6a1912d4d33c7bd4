//! Streams, which tonic's limits and timeouts do not see once their headers are sent.
use crate::support::{client, eventually, head, metric, order, raw, read, start};
use bytes::Bytes;
use tonic::Code;

/// Under tonic's timeout a stream of 4 s survived 300 ms.
#[tokio::test]
async fn a_stream_ends_at_its_deadline() {
    let server = start(&[("MAX_DEADLINE_MS", "100")]).await;
    let mut stream = client(server.listen()).await.stream(order("endless", 0)).await.unwrap().into_inner();
    let ended = loop {
        match stream.message().await {
            Ok(Some(_)) => {}
            Ok(None) => panic!("OK, and half of the data"),
            Err(status) => break status,
        }
    };
    assert_eq!(ended.code(), Code::DeadlineExceeded);
    server.stop(true).await;
}

/// tonic gives a permit back at the response headers: a limit of 2 ran 6 streams.
#[tokio::test]
async fn a_permit_lives_until_the_last_byte_of_a_slow_reader() {
    let server = start(&[]).await;
    let admin = server.admin();
    let in_use = async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await;
    let mut slow = raw(server.listen(), 0).await;
    let (response, mut body) = slow.send_request(head("Call", &[]), false).unwrap();
    body.send_data(crate::support::framed(&order("reply", 500_000)), true).unwrap();
    let reply = response.await.unwrap().into_body();
    // The handler is done: what is held is what its bytes take, and no more than that.
    eventually("the worst case is given back", async || in_use().await < 520_000.0).await;
    assert!(in_use().await >= 500_000.0, "half a megabyte waits for its reader");
    assert_eq!(metric(admin, "hotpath_in_flight", &["grpc_method=\"Call\""]).await, 0.0, "and no slot");
    drop((reply, body, slow));
    eventually("its bytes are given back too", async || in_use().await == 0.0).await;
    server.stop(true).await;
}

/// A peer that neither reads nor resets holds memory: its stream ends soon after its deadline all the same.
#[tokio::test]
async fn a_stream_that_nobody_reads_is_cut_after_its_deadline() {
    let server = start(&[("MAX_DEADLINE_MS", "50")]).await;
    let admin = server.admin();
    let mut slow = raw(server.listen(), 0).await;
    let mut held = Vec::new();
    for what in ["full", "endless"] {
        let (response, mut body) = slow.send_request(head("Stream", &[]), false).unwrap();
        body.send_data(crate::support::framed(&order(what, 0)), true).unwrap();
        held.push((response.await.unwrap(), body));
    }
    assert!(metric(admin, "hotpath_memory_in_use_bytes", &[]).await > 0.0);
    eventually("both are cut", async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await == 0.0).await;
    drop(held);
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
