//! Load reports of a server, which gRPC's interop client asks for: in the trailers of a call, and as a stream.
use hotpath::Replies;
use pb::open_rca_service_server::OpenRcaService;
use pb::{OrcaLoadReport, OrcaLoadReportRequest};
use tokio::sync::watch::Receiver;
use tonic::{Request, Response, Status};

/// The messages and the server of `proto/orca.proto`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("xds.service.orca.v3");
}

/// Tells the report that was made last, and each one that is made afterwards.
pub struct Orca(pub Receiver<OrcaLoadReport>);

#[tonic::async_trait]
impl OpenRcaService for Orca {
    type StreamCoreMetricsStream = Replies<OrcaLoadReport>;

    async fn stream_core_metrics(
        &self,
        _: Request<OrcaLoadReportRequest>,
    ) -> Result<Response<Self::StreamCoreMetricsStream>, Status> {
        let mut reports = self.0.clone();
        Ok(Response::new(hotpath::stream(async move |replies| {
            loop {
                let report = reports.borrow_and_update().clone();
                replies.send(report).await?;
                if reports.changed().await.is_err() {
                    return Ok(());
                }
            }
        })))
    }
}
