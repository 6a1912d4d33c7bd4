//! The service through its whole layer, as its callers meet it.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
use hotpath::{Env, Server};
use service::pb::ride::v1::rides_client::RidesClient;
use service::pb::ride::v1::trip::Place;
use service::pb::ride::v1::{FindRequest, StartRequest};
use tonic::transport::Channel;

/// A server on ports of its own, and a client of it.
async fn start() -> (Server, RidesClient<Channel>) {
    let env =
        [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0"), ("MAX_DEADLINE_MS", "60000")];
    let server = Server::start(&service::app::app(), Env::from_pairs(env)).await.unwrap();
    let channel = Channel::from_shared(format!("http://{}", server.listen())).unwrap().connect().await.unwrap();
    (server, RidesClient::new(channel))
}

#[tokio::test]
async fn a_ride_starts() {
    let (server, mut client) = start().await;
    let request = StartRequest { rider: "ada".into(), ..StartRequest::default() };
    assert_eq!(client.start(request).await.unwrap().into_inner().id, "ada");
    assert!(server.stop(true).await.whole);
}

#[tokio::test]
async fn a_ride_is_watched() {
    let (server, mut client) = start().await;
    let mut places = client.watch(FindRequest::default()).await.unwrap().into_inner();
    assert_eq!(places.message().await.unwrap(), Some(Place { latitude: 1.0, longitude: 0.5 }));
    drop(places);
    server.stop(true).await;
}
