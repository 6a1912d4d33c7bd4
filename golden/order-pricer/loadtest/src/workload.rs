//! What the callers of the service do: describe your hottest call as `heavy` and your cheapest as `cheap`, with payloads
//! as they come in production.
use crate::client::Caller;
use crate::pb::order_pricer::v1 as api;
use api::order_pricer_service_client::OrderPricerServiceClient as Client;
/// The name of the service in the health protocol.
pub use api::order_pricer_service_server::SERVICE_NAME as SERVICE;
use bytes::Bytes;
use hotpath_loadtest::{Streams, streams};
use std::time::Duration;
use tonic::{Response, Status, Streaming};

/// What callers allow a call to take. It is sent along, and a call without a reply by then counts as late.
pub const DEADLINE: Duration = Duration::from_millis(250);
/// Cheap calls per second, in every phase alike.
pub const CHEAP_RATE: f64 = 50.0;

const PAYLOAD: [u8; 4_096] = [7; 4_096];

/// The call that the service exists for. `n` differs for every call.
pub async fn heavy(caller: Caller, n: u64) -> Result<(), Status> {
    let request = api::ScoreRequest {
        key: format!("key-{}", n % 1_000),
        payload: Bytes::from_static(&PAYLOAD),
        rounds: 8,
    };
    Client::new(caller).score(request).await.map(drop)
}

impl crate::Callers {
    /// Streams that are open in every phase, each opened again when it ends.
    pub fn streams() -> Option<Streams> {
        streams(20, watch)
    }
}

async fn watch(caller: Caller, n: u64) -> Result<Response<Streaming<api::WatchEvent>>, Status> {
    let request = api::WatchRequest {
        key: format!("key-{}", n % 1_000),
        events: 20,
        interval_ms: 10,
    };
    Client::new(caller).watch(request).await
}

/// A call that costs next to nothing.
pub async fn cheap(caller: Caller, n: u64) -> Result<(), Status> {
    let request = api::LookupRequest { key: format!("key-{}", n % 1_000) };
    Client::new(caller).lookup(request).await.map(drop)
}
