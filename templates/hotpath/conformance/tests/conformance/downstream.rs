//! Calls to other services: the fixture calls another instance of itself.
use crate::process::Process;
use crate::support::{client, ended, eventually, metric, order, start};
use std::time::Duration;
use tonic::{Code, Request};

#[tokio::test]
async fn what_is_left_of_the_deadline_is_passed_on() {
    const OWN: Duration = Duration::from_secs(60);
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer), ("MAX_DEADLINE_MS", &OWN.as_millis().to_string())]).await;
    let mut client = client(server.listen()).await;
    for (asked, most) in [(Some(OWN / 2), OWN / 2), (Some(OWN * 2), OWN), (None, OWN)] {
        let mut request = Request::new(order("ask header grpc-timeout", 0));
        if let Some(asked) = asked {
            request.set_timeout(asked);
        }
        let told = client.call(request).await.unwrap().into_inner().payload;
        let told = std::str::from_utf8(&told).unwrap();
        let micros = told.strip_suffix('u').and_then(|digits| digits.parse().ok());
        let left = Duration::from_micros(micros.unwrap_or_else(|| panic!("grpc-timeout: {told:?}")));
        assert!(!left.is_zero() && left < most, "asked for {asked:?}, and passed on {left:?}");
    }
    server.stop(true).await;
    called.stop(true).await;
}

/// With an exporter the parent is a span of ours, and without one it is the caller's: the trace is the caller's in both.
#[tokio::test]
async fn the_callers_trace_is_passed_on() {
    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
    // Trace context is of the process that has set up its logs.
    let called = Process::start("traced-called", "", &[]);
    let peer = format!("http://{}", called.address("listen").await);
    let caller = Process::start("traced-caller", "", &[("DOWNSTREAM_PEER", &peer)]);
    let mut request = Request::new(order("ask header traceparent", 0));
    let parent = format!("00-{TRACE}-00f067aa0ba902b7-01");
    request.metadata_mut().insert("traceparent", parent.parse().unwrap());
    let told = client(caller.address("listen").await).await.call(request).await.unwrap().into_inner().payload;
    let told = String::from_utf8(told.into()).unwrap();
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.ends_with("-01"), "{told}");
    assert_eq!(told == parent, !cfg!(feature = "otlp"), "{told}");
}

#[tokio::test]
async fn a_passed_deadline_ends_the_call_further_down() {
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer), ("MAX_DEADLINE_MS", "500")]).await;
    let status = client(server.listen()).await.call(order("ask sleep", 60_000)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    // Its own deadline is minutes away. Which of the two comes first there, what was passed on or the reset of a caller
    // whose time is up, is a race.
    let admin = called.admin();
    eventually("the called service knew", async || {
        ended(admin, "Call", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await
            + ended(admin, "Call", ("Canceled", "CANCELLED")).await
            == 1.0
    })
    .await;
    server.stop(true).await;
    called.stop(true).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_ends_the_call_further_down() {
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer)]).await;
    let (address, admin) = (server.listen(), called.admin());
    let call = tokio::spawn(async move { client(address).await.call(order("ask sleep", 60_000)).await });
    let busy = async || metric(admin, "hotpath_in_flight", &["grpc_method=\"Call\""]).await;
    eventually("it is asked", async || busy().await == 1.0).await;
    call.abort();
    eventually("it is let go", async || busy().await == 0.0).await;
    assert_eq!(ended(admin, "Call", ("Canceled", "CANCELLED")).await, 1.0);
    server.stop(true).await;
    called.stop(true).await;
}

/// A channel that cannot connect would wait for ever: the deadline, or the connect timeout, ends it.
#[tokio::test]
async fn a_service_that_is_not_there_is_unavailable_and_never_its_own_code() {
    let server = start(&[("DOWNSTREAM_PEER", "http://127.0.0.1:1")]).await;
    let status = client(server.listen()).await.call(order("ask sleep", 1)).await.unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().starts_with("peer: "), "{status:?}");
    let called = start(&[]).await;
    let peer = format!("http://{}", called.listen());
    let server = start(&[("DOWNSTREAM_PEER", &peer)]).await;
    client(server.listen()).await.call(order("ask sleep", 1)).await.unwrap();
    server.stop(true).await;
    called.stop(true).await;
}
