//! Traces reach their collector, and a collector that does not answer holds nothing up.
use crate::process::Process;
use crate::support::{PATIENCE, call, client, eventually, head, metric, order, page_as, raw};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::{net::TcpListener, sync::mpsc, time::timeout};

const TRACE: [u8; 16] = *b"\x4b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
const PARENT: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

const OTHER: [u8; 16] = *b"\x5b\xf9\x2f\x35\x77\xb3\x4d\xa6\xa3\xce\x92\x9d\x0e\x0e\x47\x36";
const UNSAMPLED: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// Takes what is exported, and says OK.
async fn collector() -> (String, mpsc::Receiver<Vec<u8>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let (exports, exported) = mpsc::channel(16);
    tokio::spawn(async move {
        let (socket, _) = listener.accept().await.unwrap();
        collect(socket, exports).await;
    });
    (address, exported)
}

/// The same on one connection.
async fn collect(socket: impl AsyncRead + AsyncWrite + Unpin, exports: mpsc::Sender<Vec<u8>>) {
    let mut connection = h2::server::handshake(socket).await.unwrap();
    while let Some(Ok((request, mut respond))) = connection.accept().await {
        let exports = exports.clone();
        tokio::spawn(async move {
            let mut body = request.into_body();
            let mut export = Vec::new();
            while let Some(data) = body.data().await {
                let data = data.unwrap();
                body.flow_control().release_capacity(data.len()).unwrap();
                export.extend_from_slice(&data);
            }
            let head = Response::builder().header("content-type", "application/grpc").body(()).unwrap();
            let mut reply = respond.send_response(head, false).unwrap();
            reply.send_data(Bytes::from_static(&[0; 5]), false).unwrap();
            let ok = (HeaderName::from_static("grpc-status"), HeaderValue::from_static("0"));
            reply.send_trailers(HeaderMap::from_iter([ok])).unwrap();
            exports.send(export).await.unwrap();
        });
    }
}

fn holds(export: &[u8], part: &[u8]) -> bool {
    export.windows(part.len()).any(|window| window == part)
}

/// The caller decided: nothing of our own is sampled here, and this call is.
#[tokio::test]
async fn a_sampled_call_is_exported_in_its_callers_trace_before_the_process_ends() {
    let (address, mut exported) = collector().await;
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
        ("TRACE_RATIO", "0"),
        ("POD_NAME", "fixture-7"),
        ("TRACE_SPANS", "trace"),
    ];
    let mut process = Process::start("traces", "", &settings);
    let mut requests = raw(process.address("listen").await, 1 << 20).await;
    call(&mut requests, head("Call", &[("traceparent", PARENT)]), &order("log", 1)).await;
    call(&mut requests, head("Stream", &[]), &order("count", 1)).await;
    call(&mut requests, head("Call", &[("traceparent", UNSAMPLED)]), &order("log", 1)).await;
    let open_metrics = "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.3";
    let metrics = page_as(process.address("admin").await, "/metrics", open_metrics).await;
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0; charset=utf-8"), "{metrics}");
    let exemplars: Vec<_> = metrics.lines().filter(|line| line.contains(" # {trace_id=")).collect();
    assert_eq!(exemplars.len(), 1, "of the sampled call alone: {exemplars:?}");
    let exemplar = exemplars[0].split(" # {trace_id=\"4bf92f3577b34da6a3ce929d0e0e4736\"} ").collect::<Vec<_>>();
    assert!(exemplar[0].starts_with("grpc_server_handling_seconds_bucket{grpc_method=\"Call\","), "{exemplar:?}");
    assert_eq!(exemplar[1].split(' ').filter_map(|number| number.parse::<f64>().ok()).count(), 2, "{exemplar:?}");
    assert!(metrics.contains("\n# TYPE hotpath_shed counter\n") && metrics.ends_with("\n# EOF\n"), "{metrics}");
    process.signal("-TERM");
    let export = timeout(PATIENCE, exported.recv()).await.unwrap().unwrap();
    assert!(holds(&export, b"fixture.v1.Fixture/Call") && holds(&export, &TRACE));
    assert!(!holds(&export, b"fixture.v1.Fixture/Stream"));
    // The handler's own span is there with its field, once, and nothing of what libraries do.
    assert_eq!(export.windows(5).filter(|window| window == b"query").count(), 1);
    assert!(holds(&export, b"rows") && !holds(&export, b"FramedRead") && !holds(&export, &OTHER));
    for attribute in ["service.version", "service.instance.id", "k8s.pod.name", "fixture-7", "vcs.ref.head.revision"] {
        assert!(holds(&export, attribute.as_bytes()), "{attribute}");
    }
    assert_eq!(process.ended().await, (Some(0), None));
}

/// More calls than the exporter's queue holds, for a collector that takes a connection and says nothing.
#[tokio::test]
async fn a_silent_collector_holds_up_neither_calls_nor_the_end() {
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", silent.local_addr().unwrap());
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("TRACE_RATIO", "1")];
    let mut process = Process::start("untraced", "", &settings);
    let mut client = client(process.address("listen").await).await;
    for _ in 0..2_500 {
        client.call(order("echo", 1)).await.unwrap();
    }
    let admin = process.address("admin").await;
    eventually("what found the queue full is counted", async || {
        metric(admin, "hotpath_spans_dropped_total", &["reason=\"queue_full\""]).await >= 1.0
    })
    .await;
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    assert!(process.log().contains("spans are lost"), "{}", process.log());
}

