//! TLS: who gets in, who does not, and what it costs those who do.
use crate::authority::{Authority, CHECKOUT, Secret, Signed, client_config, connect, dial, is_certificate_error};
use crate::process::Process;
use crate::support::{PATIENCE, app, env, eventually, metric, order};
use hotpath::{Server, Tls};
use std::cell::Cell;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};
use tokio_rustls::rustls::ClientConfig;
use tonic::{Status, transport::Channel};
use tonic_health::pb::{HealthCheckRequest, health_check_response::ServingStatus, health_client::HealthClient};

/// A server that is to speak TLS, or why it does not start.
async fn try_start(tls: Tls, secret: &Secret, settings: &[(&str, &str)]) -> Result<Server, String> {
    let mut app = app();
    app.tls = tls;
    let files = secret.settings();
    let files = files.iter().map(|(name, value)| (*name, value.as_str()));
    let settings: Vec<_> = files.chain(settings.iter().copied()).collect();
    Server::start(&app, env(&settings)).await.map_err(|error| error.to_string())
}

pub async fn start(tls: Tls, secret: &Secret, settings: &[(&str, &str)]) -> Server {
    try_start(tls, secret, settings).await.unwrap()
}

/// How many handshakes ended with `result`.
async fn handshakes(admin: SocketAddr, result: &str) -> f64 {
    metric(admin, "hotpath_tls_handshakes_total", &[&format!("result=\"{result}\"")]).await
}

/// Times that changed files were looked at, with this result.
pub async fn reloads(admin: SocketAddr, result: &str) -> f64 {
    metric(admin, "hotpath_tls_reloads_total", &[&format!("result=\"{result}\"")]).await
}

/// Who a handler is called by, over a connection of its own.
async fn called_by(address: SocketAddr, config: &Arc<ClientConfig>) -> Result<String, Status> {
    let reply = timeout(PATIENCE, dial(address, config).call(order("caller", 0))).await.expect("it ends")?;
    Ok(String::from_utf8(reply.into_inner().payload.to_vec()).unwrap())
}

/// An authority, and a secret of a server that it has signed and whose callers it signs.
fn authority_and_secret() -> (Authority, Secret) {
    let authority = Authority::new();
    let secret = Secret::new(&authority.sign(&["localhost"]), &[&authority]);
    (authority, secret)
}

#[tokio::test]
async fn callers_are_served_by_tls_and_know_whom_they_call() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Server, &secret, &[]).await;
    let trusting = Arc::new(client_config(&authority, None));
    assert_eq!(called_by(server.listen(), &trusting).await.unwrap(), "nobody", "a caller is not asked who it is");
    let stranger = Arc::new(client_config(&Authority::new(), None));
    assert!(is_certificate_error(&connect(server.listen(), &stranger).await.unwrap_err()));
    secret.swap(&authority.sign(&["elsewhere"]), &[&authority]);
    eventually("it is used", async || reloads(server.admin(), "used").await == 1.0).await;
    let error = connect(server.listen(), &trusting).await.unwrap_err();
    assert!(is_certificate_error(&error), "a server of another name is found out: {error}");
    server.stop(true).await;
}

#[tokio::test]
async fn only_callers_that_prove_who_they_are_reach_a_handler() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Mutual, &secret, &[]).await;
    for (names, identity) in
        [(&[CHECKOUT, "checkout"][..], CHECKOUT), (&["checkout.shop", "checkout"], "checkout.shop")]
    {
        let config = Arc::new(client_config(&authority, Some(&authority.sign(names))));
        assert_eq!(called_by(server.listen(), &config).await.unwrap(), identity);
    }
    let ended = SystemTime::now() - Duration::from_secs(60);
    let others: [(&str, Option<Signed>); 5] = [
        ("none", None),
        ("of another authority", Some(Authority::new().sign(&[CHECKOUT]))),
        ("that has ended", Some(authority.sign_until(&[CHECKOUT], ended))),
        ("of two", Some(authority.sign(&[CHECKOUT, "spiffe://acme.example/ns/shop/sa/admin"]))),
        ("without a name", Some(authority.sign(&[]))),
    ];
    for (which, signed) in others {
        let before = handshakes(server.admin(), "refused").await;
        let config = Arc::new(client_config(&authority, signed.as_ref()));
        called_by(server.listen(), &config).await.expect_err(which);
        let counted = async || handshakes(server.admin(), "refused").await > before;
        eventually(&format!("a certificate {which} is refused and counted"), counted).await;
    }
    server.stop(true).await;
}

