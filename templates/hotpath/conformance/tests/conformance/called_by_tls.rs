//! Calls to other services by TLS: whom the fixture believes when it calls, and what it costs the calls.
use crate::authority::{Authority, CHECKOUT, Secret, Signed, client_config, dial, serves};
use crate::support::{PATIENCE, app, client, env, eventually, metric, order};
use crate::tls::{reloads, start};
use hotpath::{Server, Tls};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{sleep, timeout};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tonic::Code;

/// A service of plain text that calls `peers`, or why it does not start.
async fn try_caller(peers: &str, settings: &[(&str, &str)]) -> Result<Server, String> {
    let settings: Vec<_> = settings.iter().copied().chain([("DOWNSTREAM_PEER", peers)]).collect();
    Server::start(&app(), env(&settings)).await.map_err(|error| error.to_string())
}

async fn caller(peers: &str, settings: &[(&str, &str)]) -> Server {
    try_caller(peers, settings).await.unwrap()
}

fn localhost(address: SocketAddr) -> String {
    format!("https://localhost:{}", address.port())
}

/// What a call of the peer comes to.
async fn asked(caller: &Server) -> Result<(), Code> {
    let mut client = client(caller.listen()).await;
    let answer = timeout(PATIENCE, client.call(order("ask echo", 0))).await.expect("it ends");
    answer.map(drop).map_err(|status| status.code())
}

/// A server by hand that answers nothing, and keeps the schemes of the calls that it read.
async fn by_hand(config: ServerConfig) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let schemes = Arc::<Mutex<Vec<String>>>::default();
    let (acceptor, seen) = (TlsAcceptor::from(Arc::new(config)), Arc::clone(&schemes));
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            let (acceptor, seen) = (acceptor.clone(), Arc::clone(&seen));
            tokio::spawn(async move {
                let Ok(tls) = acceptor.accept(socket).await else { return };
                let Ok(mut connection) = h2::server::handshake(tls).await else { return };
                while let Some(Ok((request, _respond))) = connection.accept().await {
                    seen.lock().unwrap().push(request.uri().scheme_str().unwrap_or("none").to_owned());
                }
            });
        }
    });
    (address, schemes)
}

#[tokio::test]
async fn calls_go_by_tls_to_whom_the_authority_vouches_for() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    let called = start(Tls::Server, &secret, &[]).await;
    let peer = localhost(called.listen());
    let trusting = caller(&peer, &[("TLS_CA", &secret.path("ca.crt"))]).await;
    asked(&trusting).await.unwrap();
    // The authority of this service alone.
    let own = [("TLS_CA", "/nowhere"), ("DOWNSTREAM_PEER_CA", &secret.path("ca.crt"))];
    let narrow = caller(&peer, &own).await;
    asked(&narrow).await.unwrap();
    let (address, schemes) = by_hand(serves(&authority.sign(&["localhost"]), &[b"h2"])).await;
    let ca = secret.path("ca.crt");
    let short = [("TLS_CA", ca.as_str()), ("DOWNSTREAM_PEER_DEADLINE_MS", "2000")];
    let scheming = caller(&localhost(address), &short).await;
    asked(&scheming).await.unwrap_err();
    assert_eq!(*schemes.lock().unwrap(), ["https"]);
    for server in [trusting, narrow, scheming, called] {
        server.stop(true).await;
    }
}

#[tokio::test]
async fn who_is_not_to_be_believed_is_not_called() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    let ended = SystemTime::now() - Duration::from_secs(60);
    let others: [(&str, Signed, &[&[u8]]); 4] = [
        ("of another authority", Authority::new().sign(&["localhost"]), &[b"h2"]),
        ("of another name", authority.sign(&["elsewhere"]), &[b"h2"]),
        ("that has ended", authority.sign_until(&["localhost"], ended), &[b"h2"]),
        ("that speaks no HTTP/2", authority.sign(&["localhost"]), &[]),
    ];
    for (which, signed, protocols) in others {
        let (address, schemes) = by_hand(serves(&signed, protocols)).await;
        let caller = caller(&localhost(address), &[("TLS_CA", &secret.path("ca.crt"))]).await;
        assert_eq!(asked(&caller).await, Err(Code::Unavailable), "one {which}");
        assert!(schemes.lock().unwrap().is_empty(), "one {which} was called");
        caller.stop(true).await;
    }
}

