//! What the server says of itself in its SETTINGS: tonic leaves most of these to the library, or to infinity.
use crate::support::{client, eventually, metric, order, start};
use std::collections::BTreeMap;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

const MAX_CONCURRENT_STREAMS: u16 = 3;
const INITIAL_WINDOW_SIZE: u16 = 4;
const MAX_HEADER_LIST_SIZE: u16 = 6;

#[tokio::test]
async fn streams_windows_and_headers_are_bounded() {
    let said = said(&[]).await;
    assert_eq!(said.get(&MAX_CONCURRENT_STREAMS), Some(&128));
    assert_eq!(said.get(&INITIAL_WINDOW_SIZE), Some(&(64 << 10)));
    assert_eq!(said.get(&MAX_HEADER_LIST_SIZE), Some(&(16 << 10)));
}

/// All callers of a process may share the few connections of the sidecar in front of it.
#[tokio::test]
async fn what_one_connection_may_have_is_a_setting() {
    let said = said(&[("STREAMS_PER_CONNECTION", "1000"), ("HEADER_LIST_BYTES", "65536")]).await;
    assert_eq!(said.get(&MAX_CONCURRENT_STREAMS), Some(&1_000));
    assert_eq!(said.get(&MAX_HEADER_LIST_SIZE), Some(&(64 << 10)));
}

/// Callers beyond the streams of a connection wait where no metric of ours is: that they had to is seen here.
#[tokio::test]
async fn a_connection_with_all_of_its_streams_open_is_counted() {
    let server = start(&[("STREAMS_PER_CONNECTION", "2")]).await;
    let client = client(server.listen()).await;
    let reached = async || metric(server.admin(), "hotpath_stream_limit_reached_total", &[]).await;
    client.clone().call(order("echo", 0)).await.unwrap();
    assert_eq!(reached().await, 0.0);
    let calls: Vec<_> = (0..2)
        .map(|_| {
            let mut client = client.clone();
            tokio::spawn(async move { client.call(order("sleep", 60_000)).await })
        })
        .collect();
    eventually("it is counted", async || reached().await == 1.0).await;
    calls.iter().for_each(tokio::task::JoinHandle::abort);
    server.stop(true).await;
}

/// The first SETTINGS of a server.
async fn said(settings: &[(&str, &str)]) -> BTreeMap<u16, u32> {
    let server = start(settings).await;
    let mut socket = TcpStream::connect(server.listen()).await.unwrap();
    // The preface, and an empty SETTINGS frame.
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    socket.read_exact(&mut body).await.unwrap();
    server.stop(true).await;
    let value = |pair: &[u8]| u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
    body.chunks_exact(6).map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), value(pair))).collect()
}
