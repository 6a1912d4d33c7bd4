//! A stop that ends, and loses nothing that could be finished.
use crate::support::{PATIENCE, client, eventually, metric, order, pb::fixture_client::FixtureClient, start};
use hotpath::Server;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};
use std::{sync::Arc, time::Instant};
use tokio::{io::AsyncWriteExt as _, net::TcpStream, sync::mpsc::Sender};
use tonic::transport::{Channel, Endpoint, channel::Change};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

#[tokio::test]
async fn calls_under_way_are_finished() {
    let server = start(&[]).await;
    let (address, admin) = (server.listen(), server.admin());
    let call = tokio::spawn(async move { client(address).await.call(order("sleep", 200)).await });
    eventually("it is in flight", async || metric(admin, "hotpath_in_flight", &["grpc_method=\"Call\""]).await == 1.0)
        .await;
    assert!(server.stop(true).await.whole);
    call.await.unwrap().unwrap();
}

/// One silent socket held tonic's shutdown for hours.
#[tokio::test]
async fn a_silent_socket_does_not_hold_the_drain() {
    let server = start(&[("DRAIN_MS", "600000")]).await;
    let mut silent = TcpStream::connect(server.listen()).await.unwrap();
    silent.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let admin = server.admin();
    eventually("it is connected", async || metric(admin, "hotpath_connections", &[]).await == 1.0).await;
    let begun = Instant::now();
    assert!(server.stop(true).await.whole, "no call was cut");
    assert!(begun.elapsed() < PATIENCE);
}

/// Nor does an endless stream: it is cut at the cap, and the exit code says so.
#[tokio::test]
async fn an_endless_stream_is_cut_at_the_cap() {
    let server = start(&[("DRAIN_MS", "50"), ("MAX_DEADLINE_MS", "600000")]).await;
    let mut stream = client(server.listen()).await.stream(order("endless", 1)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    assert!(!server.stop(true).await.whole);
}

/// A client that watches health would otherwise hold every drain to its cap.
#[tokio::test]
async fn a_watch_of_health_is_told_and_ends() {
    let server = start(&[("DRAIN_MS", "600000")]).await;
    let channel = Channel::from_shared(format!("http://{}", server.listen())).unwrap();
    let mut health = HealthClient::new(channel.connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::Serving);
    let stop = tokio::spawn(server.stop(true));
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(watch.message().await.unwrap().is_none());
    assert!(stop.await.unwrap().whole);
}

/// Each restart of a naive service fails the calls under way. Here they are finished, also where the balancer is given no
/// time to notice.
#[tokio::test]
async fn a_rolling_restart_fails_no_call() {
    let (channel, changes) = Channel::balance_channel(4);
    let mut replicas = Vec::new();
    for _ in 0..3 {
        replicas.push(replica(&changes).await);
    }
    let (answered, over) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
    let callers = [(); 4].map(|()| {
        let (mut client, answered, over) = (FixtureClient::new(channel.clone()), answered.clone(), over.clone());
        tokio::spawn(async move {
            while !over.load(SeqCst) {
                client.call(order("sleep", 5)).await?;
                answered.fetch_add(1, SeqCst);
            }
            Ok::<_, tonic::Status>(())
        })
    });
    for _ in 0..3 {
        replicas.push(replica(&changes).await);
        assert!(replicas.remove(0).stop(true).await.whole);
        let before = answered.load(SeqCst);
        eventually("the rest are called", async || answered.load(SeqCst) > before + 20).await;
    }
    over.store(true, SeqCst);
    for caller in callers {
        caller.await.unwrap().unwrap();
    }
}

/// A replica behind a balancer that takes it out when it says that it does not serve.
async fn replica(changes: &Sender<Change<SocketAddr, Endpoint>>) -> Server {
    let server = start(&[("MEMORY_BUDGET", "512MiB")]).await;
    let (address, changes) = (server.listen(), changes.clone());
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    let mut health = HealthClient::new(endpoint.connect().await.unwrap());
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    changes.send(Change::Insert(address, endpoint)).await.unwrap();
    tokio::spawn(async move {
        while let Ok(Some(said)) = watch.message().await
            && said.status() == ServingStatus::Serving
        {}
        changes.send(Change::Remove(address)).await
    });
    server
}