/// `https` is never plain text, and `http` is never TLS.
#[tokio::test]
async fn the_scheme_is_kept_to() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let peer = localhost(listener.local_addr().unwrap());
    let ciphering = caller(&peer, &[("TLS_CA", &secret.path("ca.crt"))]).await;
    let mut first = [0];
    let (mut socket, _): (TcpStream, _) = timeout(PATIENCE, listener.accept()).await.unwrap().unwrap();
    socket.read_exact(&mut first).await.unwrap();
    assert_eq!(first, [22], "the first byte is that of a TLS handshake");
    let called = start(Tls::Server, &secret, &[]).await;
    let plain = caller(&format!("http://localhost:{}", called.listen().port()), &[]).await;
    assert_eq!(asked(&plain).await, Err(Code::Unavailable));
    for server in [ciphering, plain, called] {
        server.stop(true).await;
    }
}

#[tokio::test]
async fn a_replica_that_makes_no_handshake_is_not_waited_for() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = (localhost(silent.local_addr().unwrap()), silent);
    let called = start(Tls::Server, &secret, &[]).await;
    let ca = secret.path("ca.crt");
    let both = caller(&format!("{},{}", silent.0, localhost(called.listen())), &[("TLS_CA", &ca)]).await;
    for _ in 0..20 {
        asked(&both).await.unwrap();
    }
    // No deadline of a call comes before its patience ends: it is that of the connection.
    let alone = caller(&silent.0, &[("TLS_CA", &ca), ("DOWNSTREAM_PEER_CONNECT_MS", "100")]).await;
    assert_eq!(asked(&alone).await, Err(Code::Unavailable));
    for server in [both, alone, called] {
        server.stop(true).await;
    }
}

#[tokio::test]
async fn each_address_has_the_certificate_of_its_own_name() {
    let authority = Authority::new();
    let by_name = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    let by_address = Secret::new(&authority.sign(&["one.example", "127.0.0.1"]), &[&authority]);
    let one = start(Tls::Server, &by_name, &[]).await;
    let two = start(Tls::Server, &by_address, &[]).await;
    let peers = format!("{},https://{}", localhost(one.listen()), two.listen());
    let caller = caller(&peers, &[("TLS_CA", &by_name.path("ca.crt"))]).await;
    let admin = caller.admin();
    eventually("both are connected", async || metric(admin, "hotpath_downstream_connections", &[]).await == 2.0).await;
    asked(&caller).await.unwrap();
    for server in [caller, one, two] {
        server.stop(true).await;
    }
}