/// rustls takes a client that offers no protocol at all.
#[tokio::test]
async fn a_peer_that_does_not_offer_http2_is_closed() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Server, &secret, &[]).await;
    let mut config = client_config(&authority, None);
    config.alpn_protocols.clear();
    let mut tls = connect(server.listen(), &Arc::new(config)).await.unwrap();
    assert_eq!(timeout(PATIENCE, tls.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    eventually("it is counted", async || handshakes(server.admin(), "refused").await == 1.0).await;
    server.stop(true).await;
}

#[tokio::test]
async fn plain_text_is_closed_counted_and_said_once_and_a_failed_call_says_who_called() {
    let (authority, secret) = authority_and_secret();
    let settings = secret.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.push(("FIXTURE_TLS", "mutual"));
    let mut process = Process::start("tls", "", &settings);
    let (listen, admin) = (process.address("listen").await, process.address("admin").await);
    for said in [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], b"GET / HTTP/1.1\r\n\r\n"] {
        let mut socket = TcpStream::connect(listen).await.unwrap();
        socket.write_all(said).await.unwrap();
        assert_eq!(timeout(PATIENCE, socket.read(&mut [0; 1])).await.unwrap().unwrap_or(0), 0);
    }
    eventually("both are counted", async || handshakes(admin, "plaintext").await == 2.0).await;
    let config = Arc::new(client_config(&authority, Some(&authority.sign(&[CHECKOUT]))));
    dial(listen, &config).call(order("fail", 0)).await.unwrap_err();
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    let log = process.log();
    assert_eq!(log.lines().filter(|line| line.contains("plain text")).count(), 1, "{log}");
    let failed = log.lines().find(|line| line.contains("\"call failed\"")).unwrap();
    assert!(failed.contains(&format!("\"caller\":\"{CHECKOUT}\"")) && failed.contains("\"peer\":\"127."), "{failed}");
}

/// An authority's change, as it is to be done: the old one, both, the new one. Certificates were read at the start only, or the
/// link above them was missed; and resumption let those in that the new authority does not know.
#[tokio::test]
async fn a_change_of_authority_under_load_fails_no_call_and_shuts_the_old_one_out() {
    let (old, secret) = authority_and_secret();
    let new = Authority::new();
    let server = start(Tls::Mutual, &secret, &[]).await;
    let (listen, admin) = (server.listen(), server.admin());
    let before = Arc::new(client_config(&old, Some(&old.sign(&[CHECKOUT]))));
    let after = Arc::new(client_config(&new, Some(&new.sign(&[CHECKOUT]))));
    let mut stream = dial(listen, &before).stream(order("often", 1)).await.unwrap().into_inner();
    // Each call has a handshake of its own.
    let done = Cell::new(false);
    let load = async || {
        let mut calls = 0;
        while !done.get() {
            called_by(listen, &before).await.unwrap_or_else(|status| panic!("call {calls}: {status}"));
            calls += 1;
        }
        calls
    };
    // The server's certificate stays the old authority's until callers trust both.
    let swaps = async {
        for round in 1..=3 {
            sleep(Duration::from_millis(200)).await;
            secret.swap(&old.sign(&["localhost"]), &[&old, &new]);
            eventually("it is used", async || reloads(admin, "used").await == f64::from(round)).await;
        }
        sleep(Duration::from_millis(200)).await;
        done.set(true);
    };
    let (some, others, ()) = tokio::join!(load(), load(), swaps);
    assert!(some > 0 && others > 0, "{some} and {others} calls");
    secret.swap(&new.sign(&["localhost"]), &[&new]);
    eventually("it is used", async || reloads(admin, "used").await == 4.0).await;
    called_by(listen, &after).await.unwrap();
    assert!(stream.message().await.unwrap().is_some(), "what was open goes on");
    // It trusts the server of today, and has spoken to it: only its own certificate is of yesterday.
    let yesterday = Arc::new(client_config(&new, Some(&old.sign(&[CHECKOUT]))));
    called_by(listen, &yesterday).await.unwrap_err();
    server.stop(true).await;
}

