//! The bodies of a call: requests are measured as they come, replies hold what pays for them until the transport has
//! let go of their last byte.
use crate::panics;
use crate::{
    Call,
    admission::Memory,
    edge::Account,
    methods::Method,
    wire::{Messages, code_of, deadline_exceeded, too_large, trailers},
};
use bytes::{Buf, Bytes};
use http::{HeaderMap, Response};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use std::{
    convert::Infallible,
    future::Future as _,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};
use tokio::time::{Sleep, sleep_until};
use tonic::{Code, Status, body::Body};
use tracing::Span;

/// A request body: counts its messages, and refuses one that is too long by its prefix, before its bytes have come.
pub(crate) struct Inbound {
    body: Incoming,
    method: Arc<Method>,
    messages: Messages,
}

impl Inbound {
    pub(crate) fn new(body: Incoming, method: Arc<Method>) -> Self {
        Self { body, method, messages: Messages::default() }
    }
}

impl HttpBody for Inbound {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx).map_err(|error| Status::from_error(error.into()));
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            let complete = self.messages.push(data);
            self.method.series.received(complete);
            if self.messages.longest > self.method.limits.request {
                // tonic's own check would say OUT_OF_RANGE.
                return Poll::Ready(Some(Err(too_large(
                    "received message",
                    self.messages.longest,
                    self.method.limits.request,
                ))));
            }
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// What is sent back.
pub(crate) enum Reply {
    /// A status, or a single message with its trailers.
    Whole { data: Option<Guarded>, trailers: Option<HeaderMap> },
    /// Pulled by the transport, message by message.
    Streamed(Box<Streamed>),
}

impl Reply {
    /// A status and nothing else.
    pub(crate) fn status(status: &Status) -> Response<Self> {
        status.clone().into_http::<()>().map(|()| Self::Whole { data: None, trailers: None })
    }

    pub(crate) fn whole(data: Bytes, trailers: Option<HeaderMap>, memory: Memory) -> Self {
        let data = (!data.is_empty()).then(|| Guarded { data, _hold: Hold::Answer(memory) });
        Self::Whole { data, trailers }
    }
}

impl HttpBody for Reply {
    type Data = Guarded;
    type Error = Infallible;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Guarded>, Infallible>>> {
        match self.get_mut() {
            Self::Whole { data, trailers } => {
                let frame = data.take().map(Frame::data).or_else(|| trailers.take().map(Frame::trailers));
                Poll::Ready(frame.map(Ok))
            }
            Self::Streamed(stream) => stream.poll(cx).map(|frame| frame.map(Ok)),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Whole { data, trailers } => data.is_none() && trailers.is_none(),
            Self::Streamed(stream) => stream.account.is_done(),
        }
    }
}

/// Reply bytes, and what pays for them.
pub(crate) struct Guarded {
    data: Bytes,
    _hold: Hold,
}

enum Hold {
    Answer(#[expect(dead_code, reason = "held for its Drop")] Memory),
    Stream(#[expect(dead_code, reason = "held for its Drop")] Arc<(Call, Memory)>),
}

impl Buf for Guarded {
    fn remaining(&self) -> usize {
        self.data.remaining()
    }

    fn chunk(&self) -> &[u8] {
        self.data.chunk()
    }

    fn advance(&mut self, count: usize) {
        self.data.advance(count);
    }
}

/// A stream of replies: ends at its deadline, and counts the call when its last frame is taken.
pub(crate) struct Streamed {
    body: Body,
    messages: Messages,
    account: Account,
    held: Arc<(Call, Memory)>,
    expiry: Pin<Box<Sleep>>,
    span: Span,
}

impl Streamed {
    pub(crate) fn new(body: Body, account: Account, call: Call, answer: Memory) -> Self {
        let expiry = Box::pin(sleep_until(call.deadline()));
        Self {
            body,
            messages: Messages::default(),
            account,
            held: Arc::new((call, answer)),
            expiry,
            span: Span::current(),
        }
    }

    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Frame<Guarded>>> {
        let _span = self.span.clone().entered();
        if self.account.is_done() {
            return Poll::Ready(None);
        }
        let polled = self.held.0.sync_scope(|| panics::caught_now(|| Pin::new(&mut self.body).poll_frame(cx)));
        let frame = match polled {
            Ok(Poll::Ready(frame)) => frame,
            Ok(Poll::Pending) if self.expiry.as_mut().poll(cx).is_ready() => Some(Err(deadline_exceeded())),
            Ok(Poll::Pending) => return Poll::Pending,
            Err(panicked) => Some(Err(panicked.status())),
        };
        Poll::Ready(match frame {
            Some(Ok(frame)) => Some(self.pass(frame)),
            Some(Err(status)) => Some(self.last(&status)),
            None => {
                self.account.finish(Code::Unknown);
                None
            }
        })
    }

    fn pass(&mut self, frame: Frame<Bytes>) -> Frame<Guarded> {
        let data = match frame.into_data() {
            Ok(data) => data,
            Err(frame) => {
                let trailers = frame.into_trailers().unwrap_or_default();
                self.account.finish(code_of(&trailers).unwrap_or(Code::Unknown));
                return Frame::trailers(trailers);
            }
        };
        let sent = self.messages.push(&data);
        let (longest, most) = (self.messages.longest, self.account.method.limits.reply);
        if longest > most {
            return self.last(&too_large("trying to send message", longest, most));
        }
        self.account.method.series.sent(sent);
        Frame::data(Guarded { data, _hold: Hold::Stream(Arc::clone(&self.held)) })
    }

    fn last(&mut self, status: &Status) -> Frame<Guarded> {
        self.account.finish(status.code());
        Frame::trailers(trailers(status))
    }
}
