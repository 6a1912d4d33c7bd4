//! The calls to other services. Their protos are samples: replace them with the real ones.
use crate::app;
use crate::pb::features::v1 as features_api;
use crate::pb::features::v1::features_service_client::FeaturesServiceClient;
use crate::pb::user_profiles::v1 as user_profiles_api;
use crate::pb::user_profiles::v1::user_profiles_service_client::UserProfilesServiceClient;
use hotpath::{Failure, Host, Outbound};
use tonic::Status;

/// The largest answer that is read.
pub(crate) const MAX_REPLY: u64 = 256 << 10;
/// How many services are asked for one score.
pub(crate) const COUNT: u64 = 2;

/// A client for each.
pub(crate) struct Downstream {
    features: FeaturesServiceClient<Outbound>,
    user_profiles: UserProfilesServiceClient<Outbound>,
}

impl Downstream {
    #[rustfmt::skip]
    pub(crate) fn new(host: &Host) -> Result<Self, Failure> {
        let most = MAX_REPLY as usize;
        Ok(Self {
            features: FeaturesServiceClient::new(app::downstream::features(host)?).max_decoding_message_size(most),
            user_profiles: UserProfilesServiceClient::new(app::downstream::user_profiles(host)?).max_decoding_message_size(most),
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
        let request = features_api::GetRequest { key: key.to_owned() };
        let reply = self.features.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("features", &status))?;
        Ok(reply.into_inner().value)
    }

    async fn ask_user_profiles(&self, key: &str) -> Result<String, Status> {
        let request = user_profiles_api::GetRequest { key: key.to_owned() };
        let reply = self.user_profiles.clone().get(request).await;
        let reply = reply.map_err(|status| Outbound::failed("user-profiles", &status))?;
        Ok(reply.into_inner().value)
    }
}
