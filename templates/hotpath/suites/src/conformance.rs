//! The service of connectrpc's conformance suite: each call says how it is to be answered, and is told what was received.
use crate::trailers::Trailers;
use futures_util::TryStreamExt as _;
use hotpath::{Failure, Replies};
use pb::conformance_payload::RequestInfo;
use pb::conformance_service_server::ConformanceService;
use pb::unary_response_definition::Response as Definition;
use pb::{
    BidiStreamRequest, BidiStreamResponse, ClientStreamRequest, ClientStreamResponse, ConformancePayload, Header,
    RichStatus, ServerStreamRequest, ServerStreamResponse, StreamResponseDefinition, UnaryRequest, UnaryResponse,
    UnaryResponseDefinition,
};
use prost::Message;
use prost_types::Any;
use std::time::Duration;
use tokio::time::sleep;
use tonic::codegen::http::{HeaderMap, HeaderName, HeaderValue};
use tonic::metadata::MetadataMap;
use tonic::{Code, Request, Response, Status, Streaming};

/// The messages and the server of `proto/conformance.proto`.
#[allow(missing_docs, clippy::all, clippy::restriction, clippy::pedantic, reason = "generated from the proto")]
pub mod pb {
    tonic::include_proto!("connectrpc.conformance.v1");
}

/// The handlers.
pub struct Conformance;

#[tonic::async_trait]
impl ConformanceService for Conformance {
    async fn unary(&self, request: Request<UnaryRequest>) -> Result<Response<UnaryResponse>, Status> {
        let (asked, _, mut request) = request.into_parts();
        let echoed = any("UnaryRequest", &request);
        let answer = single(&asked, vec![echoed], request.response_definition.take()).await?;
        Ok(answer.map(|payload| UnaryResponse { payload: Some(payload) }))
    }

    async fn client_stream(
        &self,
        request: Request<Streaming<ClientStreamRequest>>,
    ) -> Result<Response<ClientStreamResponse>, Status> {
        let (asked, _, requests) = request.into_parts();
        let requests: Vec<_> = requests.try_collect().await?;
        let echoed = requests.iter().map(|request| any("ClientStreamRequest", request)).collect();
        let definition = requests.into_iter().next().and_then(|first| first.response_definition);
        let answer = single(&asked, echoed, definition).await?;
        Ok(answer.map(|payload| ClientStreamResponse { payload: Some(payload) }))
    }

    type ServerStreamStream = Replies<ServerStreamResponse>;

    async fn server_stream(
        &self,
        request: Request<ServerStreamRequest>,
    ) -> Result<Response<Self::ServerStreamStream>, Status> {
        let (asked, _, mut request) = request.into_parts();
        let echoed = vec![any("ServerStreamRequest", &request)];
        let definition = request.response_definition.take().unwrap_or_default();
        let (headers, trailers) = (definition.response_headers.clone(), definition.response_trailers.clone());
        let mut script = Script::new(&asked, definition);
        script.info.requests = echoed;
        let stream = hotpath::stream(async move |replies| {
            while let Some(payload) = script.next().await {
                replies.send(ServerStreamResponse { payload: Some(payload) }).await?;
            }
            script.end()
        });
        respond(stream, &headers, &trailers)
    }

    type BidiStreamStream = Replies<BidiStreamResponse>;

    async fn bidi_stream(
        &self,
        request: Request<Streaming<BidiStreamRequest>>,
    ) -> Result<Response<Self::BidiStreamStream>, Status> {
        let (asked, _, mut requests) = request.into_parts();
        let Some(mut request) = requests.try_next().await? else {
            return respond(hotpath::stream(async |_replies| Ok(())), &[], &[]);
        };
        let first = any("BidiStreamRequest", &request);
        let definition = request.response_definition.take().unwrap_or_default();
        let (headers, trailers) = (definition.response_headers.clone(), definition.response_trailers.clone());
        let mut script = Script::new(&asked, definition);
        script.info.requests.push(first);
        let stream = hotpath::stream(async move |replies| {
            loop {
                if request.full_duplex {
                    let Some(payload) = script.next().await else { break };
                    replies.send(BidiStreamResponse { payload: Some(payload) }).await?;
                }
                let Some(next) = requests.try_next().await? else { break };
                script.info.requests.push(any("BidiStreamRequest", &next));
            }
            while let Some(payload) = script.next().await {
                replies.send(BidiStreamResponse { payload: Some(payload) }).await?;
            }
            script.end()
        });
        respond(stream, &headers, &trailers)
    }
}

