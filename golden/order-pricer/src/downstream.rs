//! The services that this one calls. Their protos are samples: replace them with the real ones.
use hotpath::{Failure, Host, Outbound};
use tonic::Status;

/// The largest answer that is read.
pub(crate) const MAX_REPLY: u64 = 256 << 10;
/// How many services are asked for one score.
pub(crate) const COUNT: u64 = 2;

#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the protos")]
mod api {
    pub(crate) mod features {
        ::tonic::include_proto!("features.v1");

        pub(crate) use features_service_client::FeaturesServiceClient as Client;
    }

    pub(crate) mod user_profiles {
        ::tonic::include_proto!("user_profiles.v1");

        pub(crate) use user_profiles_service_client::UserProfilesServiceClient as Client;
    }
}

/// A client for each.
pub(crate) struct Downstream {
    features: api::features::Client<Outbound>,
    user_profiles: api::user_profiles::Client<Outbound>,
}

impl Downstream {
    #[rustfmt::skip]
    pub(crate) fn new(host: &Host) -> Result<Self, Failure> {
        let most = MAX_REPLY as usize;
        Ok(Self {
            features: api::features::Client::new(host.downstream("features", "http://127.0.0.1:50061")?)
                .max_decoding_message_size(most),
            user_profiles: api::user_profiles::Client::new(host.downstream("user-profiles", "http://127.0.0.1:50062")?)
                .max_decoding_message_size(most),
        })
    }

    /// Asks all of them at once; the first that fails ends the others.
    #[rustfmt::skip]
    pub(crate) async fn ask(&self, key: &str) -> Result<Vec<String>, Status> {
        let answers = tokio::try_join!(
            self.ask_features(key),
            self.ask_user_profiles(key),
        )?;
        Ok(vec![answers.0, answers.1])
    }

    async fn ask_features(&self, key: &str) -> Result<String, Status> {
        let request = api::features::GetRequest { key: key.to_owned() };
        let reply = self.features.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("features", &status))?;
        Ok(reply.into_inner().value)
    }

    async fn ask_user_profiles(&self, key: &str) -> Result<String, Status> {
        let request = api::user_profiles::GetRequest { key: key.to_owned() };
        let reply = self.user_profiles.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("user-profiles", &status))?;
        Ok(reply.into_inner().value)
    }
}
