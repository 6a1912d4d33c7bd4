//! Streams whose callers do nothing wrong: they live, and their neighbours with them.
use crate::support::{PATIENCE, call, ended, eventually, framed, head, metric, order, order_of, pb, raw, start};
use pb::fixture_client::FixtureClient;
use std::time::Duration;
use tokio::{task::JoinSet, time::sleep, time::timeout};
use tonic::{codegen::tokio_stream::iter, transport::Channel};

/// One event for all subscribers at the same moment: 42 to 45 of 100 streams were ended, because what waited was charged at
/// the worst case.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_streams_of_one_connection_are_told_at_once_and_live() {
    let server = start(&[("MEMORY_BUDGET", "512MiB")]).await;
    let client = narrow(server.listen(), 64 << 10).await;
    read_all((0..100).map(|_| client.clone()), "ticks", 20).await;
    assert_eq!(metric(server.admin(), "hotpath_shed_total", &[]).await, 0.0);
    server.stop(true).await;
}

/// More than a client that has little CPU can read: it slows the producers down, and ends none of them.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_hundred_busy_streams_of_ten_connections_live() {
    let server = start(&[("MEMORY_BUDGET", "512MiB")]).await;
    let mut clients = Vec::new();
    for _ in 0..10 {
        clients.push(narrow(server.listen(), 64 << 10).await);
    }
    read_all((0..300).map(|n| clients[n % 10].clone()), "often", 20).await;
    assert_eq!(metric(server.admin(), "hotpath_shed_total", &[]).await, 0.0);
    server.stop(true).await;
}

/// What has no room waits, and goes on when there is some: the share of the connection is less than what its streams have.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_take_turns_where_the_connection_holds_all_that_it_may() {
    let server = start(&[("MEMORY_BUDGET", "512MiB"), ("CONNECTION_SHARE", "3")]).await;
    let client = narrow(server.listen(), 64 << 10).await;
    read_all((0..50).map(|_| client.clone()), "full", 10).await;
    server.stop(true).await;
}

/// Requests that stream are slowed down by their handlers, and replies by their readers.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn streams_of_requests_live_too() {
    let server = start(&[]).await;
    let client = narrow(server.listen(), 64 << 10).await;
    let mut calls = JoinSet::new();
    for n in 0..50 {
        let mut client = client.clone();
        let orders = vec![order_of(3_500, 1); 30];
        calls.spawn(async move {
            if n % 2 == 0 {
                let done = client.collect(iter(orders)).await.unwrap().into_inner();
                assert_eq!(done.payload, "30");
                return;
            }
            let mut replies = client.chat(iter(orders)).await.unwrap().into_inner();
            let mut count = 0;
            while replies.message().await.unwrap().is_some() {
                count += 1;
            }
            assert_eq!(count, 30);
        });
    }
    timeout(PATIENCE * 3, calls.join_all()).await.expect("they end");
    server.stop(true).await;
}

/// One stream whose handler reads slowly had the window of its whole connection: a cheap call beside it ran out of time. Here
/// there are as many of them as leave room for another, and no more than one would do with windows that do not fit each other.
#[tokio::test]
async fn streams_that_are_read_slowly_do_not_stop_their_neighbours() {
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let mut slow = Vec::new();
    for _ in 0..15 {
        let (response, mut body) = requests.send_request(head("Chat", &[]), false).unwrap();
        // The first takes a minute, and the others wait behind it.
        body.send_data(framed(&order("slow", 60_000)), false).unwrap();
        for _ in 0..100 {
            body.send_data(framed(&order_of(8_000, 0)), false).unwrap();
        }
        slow.push((response, body));
    }
    // Meanwhile they send as much as they may.
    sleep(Duration::from_secs(1)).await;
    let cheap = head("Call", &[("grpc-timeout", "15S")]);
    let trailers = call(&mut requests, cheap, &order_of(100_000, 0)).await;
    assert_eq!(trailers["grpc-status"], "0");
    drop((slow, requests));
    server.stop(true).await;
}

