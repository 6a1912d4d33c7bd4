//! The calls to other services. Their protos are samples: replace them with the real ones.
use crate::app;
use crate::pb::geo::v1 as geo_api;
use crate::pb::geo::v1::geo_service_client::GeoServiceClient;
use hotpath::{Failure, Host, Outbound};
use tonic::Status;

/// The largest answer that is read.
pub(crate) const MAX_REPLY: u64 = 256 << 10;
/// How many services are asked for one score.
pub(crate) const COUNT: u64 = 1;

/// A client for each.
pub(crate) struct Downstream {
    geo: GeoServiceClient<Outbound>,
}

impl Downstream {
    #[rustfmt::skip]
    pub(crate) fn new(host: &Host) -> Result<Self, Failure> {
        let most = MAX_REPLY as usize;
        Ok(Self {
            geo: GeoServiceClient::new(app::downstream::geo(host)?).max_decoding_message_size(most),
        })
    }

    /// Asks the service.
    pub(crate) async fn ask(&self, key: &str) -> Result<Vec<String>, Status> {
        Ok(vec![self.ask_geo(key).await?])
    }

    async fn ask_geo(&self, key: &str) -> Result<String, Status> {
        let request = geo_api::GetRequest { key: key.to_owned() };
        let reply = self.geo.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("geo", &status))?;
        Ok(reply.into_inner().value)
    }
}
