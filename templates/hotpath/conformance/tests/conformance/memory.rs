//! Peers that would have the server hold more than its budget.
use crate::process::Process;
use crate::support::{MIB, client, eventually, framed, head, metric, order, raw, start};
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

/// 60 connections that read nothing held 3,570 MB of a tutorial's server; and where permits bound that, they took every
/// permit, and honest callers saw only RESOURCE_EXHAUSTED. A window makes no difference: one that is open, if only by a
/// byte, has the transport take a reply which it cannot send.
#[tokio::test]
async fn slow_readers_hold_little_and_leave_room_for_others() {
    for (method, window) in [("Call", 0), ("Stream", 0), ("Call", 1), ("Stream", 1), ("Stream", 65_535)] {
        let process = Process::start("slow", "", &[("MEMORY_BUDGET", "512MiB")]);
        let (listen, admin) = (process.address("listen").await, process.address("admin").await);
        let rss = async || metric(admin, "process_resident_memory_bytes", &[]).await / MIB as f64;
        let mut honest = client(listen).await;
        honest.call(order("reply", 60_000)).await.unwrap();
        let before = rss().await;
        let mut slow = Vec::new();
        for _ in 0..60 {
            let mut requests = raw(listen, window).await;
            for _ in 0..100 {
                let (response, mut body) = requests.send_request(head(method, &[]), false).unwrap();
                let what = if method == "Call" { "reply" } else { "full" };
                body.send_data(framed(&order(what, 60_000)), true).unwrap();
                slow.push((response.await.unwrap(), body));
                requests = requests.ready().await.unwrap();
            }
            honest.call(order("reply", 60_000)).await.unwrap();
        }
        let grown = rss().await - before;
        assert!(grown < 40.0, "{method}, window {window}: {before:.0} MiB, and {grown:.0} MiB more");
        drop(slow);
    }
}

/// A peer that has not read its last replies would only have more of them queued: its connection is closed, and all that it
/// held is free.
#[tokio::test]
async fn a_peer_that_has_stopped_reading_is_closed() {
    let server = start(&[("MAX_DEADLINE_MS", "50")]).await;
    let admin = server.admin();
    for window in [0, 1, 65_535] {
        let mut requests = raw(server.listen(), window).await;
        let (response, mut body) = requests.send_request(head("Call", &[]), false).unwrap();
        body.send_data(framed(&order("reply", 500_000)), true).unwrap();
        let unread = response.await.unwrap();
        let what = format!("with a window of {window} it is closed");
        eventually(&what, async || metric(admin, "hotpath_connections", &[]).await == 0.0).await;
        assert_eq!(metric(admin, "hotpath_memory_in_use_bytes", &[]).await, 0.0, "{what}, and holds nothing");
        drop((unread, requests));
    }
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
