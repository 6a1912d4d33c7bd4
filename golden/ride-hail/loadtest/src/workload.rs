//! What the callers of the service do: describe your hottest call as `heavy` and your cheapest as `cheap`, with payloads
//! as they come in production. Until then both fail, and so does the load test.
use crate::client::Caller;
/// The name of the service in the health protocol.
pub use crate::pb::ride::v1::rides_server::SERVICE_NAME as SERVICE;
use std::time::Duration;
use tonic::Status;

/// What callers allow a call to take. It is sent along, and a call without a reply by then counts as late.
pub const DEADLINE: Duration = Duration::from_millis(1000);
/// Cheap calls per second, in every phase alike.
pub const CHEAP_RATE: f64 = 50.0;

/// The call that the service exists for. `n` differs for every call.
///
/// As in: `crate::pb::ride::v1::rides_client::RidesClient::new(caller).METHOD(REQUEST).await.map(drop)`
pub async fn heavy(_caller: Caller, _n: u64) -> Result<(), Status> {
    Err(Status::unimplemented("loadtest/src/workload.rs does not say yet what `heavy` calls"))
}

/// A call that costs next to nothing.
pub async fn cheap(_caller: Caller, _n: u64) -> Result<(), Status> {
    Err(Status::unimplemented("loadtest/src/workload.rs does not say yet what `cheap` calls"))
}