#[tokio::test]
async fn a_resumed_connection_does_not_skip_the_proof() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Mutual, &secret, &[]).await;
    let config = Arc::new(client_config(&authority, Some(&authority.sign(&[CHECKOUT]))));
    called_by(server.listen(), &config).await.unwrap();
    // The server's own certificate stays: whatever fails, it is not the client's trust.
    secret.write("ca.crt", &Authority::new().pem());
    eventually("it is used", async || reloads(server.admin(), "used").await == 1.0).await;
    called_by(server.listen(), &config).await.unwrap_err();
    eventually("it is counted", async || handshakes(server.admin(), "refused").await == 1.0).await;
    server.stop(true).await;
}

#[tokio::test]
async fn half_of_a_change_is_not_used() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Server, &secret, &[]).await;
    let admin = server.admin();
    let config = Arc::new(client_config(&authority, None));
    let next = authority.sign(&["localhost"]);
    for (failures, text) in [(1.0, next.certificate.as_str()), (2.0, ""), (3.0, "nonsense")] {
        secret.write("tls.crt", text);
        eventually("it is counted", async || reloads(admin, "failed").await == failures).await;
        called_by(server.listen(), &config).await.unwrap();
    }
    let not_after = metric(admin, "hotpath_tls_certificate_not_after_seconds", &[]).await;
    let longer = authority.sign_until(&["localhost"], SystemTime::now() + Duration::from_secs(7_200));
    secret.swap(&longer, &[&authority]);
    eventually("it is used", async || reloads(admin, "used").await == 1.0).await;
    assert!(metric(admin, "hotpath_tls_certificate_not_after_seconds", &[]).await > not_after + 3_000.0);
    called_by(server.listen(), &config).await.unwrap();
    server.stop(true).await;
}

#[tokio::test]
async fn what_cannot_be_used_stops_the_start_and_is_named() {
    let (authority, secret) = authority_and_secret();
    let good = authority.sign(&["localhost"]);
    let ended = authority.sign_until(&["localhost"], SystemTime::now() - Duration::from_secs(60));
    for (file, text, variable, why) in [
        ("tls.crt", "", "TLS_CERT", "no certificate in it"),
        ("tls.crt", "-----BEGIN CERTIFICATE-----\n", "TLS_CERT", "not PEM: "),
        ("tls.crt", &authority.sign(&[]).certificate, "TLS_CERT", "names no host"),
        ("tls.crt", &ended.certificate, "TLS_CERT", "ended at "),
        ("tls.key", &good.certificate, "TLS_KEY", "no private key"),
        ("tls.key", &authority.sign(&["localhost"]).key, "TLS_KEY", "not the key of TLS_CERT="),
        ("ca.crt", "", "TLS_CLIENT_CA", "no certificate in it"),
    ] {
        secret.swap(&good, &[&authority]);
        secret.write(file, text);
        let error = try_start(Tls::Mutual, &secret, &[]).await.map(drop).unwrap_err();
        assert!(error.starts_with(&format!("{variable}={}: ", secret.path(file))) && error.contains(why), "{error}");
    }
    let error = try_start(Tls::Server, &secret, &[("TLS_KEY", "/nowhere")]).await.map(drop).unwrap_err();
    assert!(error.starts_with("TLS_KEY=/nowhere: No such file"), "{error}");
    let error = try_start(Tls::Server, &secret, &[("TLS_RELOAD_MS", "0")]).await.map(drop).unwrap_err();
    assert!(error.starts_with("TLS_RELOAD_MS=0: "), "{error}");
}

/// A certificate of seconds was good for as long as its connection lived.
#[tokio::test]
async fn a_connection_ends_with_the_certificate_of_its_peer() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Mutual, &secret, &[("DRAIN_MS", "200")]).await;
    let short = authority.sign_until(&[CHECKOUT], SystemTime::now() + Duration::from_secs(6));
    let config = Arc::new(client_config(&authority, Some(&short)));
    let mut stream = dial(server.listen(), &config).stream(order("endless", 1)).await.unwrap().into_inner();
    let ends = async { while let Ok(Some(_)) = stream.message().await {} };
    timeout(PATIENCE, ends).await.expect("its stream is cut");
    let admin = server.admin();
    eventually("it is gone", async || metric(admin, "hotpath_connections", &[]).await == 0.0).await;
    // It is valid to the end of its last second.
    eventually("none comes in its place", async || called_by(server.listen(), &config).await.is_err()).await;
    server.stop(true).await;
}