/// h2 takes many frames of a few bytes for an attack, at a number that follows from the window of the connection: 544 here,
/// where tonic's own server bears 2,100.
#[tokio::test]
async fn two_thousand_small_messages_wait_for_a_slow_handler() {
    let server = start(&[]).await;
    let mut requests = raw(server.listen(), 1 << 20).await;
    let (response, mut body) = requests.send_request(head("Collect", &[]), false).unwrap();
    body.send_data(framed(&order("slow", 1_000)), false).unwrap();
    for n in 1..2_000 {
        body.send_data(framed(&order("12345678", 0)), n == 1_999).unwrap();
    }
    let mut reply = timeout(PATIENCE * 3, response).await.expect("it is answered").unwrap().into_body();
    while let Some(data) = reply.data().await {
        reply.flow_control().release_capacity(data.unwrap().len()).unwrap();
    }
    assert_eq!(reply.trailers().await.unwrap().unwrap()["grpc-status"], "0");
    server.stop(true).await;
}

/// A reader of one stream that stops is reset at its deadline, and counted as late; nothing else of its connection is.
#[tokio::test]
async fn a_stream_that_outlives_its_deadline_is_reset_alone() {
    for window in [0, 1, 65_535] {
        let server = start(&[]).await;
        let mut requests = raw(server.listen(), window).await;
        let late = head("Stream", &[("grpc-timeout", "100m")]);
        let (response, mut body) = requests.send_request(late, false).unwrap();
        body.send_data(framed(&order("full", 0)), true).unwrap();
        let mut unread = response.await.unwrap().into_body();
        let neighbour = head("Stream", &[]);
        let (response, mut body) = requests.send_request(neighbour, false).unwrap();
        body.send_data(framed(&order("endless", 0)), true).unwrap();
        let neighbour = response.await.unwrap();
        let reset = async {
            loop {
                match unread.data().await {
                    // Read, and not given back: its window stays shut.
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break error,
                    None => panic!("it ended by itself, with a window of {window}"),
                }
            }
        };
        let error = timeout(PATIENCE, reset).await.expect("it is reset");
        assert!(error.is_reset() && error.is_remote(), "{error}");
        let admin = server.admin();
        let counted = async || ended(admin, "Stream", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await == 1.0;
        eventually("it is counted", counted).await;
        let one = async || metric(admin, "hotpath_in_flight", &["grpc_method=\"Stream\""]).await == 1.0;
        eventually("its permits are free, and those of its neighbour are not", one).await;
        let trailers = call(&mut requests, head("Call", &[]), &order("header none", 0)).await;
        assert_eq!(trailers["grpc-status"], "3", "the connection lives");
        drop(neighbour);
        server.stop(true).await;
    }
}

/// Reads so many events of a stream of each client.
async fn read_all(clients: impl Iterator<Item = FixtureClient<Channel>>, what: &str, events: usize) {
    let mut streams = JoinSet::new();
    for mut client in clients {
        let order = order(what, 0);
        streams.spawn(async move {
            // A connection that holds all that it may gets no more calls, and is told to come back.
            let mut stream = loop {
                match client.stream(order.clone()).await {
                    Ok(stream) => break stream.into_inner(),
                    Err(status) => assert_eq!(status.code(), tonic::Code::ResourceExhausted, "{status}"),
                }
                sleep(Duration::from_millis(100)).await;
            };
            for seen in 0..events {
                let event = stream.message().await.unwrap_or_else(|status| panic!("after {seen} events: {status}"));
                assert!(event.is_some(), "after {seen} events");
            }
        });
    }
    timeout(PATIENCE * 3, streams.join_all()).await.expect("all of them go on");
}

/// A client with windows as those that grpc-go begins with.
async fn narrow(address: std::net::SocketAddr, window: u32) -> FixtureClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let endpoint = endpoint.initial_stream_window_size(window).initial_connection_window_size(window);
    FixtureClient::new(endpoint.connect().await.unwrap())
}
