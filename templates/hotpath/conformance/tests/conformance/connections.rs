//! Connections: how many, how long, and what they may do.
use crate::support::{PATIENCE, client, eventually, metric, order, start};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};
use tonic::transport::Channel;
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// A tutorial's server keeps every connection that anybody opens.
#[tokio::test]
async fn connections_are_capped() {
    let server = start(&[("CONNECTIONS", "2")]).await;
    let (first, second) = (client(server.listen()).await, client(server.listen()).await);
    let mut third = TcpStream::connect(server.listen()).await.unwrap();
    assert_eq!(third.read(&mut [0; 1]).await.unwrap_or(0), 0, "closed at once");
    assert_eq!(metric(server.admin(), "hotpath_connections_refused_total", &[]).await, 1.0);
    drop((first, second));
    let admin = server.admin();
    eventually("their places are free", async || metric(admin, "hotpath_connections", &[]).await == 0.0).await;
    client(server.listen()).await.call(order("echo", 1)).await.unwrap();
    server.stop(true).await;
}

/// A process whose callers have all of its connections is not ill: restarted, it would only have them come back at once.
#[tokio::test]
async fn probes_are_answered_when_callers_have_all_connections() {
    let server = start(&[("CONNECTIONS", "1")]).await;
    let _caller = client(server.listen()).await;
    let endpoint = Channel::from_shared(format!("http://{}", server.admin())).unwrap();
    let mut probe = HealthClient::new(endpoint.connect().await.unwrap());
    for service in ["", "fixture.v1.Fixture"] {
        let answer = probe.check(HealthCheckRequest { service: service.into() }).await.unwrap();
        assert_eq!(answer.into_inner().status(), ServingStatus::Serving, "{service}");
    }
    server.stop(true).await;
    let answer = probe.check(HealthCheckRequest::default()).await.unwrap();
    assert_eq!(answer.into_inner().status(), ServingStatus::NotServing, "after the end");
}

/// A peer that connects and says nothing, or half of a greeting, or something else, may not keep a place.
#[tokio::test]
async fn a_silent_peer_is_closed() {
    let server = start(&[("HANDSHAKE_MS", "50")]).await;
    for said in [&b""[..], b"PRI * HT", b"GET / HTTP/1.1\r\n\r\n"] {
        let mut socket = TcpStream::connect(server.listen()).await.unwrap();
        socket.write_all(said).await.unwrap();
        let read = timeout(PATIENCE, socket.read(&mut [0; 1])).await.expect("it is closed");
        assert_eq!(read.unwrap_or(0), 0, "after {said:?}");
    }
    server.stop(true).await;
}

/// A peer that greets and then is not there any more is found by pings.
#[tokio::test]
async fn a_peer_that_answers_no_ping_is_closed() {
    let server = start(&[("KEEPALIVE_MS", "60")]).await;
    let mut socket = TcpStream::connect(server.listen()).await.unwrap();
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    // Whatever comes: SETTINGS, pings, and an end, or a reset for one.
    let end = timeout(PATIENCE, socket.read_to_end(&mut Vec::new())).await;
    assert!(end.is_ok(), "it is still there");
    server.stop(true).await;
}

#[tokio::test]
async fn an_idle_connection_is_closed() {
    let server = start(&[("CONNECTION_IDLE_MS", "40")]).await;
    let admin = server.admin();
    let mut idle = client(server.listen()).await;
    idle.call(order("echo", 1)).await.unwrap();
    eventually("it is closed", async || metric(admin, "hotpath_connections", &[]).await == 0.0).await;
    idle.call(order("echo", 1)).await.unwrap();
    server.stop(true).await;
}

/// tonic's connection age drops the calls that outlive its grace: 30 of 210 failed.
#[tokio::test]
async fn an_old_connection_goes_when_its_calls_are_done() {
    let server = start(&[("CONNECTION_AGE_MS", "20")]).await;
    let (address, admin) = (server.listen(), server.admin());
    // Kept to the end: it is the server that lets it go.
    let mut client = client(address).await;
    client.call(order("sleep", 300)).await.unwrap();
    eventually("it went", async || metric(admin, "hotpath_connections", &[]).await == 0.0).await;
    drop(client);
    server.stop(true).await;
}

/// A call that is reset before the server has looked at it: RST_STREAM with CANCEL.
const RESET: (&[u8], &[u8]) = (b"\0\0\x04\x03\0", b"\0\0\0\x08");

/// Streams that are opened and reset at once cost the server more than the peer.
#[tokio::test]
async fn a_flood_of_resets_is_told_to_calm_down() {
    assert!(told_to_calm_down(2_000, RESET).await);
}

/// While the server stalls, the calls of a busy caller run out of time together.
#[tokio::test]
async fn a_caller_that_gives_up_on_some_calls_at_once_is_not_taken_for_a_flood() {
    assert!(!told_to_calm_down(60, RESET).await);
}

/// To what still comes for a call that was refused the server has to say so again, and again: 92 MB for 60 peers that
/// read none of it.
#[tokio::test]
async fn a_peer_that_is_refused_and_goes_on_is_told_to_calm_down() {
    // DATA: one byte.
    assert!(told_to_calm_down(2_000, (b"\0\0\x01\0\0", b"x")).await);
}

/// Opens streams, says one thing more on each, and reads what comes of it.
async fn told_to_calm_down(streams: u32, (head, body): (&[u8], &[u8])) -> bool {
    const ENHANCE_YOUR_CALM: u8 = 11;
    let server = start(&[]).await;
    let mut socket = TcpStream::connect(server.listen()).await.unwrap();
    let mut flood = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec();
    for stream in (1..2 * streams).step_by(2) {
        // HEADERS: POST, http, /x.
        flood.extend(b"\0\0\x06\x01\x04");
        flood.extend(stream.to_be_bytes());
        flood.extend(b"\x83\x86\x04\x02/x");
        flood.extend(head);
        flood.extend(stream.to_be_bytes());
        flood.extend(body);
    }
    drop(socket.write_all(&flood).await);
    drop(socket.shutdown().await);
    let mut said = Vec::new();
    drop(socket.read_to_end(&mut said).await);
    let mut frames = said.as_slice();
    let mut calm = false;
    while let Some((head, rest)) = frames.split_at_checked(9) {
        let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
        let Some((body, rest)) = rest.split_at_checked(length) else { break };
        calm |= head[3] == 7 && body[7] == ENHANCE_YOUR_CALM;
        frames = rest;
    }
    client(server.listen()).await.call(order("echo", 1)).await.unwrap();
    server.stop(true).await;
    calm
}
