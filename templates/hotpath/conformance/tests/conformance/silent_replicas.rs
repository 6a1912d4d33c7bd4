//! A replica that is gone without a word: its connection stands, and nothing comes on it.
use crate::support::{client, eventually, metric, order, start};
use std::net::SocketAddr;
use std::sync::{Arc, atomic::AtomicBool, atomic::Ordering::SeqCst};
use std::time::Duration;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;
use tonic::Code;

/// A way to `to` that carries nothing while it is told so. It still accepts connections, and acknowledges what is sent.
async fn way(to: SocketAddr) -> (SocketAddr, Arc<AtomicBool>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let (address, frozen) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
    let told = Arc::clone(&frozen);
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (from, back) = socket.into_split();
            let (answers, onward) = TcpStream::connect(to).await.unwrap().into_split();
            tokio::spawn(carry(from, onward, Arc::clone(&told)));
            tokio::spawn(carry(answers, back, Arc::clone(&told)));
        }
    });
    (address, frozen)
}

async fn carry(
    mut from: tokio::net::tcp::OwnedReadHalf,
    mut to: tokio::net::tcp::OwnedWriteHalf,
    frozen: Arc<AtomicBool>,
) -> std::io::Result<()> {
    let mut bytes = [0; 4 << 10];
    loop {
        let length = from.read(&mut bytes).await?;
        while frozen.load(SeqCst) {
            sleep(Duration::from_millis(5)).await;
        }
        if length == 0 {
            return Ok(());
        }
        to.write_all(&bytes[..length]).await?;
    }
}

/// A share of all calls ran into their deadlines for as long as TCP took the replica for alive.
#[tokio::test]
async fn a_replica_that_answers_nothing_is_called_no_longer() {
    let (good, lost) = (start(&[]).await, start(&[]).await);
    let (through, frozen) = way(lost.listen()).await;
    let peers = format!("http://{},http://{through}", good.listen());
    let settings = [
        ("DOWNSTREAM_PEER", peers.as_str()),
        ("DOWNSTREAM_PEER_DEADLINE_MS", "300"),
        ("DOWNSTREAM_PEER_SILENT_MS", "900"),
    ];
    let caller = start(&settings).await;
    let admin = caller.admin();
    let connected = async || metric(admin, "hotpath_downstream_connections", &[]).await;
    eventually("both are connected", async || connected().await == 2.0).await;
    frozen.store(true, SeqCst);
    let mut client = client(caller.listen()).await;
    let mut late = 0;
    while connected().await == 2.0 {
        let answer = client.call(order("ask echo", 0)).await;
        late += u32::from(answer.is_err_and(|status| status.code() == Code::DeadlineExceeded));
        assert!(late < 50, "calls still go to it");
    }
    assert!(late >= 3, "{late} calls in a row say that it is gone");
    for _ in 0..20 {
        client.call(order("ask echo", 0)).await.unwrap();
    }
    frozen.store(false, SeqCst);
    eventually("it is there again", async || connected().await == 2.0).await;
    for server in [caller, good, lost] {
        server.stop(true).await;
    }
}

/// Go's servers end a connection that is pinged too often: in four pings of a quiet call by their defaults.
#[tokio::test]
async fn a_quiet_call_is_pinged_as_rarely_as_the_setting_says() {
    for (setting, pinged) in [("", false), ("200", true)] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let caller = start(&[("DOWNSTREAM_PEER", &address), ("DOWNSTREAM_PEER_KEEPALIVE_MS", setting)]).await;
        let (mut peer, _) = listener.accept().await.unwrap();
        peer.write_all(&[0, 0, 0, 4, 0, 0, 0, 0, 0]).await.unwrap();
        let mut client = client(caller.listen()).await;
        let call = tokio::spawn(async move { client.call(order("ask echo", 0)).await });
        peer.read_exact(&mut [0; 24]).await.unwrap();
        let frames = async {
            loop {
                let mut head = [0; 9];
                peer.read_exact(&mut head).await.unwrap();
                let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
                peer.read_exact(&mut vec![0; length as usize]).await.unwrap();
                const PING: u8 = 6;
                if head[3] == PING {
                    break;
                }
            }
        };
        let wait = if pinged { crate::support::PATIENCE } else { Duration::from_millis(1_500) };
        assert_eq!(tokio::time::timeout(wait, frames).await.is_ok(), pinged, "{setting:?}");
        call.abort();
        caller.stop(true).await;
    }
}