/// Handshakes that never end held all places of connections, or memory without a bound.
#[tokio::test]
#[cfg(target_os = "linux")]
async fn peers_that_never_finish_a_handshake_take_a_bounded_part_and_honest_ones_get_in() {
    const PEERS: usize = 1_000;
    let (authority, secret) = authority_and_secret();
    let settings = secret.settings();
    let mut settings: Vec<_> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    settings.extend([("FIXTURE_TLS", "mutual"), ("HANDSHAKE_MS", "60000")]);
    let process = Process::start("strangers", "", &settings);
    let (listen, admin) = (process.address("listen").await, process.address("admin").await);
    let config = Arc::new(client_config(&authority, Some(&authority.sign(&[CHECKOUT]))));
    called_by(listen, &config).await.unwrap();
    let before = process.peak_memory();
    let mut strangers = Vec::new();
    for peer in 0..PEERS {
        let mut socket = TcpStream::connect(listen).await.unwrap();
        if peer % 2 == 0 {
            // The longest record, and of it all but the last bytes.
            let mut record = b"\x16\x03\x01\x40\x00\x01\x00\xff\xff".to_vec();
            record.resize(16 << 10, 0);
            socket.write_all(&record).await.ok();
        }
        strangers.push(socket);
    }
    for _ in 0..10 {
        assert_eq!(called_by(listen, &config).await.unwrap(), CHECKOUT);
    }
    assert_eq!(
        metric(admin, "hotpath_connections_refused_total", &[]).await,
        0.0,
        "they have no place of a connection"
    );
    assert!(metric(admin, "hotpath_tls_handshakes", &[]).await <= 128.0);
    assert!(handshakes(admin, "displaced").await >= (PEERS - 128) as f64);
    assert_eq!(metric(admin, "hotpath_memory_in_use_bytes", &[]).await, 0.0);
    let more = process.peak_memory() - before;
    assert!(more < 16 << 20, "{} KiB more", more >> 10);
    drop(strangers);
}

#[tokio::test]
async fn a_handshake_that_drips_is_closed_in_time() {
    let (_authority, secret) = authority_and_secret();
    let server = start(Tls::Server, &secret, &[("HANDSHAKE_MS", "200")]).await;
    let (mut from, mut to) = TcpStream::connect(server.listen()).await.unwrap().into_split();
    let drips = async {
        while to.write_all(b"\x16").await.is_ok() {
            sleep(Duration::from_millis(50)).await;
        }
    };
    let mut said = Vec::new();
    let closed = timeout(PATIENCE, from.read_to_end(&mut said));
    tokio::select! {
        () = drips => {}
        end = closed => assert!(end.is_ok(), "it is still there"),
    }
    let ended = async || handshakes(server.admin(), "late").await + handshakes(server.admin(), "refused").await == 1.0;
    eventually("it is counted", ended).await;
    server.stop(true).await;
}

/// Without TLS's own end a client cannot tell the end of a drain from a cut: rustls reports an unexpected end of file.
#[tokio::test]
async fn the_end_of_a_connection_is_said_by_tls() {
    let (authority, secret) = authority_and_secret();
    let server = start(Tls::Server, &secret, &[]).await;
    let config = Arc::new(client_config(&authority, None));
    let mut tls = connect(server.listen(), &config).await.unwrap();
    tls.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await.unwrap();
    tls.read_exact(&mut [0; 9]).await.unwrap();
    let stops = server.stop(true);
    let reads = async { timeout(PATIENCE, tls.read_to_end(&mut Vec::new())).await.expect("it ends").unwrap() };
    tokio::join!(stops, reads);
}

/// Kubernetes' probes and Prometheus have no certificates.
#[tokio::test]
async fn probes_and_metrics_stay_plain() {
    let (_authority, secret) = authority_and_secret();
    let server = start(Tls::Mutual, &secret, &[]).await;
    let endpoint = Channel::from_shared(format!("http://{}", server.admin())).unwrap();
    let mut probe = HealthClient::new(endpoint.connect().await.unwrap());
    let answer = probe.check(HealthCheckRequest::default()).await.unwrap().into_inner();
    assert_eq!(answer.status(), ServingStatus::Serving);
    server.stop(true).await;
}
