//! The handlers: the service's own code.
use crate::auth::Allowed;
use crate::pb::acme::edge::v2::edge_filter_service_server::EdgeFilterService as Api;
use crate::pb::acme::edge::v2::edge_filter_service_server::EdgeFilterServiceServer as ApiServer;
use crate::pb::acme::edge::v2::{LookupReply, LookupRequest, ScoreReply, ScoreRequest, WatchEvent, WatchRequest};
use crate::score::score;
use hotpath::{Cpu, Failure, Host, Replies, Routes};
use std::time::Duration;
use tokio::time::interval;
use tonic::service::interceptor::InterceptedService;
use tonic::{Request, Response, Status};

struct Handlers {
    cpu: Cpu,
}

/// Makes the handlers, once, before the first call.
pub(crate) async fn start(host: &mut Host) -> Result<Routes, Failure> {
    let handlers = Handlers {
        // Work that computes runs here, off the async workers.
        cpu: host.cpu(),
    };
    let server = ApiServer::new(handlers).max_decoding_message_size(host.limits().max_message as usize);
    Ok(Routes::default().with(InterceptedService::new(server, Allowed::new(host.env()))))
}

#[tonic::async_trait]
impl Api for Handlers {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreReply>, Status> {
        let ScoreRequest { payload, rounds, .. } = request.into_inner();
        let downstream = Vec::new();
        let (score, digest) = self.cpu.run(move |call| score(&payload, rounds, || call.check())).await?;
        Ok(Response::new(ScoreReply { score, digest, downstream }))
    }

    async fn lookup(&self, request: Request<LookupRequest>) -> Result<Response<LookupReply>, Status> {
        let key = request.into_inner().key;
        let count = 0;
        Ok(Response::new(LookupReply { key, count }))
    }

    type WatchStream = Replies<WatchEvent>;

    async fn watch(&self, request: Request<WatchRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let WatchRequest { key, events, interval_ms } = request.into_inner();
        Ok(Response::new(hotpath::stream(async move |events_out| {
            let mut tick = interval(Duration::from_millis(u64::from(interval_ms.max(1))));
            for seq in 1..=u64::from(events) {
                tick.tick().await;
                events_out.send(WatchEvent { seq, key: key.clone() }).await?;
            }
            Ok(())
        })))
    }
}
