//! The services that this one calls. Their protos are samples: replace them with the real ones.
use hotpath::{Failure, Host, Outbound};
use tonic::Status;

/// The largest answer that is read.
pub(crate) const MAX_REPLY: u64 = 256 << 10;
/// How many services are asked for one score.
pub(crate) const COUNT: u64 = 1;

#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the protos")]
mod api {
    pub(crate) mod geo {
        ::tonic::include_proto!("geo.v1");

        pub(crate) use geo_service_client::GeoServiceClient as Client;
    }
}

/// A client for each.
pub(crate) struct Downstream {
    geo: api::geo::Client<Outbound>,
}

impl Downstream {
    #[rustfmt::skip]
    pub(crate) fn new(host: &Host) -> Result<Self, Failure> {
        let most = MAX_REPLY as usize;
        Ok(Self {
            geo: api::geo::Client::new(host.downstream("geo", "http://127.0.0.1:50061")?)
                .max_decoding_message_size(most),
        })
    }

    /// Asks the service.
    pub(crate) async fn ask(&self, key: &str) -> Result<Vec<String>, Status> {
        Ok(vec![self.ask_geo(key).await?])
    }

    async fn ask_geo(&self, key: &str) -> Result<String, Status> {
        let request = api::geo::GetRequest { key: key.to_owned() };
        let reply = self.geo.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("geo", &status))?;
        Ok(reply.into_inner().value)
    }
}
