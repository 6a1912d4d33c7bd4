//! The service through its whole layer, as its callers meet it.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
use hotpath::{Env, Server};
use hotpath_certificates::Certificates;
use service::pb::session_ledger::v1::session_ledger_service_client::SessionLedgerServiceClient as Client;
use service::pb::session_ledger::v1::{LookupRequest, ScoreRequest, WatchRequest};
use tonic::{Code, transport::Channel};

/// A server on ports of its own, and a client of it.
async fn start(settings: &[(&str, &str)]) -> (Server, Client<Channel>) {
    let ports = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0")];
    // No test may fail because this machine is slow.
    let patient = [("MAX_DEADLINE_MS", "60000")];
    // Their files are read at the start, and may go after it.
    let certificates = Certificates::new().unwrap();
    let files = certificates.settings();
    let files = files.iter().map(|(name, value)| (*name, value.as_str()));
    let env = Env::from_pairs(ports.into_iter().chain(patient).chain(settings.iter().copied()).chain(files));
    let server = Server::start(&service::app::app(), env).await.unwrap();
    let channel = certificates.endpoint(server.listen()).unwrap().connect().await.unwrap();
    (server, Client::new(channel))
}

/// An empty folder for the snapshots of the test `name`.
fn state(name: &str) -> String {
    let folder = format!("{}/{name}", env!("CARGO_TARGET_TMPDIR"));
    if std::fs::exists(&folder).unwrap() {
        std::fs::remove_dir_all(&folder).unwrap();
    }
    folder
}

fn score(key: &str) -> ScoreRequest {
    ScoreRequest { key: key.into(), payload: vec![7; 16].into(), rounds: 1 }
}

#[tokio::test]
async fn a_cheap_call_is_answered() {
    let folder = state("lookup");
    let (server, mut client) = start(&[("STATE_DIR", &folder)]).await;
    let reply = client.lookup(LookupRequest { key: "a".into() }).await.unwrap().into_inner();
    assert_eq!((reply.key.as_str(), reply.count), ("a", 0));
    assert!(server.stop(true).await.whole);
}

#[tokio::test]
async fn the_same_payload_has_the_same_score() {
    let folder = state("score");
    let (server, mut client) = start(&[("STATE_DIR", &folder)]).await;
    let first = client.score(score("a")).await.unwrap().into_inner();
    assert_eq!(client.score(score("a")).await.unwrap().into_inner(), first);
    server.stop(true).await;
}

#[tokio::test]
async fn what_was_counted_survives_a_restart() {
    let folder = state("restart");
    let (server, mut client) = start(&[("STATE_DIR", &folder)]).await;
    client.score(score("a")).await.unwrap();
    assert!(server.stop(true).await.flushed);
    let (server, mut client) = start(&[("STATE_DIR", &folder)]).await;
    assert_eq!(client.lookup(LookupRequest { key: "a".into() }).await.unwrap().into_inner().count, 1);
    server.stop(true).await;
}

#[tokio::test]
async fn a_stream_brings_its_events_in_order_and_ends() {
    let folder = state("watch");
    let (server, mut client) = start(&[("STATE_DIR", &folder)]).await;
    let request = WatchRequest { key: "a".into(), events: 3, interval_ms: 1 };
    let mut events = client.watch(request).await.unwrap().into_inner();
    for seq in 1..=3 {
        assert_eq!(events.message().await.unwrap().map(|event| event.seq), Some(seq));
    }
    assert_eq!(events.message().await.unwrap(), None);
    server.stop(true).await;
}

#[tokio::test]
async fn an_oversized_message_is_refused() {
    let folder = state("oversize");
    let (server, mut client) = start(&[("STATE_DIR", &folder)]).await;
    let status = client.lookup(LookupRequest { key: "k".repeat(5 << 10) }).await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    server.stop(true).await;
}
