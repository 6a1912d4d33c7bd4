//! The calls to other services. Their protos are samples: replace them with the real ones.
use crate::app;
use crate::pb::bids::v1 as bids_api;
use crate::pb::bids::v1::bids_service_client::BidsServiceClient;
use hotpath::{Failure, Host, Outbound};
use tonic::Status;

/// The largest answer that is read.
pub(crate) const MAX_REPLY: u64 = 256 << 10;
/// How many services are asked for one score.
pub(crate) const COUNT: u64 = 1;

/// A client for each.
pub(crate) struct Downstream {
    bids: BidsServiceClient<Outbound>,
}

impl Downstream {
    #[rustfmt::skip]
    pub(crate) fn new(host: &Host) -> Result<Self, Failure> {
        let most = MAX_REPLY as usize;
        Ok(Self {
            bids: BidsServiceClient::new(app::downstream::bids(host)?).max_decoding_message_size(most),
        })
    }

    /// Asks the service.
    pub(crate) async fn ask(&self, key: &str) -> Result<Vec<String>, Status> {
        Ok(vec![self.ask_bids(key).await?])
    }

    async fn ask_bids(&self, key: &str) -> Result<String, Status> {
        let request = bids_api::GetRequest { key: key.to_owned() };
        let reply = self.bids.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("bids", &status))?;
        Ok(reply.into_inner().value)
    }
}
