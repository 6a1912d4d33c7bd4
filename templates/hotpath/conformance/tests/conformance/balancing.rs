//! Calls to a service of several replicas, which come and go.
use crate::support::{Peers, client, ended, env, eventually, metric, order, start};
use hotpath::Server;
use hotpath_conformance::pb::fixture_client::FixtureClient;
use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::{net::SocketAddr, sync::Arc, time::Duration};
use tokio::{task::JoinSet, time::sleep};
use tonic::{Code, transport::Channel};

/// A replica whose connections are as short-lived as they can be, and that says that it stops for a while before it does.
async fn replica() -> Server {
    start(&[("CONNECTION_AGE_MS", "500"), ("DRAIN_DELAY_MS", "300"), ("MEMORY_BUDGET", "512MiB")]).await
}

/// A service that calls the peers.
async fn caller(peers: &Peers) -> Server {
    start(&[("PEERS", peers.file()), ("DOWNSTREAM_PEER_RESOLVE_MS", "100"), ("MEMORY_BUDGET", "512MiB")]).await
}

async fn connected(caller: &Server, count: usize) {
    let admin = caller.admin();
    eventually("it is connected to every replica", async || {
        metric(admin, "hotpath_downstream_connections", &["downstream=\"peer\""]).await == count as f64
    })
    .await;
}

/// How many calls a replica has answered.
async fn answered(replica: &Server) -> f64 {
    ended(replica.admin(), "Call", ("OK", "OK")).await
}

/// Calls that are made through one service for as long as a test wants.
struct Load {
    made: Arc<AtomicU32>,
    callers: JoinSet<Vec<String>>,
    stop: Arc<AtomicU32>,
}

impl Load {
    /// From `callers` at once, each one call after the other.
    async fn on(caller: &Server, callers: u32) -> Self {
        let (made, stop) = (Arc::default(), Arc::default());
        let mut load = Self { made, callers: JoinSet::new(), stop };
        for n in 0..callers {
            // What one connection may have in flight is bounded.
            let client = client(caller.listen()).await;
            load.callers.spawn(Self::call(client, n % 3, Arc::clone(&load.made), Arc::clone(&load.stop)));
        }
        load
    }

    /// The errors of one caller, whose calls take `millis` at the replica.
    async fn call(
        mut client: FixtureClient<Channel>,
        millis: u32,
        made: Arc<AtomicU32>,
        stop: Arc<AtomicU32>,
    ) -> Vec<String> {
        let mut failed = Vec::new();
        while stop.load(SeqCst) == 0 {
            if let Err(status) = client.call(order("ask sleep", millis)).await {
                failed.push(format!("{status:?}"));
            }
            made.fetch_add(1, SeqCst);
        }
        failed
    }

    /// Waits until `calls` more were made.
    async fn more(&self, calls: u32) {
        let until = self.made.load(SeqCst) + calls;
        eventually("the calls are made", async || self.made.load(SeqCst) >= until).await;
    }

