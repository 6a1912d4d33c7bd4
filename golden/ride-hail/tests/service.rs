//! The service through its whole layer, as its callers meet it.
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
use hotpath::{Env, Server};
use service::pb::ride::v1::rides_client::RidesClient as Client;
use tonic::{Code, Request, transport::Channel};

/// A server on ports of its own.
async fn start() -> Server {
    let env =
        [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0"), ("MAX_DEADLINE_MS", "60000")];
    Server::start(&service::app::app(), Env::from_pairs(env)).await.unwrap()
}

#[tokio::test]
async fn it_starts_and_stops() {
    assert!(start().await.stop(true).await.whole);
}

/// Replace this one when the method is written.
#[tokio::test]
async fn a_method_without_a_handler_says_so() {
    let server = start().await;
    let channel = Channel::from_shared(format!("http://{}", server.listen())).unwrap().connect().await.unwrap();
    let status = Client::new(channel).start(Request::new(Default::default())).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented, "{status:?}");
    server.stop(true).await;
}
