//! gRPC's interop test service: https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
use crate::orca::pb::OrcaLoadReport;
use crate::trailers::Trailers;
use futures_util::TryStreamExt as _;
use hotpath::Replies;
use pb::test_service_server::TestService;
use pb::{
    EchoStatus, Empty, Payload, SimpleRequest, SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse, TestOrcaReport,
};
use prost::Message as _;
use std::time::Duration;
use tokio::sync::watch::Sender;
use tokio::time::sleep;
use tonic::metadata::{BinaryMetadataValue, MetadataMap};
use tonic::{Code, Request, Response, Status, Streaming};

/// The messages and the server of `proto/interop.proto`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("grpc.testing");
}

/// What a caller wants back as a header, and as a trailer.
const ECHOED_HEADER: &str = "x-grpc-test-echo-initial";
const ECHOED_TRAILER: &str = "x-grpc-test-echo-trailing-bin";

/// The trailer of a load report.
const LOAD: &str = "endpoint-load-metrics-bin";

/// The handlers. A caller may say what load is to be reported.
pub struct Interop(pub Sender<OrcaLoadReport>);

#[tonic::async_trait]
impl TestService for Interop {
    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        let (asked, _, request) = request.into_parts();
        check(request.response_status)?;
        let server_id = if request.fill_server_id { "suites".into() } else { String::new() };
        let payload = Some(zeros(request.response_size)?);
        Ok(echoing(&asked, request.orca_per_query_report, SimpleResponse { payload, server_id }))
    }

    type StreamingOutputCallStream = Replies<StreamingOutputCallResponse>;

    async fn streaming_output_call(
        &self,
        request: Request<StreamingOutputCallRequest>,
    ) -> Result<Response<Self::StreamingOutputCallStream>, Status> {
        let request = request.into_inner();
        Ok(Response::new(hotpath::stream(async move |replies| output(request, &replies).await)))
    }

    async fn streaming_input_call(
        &self,
        request: Request<Streaming<StreamingInputCallRequest>>,
    ) -> Result<Response<StreamingInputCallResponse>, Status> {
        let mut requests = request.into_inner();
        let mut total = 0;
        while let Some(request) = requests.try_next().await? {
            total += request.payload.map_or(0, |payload| payload.body.len());
        }
        Ok(Response::new(StreamingInputCallResponse { aggregated_payload_size: total as i32 }))
    }

    type FullDuplexCallStream = Replies<StreamingOutputCallResponse>;

    async fn full_duplex_call(
        &self,
        request: Request<Streaming<StreamingOutputCallRequest>>,
    ) -> Result<Response<Self::FullDuplexCallStream>, Status> {
        let (asked, _, mut requests) = request.into_parts();
        let reports = self.0.clone();
        let replies = hotpath::stream(async move |replies| {
            while let Some(mut request) = requests.try_next().await? {
                if let Some(report) = request.orca_oob_report.take() {
                    reports.send_replace(report.into());
                }
                output(request, &replies).await?;
            }
            Ok(())
        });
        Ok(echoing(&asked, None, replies))
    }
}

/// Sends what one request asks for.
async fn output(
    request: StreamingOutputCallRequest,
    replies: &hotpath::Sink<StreamingOutputCallResponse>,
) -> Result<(), Status> {
    check(request.response_status)?;
    for reply in request.response_parameters {
        sleep(Duration::from_micros(reply.interval_us.max(0) as u64)).await;
        replies.send(StreamingOutputCallResponse { payload: Some(zeros(reply.size)?) }).await?;
    }
    Ok(())
}

/// Fails where a caller asks for that.
fn check(status: Option<EchoStatus>) -> Result<(), Status> {
    match status {
        Some(EchoStatus { code, message }) if code != 0 => Err(Status::new(Code::from_i32(code), message)),
        _ => Ok(()),
    }
}

fn zeros(size: i32) -> Result<Payload, Status> {
    let size = usize::try_from(size).map_err(|_negative| Status::invalid_argument("a negative size"))?;
    Ok(Payload { body: vec![0; size] })
}

/// A response with the metadata that its caller wants back, and with the load that is to be reported.
fn echoing<T>(asked: &MetadataMap, load: Option<TestOrcaReport>, reply: T) -> Response<T> {
    let mut response = Response::new(reply);
    if let Some(value) = asked.get(ECHOED_HEADER) {
        response.metadata_mut().insert(ECHOED_HEADER, value.clone());
    }
    let mut trailers = MetadataMap::new();
    if let Some(value) = asked.get_bin(ECHOED_TRAILER) {
        trailers.insert_bin(ECHOED_TRAILER, value.clone());
    }
    if let Some(load) = load {
        let report = OrcaLoadReport::from(load).encode_to_vec();
        trailers.insert_bin(LOAD, BinaryMetadataValue::from_bytes(&report));
    }
    response.extensions_mut().insert(Trailers(trailers.into_headers()));
    response
}

impl From<TestOrcaReport> for OrcaLoadReport {
    fn from(asked: TestOrcaReport) -> Self {
        let TestOrcaReport {
            cpu_utilization,
            memory_utilization,
            request_cost,
            utilization,
        } = asked;
        Self {
            cpu_utilization,
            mem_utilization: memory_utilization,
            request_cost,
            utilization,
        }
    }
}
