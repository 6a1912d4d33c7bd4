//! What a service has beside its handlers. The README of services shows the same lines: a Go test compares them.
use crate::support::{PATIENCE, client, eventually, order, start, start_app};
use hotpath::{App, Failure, Host, Locked, Routes};
use std::sync::{Arc, atomic::AtomicUsize, atomic::Ordering::SeqCst};
use std::time::Duration;
use tokio::io::AsyncReadExt as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Mutex;
use tokio::time::{interval, timeout};
use tonic::service::{LayerExt as _, interceptor::InterceptedService};
use tonic::{Code, Request, Status};
use tower::timeout::TimeoutLayer;

fn app(start: for<'a> fn(&'a mut Host) -> Starting<'a>) -> App {
    App { start, ..crate::support::app() }
}

type Starting<'a> = std::pin::Pin<Box<dyn Future<Output = Result<Routes, Failure>> + Send + 'a>>;

async fn with_a_token(host: &mut Host) -> Result<Routes, Failure> {
    let server = hotpath_conformance::server(host)?;
    let token = format!("Bearer {}", host.env().text("TOKEN").ok_or("TOKEN is not set")?);
    let check = move |request: Request<()>| match request.metadata().get("authorization") {
        Some(given) if given.as_bytes() == token.as_bytes() => Ok(request),
        _ => Err(Status::unauthenticated("a token is needed")),
    };
    Ok(Routes::default().with(InterceptedService::new(server, check)))
}

/// What tonic's users take an interceptor for; `Routes` took none.
#[tokio::test]
async fn an_interceptor_checks_a_token() {
    let app = app(|host| Box::pin(with_a_token(host)));
    let error = hotpath::Server::start(&app, crate::support::env(&[])).await.err().unwrap();
    assert_eq!(error.to_string(), "TOKEN is not set");
    let server = start_app(&app, &[("TOKEN", "secret")]).await;
    let mut client = client(server.listen()).await;
    assert_eq!(client.call(order("echo", 1)).await.unwrap_err().code(), Code::Unauthenticated);
    let mut request = Request::new(order("echo", 1));
    request.metadata_mut().insert("authorization", "Bearer secret".parse().unwrap());
    client.call(request).await.unwrap();
    server.stop(true).await;
}

async fn with_a_layer(host: &mut Host) -> Result<Routes, Failure> {
    let server = hotpath_conformance::server(host)?;
    let server = server.accept_compressed(tonic::codec::CompressionEncoding::Gzip);
    Ok(Routes::default().with(TimeoutLayer::new(Duration::from_millis(50)).named_layer(server)))
}

/// One whose errors are not those of the service, too.
#[tokio::test]
async fn a_tower_layer_wraps_a_service() {
    let server = start_app(&app(|host| Box::pin(with_a_layer(host))), &[]).await;
    let mut client = client(server.listen()).await;
    client.call(order("echo", 1)).await.unwrap();
    let status = client.call(order("sleep", 600_000)).await.unwrap_err();
    assert_eq!((status.code(), status.message()), (Code::Unknown, "request timed out"));
    server.stop(true).await;
}

/// For an audit log, an allow-list, a rate limit. IPv4 is IPv4 also on a port of both families.
#[tokio::test]
async fn handlers_see_whose_call_it_is() {
    for listen in ["127.0.0.1:0", "[::]:0"] {
        let server = start(&[("LISTEN", listen)]).await;
        let mut client = client(([127, 0, 0, 1], server.listen().port()).into()).await;
        let address = client.call(order("address", 1)).await.unwrap().into_inner().payload;
        assert!(address.starts_with(b"127.0.0.1:"), "{address:?}");
        server.stop(true).await;
    }
}

/// Stands in for a pool of connections to a database.
#[derive(Clone)]
struct Pool(Arc<Mutex<Option<TcpStream>>>);

impl Pool {
    async fn connect(url: &str) -> std::io::Result<Self> {
        Ok(Self(Arc::new(Mutex::new(Some(TcpStream::connect(url).await?)))))
    }

    async fn is_connected(&self) -> bool {
        self.0.lock().await.is_some()
    }

    async fn close(&self) {
        self.0.lock().await.take();
    }
}

async fn with_a_pool(host: &mut Host) -> Result<Routes, Failure> {
    let pool = Pool::connect(host.env().text("DATABASE").ok_or("DATABASE is not set")?).await?;
    let closing = pool.clone();
    host.on_stop("pool", async move { closing.close().await });

    let readiness = host.readiness();
    host.spawn("database", |stop| async move {
        let mut tick = interval(Duration::from_secs(1));
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            readiness.set(pool.is_connected().await);
        }
    });
    Ok(Routes::default().with(hotpath_conformance::server(host)?))
}

