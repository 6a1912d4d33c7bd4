//! The handlers: the service's own code.
use crate::pb::ride::v1::trip::Place;
use crate::pb::ride::v1::{FindRequest, StartRequest, Trip};
use crate::pb::ride::{v1, v2};
use hotpath::{Failure, Host, Replies, Routes};
use tonic::{Request, Response, Status, Streaming};

#[derive(Clone)]
struct Handlers;

pub(crate) async fn start(host: &mut Host) -> Result<Routes, Failure> {
    let most = host.limits().max_message as usize;
    let drivers = v1::drivers_server::DriversServer::new(Handlers);
    let rides = v1::rides_server::RidesServer::new(Handlers);
    let rides_v2 = v2::rides_server::RidesServer::new(Handlers);
    Ok(Routes::default()
        .with(drivers.max_decoding_message_size(most))
        .with(rides.max_decoding_message_size(most))
        .with(rides_v2.max_decoding_message_size(most)))
}

#[tonic::async_trait]
impl v1::drivers_server::Drivers for Handlers {}

#[tonic::async_trait]
impl v1::rides_server::Rides for Handlers {
    async fn start(&self, request: Request<StartRequest>) -> Result<Response<Trip>, Status> {
        Ok(Response::new(Trip { id: request.into_inner().rider, ..Trip::default() }))
    }

    async fn find(&self, request: Request<FindRequest>) -> Result<Response<Trip>, Status> {
        Ok(Response::new(Trip { id: request.into_inner().id, ..Trip::default() }))
    }

    type WatchStream = Replies<Place>;

    async fn watch(&self, _request: Request<FindRequest>) -> Result<Response<Self::WatchStream>, Status> {
        Ok(Response::new(hotpath::stream(async move |places| {
            for step in 1..=3 {
                places.send(Place { latitude: f64::from(step), longitude: 0.5 }).await?;
            }
            Ok(())
        })))
    }

    async fn upload(&self, request: Request<Streaming<Place>>) -> Result<Response<()>, Status> {
        let mut places = request.into_inner();
        let mut count = 0;
        while places.message().await?.is_some() {
            count += 1;
        }
        if count < 2 {
            return Err(Status::invalid_argument("a way has two places at least"));
        }
        Ok(Response::new(()))
    }

    type TypeStream = Replies<Place>;

    async fn r#type(&self, request: Request<Streaming<Place>>) -> Result<Response<Self::TypeStream>, Status> {
        let mut places = request.into_inner();
        Ok(Response::new(hotpath::stream(async move |answers| {
            while let Some(Place { latitude, longitude }) = places.message().await? {
                answers.send(Place { latitude: longitude, longitude: latitude }).await?;
            }
            Ok(())
        })))
    }

    async fn connect(&self, request: Request<FindRequest>) -> Result<Response<Trip>, Status> {
        self.find(request).await
    }
}

#[tonic::async_trait]
impl v2::rides_server::Rides for Handlers {
    async fn start(&self, request: Request<StartRequest>) -> Result<Response<Trip>, Status> {
        v1::rides_server::Rides::start(self, request).await
    }
}
