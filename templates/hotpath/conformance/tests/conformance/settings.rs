//! What the server says of itself in its SETTINGS: tonic leaves most of these to the library, or to infinity.
use crate::support::start;
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
    let server = start(&[]).await;
    let mut socket = TcpStream::connect(server.listen()).await.unwrap();
    // The preface, and an empty SETTINGS frame.
    socket.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    let mut head = [0; 9];
    socket.read_exact(&mut head).await.unwrap();
    assert_eq!(head[3], 4, "SETTINGS come first");
    let mut body = vec![0; usize::from(u16::from_be_bytes([head[1], head[2]]))];
    socket.read_exact(&mut body).await.unwrap();
    let value = |pair: &[u8]| u32::from_be_bytes([pair[2], pair[3], pair[4], pair[5]]);
    let settings: BTreeMap<u16, u32> =
        body.chunks_exact(6).map(|pair| (u16::from_be_bytes([pair[0], pair[1]]), value(pair))).collect();
    assert_eq!(settings.get(&MAX_CONCURRENT_STREAMS), Some(&128));
    assert_eq!(settings.get(&INITIAL_WINDOW_SIZE), Some(&(256 << 10)));
    assert_eq!(settings.get(&MAX_HEADER_LIST_SIZE), Some(&(8 << 10)));
    server.stop(true).await;
}
