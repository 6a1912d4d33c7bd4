//! The services that this one calls. Their protos are samples: replace them with the real ones.
use hotpath::{Failure, Host, Outbound};
use tonic::Status;

/// The largest answer that is read.
pub(crate) const MAX_REPLY: u64 = 256 << 10;
/// How many services are asked for one score.
pub(crate) const COUNT: u64 = 1;

#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the protos")]
mod api {
    pub(crate) mod bids {
        ::tonic::include_proto!("bids.v1");

        pub(crate) use bids_service_client::BidsServiceClient as Client;
    }
}

/// A client for each.
pub(crate) struct Downstream {
    bids: api::bids::Client<Outbound>,
}

impl Downstream {
    #[rustfmt::skip]
    pub(crate) fn new(host: &Host) -> Result<Self, Failure> {
        let most = MAX_REPLY as usize;
        Ok(Self {
            bids: api::bids::Client::new(host.downstream("bids", "http://127.0.0.1:50061")?)
                .max_decoding_message_size(most),
        })
    }

    /// Asks the service.
    pub(crate) async fn ask(&self, key: &str) -> Result<Vec<String>, Status> {
        Ok(vec![self.ask_bids(key).await?])
    }

    async fn ask_bids(&self, key: &str) -> Result<String, Status> {
        let request = api::bids::GetRequest { key: key.to_owned() };
        let reply = self.bids.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("bids", &status))?;
        Ok(reply.into_inner().value)
    }
}