    /// How many calls were made, when none has failed.
    async fn whole(self) -> u32 {
        self.stop.store(1, SeqCst);
        let failed: Vec<String> = self.callers.join_all().await.concat();
        let made = self.made.load(SeqCst);
        assert!(failed.is_empty(), "{} of {made} failed: {:?}", failed.len(), failed.first());
        made
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_replica_has_its_share_while_others_come_and_go() {
    let (one, two, three) = (replica().await, replica().await, replica().await);
    let peers = Peers::new(&[&one, &two, &three]);
    let caller = caller(&peers).await;
    connected(&caller, 3).await;
    let load = Load::on(&caller, 12).await;
    load.more(1_000).await;
    let four = replica().await;
    peers.are(&[&one, &two, &three, &four]);
    load.more(1_000).await;
    // One has another address after its restart, and the name leads to the old one for a while.
    let stopping = tokio::spawn(two.stop(false));
    let two = replica().await;
    load.more(200).await;
    peers.are(&[&one, &two, &three, &four]);
    assert!(stopping.await.unwrap().whole);
    // One drains, and does not come back.
    peers.are(&[&one, &two, &four]);
    assert!(three.stop(false).await.whole);
    load.more(500).await;
    let replicas = [&one, &two, &four];
    let mut before = Vec::new();
    for replica in replicas {
        before.push(answered(replica).await);
    }
    load.more(2_500).await;
    assert!(load.whole().await > 5_000);
    let mut shares = Vec::new();
    for (replica, before) in replicas.into_iter().zip(before) {
        shares.push(answered(replica).await - before);
    }
    let even = shares.iter().sum::<f64>() / 3.0;
    assert!(shares.iter().all(|share| (share / even - 1.0).abs() < 0.2), "{shares:?}");
    for server in [caller, one, two, four] {
        server.stop(true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_of_the_called_service_fails_no_call() {
    let mut replicas = [replica().await, replica().await, replica().await];
    let peers = Peers::new(&replicas.each_ref());
    let caller = caller(&peers).await;
    connected(&caller, 3).await;
    let load = Load::on(&caller, 8).await;
    for n in 0..3 {
        let old = std::mem::replace(&mut replicas[n], replica().await);
        let stopping = tokio::spawn(old.stop(false));
        load.more(100).await;
        peers.are(&replicas.each_ref());
        assert!(stopping.await.unwrap().whole);
        load.more(300).await;
    }
    assert!(load.whole().await > 1_000);
    caller.stop(true).await;
    for replica in replicas {
        replica.stop(true).await;
    }
}

#[tokio::test]
async fn a_call_to_a_replica_that_is_removed_is_drained_and_not_cut() {
    let (old, new) = (start(&[]).await, start(&[]).await);
    let peers = Peers::new(&[&old]);
    let caller = caller(&peers).await;
    let mut slow = client(caller.listen()).await;
    let mut other = slow.clone();
    let admin = old.admin();
    let call = tokio::spawn(async move { slow.call(order("ask sleep", 1_500)).await });
    eventually("it is asked", async || metric(admin, "hotpath_in_flight", &["grpc_method=\"Call\""]).await == 1.0)
        .await;
    peers.are(&[&new]);
    eventually("calls go to the new one", async || {
        other.clone().call(order("ask echo", 0)).await.unwrap();
        answered(&new).await > 0.0
    })
    .await;
    other.call(order("ask echo", 0)).await.unwrap();
    assert!(!call.is_finished(), "the replica was removed while the call was under way");
    call.await.unwrap().unwrap();
    for server in [caller, old, new] {
        server.stop(true).await;
    }
}

#[tokio::test]
async fn addresses_that_nobody_answers_at_are_not_called() {
    let peer = start(&[]).await;
    let addresses = format!("http://127.0.0.1:1,http://{},http://127.0.0.1:2", peer.listen());
    let caller = start(&[("DOWNSTREAM_PEER", &addresses)]).await;
    let mut client = client(caller.listen()).await;
    for _ in 0..50 {
        client.call(order("ask echo", 0)).await.unwrap();
    }
    caller.stop(true).await;
    peer.stop(true).await;
}

#[tokio::test]
async fn without_a_name_server_the_last_addresses_stay() {
    let peer = replica().await;
    let peers = Peers::new(&[&peer]);
    let caller = caller(&peers).await;
    let mut client = client(caller.listen()).await;
    client.call(order("ask echo", 0)).await.unwrap();
    for lost in [Some(""), None] {
        peers.write(lost);
        // Longer than a connection lives: it is made anew meanwhile.
        for _ in 0..8 {
            sleep(Duration::from_millis(100)).await;
            client.call(order("ask echo", 0)).await.unwrap();
        }
    }
    caller.stop(true).await;
    peer.stop(true).await;
}

#[tokio::test]
async fn calls_at_once_and_their_time_are_settings() {
    let peer = start(&[]).await;
    let address = format!("http://{}", peer.listen());
    let busy = start(&[("DOWNSTREAM_PEER", &address), ("DOWNSTREAM_PEER_IN_FLIGHT", "1")]).await;
    let mut client = client(busy.listen()).await;
    let mut other = client.clone();
    let (one, two) = tokio::join!(client.call(order("ask sleep", 500)), other.call(order("ask sleep", 500)));
    let refused = one.and(two).unwrap_err();
    assert_eq!((refused.code(), refused.message()), (Code::Unavailable, "peer: ResourceExhausted"));
    client.call(order("ask echo", 0)).await.unwrap();
    let short = start(&[("DOWNSTREAM_PEER", &address), ("DOWNSTREAM_PEER_DEADLINE_MS", "100")]).await;
    let late = crate::support::client(short.listen()).await.call(order("ask sleep", 60_000)).await.unwrap_err();
    assert_eq!(late.code(), Code::DeadlineExceeded);
    for server in [busy, short, peer] {
        server.stop(true).await;
    }
}

#[tokio::test]
async fn an_address_that_cannot_be_called_stops_the_start() {
    let mut wrong = vec![("peer:50051", "not an address such as http://orders:50051")];
    if cfg!(not(feature = "tls")) {
        wrong.push((
            "https://peer:50051",
            "this build speaks no TLS: rustgen set tls=server, or write http://peer:50051",
        ));
    }
    for (address, why) in wrong {
        let refused = Server::start(&crate::support::app(), env(&[("DOWNSTREAM_PEER", address)])).await;
        let error = refused.err().expect("it does not start").to_string();
        assert!(error.starts_with(&format!("DOWNSTREAM_PEER={address}: ")) && error.contains(why), "{error}");
    }
}

/// What the name leads to is reached at addresses of both families.
#[tokio::test]
async fn replicas_at_addresses_of_both_families() {
    let four = start(&[]).await;
    let six = start(&[("LISTEN", "[::1]:0")]).await;
    let peers = Peers::new(&[&four, &six]);
    let caller = caller(&peers).await;
    connected(&caller, 2).await;
    let addresses: Vec<SocketAddr> = vec![four.listen(), six.listen()];
    assert!(addresses.iter().any(SocketAddr::is_ipv6));
    for server in [caller, four, six] {
        server.stop(true).await;
    }
}