/// A service shows its own certificate to who asks for one: where it takes those of its callers, and where it is told.
#[tokio::test]
async fn the_service_proves_who_it_is() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&[CHECKOUT, "localhost"]), &[&authority]);
    let called = start(Tls::Mutual, &secret, &[]).await;
    let peer = localhost(called.listen());
    let (certificate, key, ca) = (secret.path("tls.crt"), secret.path("tls.key"), secret.path("ca.crt"));
    let nobody = caller(&peer, &[("TLS_CA", &ca)]).await;
    assert_eq!(asked(&nobody).await, Err(Code::Unavailable));
    let told = caller(&peer, &[("TLS_CA", &ca), ("TLS_CERT", &certificate), ("TLS_KEY", &key)]).await;
    let reply = client(told.listen()).await.call(order("ask caller", 0)).await.unwrap();
    assert_eq!(reply.into_inner().payload, CHECKOUT);
    let mutual = start(Tls::Mutual, &secret, &[("DOWNSTREAM_PEER", &peer), ("TLS_CA", &ca)]).await;
    let config = Arc::new(client_config(&authority, Some(&authority.sign(&["somebody"]))));
    let reply = dial(mutual.listen(), &config).call(order("ask caller", 0)).await.unwrap();
    assert_eq!(reply.into_inner().payload, CHECKOUT, "and not who called it");
    for server in [nobody, told, mutual, called] {
        server.stop(true).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_of_authority_fails_no_call_that_goes_out() {
    let (old, new) = (Authority::new(), Authority::new());
    let names = [CHECKOUT, "localhost"];
    // That of all three.
    let secret = Secret::new(&old.sign(&names), &[&old]);
    let aging = [("CONNECTION_AGE_MS", "200")];
    let (one, two) = (start(Tls::Mutual, &secret, &aging).await, start(Tls::Mutual, &secret, &aging).await);
    let peers = format!("{},{}", localhost(one.listen()), localhost(two.listen()));
    let settings = secret.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let ca = secret.path("ca.crt");
    settings.push(("TLS_CA", &ca));
    let caller = caller(&peers, &settings).await;
    let done = Arc::new(AtomicBool::new(false));
    let load = |done: Arc<AtomicBool>, address: SocketAddr| async move {
        let mut client = client(address).await;
        let mut calls = 0;
        while !done.load(SeqCst) {
            client.call(order("ask echo", 0)).await.unwrap_or_else(|status| panic!("call {calls}: {status:?}"));
            calls += 1;
        }
        calls
    };
    let loads = [0, 1].map(|_| tokio::spawn(load(Arc::clone(&done), caller.listen())));
    let steps = [(&old, vec![&old, &new]), (&new, vec![&old, &new]), (&new, vec![&new])];
    for (step, (signs, trusted)) in steps.into_iter().enumerate() {
        // Connections are made with what there is before it changes.
        sleep(Duration::from_millis(500)).await;
        secret.swap(&signs.sign(&names), &trusted);
        for server in [&caller, &one, &two] {
            let admin = server.admin();
            eventually("it is used", async || reloads(admin, "used").await == (step + 1) as f64).await;
        }
    }
    sleep(Duration::from_millis(500)).await;
    done.store(true, SeqCst);
    for load in loads {
        assert!(load.await.unwrap() > 50);
    }
    // Who still shows a certificate of the old one is called no longer.
    secret.swap(&old.sign(&names), &[&new]);
    eventually("the old authority counts for nothing", async || asked(&caller).await == Err(Code::Unavailable)).await;
    for server in [caller, one, two] {
        server.stop(true).await;
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_used_stops_the_start_and_is_named() {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    secret.write("tls.key", &authority.sign(&["localhost"]).key);
    let (ca, certificate, key) = (secret.path("ca.crt"), secret.path("tls.crt"), secret.path("tls.key"));
    let not_its_key = format!("TLS_KEY={key}: not the key of TLS_CERT={certificate}: ");
    let no_authority = format!("DOWNSTREAM_PEER_CA={key}: no certificate in it");
    for (settings, why) in [
        (vec![("TLS_CA", "/nowhere")], "TLS_CA=/nowhere: No such file"),
        (vec![("TLS_CA", &ca), ("DOWNSTREAM_PEER_CA", "/nowhere")], "DOWNSTREAM_PEER_CA=/nowhere: No such file"),
        (vec![("DOWNSTREAM_PEER_CA", &key)], &no_authority),
        (vec![("TLS_CA", &ca), ("TLS_CERT", &certificate), ("TLS_KEY", &key)], &not_its_key),
    ] {
        let error = try_caller("https://peer:1", &settings).await.map(drop).unwrap_err();
        assert!(error.starts_with(why), "{error}");
    }
    let error = try_caller("https://peer:1,http://peer:2", &[("TLS_CA", &ca)]).await.map(drop).unwrap_err();
    assert!(error.contains("some are https and some http"), "{error}");
}
