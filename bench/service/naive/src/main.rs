//! What the tutorials of tonic lead to, with the same business code as the generated service: the control of the
//! benchmark. `SPAWN_BLOCKING` moves the CPU work where the documentation of tokio says; `AGE_MS` and `AGE_GRACE_MS` set
//! tonic's own connection age.
mod score;

use std::{env, time::Duration};
use tokio::{signal::unix, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Server, server::TcpIncoming};
use tonic::{Request, Response, Status};

mod hello {
    tonic::include_proto!("hello.v1");
}
mod prices {
    tonic::include_proto!("prices.v1");
}

use hello::hello_service_server::{HelloService, HelloServiceServer};
use hello::{LookupReply, LookupRequest, ScoreReply, ScoreRequest, WatchEvent, WatchRequest};
use prices::{GetRequest, prices_service_client::PricesServiceClient};

struct Hello {
    prices: PricesServiceClient<Channel>,
    spawn_blocking: bool,
}

#[tonic::async_trait]
impl HelloService for Hello {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreReply>, Status> {
        let ScoreRequest { key, payload, rounds } = request.into_inner();
        let price = self.prices.clone().get(GetRequest { key }).await?.into_inner().value;
        let (score, digest) = if self.spawn_blocking {
            let work = tokio::task::spawn_blocking(move || score::score(&payload, rounds));
            work.await.map_err(|error| Status::internal(error.to_string()))?
        } else {
            score::score(&payload, rounds)
        };
        Ok(Response::new(ScoreReply { score, digest, downstream: vec![price] }))
    }

    async fn lookup(&self, request: Request<LookupRequest>) -> Result<Response<LookupReply>, Status> {
        let mut key = request.into_inner().key;
        // What peers that never read ask for.
        if key == "60kB" {
            key = "k".repeat(60_000);
        }
        Ok(Response::new(LookupReply { key, count: 0 }))
    }

    type WatchStream = ReceiverStream<Result<WatchEvent, Status>>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { key, events, interval_ms } = request.into_inner();
        let (sender, receiver) = mpsc::channel(4);
        tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(u64::from(interval_ms.max(1))));
            for seq in 1..=u64::from(events) {
                tick.tick().await;
                if sender.send(Ok(WatchEvent { seq, key: key.clone() })).await.is_err() {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let millis = |name: &str| -> Option<Duration> { Some(Duration::from_millis(env::var(name).ok()?.parse().ok()?)) };
    let prices = env::var("DOWNSTREAM_PRICES").unwrap_or("http://127.0.0.1:50061".into());
    let prices = PricesServiceClient::new(Channel::from_shared(prices)?.connect_lazy());
    let service = Hello {
        prices,
        spawn_blocking: env::var_os("SPAWN_BLOCKING").is_some(),
    };
    let (reporter, health) = tonic_health::server::health_reporter();
    reporter.set_serving::<HelloServiceServer<Hello>>().await;

    let incoming =
        TcpIncoming::bind(env::var("LISTEN").unwrap_or("0.0.0.0:50051".into()).parse()?)?.with_nodelay(Some(true));
    eprintln!(r#"{{"message":"serving","listen":"{}"}}"#, incoming.local_addr()?);
    let mut server = Server::builder();
    if let (Some(age), Some(grace)) = (millis("AGE_MS"), millis("AGE_GRACE_MS")) {
        server = server.max_connection_age(age).max_connection_age_grace(grace);
    }
    let mut terminated = unix::signal(unix::SignalKind::terminate())?;
    let end = async move {
        terminated.recv().await;
    };
    server
        .add_service(health)
        .add_service(HelloServiceServer::new(service))
        .serve_with_incoming_shutdown(incoming, end)
        .await?;
    Ok(())
}
