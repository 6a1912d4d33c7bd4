//! Work ends with its caller.
use crate::support::{client, ended, eventually, metric, order, start};
use tonic::Code;

/// How long the work goes on by itself: beyond what any test waits for.
const LONG_MS: u32 = 60_000;

/// A tutorial's server computes to the end for callers that are long gone: the p99 of a cheap call was 209 ms beside it.
#[tokio::test]
async fn a_caller_that_goes_away_stops_its_cpu_work() {
    let server = start(&[]).await;
    let (address, admin) = (server.listen(), server.admin());
    let call = tokio::spawn(async move { client(address).await.compute(order("spin", LONG_MS)).await });
    eventually("it computes", async || metric(admin, "hotpath_cpu_busy", &[]).await == 1.0).await;
    call.abort();
    eventually("nothing computes", async || metric(admin, "hotpath_cpu_busy", &[]).await == 0.0).await;
    eventually("it is counted", async || ended(admin, "Compute", ("Canceled", "CANCELLED")).await == 1.0).await;
    eventually("nothing is held", async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await == 0.0).await;
    server.stop(true).await;
}

#[tokio::test]
async fn a_passed_deadline_stops_its_cpu_work() {
    let server = start(&[("MAX_DEADLINE_MS", "50")]).await;
    let admin = server.admin();
    let status = client(server.listen()).await.compute(order("spin", LONG_MS)).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
    eventually("nothing computes", async || metric(admin, "hotpath_cpu_busy", &[]).await == 0.0).await;
    server.stop(true).await;
}

#[tokio::test]
async fn a_caller_that_goes_away_while_it_waits_for_a_cpu_is_not_computed_for() {
    let server = start(&[("CPU_WIDTH", "1")]).await;
    let (address, admin) = (server.listen(), server.admin());
    let compute = || tokio::spawn(async move { client(address).await.compute(order("spin", LONG_MS)).await });
    let first = compute();
    eventually("one computes", async || metric(admin, "hotpath_cpu_busy", &[]).await == 1.0).await;
    let second = compute();
    let calls = ["grpc_method=\"Compute\""];
    eventually("one waits", async || metric(admin, "hotpath_in_flight", &calls).await == 2.0).await;
    second.abort();
    eventually("it is gone", async || ended(admin, "Compute", ("Canceled", "CANCELLED")).await == 1.0).await;
    first.abort();
    eventually("nothing computes", async || metric(admin, "hotpath_cpu_busy", &[]).await == 0.0).await;
    assert_eq!(metric(admin, "fixture_computed_total", &[]).await, 1.0);
    eventually("nothing is held", async || metric(admin, "hotpath_memory_in_use_bytes", &[]).await == 0.0).await;
    server.stop(true).await;
}
