//! Peers that would have the server hold more than its budget.
use crate::support::{client, eventually, framed, head, metric, order, raw, start};
use tonic::Code;

/// 40 connections with half a body each held 681 MB of a tutorial's server for as long as they liked.
#[tokio::test]
async fn half_a_body_is_let_go_at_the_deadline() {
    let server = start(&[("MAX_DEADLINE_MS", "100")]).await;
    let admin = server.admin();
    let mut requests = raw(server.listen(), 1 << 20).await;
    let (response, mut body) = requests.send_request(head("Call", &[]), false).unwrap();
    let whole = framed(&order("echo", 1));
    body.send_data(whole.slice(..whole.len() / 2), false).unwrap();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["grpc-status"], (Code::DeadlineExceeded as u16).to_string());
    eventually("its memory is free", async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await == 0.0).await;
    server.stop(true).await;
}

/// 60 connections that read nothing took every permit, and honest callers saw only RESOURCE_EXHAUSTED.
#[tokio::test]
async fn slow_readers_leave_room_for_others() {
    let server = start(&[]).await;
    let mut slow = Vec::new();
    for _ in 0..20 {
        let mut requests = raw(server.listen(), 0).await;
        for _ in 0..20 {
            let (response, mut body) = requests.send_request(head("Call", &[]), false).unwrap();
            body.send_data(framed(&order("reply", 60_000)), true).unwrap();
            slow.push(response.await.unwrap());
        }
    }
    let mut honest = client(server.listen()).await;
    for _ in 0..20 {
        honest.call(order("reply", 60_000)).await.unwrap();
    }
    drop(slow);
    server.stop(true).await;
}

/// Nor may one connection take what all have in common, however much it asks for at once.
#[tokio::test]
async fn a_greedy_connection_leaves_room_for_others() {
    let server = start(&[]).await;
    let admin = server.admin();
    let mut greedy = raw(server.listen(), 1 << 20).await;
    let mut held = Vec::new();
    for _ in 0..60 {
        let (response, mut body) =
            greedy.clone().ready().await.unwrap().send_request(head("Call", &[]), false).unwrap();
        body.send_data(framed(&order("sleep", 60_000)), true).unwrap();
        held.push((response, body));
    }
    greedy = greedy.ready().await.unwrap();
    eventually("it is shed", async || metric(admin, "hotpath_shed_total", &["reason=\"connection\""]).await > 0.0)
        .await;
    client(server.listen()).await.call(order("reply", 1)).await.unwrap();
    drop((greedy, held));
    server.stop(true).await;
}

/// A header list is refused by its announced size, and what a peer holds open is bounded by its streams.
#[tokio::test]
async fn a_flood_of_headers_is_refused() {
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let long = "x".repeat(16 << 10);
    let (response, _body) = requests.send_request(head("Call", &[("flood", &long)]), true).unwrap();
    match response.await {
        Ok(response) => assert_eq!(response.status(), 431),
        Err(error) => assert!(error.is_reset() || error.is_go_away() || error.is_io(), "{error}"),
    }
    client(server.listen()).await.call(order("echo", 1)).await.unwrap();
    server.stop(true).await;
}