/// Where `start` could not wait, only pools that connect at the first call could be used, and nothing closed them.
#[tokio::test]
async fn a_pool_connects_before_serving_and_is_closed_at_the_end() {
    let app = app(|host| Box::pin(with_a_pool(host)));
    let gone = crate::support::env(&[("DATABASE", "127.0.0.1:1")]);
    assert!(hotpath::Server::start(&app, gone).await.is_err(), "it does not serve without");
    let database = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let server = start_app(&app, &[("DATABASE", &database.local_addr().unwrap().to_string())]).await;
    let (mut connection, _) = database.accept().await.unwrap();
    client(server.listen()).await.call(order("echo", 1)).await.unwrap();
    server.stop(true).await;
    let read = timeout(PATIENCE, connection.read(&mut [0; 1])).await.expect("closed").unwrap();
    assert_eq!(read, 0);
}

static LOADED: AtomicUsize = AtomicUsize::new(0);

#[derive(Debug, Default)]
struct Prices(usize);

async fn load_prices() -> Result<Prices, Status> {
    Ok(Prices(LOADED.fetch_add(1, SeqCst) + 1))
}

const REFRESH: Duration = Duration::from_millis(5);

static CACHE: Locked<Option<Arc<Locked<Prices>>>> = Locked::new(None);

async fn with_a_cache(host: &mut Host) -> Result<Routes, Failure> {
    let prices = Arc::new(Locked::new(load_prices().await?));
    let cache = Arc::clone(&prices);
    host.spawn("prices", |stop| async move {
        let mut tick = interval(REFRESH);
        while stop.run_until_cancelled(tick.tick()).await.is_some() {
            match load_prices().await {
                Ok(fresh) => cache.with(|prices| *prices = fresh),
                Err(status) => tracing::warn!(%status, "prices are old"),
            }
        }
    });
    CACHE.with(|cache| *cache = Some(prices));
    Ok(Routes::default().with(hotpath_conformance::server(host)?))
}

#[tokio::test]
async fn a_task_refreshes_a_cache_until_the_process_stops() {
    let server = start_app(&app(|host| Box::pin(with_a_cache(host))), &[]).await;
    let cache = CACHE.with(Option::take).unwrap();
    let at = || cache.with(|prices| prices.0);
    assert!(at() >= 1, "there before the first call");
    eventually("it is refreshed", async || at() >= 4).await;
    server.stop(true).await;
    let last = at();
    tokio::time::sleep(REFRESH * 10).await;
    assert_eq!((at(), Arc::strong_count(&cache)), (last, 1), "the task has ended");
}

/// Outside of a call there was neither: "CPU work outside a call".
#[tokio::test]
async fn a_background_task_computes_and_calls_others() {
    let peer = start(&[]).await;
    let server = start(&[("DOWNSTREAM_PEER", &format!("http://{}", peer.listen()))]).await;
    let mut client = client(server.listen()).await;
    for what in ["background compute", "background echo"] {
        let asked = hotpath_conformance::pb::Order { payload: "x".into(), ..order(what, 1) };
        assert_eq!(client.call(asked).await.unwrap().into_inner().payload, "x", "{what}");
    }
    server.stop(true).await;
    peer.stop(true).await;
}

static ENDED: Locked<Vec<&str>> = Locked::new(Vec::new());

fn ended(what: &'static str) {
    ENDED.with(|ended| ended.push(what));
}

async fn with_an_end(host: &mut Host) -> Result<Routes, Failure> {
    // CPU work, once more, where no call is served.
    host.cpu().run(|call| call.check()).await?;
    let cpu = host.cpu();
    let queue = host.queue("ends", 8, move |items: Vec<&'static str>| {
        let cpu = cpu.clone();
        async move {
            cpu.run(|call| call.check()).await.unwrap();
            items.into_iter().for_each(ended);
        }
    })?;
    host.on_stop("first made", async { ended("the hook that was made first") });
    host.on_stop("last made", async { ended("the hook that was made last") });
    host.spawn("task", |stop| async move {
        stop.cancelled().await;
        ended("the task");
        queue.push("what the task queued").unwrap();
    });
    Ok(Routes::default().with(hotpath_conformance::server(host)?))
}

#[tokio::test]
async fn the_end_comes_in_an_order_in_which_each_may_use_the_next() {
    let server = start_app(&app(|host| Box::pin(with_an_end(host))), &[]).await;
    server.stop(true).await;
    let expected = ["the task", "what the task queued", "the hook that was made last", "the hook that was made first"];
    assert_eq!(ENDED.with(|ended| ended.clone()), expected);
}
