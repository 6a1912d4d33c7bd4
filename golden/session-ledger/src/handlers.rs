//! The handlers: the service's own code.
use crate::app;
use crate::pb::session_ledger::v1::session_ledger_service_server::SessionLedgerService as Api;
use crate::pb::session_ledger::v1::session_ledger_service_server::SessionLedgerServiceServer as ApiServer;
use crate::pb::session_ledger::v1::{LookupReply, LookupRequest, ScoreReply, ScoreRequest, WatchEvent, WatchRequest};
use crate::score::score;
use crate::state::Counts;
use hotpath::{Cpu, Failure, Host, Queue, Replies, Routes, Store};
use std::time::Duration;
use tokio::time::interval;
use tonic::{Request, Response, Status};
use tracing::debug;

struct Handlers {
    cpu: Cpu,
    counts: Store<Counts>,
    scored: Queue<Scored>,
}

/// What the worker behind the queue is told of.
struct Scored {
    digest: u64,
    score: f64,
}

/// What the queue holds when it is full.
pub(crate) const QUEUE_BYTES: u64 = (app::QUEUE * size_of::<Scored>()) as u64;

/// Makes the handlers, once, before the first call.
pub(crate) async fn start(host: &mut Host) -> Result<Routes, Failure> {
    let handlers = Handlers {
        // Work that computes runs here, off the async workers.
        cpu: host.cpu(),
        counts: host.store("counts")?,
        scored: host.queue("scored", app::QUEUE, audit)?,
    };
    let server = ApiServer::new(handlers).max_decoding_message_size(host.limits().max_message as usize);
    Ok(Routes::default().with(server))
}

/// The work that no caller waits for.
async fn audit(batch: Vec<Scored>) {
    let best = batch.iter().max_by(|a, b| a.score.total_cmp(&b.score));
    if let Some(Scored { digest, score }) = best {
        debug!(scored = batch.len(), digest, score, "the best of a batch");
    }
}

#[tonic::async_trait]
impl Api for Handlers {
    async fn score(&self, request: Request<ScoreRequest>) -> Result<Response<ScoreReply>, Status> {
        let ScoreRequest { key, payload, rounds } = request.into_inner();
        let downstream = Vec::new();
        let (score, digest) = self.cpu.run(move |call| score(&payload, rounds, || call.check())).await?;
        // Before the state changes: a call that is shed here may be sent again.
        self.scored.push(Scored { digest, score })?;
        self.counts.with(move |counts| counts.add(key)).await??;
        Ok(Response::new(ScoreReply { score, digest, downstream }))
    }

    async fn lookup(&self, request: Request<LookupRequest>) -> Result<Response<LookupReply>, Status> {
        let key = request.into_inner().key;
        let wanted = key.clone();
        let count = self.counts.with(move |counts| counts.get(&wanted)).await?;
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