/// Answers a call that has one reply.
async fn single(
    asked: &MetadataMap,
    requests: Vec<Any>,
    definition: Option<UnaryResponseDefinition>,
) -> Result<Response<ConformancePayload>, Status> {
    let info = RequestInfo { requests, ..received(asked) };
    let definition = definition.unwrap_or_default();
    sleep(Duration::from_millis(definition.response_delay_ms.into())).await;
    let data = match definition.response {
        Some(Definition::Error(error)) => {
            let all = [definition.response_headers, definition.response_trailers].concat();
            return Err(failed(error, Some(&info), &all));
        }
        Some(Definition::ResponseData(data)) => data,
        None => Vec::new(),
    };
    let payload = ConformancePayload { data, request_info: Some(info) };
    respond(payload, &definition.response_headers, &definition.response_trailers)
}

/// The replies of a stream, one after the other: the first tells what was received until then, and a later one what was
/// received since.
struct Script {
    definition: StreamResponseDefinition,
    sent: usize,
    /// What was received and not yet told.
    info: RequestInfo,
}

impl Script {
    fn new(asked: &MetadataMap, definition: StreamResponseDefinition) -> Self {
        Self { definition, sent: 0, info: received(asked) }
    }

    /// The next reply, when it is due.
    async fn next(&mut self) -> Option<ConformancePayload> {
        let data = self.definition.response_data.get(self.sent)?.clone();
        self.sent += 1;
        sleep(Duration::from_millis(self.definition.response_delay_ms.into())).await;
        let info = std::mem::take(&mut self.info);
        Some(ConformancePayload {
            data,
            request_info: (info != RequestInfo::default()).then_some(info),
        })
    }

    /// How the stream ends.
    fn end(self) -> Result<(), Status> {
        let Some(error) = self.definition.error else { return Ok(()) };
        Err(failed(error, (self.sent == 0).then_some(&self.info), &[]))
    }
}

/// A response with the headers and trailers that were asked for.
fn respond<T>(reply: T, headers: &[Header], trailers: &[Header]) -> Result<Response<T>, Status> {
    let mut response = Response::new(reply);
    *response.metadata_mut() = MetadataMap::from_headers(as_headers(headers)?);
    response.extensions_mut().insert(Trailers(as_headers(trailers)?));
    Ok(response)
}

/// The status that was asked for, with what was received in its details.
fn failed(error: pb::Error, info: Option<&RequestInfo>, metadata: &[Header]) -> Status {
    let pb::Error { code, message, mut details } = error;
    let message = message.unwrap_or_default();
    details.extend(info.map(|info| any("ConformancePayload.RequestInfo", info)));
    let rich = RichStatus { code, message: message.clone(), details }.encode_to_vec();
    match as_headers(metadata) {
        Ok(headers) => {
            let metadata = MetadataMap::from_headers(headers);
            Status::with_details_and_metadata(Code::from_i32(code), message, rich.into(), metadata)
        }
        Err(status) => status,
    }
}

/// What a call brought beside its requests.
fn received(asked: &MetadataMap) -> RequestInfo {
    let headers = asked.as_ref();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let values = |name: &HeaderName| headers.get_all(name).iter().map(text).collect();
    RequestInfo {
        request_headers: headers.keys().map(|name| Header { name: name.to_string(), value: values(name) }).collect(),
        timeout_ms: headers.get("grpc-timeout").and_then(|timeout| milliseconds(timeout.to_str().ok()?)),
        requests: Vec::new(),
    }
}

/// The milliseconds of a `grpc-timeout`.
fn milliseconds(timeout: &str) -> Option<i64> {
    let (digits, unit) = timeout.split_at_checked(timeout.len().checked_sub(1)?)?;
    let amount: i64 = digits.parse().ok()?;
    match unit {
        "H" => Some(amount * 3_600_000),
        "M" => Some(amount * 60_000),
        "S" => Some(amount * 1_000),
        "m" => Some(amount),
        "u" => Some(amount / 1_000),
        "n" => Some(amount / 1_000_000),
        _ => None,
    }
}

/// Headers as they go out. What is binary is in base64 on both sides.
fn as_headers(headers: &[Header]) -> Result<HeaderMap, Status> {
    let parse = || {
        let mut all = HeaderMap::new();
        for Header { name, value } in headers {
            for value in value {
                all.append(HeaderName::try_from(name)?, HeaderValue::try_from(value)?);
            }
        }
        Ok(all)
    };
    parse().map_err(|error: Failure| Status::invalid_argument(error.to_string()))
}

fn any(name: &str, message: &impl Message) -> Any {
    let type_url = format!("type.googleapis.com/connectrpc.conformance.v1.{name}");
    Any { type_url, value: message.encode_to_vec() }
}
