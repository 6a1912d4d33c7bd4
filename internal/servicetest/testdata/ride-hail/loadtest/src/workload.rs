//! What the callers of the service do.
use crate::client::Caller;
/// The name of the service in the health protocol.
pub use crate::pb::ride::v1::rides_server::SERVICE_NAME as SERVICE;
use crate::pb::ride::v1::{FindRequest, StartRequest, rides_client::RidesClient, trip::Place};
use hotpath_loadtest::{Streams, streams};
use std::time::Duration;
use tonic::{Response, Status, Streaming};

/// What callers allow a call to take.
pub const DEADLINE: Duration = Duration::from_millis(1000);
/// Cheap calls per second, in every phase alike.
pub const CHEAP_RATE: f64 = 50.0;

pub async fn heavy(caller: Caller, n: u64) -> Result<(), Status> {
    let request = StartRequest { rider: n.to_string(), ..StartRequest::default() };
    RidesClient::new(caller).start(request).await.map(drop)
}

impl crate::Callers {
    /// Streams that are open in every phase.
    pub fn streams() -> Option<Streams> {
        streams(5, watch)
    }
}

async fn watch(caller: Caller, n: u64) -> Result<Response<Streaming<Place>>, Status> {
    RidesClient::new(caller).watch(FindRequest { id: n.to_string(), ..FindRequest::default() }).await
}

pub async fn cheap(caller: Caller, n: u64) -> Result<(), Status> {
    RidesClient::new(caller).find(FindRequest { id: n.to_string(), ..FindRequest::default() }).await.map(drop)
}
