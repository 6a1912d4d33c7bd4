//! The codes that Go callers and their retry policies count on.
use crate::support::{MIB, call, client, eventually, head, metric, order, raw, start};
use bytes::Bytes;
use tonic::Code;

/// tonic's own timeout says CANCELLED, which no caller retries or alerts on as a timeout.
#[tokio::test]
async fn a_passed_deadline_is_deadline_exceeded() {
    // The caller's own deadline, and not the server's, which is minutes away: `call` waits for neither that nor the sleep.
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let trailers = call(&mut requests, head("Call", &[("grpc-timeout", "30m")]), &order("sleep", 60_000)).await;
    assert_eq!(trailers["grpc-status"], (Code::DeadlineExceeded as u16).to_string());
    server.stop(true).await;
}

/// A caller may not ask for more than the server's own deadline, nor for no deadline at all.
#[tokio::test]
async fn the_servers_deadline_caps_the_callers() {
    let server = start(&[("MAX_DEADLINE_MS", "30")]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    for headers in [&[("grpc-timeout", "1H")][..], &[]] {
        let trailers = call(&mut requests, head("Call", headers), &order("sleep", 60_000)).await;
        assert_eq!(trailers["grpc-status"], (Code::DeadlineExceeded as u16).to_string());
    }
    server.stop(true).await;
}

/// tonic says OUT_OF_RANGE; and what is too large once is too large again, so the pushback says never to retry.
#[tokio::test]
async fn an_oversized_message_is_resource_exhausted_in_both_directions() {
    let server = start(&[]).await;
    let mut client = client(server.listen()).await;
    let mut large = order("echo", 0);
    large.payload = Bytes::from(vec![0; MIB as usize + 1]);
    let received = client.call(large).await.unwrap_err();
    assert_eq!(received.code(), Code::ResourceExhausted);
    assert!(received.message().starts_with("grpc: received message larger than max ("), "{received:?}");
    assert_eq!(received.metadata().get("grpc-retry-pushback-ms").unwrap(), "-1");
    let sent = client.call(order("reply", MIB as u32 + 1)).await.unwrap_err();
    assert_eq!(sent.code(), Code::ResourceExhausted);
    assert!(sent.message().starts_with("grpc: trying to send message larger than max ("), "{sent:?}");
    assert_eq!(
        client.call(order("reply", MIB as u32 - 16)).await.unwrap().into_inner().payload.len(),
        MIB as usize - 16
    );
    server.stop(true).await;
}

/// tonic's concurrency limit queues, or answers UNAVAILABLE, and retries then make the overload worse.
#[tokio::test]
async fn a_shed_call_is_resource_exhausted_with_pushback() {
    let server = start(&[]).await;
    let (address, admin) = (server.listen(), server.admin());
    let busy: Vec<_> = (0..2)
        .map(|_| tokio::spawn(async move { client(address).await.compute(order("spin", 60_000)).await }))
        .collect();
    eventually("two calls in flight", async || {
        metric(admin, "hotpath_in_flight", &["grpc_method=\"Compute\""]).await == 2.0
    })
    .await;
    let shed = client(address).await.compute(order("spin", 1)).await.unwrap_err();
    assert_eq!(shed.code(), Code::ResourceExhausted);
    assert_eq!(shed.metadata().get("grpc-retry-pushback-ms").unwrap(), "100");
    for call in busy {
        call.abort();
    }
    server.stop(true).await;
}

#[tokio::test]
async fn what_does_not_exist_is_unimplemented() {
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let trailers = call(&mut requests, head("Nothing", &[]), &order("", 0)).await;
    assert_eq!(trailers["grpc-status"], (Code::Unimplemented as u16).to_string());
    server.stop(true).await;
}
