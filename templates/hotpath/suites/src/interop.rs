//! gRPC's interop test service: https://github.com/grpc/grpc/blob/master/doc/interop-test-descriptions.md.
use crate::trailers::Trailers;
use futures_util::TryStreamExt as _;
use hotpath::Replies;
use pb::test_service_server::TestService;
use pb::{
    EchoStatus, Empty, Payload, SimpleRequest, SimpleResponse, StreamingInputCallRequest, StreamingInputCallResponse,
    StreamingOutputCallRequest, StreamingOutputCallResponse,
};
use std::time::Duration;
use tokio::time::sleep;
use tonic::codegen::http::HeaderMap;
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

/// The messages and the server of `proto/interop.proto`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("grpc.testing");
}

/// What a caller wants back as a header, and as a trailer.
const ECHOED_HEADER: &str = "x-grpc-test-echo-initial";
const ECHOED_TRAILER: &str = "x-grpc-test-echo-trailing-bin";

/// The handlers.
pub struct Interop;

#[tonic::async_trait]
impl TestService for Interop {
    async fn empty_call(&self, _: Request<Empty>) -> Result<Response<Empty>, Status> {
        Ok(Response::new(Empty {}))
    }

    async fn unary_call(&self, request: Request<SimpleRequest>) -> Result<Response<SimpleResponse>, Status> {
        let (asked, _, request) = request.into_parts();
        check(request.response_status)?;
        let server_id = if request.fill_server_id { "suites".into() } else { String::new() };
        let reply = SimpleResponse { payload: Some(zeros(request.response_size)?), server_id };
        Ok(echoing(&asked, reply))
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
        let replies = hotpath::stream(async move |replies| {
            while let Some(request) = requests.try_next().await? {
                output(request, &replies).await?;
            }
            Ok(())
        });
        Ok(echoing(&asked, replies))
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

/// A response with the metadata that its caller wants back.
fn echoing<T>(asked: &MetadataMap, reply: T) -> Response<T> {
    let mut response = Response::new(reply);
    if let Some(value) = asked.get(ECHOED_HEADER) {
        response.metadata_mut().insert(ECHOED_HEADER, value.clone());
    }
    let mut trailers = HeaderMap::new();
    if let Some(value) = asked.as_ref().get(ECHOED_TRAILER) {
        trailers.insert(ECHOED_TRAILER, value.clone());
    }
    response.extensions_mut().insert(Trailers(trailers));
    response
}