/// Spans that nobody takes were lost without a word, and without a number.
#[tokio::test]
async fn lost_spans_are_counted_and_said() {
    // A port that nobody listens on.
    let address = format!("http://{}", TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap());
    let settings =
        [("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("TRACE_RATIO", "1"), ("OTEL_BSP_SCHEDULE_DELAY", "100")];
    let mut process = Process::start("lost", "", &settings);
    let admin = process.address("admin").await;
    client(process.address("listen").await).await.call(order("echo", 1)).await.unwrap();
    eventually("a lost span is counted", async || {
        metric(admin, "hotpath_spans_dropped_total", &["reason=\"export_failed\""]).await >= 1.0
    })
    .await;
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    let log = process.log();
    assert_eq!(log.matches("spans are lost; ").count(), 1, "{log}");
}

/// A build without TLS refuses it at the start, with the form that works.
#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn a_collector_behind_tls_is_refused_with_the_form_that_works() {
    let settings = [("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317")];
    let mut process = Process::start("tls", "", &settings);
    assert_eq!(process.ended().await, (Some(78), None));
    let log = process.log();
    assert!(log.contains("OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4317"), "{log}");
}

#[cfg(feature = "tls")]
mod tls {
    use super::*;
    use crate::authority::{Authority, CHECKOUT, Secret, serves};
    use std::sync::Arc;
    use tokio_rustls::TlsAcceptor;
    use tokio_rustls::rustls::server::WebPkiClientVerifier;
    use tokio_rustls::rustls::{
        RootCertStore, ServerConfig, pki_types::CertificateDer, pki_types::pem::PemObject as _,
    };

    /// A collector that takes spans by TLS; those who send them show certificates where `mutual`.
    async fn collector(authority: &Authority, mutual: bool) -> (String, mpsc::Receiver<Vec<u8>>) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = format!("https://localhost:{}", listener.local_addr().unwrap().port());
        let mut config: ServerConfig = serves(&authority.sign(&["localhost"]), &[b"h2"]);
        if mutual {
            config = asks(config, authority);
        }
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let (exports, exported) = mpsc::channel(16);
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                let Ok(tls) = acceptor.accept(socket).await else { continue };
                collect(tls, exports.clone()).await;
            }
        });
        (address, exported)
    }

    /// `config`, which asks for certificates of `authority`.
    fn asks(config: ServerConfig, authority: &Authority) -> ServerConfig {
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from_pem_slice(authority.pem().as_bytes()).unwrap()).unwrap();
        let provider = Arc::clone(config.crypto_provider());
        let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
        let mut asking = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_client_cert_verifier(verifier.build().unwrap())
            .with_cert_resolver(Arc::clone(&config.cert_resolver));
        asking.alpn_protocols = config.alpn_protocols;
        asking
    }

    #[tokio::test]
    async fn spans_go_by_tls_to_a_collector_of_a_private_authority() {
        let authority = Authority::new();
        let secret = Secret::new(&authority.sign(&[CHECKOUT]), &[&authority]);
        let (ca, certificate, key) = (secret.path("ca.crt"), secret.path("tls.crt"), secret.path("tls.key"));
        for (mutual, files) in [
            (false, vec![("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca)]),
            (false, vec![("TLS_CA", &ca)]),
            (
                true,
                vec![
                    ("OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", &ca),
                    ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", &certificate),
                    ("OTEL_EXPORTER_OTLP_CLIENT_KEY", &key),
                ],
            ),
        ] {
            let (address, mut exported) = collector(&authority, mutual).await;
            let mut settings = vec![("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()), ("TRACE_RATIO", "1")];
            settings.extend(files.iter().map(|(name, path)| (*name, path.as_str())));
            let mut process = Process::start("traces-tls", "", &settings);
            client(process.address("listen").await).await.call(order("echo", 1)).await.unwrap();
            process.signal("-TERM");
            let export = timeout(PATIENCE, exported.recv()).await.unwrap().unwrap();
            assert!(holds(&export, b"fixture.v1.Fixture/Call"));
            assert_eq!(process.ended().await, (Some(0), None));
        }
    }

    #[tokio::test]
    async fn a_collector_that_is_not_to_be_believed_gets_nothing_and_it_is_said() {
        let secret = Secret::new(&Authority::new().sign(&[CHECKOUT]), &[&Authority::new()]);
        let (address, mut exported) = collector(&Authority::new(), false).await;
        let ca = secret.path("ca.crt");
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", address.as_str()),
            ("OTEL_EXPORTER_OTLP_CERTIFICATE", &ca),
            ("TRACE_RATIO", "1"),
            ("OTEL_BSP_SCHEDULE_DELAY", "100"),
        ];
        let mut process = Process::start("distrusted", "", &settings);
        let admin = process.address("admin").await;
        client(process.address("listen").await).await.call(order("echo", 1)).await.unwrap();
        eventually("a lost span is counted", async || {
            metric(admin, "hotpath_spans_dropped_total", &["reason=\"export_failed\""]).await >= 1.0
        })
        .await;
        process.signal("-TERM");
        assert_eq!(process.ended().await, (Some(0), None));
        let log = process.log();
        assert_eq!(log.matches("spans are lost; ").count(), 1, "{log}");
        exported.try_recv().unwrap_err();
    }

    #[tokio::test]
    async fn a_collector_by_tls_without_an_authority_is_refused_at_the_start() {
        let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://localhost:4317");
        for (setting, why) in [
            (("OTEL_EXPORTER_OTLP_CERTIFICATE", "/nowhere"), "OTEL_EXPORTER_OTLP_CERTIFICATE=/nowhere: No such file"),
            (("TLS_CA", "/nowhere"), "TLS_CA=/nowhere: No such file"),
            (("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/key"), "OTEL_EXPORTER_OTLP_CLIENT_KEY=/key: "),
        ] {
            let mut process = Process::start("untrusting", "", &[endpoint, setting]);
            assert_eq!(process.ended().await, (Some(78), None));
            let log = process.log();
            assert!(log.contains(why), "{log}");
        }
    }
}
