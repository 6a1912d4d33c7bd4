//! What is sent again to another replica, and what never is: a peer that speaks HTTP/2 by hand, beside one that works.
use crate::support::{Peers, client, ended, eventually, metric, order, start};
use hotpath::Server;
use std::net::SocketAddr;
use std::sync::{Arc, atomic::AtomicU32, atomic::Ordering::SeqCst};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream, tcp::OwnedReadHalf};
use tonic::{Code, Request};

const SETTINGS: &[u8] = &[0, 0, 0, 4, 0, 0, 0, 0, 0];
/// Nothing was taken up, and nothing will be.
const GOAWAY: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
/// Stream 1 was taken up, and nothing else will be.
const GOAWAY_AFTER_ONE: &[u8] = &[0, 0, 8, 7, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0];

/// A reset of a stream.
fn reset(stream: u8, reason: u8) -> [u8; 13] {
    [0, 0, 4, 3, 0, 0, 0, 0, stream, 0, 0, 0, reason]
}

/// What the peer by hand does with the calls that it has read.
#[derive(Clone, Copy, Debug)]
enum Peer {
    GoesAway,
    GoesAwayAndCloses,
    Refuses,
    Cancels,
    Closes,
}

impl Peer {
    /// Does so from now on; the address, and how many calls it has read.
    async fn start(self) -> (SocketAddr, Arc<AtomicU32>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, read) = (listener.local_addr().unwrap(), Arc::new(AtomicU32::new(0)));
        let count = Arc::clone(&read);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(self.serve(socket, Arc::clone(&count)));
            }
        });
        (address, read)
    }

    async fn serve(self, socket: TcpStream, count: Arc<AtomicU32>) -> std::io::Result<()> {
        let (from, mut to) = socket.into_split();
        let mut from = BufReader::new(from);
        from.read_exact(&mut [0; 24]).await?;
        to.write_all(SETTINGS).await?;
        loop {
            let stream = Self::call(&mut from).await?;
            count.fetch_add(1, SeqCst);
            match self {
                Self::GoesAway => to.write_all(GOAWAY).await?,
                Self::GoesAwayAndCloses => return to.write_all(GOAWAY_AFTER_ONE).await,
                Self::Refuses => to.write_all(&reset(stream, 7)).await?,
                Self::Cancels => to.write_all(&reset(stream, 8)).await?,
                Self::Closes => return Ok(()),
            }
        }
    }

    /// Reads a whole request: its stream.
    async fn call(from: &mut BufReader<OwnedReadHalf>) -> std::io::Result<u8> {
        loop {
            let mut head = [0; 9];
            from.read_exact(&mut head).await?;
            let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
            from.read_exact(&mut vec![0; length as usize]).await?;
            let (data, ends) = (head[3] == 0, head[4] & 1 == 1);
            if data && ends {
                return Ok(head[8]);
            }
        }
    }
}

/// A service whose calls go to `peer` and to `good`.
async fn beside(peer: SocketAddr, good: &Server) -> (Server, Peers) {
    let peers = Peers::new(&[]);
    peers.write(Some(&format!("{peer}\n{}\n", good.listen())));
    let caller = start(&[("PEERS", peers.file())]).await;
    (caller, peers)
}

async fn resent(caller: &Server) -> f64 {
    metric(caller.admin(), "hotpath_downstream_resent_total", &["downstream=\"peer\""]).await
}

/// Makes calls until the peer by hand has read some: how many it read, and how those that failed did.
async fn calls(caller: &Server, read: &AtomicU32) -> (u32, u32, Vec<Code>) {
    let mut client = client(caller.listen()).await;
    let admin = caller.admin();
    let (mut made, mut failed) = (0, Vec::new());
    while read.load(SeqCst) < 4 {
        eventually("both are connected", async || metric(admin, "hotpath_downstream_connections", &[]).await == 2.0)
            .await;
        made += 1;
        failed.extend(client.call(order("ask echo", 0)).await.err().map(|status| status.code()));
    }
    (made, read.load(SeqCst), failed)
}

#[tokio::test]
async fn what_the_peer_did_not_take_up_is_sent_again_once() {
    for peer in [Peer::GoesAway, Peer::Refuses] {
        let (address, read) = peer.start().await;
        let good = start(&[]).await;
        let (caller, _peers) = beside(address, &good).await;
        let (made, read, failed) = calls(&caller, &read).await;
        assert_eq!(failed, [], "{peer:?}");
        assert_eq!(resent(&caller).await, f64::from(read), "{peer:?}");
        assert_eq!(ended(good.admin(), "Call", ("OK", "OK")).await, f64::from(made), "{peer:?}: each was done once");
        caller.stop(true).await;
        good.stop(true).await;
    }
}

#[tokio::test]
async fn what_the_peer_may_have_done_is_never_sent_again() {
    for peer in [Peer::Closes, Peer::Cancels, Peer::GoesAwayAndCloses] {
        let (address, read) = peer.start().await;
        let good = start(&[]).await;
        let (caller, _peers) = beside(address, &good).await;
        let (made, read, failed) = calls(&caller, &read).await;
        assert_eq!(failed, vec![Code::Unavailable; read as usize], "{peer:?}: each call that it read");
        assert_eq!(resent(&caller).await, 0.0, "{peer:?}");
        let done = f64::from(made - read);
        assert_eq!(ended(good.admin(), "Call", ("OK", "OK")).await, done, "{peer:?}: and no other");
        caller.stop(true).await;
        good.stop(true).await;
    }
}

/// Two peers that refuse: the call fails after it was sent twice.
#[tokio::test]
async fn once_means_once() {
    let (one, read_by_one) = Peer::Refuses.start().await;
    let (two, read_by_two) = Peer::Refuses.start().await;
    let peers = Peers::new(&[]);
    peers.write(Some(&format!("{one}\n{two}\n")));
    let caller = start(&[("PEERS", peers.file())]).await;
    let admin = caller.admin();
    eventually("both are connected", async || metric(admin, "hotpath_downstream_connections", &[]).await == 2.0).await;
    let status = client(caller.listen()).await.call(Request::new(order("ask echo", 0))).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!((read_by_one.load(SeqCst), read_by_two.load(SeqCst)), (1, 1));
    caller.stop(true).await;
}

/// A kernel accepts connections for a process that does not: calls wait for one that speaks, or go elsewhere.
#[tokio::test]
async fn a_peer_that_accepts_and_says_nothing_is_not_called() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let good = start(&[]).await;
    let (caller, _peers) = beside(silent.local_addr().unwrap(), &good).await;
    let mut client = client(caller.listen()).await;
    for _ in 0..20 {
        client.call(order("ask echo", 0)).await.unwrap();
    }
    caller.stop(true).await;
    good.stop(true).await;
}
