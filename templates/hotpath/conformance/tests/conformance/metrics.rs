//! Every call is counted, once, whatever becomes of it.
use crate::support::{MIB, client, ended, eventually, head, metric, order, page, raw, start, start_app};
use hotpath::{Dialect, OnPanic};

#[tokio::test]
async fn answered_late_and_shed_calls_are_counted_once() {
    for dialect in [Dialect::GoGrpcMiddleware, Dialect::Otelgrpc] {
        counted_once(dialect).await;
    }
}

async fn counted_once(dialect: Dialect) {
    let server = start_app(&hotpath_conformance::app(OnPanic::Drain, dialect), &[]).await;
    let (address, admin) = (server.listen(), server.admin());
    client(address).await.call(order("echo", 1)).await.unwrap();
    assert_eq!(ended(admin, "Call", ("OK", "OK")).await, 1.0);
    let mut requests = raw(address, 1 << 20).await;
    crate::support::call(&mut requests, head("Call", &[("grpc-timeout", "10m")]), &order("sleep", 60_000)).await;
    assert_eq!(ended(admin, "Call", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await, 1.0);
    let busy: Vec<_> = (0..2)
        .map(|_| tokio::spawn(async move { client(address).await.compute(order("spin", 60_000)).await }))
        .collect();
    eventually("two in flight", async || metric(admin, "hotpath_in_flight", &["grpc_method=\"Compute\""]).await == 2.0)
        .await;
    client(address).await.compute(order("spin", 1)).await.unwrap_err();
    assert_eq!(ended(admin, "Compute", ("ResourceExhausted", "RESOURCE_EXHAUSTED")).await, 1.0);
    assert_eq!(metric(admin, "hotpath_shed_total", &["reason=\"in_flight\""]).await, 1.0);
    busy.iter().for_each(tokio::task::JoinHandle::abort);
    eventually("both are counted", async || ended(admin, "Compute", ("Canceled", "CANCELLED")).await == 2.0).await;
    server.stop(true).await;
}

/// A deadline that a caller sets is the caller's business; one of the service's own is the owner's, and they looked the same.
#[tokio::test]
async fn calls_that_the_service_s_own_deadline_ended_are_told_from_others() {
    for dialect in [Dialect::GoGrpcMiddleware, Dialect::Otelgrpc] {
        let app = hotpath_conformance::app(OnPanic::Drain, dialect);
        let server = start_app(&app, &[("MAX_DEADLINE_MS", "200")]).await;
        let admin = server.admin();
        let mut requests = raw(server.listen(), 1 << 20).await;
        for (asked, own) in [("20m", 0.0), ("60S", 1.0), ("20m", 1.0)] {
            let trailers =
                crate::support::call(&mut requests, head("Call", &[("grpc-timeout", asked)]), &order("sleep", 60_000))
                    .await;
            assert_eq!(trailers["grpc-status"], "4");
            let labels = ["grpc_service=\"fixture.v1.Fixture\"", "grpc_method=\"Call\""];
            assert_eq!(metric(admin, "hotpath_own_deadline_total", &labels).await, own, "{asked}");
        }
        crate::support::call(&mut requests, head("Call", &[]), &order("sleep", 60_000)).await;
        assert_eq!(metric(admin, "hotpath_own_deadline_total", &[]).await, 2.0);
        assert_eq!(ended(admin, "Call", ("DeadlineExceeded", "DEADLINE_EXCEEDED")).await, 4.0);
        server.stop(true).await;
    }
}

#[tokio::test]
async fn every_series_is_there_before_the_first_call_and_messages_are_counted() {
    let server = start(&[]).await;
    let admin = server.admin();
    let text = page(admin, "/metrics").await;
    for code in ["OK", "Canceled", "Unauthenticated"] {
        assert!(text.contains(&format!("grpc_code=\"{code}\",grpc_method=\"Stream\"")), "{code}");
    }
    let mut stream = client(server.listen()).await.stream(order("count", 3)).await.unwrap().into_inner();
    while stream.message().await.unwrap().is_some() {}
    let stream = ["grpc_method=\"Stream\"", "grpc_type=\"server_stream\""];
    assert_eq!(metric(admin, "grpc_server_started_total", &stream).await, 1.0);
    assert_eq!(metric(admin, "grpc_server_msg_received_total", &stream).await, 1.0);
    assert_eq!(metric(admin, "grpc_server_msg_sent_total", &stream).await, 3.0);
    assert_eq!(metric(admin, "grpc_server_handling_seconds_count", &stream).await, 1.0);
    server.stop(true).await;
}

#[tokio::test]
async fn a_metric_of_the_handlers_stands_beside_the_others() {
    let server = start(&[]).await;
    assert_eq!(metric(server.admin(), "fixture_handlers_total", &[]).await, 1.0);
    server.stop(true).await;
}

#[tokio::test]
async fn the_admin_port_says_whether_it_lives_and_whether_it_serves() {
    let server = start(&[]).await;
    assert!(page(server.admin(), "/healthz").await.starts_with("HTTP/1.1 200"));
    assert!(page(server.admin(), "/readyz").await.starts_with("HTTP/1.1 200"));
    assert!(page(server.admin(), "/nothing").await.starts_with("HTTP/1.1 404"));
    let admin = server.admin();
    server.stop(true).await;
    assert!(page(admin, "/readyz").await.starts_with("HTTP/1.1 503"));
}

/// What a team decided is seen on the dashboard: from `App`, from whether there is a store, and from what cargo knows.
#[tokio::test]
async fn the_build_says_what_was_decided() {
    for (on_panic, panic) in [(OnPanic::Abort, "abort"), (OnPanic::Drain, "unwind")] {
        let server =
            start_app(&hotpath_conformance::app(on_panic, Dialect::Otelgrpc), &[("POD_NAME", "fixture-7")]).await;
        let level = if cfg!(target_feature = "avx512f") {
            "x86-64-v4"
        } else if cfg!(target_feature = "avx2") {
            "x86-64-v3"
        } else if cfg!(target_feature = "sse4.2") {
            "x86-64-v2"
        } else {
            "generic"
        };
        let panic = format!("panic=\"{panic}\"");
        let of_build = ["version=\"0\"", "revision=\"none\"", "instance_id=\"fixture-7\"", "state=\"stateful\""];
        let labels = [vec![panic, format!("target_cpu=\"{level}\"")], of_build.map(String::from).to_vec()].concat();
        let labels: Vec<_> = labels.iter().map(String::as_str).collect();
        assert_eq!(metric(server.admin(), "hotpath_build_info", &labels).await, 1.0, "{labels:?}");
        let page = page(server.admin(), "/metrics").await;
        assert!(page.contains("content-type: text/plain; version=0.0.4; charset=utf-8"), "{page}");
        assert!(!page.contains("grpc_server_handled_total"), "one dialect, and no other");
        server.stop(true).await;
    }
}

/// Dashboards, alerts and the load test go by these names; the names of `process_*` are those of Go's client library.
#[tokio::test]
async fn the_saturation_and_the_process_are_exported_under_their_names() {
    let server = start(&[]).await;
    client(server.listen()).await.compute(order("spin", 1)).await.unwrap();
    let page = page(server.admin(), "/metrics").await;
    for (kind, name) in [
        ("gauge", "hotpath_build_info"),
        ("gauge", "hotpath_connections"),
        ("counter", "hotpath_connections_refused_total"),
        ("gauge", "hotpath_connections_limit"),
        ("gauge", "hotpath_cpu_busy"),
        ("histogram", "hotpath_cpu_wait_seconds"),
        ("gauge", "hotpath_cpu_width"),
        ("gauge", "hotpath_blocking_threads"),
        ("gauge", "hotpath_in_flight"),
        ("gauge", "hotpath_in_flight_limit"),
        ("gauge", "hotpath_memory_budget_bytes"),
        ("gauge", "hotpath_memory_in_use_bytes"),
        ("gauge", "hotpath_memory_limit_bytes"),
        ("gauge", "hotpath_method_info"),
        ("counter", "hotpath_log_lines_dropped_total"),
        ("counter", "hotpath_panics_total"),
        ("gauge", "hotpath_queue_capacity"),
        ("gauge", "hotpath_queue_depth"),
        ("counter", "hotpath_queue_dropped_total"),
        ("counter", "hotpath_shed_total"),
        ("counter", "hotpath_snapshots_total"),
        ("gauge", "hotpath_worker_busy_ratio"),
        ("gauge", "hotpath_workers"),
        ("counter", "process_cpu_seconds_total"),
        ("gauge", "process_max_fds"),
        ("gauge", "process_open_fds"),
        ("gauge", "process_resident_memory_bytes"),
        ("gauge", "process_start_time_seconds"),
    ] {
        assert_eq!(page.matches(&format!("\n# TYPE {name} {kind}\n")).count(), 1, "{name}\n{page}");
        assert_eq!(page.matches(&format!("\n# HELP {name} ")).count(), 1, "{name}\n{page}");
    }
    let admin = server.admin();
    let compute = ["grpc_service=\"fixture.v1.Fixture\"", "grpc_method=\"Compute\""];
    assert_eq!(metric(admin, "hotpath_in_flight_limit", &compute).await, 2.0);
    assert_eq!(metric(admin, "hotpath_cpu_width", &[]).await, 2.0);
    assert_eq!(metric(admin, "hotpath_memory_budget_bytes", &[]).await, 64.0 * MIB as f64);
    server.stop(true).await;
}
