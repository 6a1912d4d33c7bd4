//! What a workload calls the service through.
use std::time::Duration;
use tonic::{
    Request, Status,
    service::{Interceptor, interceptor::InterceptedService},
    transport::Channel,
};

/// A connection to the service that sends the deadline of the workload along with every call. Generated clients take it
/// as it is: `Client::new(caller)`.
pub type Caller = InterceptedService<Channel, SendDeadline>;

/// Sets the `grpc-timeout` of every call to the deadline of the workload. Streams have none.
#[derive(Clone, Copy, Debug)]
pub struct SendDeadline(pub(crate) Option<Duration>);

impl Interceptor for SendDeadline {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(deadline) = self.0 {
            request.set_timeout(deadline);
        }
        Ok(request)
    }
}
