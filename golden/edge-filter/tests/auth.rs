//! Who may not call, does not: each service is behind src/auth.rs, whatever methods it has.
#![cfg(feature = "tls")]
#![allow(missing_docs, clippy::unwrap_used, clippy::disallowed_methods, reason = "tests")]
use hotpath::{Env, Server, Tls};
use hotpath_certificates::Certificates;
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::error::Error as _;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::{Code, Request, Status, client::Grpc, transport::Channel};
use tonic_prost::ProstCodec;

const STRANGER: &str = "spiffe://localhost/stranger";

/// The path of each method.
fn methods(descriptors: &[u8]) -> Vec<String> {
    let mut paths = Vec::new();
    for file in FileDescriptorSet::decode(descriptors).unwrap().file {
        for service in &file.service {
            let name = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            paths.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    paths
}

/// How a call with an empty message ends.
async fn call(channel: &Channel, path: &str) -> Status {
    let mut client = Grpc::new(channel.clone());
    if let Err(error) = client.ready().await {
        return Status::from_error(error.into());
    }
    let path = PathAndQuery::try_from(path).unwrap();
    let answer = client.unary(Request::new(()), path, ProstCodec::<(), ()>::default()).await;
    answer.err().unwrap_or_else(|| Status::ok("served"))
}

#[tokio::test]
async fn who_is_not_named_reaches_no_method() {
    let app = service::app::app();
    if app.tls != Tls::Mutual {
        return; // Callers show no certificates.
    }
    let certificates = Certificates::new().unwrap();
    let ports = [("LISTEN", "127.0.0.1:0"), ("ADMIN", "127.0.0.1:0"), ("DRAIN_DELAY_MS", "0")];
    let state = [("STATE_DIR", concat!(env!("CARGO_TARGET_TMPDIR"), "/auth"))];
    let files = certificates.settings();
    let files = files.iter().map(|(name, value)| (*name, value.as_str()));
    let env = Env::from_pairs(ports.into_iter().chain(state).chain(files));
    let server = Server::start(&app, env).await.unwrap();
    let stranger = certificates.endpoint_as(&[STRANGER], server.listen()).unwrap().connect_lazy();
    let nobody = certificates.endpoint_as_nobody(server.listen()).unwrap().connect_lazy();
    let methods = methods(app.descriptors);
    assert!(!methods.is_empty());
    for path in &methods {
        let status = call(&stranger, path).await;
        assert_eq!(status.code(), Code::PermissionDenied, "{path}: {status:?}");
        assert!(status.message().starts_with(STRANGER), "{path}: {status:?}");
        let status = call(&nobody, path).await;
        assert!(status.source().is_some(), "{path} without a certificate is answered: {status:?}");
    }
    server.stop(true).await;
}
