//! Compression, which a caller may use against the server.
use crate::process::Process;
use crate::support::{MIB, client, metric, order, order_of};
use tonic::{Code, codec::CompressionEncoding::Gzip};

/// 64 KB on the wire became 64 MiB, and the caps that are checked on the wire saw nothing of it. The cap is that of the
/// method, which may be far below that of the service.
#[tokio::test]
async fn a_message_has_the_same_cap_when_it_is_decompressed() {
    let process = Process::start("gzip", "", &[("MEMORY_BUDGET", "512MiB")]);
    let (listen, admin) = (process.address("listen").await, process.address("admin").await);
    let rss = async || metric(admin, "process_resident_memory_bytes", &[]).await / MIB as f64;
    let mut client = client(listen).await.send_compressed(Gzip).accept_compressed(Gzip);
    let honest = client.call(order_of(MIB as usize - 100, 0)).await.unwrap().into_inner();
    assert_eq!(honest.payload.len(), MIB as usize - 100);
    let before = rss().await;
    for _ in 0..5 {
        let bomb = client.call(order_of(64 * MIB as usize, 0)).await.unwrap_err();
        assert_eq!(bomb.code(), Code::ResourceExhausted, "{bomb:?}");
        let small = client.stream(order_of(20_000, 0)).await.unwrap_err();
        assert_eq!(small.code(), Code::ResourceExhausted, "the cap of the method: {small:?}");
    }
    let grown = rss().await - before;
    assert!(grown < 8.0, "{grown:.0} MiB");
    client.call(order_of(1_000, 0)).await.unwrap();
}

/// What a caller refuses as too long when it has decompressed it was not worth sending.
#[tokio::test]
async fn a_reply_has_the_same_cap_before_it_is_compressed() {
    let process = Process::start("gzip-reply", "", &[]);
    let mut client = client(process.address("listen").await).await.accept_compressed(Gzip);
    let honest = client.call(order("reply", MIB as u32 - 16)).await.unwrap();
    assert_eq!(honest.metadata().get("grpc-encoding").unwrap(), "gzip");
    let long = client.call(order("reply", 2 * MIB as u32)).await.unwrap_err();
    assert_eq!(long.code(), Code::ResourceExhausted, "{long:?}");
    assert!(long.message().starts_with("grpc: trying to send message larger than max ("), "{long:?}");
}
