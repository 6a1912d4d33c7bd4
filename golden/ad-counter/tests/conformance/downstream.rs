//! Calls to other services: the fixture calls another instance of itself.
use crate::support::{client, ended, eventually, metric, order, start};
use tonic::Code;

#[tokio::test]
async fn what_is_left_of_the_deadline_is_passed_on() {
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer), ("MAX_DEADLINE_MS", "60")]).await;
    let status = client(server.listen()).await.call(order("ask", 60_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    // The called service's own deadline is much longer: it can only have ended by what was passed on.
    let admin = called.admin();
    eventually("the called service knew", async || {
        ended(admin, "Call", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await
            + ended(admin, "Call", ("Canceled", "CANCELLED")).await
            == 1.0
    })
    .await;
    server.stop(true).await;
    called.stop(true).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_call_further_down() {
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer)]).await;
    let (address, admin) = (server.listen(), called.admin());
    let call = tokio::spawn(async move { client(address).await.call(order("ask", 60_000)).await });
    let busy = async || metric(admin, "hotpath_in_flight", &["grpc_method=\"Call\""]).await;
    eventually("it is asked", async || busy().await == 1.0).await;
    call.abort();
    eventually("it is let go", async || busy().await == 0.0).await;
    assert_eq!(ended(admin, "Call", ("Canceled", "CANCELLED")).await, 1.0);
    server.stop(true).await;
    called.stop(true).await;
}

/// A channel that cannot connect would wait for ever: the deadline, or the connect timeout, ends it.
#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_never_its_own_code() {
    let server = start(&[("DOWNSTREAM_PEER", "http://127.0.0.1:1")]).await;
    let status = client(server.listen()).await.call(order("ask", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with("peer: "), "{status:?}");
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer)]).await;
    client(server.listen()).await.call(order("ask", 1)).await.unwrap();
    server.stop(true).await;
    called.stop(true).await;
}
