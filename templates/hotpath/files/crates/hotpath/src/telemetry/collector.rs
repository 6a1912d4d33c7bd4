//! The way to a collector that takes spans by TLS. The exporter's own TLS believes nobody, and reads its files once.
use crate::app::App;
use crate::env::Env;
use crate::tls::{Loader, Names, Trust};
use crate::transport::Tls;
use hotpath_telemetry::Failure;
use http::{Uri, uri::Scheme};
use hyper_util::rt::TokioIo;
use std::{io, time::Duration};
use tokio::{net::TcpStream, time::timeout};
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};
use tower::service_fn;

/// How long a connection may take to be made.
const CONNECT: Duration = Duration::from_secs(5);
/// The port of a collector whose URL has none.
const PORT: u16 = 443;
/// The variables of OpenTelemetry's specification; what is for traces counts before what is for all signals.
const FILES: Names<'static> = Names {
    authorities: &["OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE", "OTEL_EXPORTER_OTLP_CERTIFICATE"],
    own: &[
        ("OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY"),
        ("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"),
    ],
};

/// A channel to the collector at `url`, which connects when it is used; `None` where it is not `https`.
///
/// # Errors
/// If the URL has no host, or a file cannot be read or used.
pub(super) fn channel(url: &str, app: &App, env: &Env) -> Result<Option<Channel>, Failure> {
    let Some(origin) = url.parse::<Uri>().ok().filter(|uri| uri.scheme() == Some(&Scheme::HTTPS)) else {
        return Ok(None);
    };
    let host = origin.host().unwrap_or_default().trim_matches(['[', ']']).to_owned();
    let port = origin.port_u16().unwrap_or(PORT);
    let name = ServerName::try_from(host.clone());
    let name = name.map_err(|_invalid| format!("OTEL_EXPORTER_OTLP_ENDPOINT={url}: no certificate is for {host:?}"))?;
    let loader = Loader::new(env)?;
    let trust = Trust::of(FILES, env, app.tls != Tls::None, &loader)?;
    // As long as the process: spans are sent until its end.
    #[expect(clippy::disallowed_methods, reason = "one task, made at start")]
    tokio::spawn(loader.run(CancellationToken::new()));
    let connector = service_fn(move |_uri: Uri| {
        let (host, name, trust) = (host.clone(), name.clone(), trust.clone());
        let connect = async move { trust.connect(name, TcpStream::connect((host, port)).await?).await };
        async {
            let connected = timeout(CONNECT, connect).await;
            connected.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into())).map(TokioIo::new)
        }
    });
    // The connector makes the TLS; what asks tonic for it is refused.
    let plain = format!("http://{}", origin.authority().map_or("", |authority| authority.as_str()));
    Ok(Some(Endpoint::from_shared(plain)?.origin(origin).connect_with_connector_lazy(connector)))
}
