//! The handlers: the service's own code. `rustgen api` says which methods of the protos have none yet.
use hotpath::{Failure, Host, Replies, Routes};
use tonic::{Request, Response, Status, Streaming};

/// What the handlers share: the way to other services, state, and `host.cpu()` for work that computes.
#[derive(Clone)]
struct Handlers;

/// Makes the handlers, once, before the first call.
pub(crate) async fn start(host: &mut Host) -> Result<Routes, Failure> {
    let most = host.limits().max_message as usize;
    let handlers = Handlers;
    let routes = Routes::default();
    let server = crate::pb::ride::v1::drivers_server::DriversServer::new(handlers.clone());
    let routes = routes.with(server.max_decoding_message_size(most));
    let server = crate::pb::ride::v1::rides_server::RidesServer::new(handlers.clone());
    let routes = routes.with(server.max_decoding_message_size(most));
    let server = crate::pb::ride::v2::rides_server::RidesServer::new(handlers.clone());
    let routes = routes.with(server.max_decoding_message_size(most));
    Ok(routes)
}

#[tonic::async_trait]
impl crate::pb::ride::v1::drivers_server::Drivers for Handlers {}

#[tonic::async_trait]
impl crate::pb::ride::v1::rides_server::Rides for Handlers {
    async fn start(
        &self,
        _request: Request<crate::pb::ride::v1::StartRequest>,
    ) -> Result<Response<crate::pb::ride::v1::Trip>, Status> {
        Err(Status::unimplemented("ride.v1.Rides/Start is not written yet"))
    }

    async fn find(
        &self,
        _request: Request<crate::pb::ride::v1::FindRequest>,
    ) -> Result<Response<crate::pb::ride::v1::Trip>, Status> {
        Err(Status::unimplemented("ride.v1.Rides/Find is not written yet"))
    }

    type WatchStream = Replies<crate::pb::ride::v1::trip::Place>;

    async fn watch(
        &self,
        _request: Request<crate::pb::ride::v1::FindRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        Err(Status::unimplemented("ride.v1.Rides/Watch is not written yet"))
    }

    async fn upload(
        &self,
        _request: Request<Streaming<crate::pb::ride::v1::trip::Place>>,
    ) -> Result<Response<()>, Status> {
        Err(Status::unimplemented("ride.v1.Rides/Upload is not written yet"))
    }

    type TypeStream = Replies<crate::pb::ride::v1::trip::Place>;

    async fn r#type(
        &self,
        _request: Request<Streaming<crate::pb::ride::v1::trip::Place>>,
    ) -> Result<Response<Self::TypeStream>, Status> {
        Err(Status::unimplemented("ride.v1.Rides/Type is not written yet"))
    }

    async fn connect(
        &self,
        _request: Request<crate::pb::ride::v1::FindRequest>,
    ) -> Result<Response<crate::pb::ride::v1::Trip>, Status> {
        Err(Status::unimplemented("ride.v1.Rides/Connect is not written yet"))
    }
}

#[tonic::async_trait]
impl crate::pb::ride::v2::rides_server::Rides for Handlers {
    async fn start(
        &self,
        _request: Request<crate::pb::ride::v1::StartRequest>,
    ) -> Result<Response<crate::pb::ride::v1::Trip>, Status> {
        Err(Status::unimplemented("ride.v2.Rides/Start is not written yet"))
    }
}
