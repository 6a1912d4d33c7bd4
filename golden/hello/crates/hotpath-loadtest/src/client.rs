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

/// Sets the `grpc-timeout` of every call to the deadline of the workload.
#[derive(Clone, Copy, Debug)]
pub struct SendDeadline(pub(crate) Duration);

impl Interceptor for SendDeadline {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        request.set_timeout(self.0);
        Ok(request)
    }
}
