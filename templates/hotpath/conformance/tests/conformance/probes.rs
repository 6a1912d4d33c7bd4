//! Health, readiness, reflection and the admin port: what probes, balancers and tools ask for.
use crate::support::{PATIENCE, client, eventually, metric, order, page, start, start_app};
use hotpath::{Locked, Readiness, Routes, Server};
use std::{net::SocketAddr, time::Duration};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

async fn health(address: SocketAddr) -> HealthClient<Channel> {
    let endpoint = Channel::from_shared(format!("http://{address}")).unwrap();
    HealthClient::new(endpoint.connect().await.unwrap())
}

async fn check(address: SocketAddr, service: &str) -> ServingStatus {
    let request = HealthCheckRequest { service: service.into() };
    health(address).await.check(request).await.unwrap().into_inner().status()
}

/// tonic-health says NOT_FOUND of a service that was taken off its list.
#[tokio::test]
async fn a_drain_is_not_serving_and_alive() {
    let server = start(&[("DRAIN_MS", "600000"), ("MAX_DEADLINE_MS", "600000")]).await;
    let (listen, admin) = (server.listen(), server.admin());
    let mut stream = client(listen).await.stream(order("endless", 1)).await.unwrap().into_inner();
    stream.message().await.unwrap();
    let stopping = tokio::spawn(server.stop(true));
    eventually("it drains", async || TcpStream::connect(listen).await.is_err()).await;
    for service in ["", "fixture.v1.Fixture"] {
        assert_eq!(check(admin, service).await, ServingStatus::NotServing, "{service}");
    }
    assert_eq!(check(admin, "liveness").await, ServingStatus::Serving);
    drop(stream);
    assert!(stopping.await.unwrap().whole);
}

/// As the protocol has it; tonic-health ends the watch with NOT_FOUND.
#[tokio::test]
async fn a_watch_of_an_unknown_service_says_so_and_stays_open() {
    let server = start(&[]).await;
    let mut health = health(server.listen()).await;
    let unknown = || HealthCheckRequest { service: "unknown".into() };
    assert_eq!(health.check(unknown()).await.unwrap_err().code(), Code::NotFound);
    let mut watch = health.watch(unknown()).await.unwrap().into_inner();
    assert_eq!(watch.message().await.unwrap().unwrap().status(), ServingStatus::ServiceUnknown);
    assert!(timeout(Duration::from_millis(200), watch.message()).await.is_err(), "it stays open");
    assert!(server.stop(true).await.whole);
    assert!(watch.message().await.unwrap().is_none());
}

/// A service whose database is gone sends its callers to other replicas, and is not restarted for it.
#[tokio::test]
async fn readiness_is_withdrawn_and_given_back() {
    static READINESS: Locked<Option<Readiness>> = Locked::new(None);
    let mut app = crate::support::app();
    app.start = |host| {
        READINESS.with(|readiness| *readiness = Some(host.readiness()));
        Box::pin(async { Ok(Routes::default().with(hotpath_conformance::server(host)?)) })
    };
    let server = start_app(&app, &[]).await;
    let (listen, admin) = (server.listen(), server.admin());
    let readiness = READINESS.with(Option::take).unwrap();
    let mut health = health(listen).await;
    let mut watch = health.watch(HealthCheckRequest::default()).await.unwrap().into_inner();
    for (ready, status, code) in
        [(true, ServingStatus::Serving, 200), (false, ServingStatus::NotServing, 503)].repeat(2)
    {
        readiness.set(ready);
        assert_eq!(watch.message().await.unwrap().unwrap().status(), status);
        assert_eq!(check(listen, "fixture.v1.Fixture").await, status);
        assert!(page(admin, "/readyz").await.starts_with(&format!("HTTP/1.1 {code}")), "{ready}");
        assert_eq!(check(admin, "liveness").await, ServingStatus::Serving);
        client(listen).await.call(order("echo", 1)).await.unwrap();
    }
    server.stop(true).await;
}

/// Postman, evans and older grpcui ask for v1alpha.
#[tokio::test]
async fn reflection_answers_in_both_versions() {
    macro_rules! services {
        ($version:ident, $channel:expr) => {{
            use pb::{ServerReflectionRequest, server_reflection_response::MessageResponse};
            use pb::{server_reflection_client as client, server_reflection_request as request};
            use tonic_reflection::pb::$version as pb;
            let asked = ServerReflectionRequest {
                message_request: Some(request::MessageRequest::ListServices(String::new())),
                ..Default::default()
            };
            let mut client = client::ServerReflectionClient::new($channel);
            let answers = client.server_reflection_info(Once(Some(asked)));
            let answer = answers.await.unwrap().into_inner().message().await.unwrap().unwrap();
            let Some(MessageResponse::ListServicesResponse(list)) = answer.message_response else {
                panic!("{answer:?}")
            };
            list.service.into_iter().map(|service| service.name).collect::<Vec<_>>()
        }};
    }
    let server = start(&[]).await;
    let channel = Channel::from_shared(format!("http://{}", server.listen())).unwrap().connect().await.unwrap();
    for services in [services!(v1, channel.clone()), services!(v1alpha, channel)] {
        for expected in ["fixture.v1.Fixture", "grpc.health.v1.Health"] {
            assert!(services.iter().any(|service| service == expected), "{services:?}");
        }
    }
    server.stop(true).await;
}

/// A stream of one request.
struct Once<T>(Option<T>);

impl<T: Unpin> futures_util::Stream for Once<T> {
    type Item = T;

    fn poll_next(mut self: std::pin::Pin<&mut Self>, _: &mut std::task::Context<'_>) -> std::task::Poll<Option<T>> {
        std::task::Poll::Ready(self.0.take())
    }
}

async fn silent(server: &Server, count: usize) -> Vec<TcpStream> {
    let mut sockets = Vec::new();
    for _ in 0..count {
        sockets.push(TcpStream::connect(server.admin()).await.unwrap());
    }
    sockets
}

/// A port scan, or a scraper that hangs, kept kubelet's probes waiting for 5 s.
#[tokio::test]
async fn silent_sockets_do_not_close_the_admin_port() {
    let server = start(&[]).await;
    for count in [40, 200] {
        let held = silent(&server, count).await;
        // So that none of them has only just come.
        tokio::time::sleep(Duration::from_millis(150)).await;
        let answered = timeout(Duration::from_secs(2), check(server.admin(), ""));
        assert_eq!(answered.await.expect("at once"), ServingStatus::Serving, "{count}");
        assert_eq!(metric(server.admin(), "hotpath_connections", &[]).await, 0.0);
        for socket in &held {
            timeout(PATIENCE, socket.readable()).await.expect("closed, for it asks for nothing").unwrap();
            assert_eq!(socket.try_read(&mut [0; 1]).unwrap_or(0), 0);
        }
    }
    server.stop(true).await;
}
