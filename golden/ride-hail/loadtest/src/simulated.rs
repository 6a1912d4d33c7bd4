//! Simulations of the services that this one calls: each answers after as long as the real one takes.
use std::{collections::BTreeMap, time::Duration};
use tonic::transport::server::TcpIncoming;

/// How long a simulated service takes to answer.
const TAKES: Duration = Duration::from_millis(20);

/// Starts the simulated services, and returns the environment variables that lead the service to them.
pub fn start() -> Result<BTreeMap<&'static str, String>, String> {
    let mut env = BTreeMap::new();
    let uri = maps::serve()?;
    env.insert("DOWNSTREAM_MAPS", uri);
    Ok(env)
}

/// Listens on a free port of this machine, and returns the URI that leads there.
fn listen() -> Result<(TcpIncoming, String), String> {
    let incoming = TcpIncoming::bind(([127, 0, 0, 1], 0).into()).map_err(|error| format!("no port: {error}"))?;
    let address = incoming.local_addr().map_err(|error| format!("no address: {error}"))?;
    Ok((incoming, format!("http://{address}")))
}

mod maps {
    use crate::pb::maps::v1 as api;
    use api::maps_service_server::MapsService as Api;
    use api::maps_service_server::MapsServiceServer as ApiServer;
    use tonic::{Request, Response, Status, transport::Server};

    struct Simulated;

    #[tonic::async_trait]
    impl Api for Simulated {
        async fn get(&self, request: Request<api::GetRequest>) -> Result<Response<api::GetReply>, Status> {
            tokio::time::sleep(super::TAKES).await;
            Ok(Response::new(api::GetReply { value: request.into_inner().key }))
        }
    }

    pub fn serve() -> Result<String, String> {
        let (incoming, uri) = super::listen()?;
        tokio::spawn(Server::builder().serve_with_incoming(ApiServer::new(Simulated), incoming));
        Ok(uri)
    }
}
