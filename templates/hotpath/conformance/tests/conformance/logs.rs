//! What the service says of itself: lines that can be found, and a writer that holds nothing up.
use crate::process::{ABORTS, Process, TRACE, traced};
use crate::support::{PATIENCE, client, eventually, metric, order, page};
use std::io::{PipeReader, Read as _, pipe};
use std::{collections::BTreeSet, time::Duration};
use tokio::time::{sleep, timeout};
use tonic::Code;

const METHOD: &str = "\"method\":\"fixture.v1.Fixture/Call\"";

/// The lines with a message.
fn lines(log: &str, message: &str) -> Vec<String> {
    let message = format!("\"message\":\"{message}\"");
    log.lines().filter(|line| line.contains(&message)).map(str::to_owned).collect()
}

/// The number in a field of a line.
fn number(line: &str, field: &str) -> u64 {
    let value = line.split(&format!("\"{field}\":")).nth(1).unwrap_or_else(|| panic!("{field}: {line}"));
    value.split([',', '}']).next().unwrap().parse().unwrap()
}

/// The trace id was on the lines of the handler alone: not where the code of a hot path runs.
#[tokio::test]
async fn every_line_of_a_call_has_its_method_and_its_trace_wherever_it_is_written() {
    let mut process = Process::start("lines", "", &[]);
    client(process.address("listen").await).await.call(traced(order("log", 0))).await.unwrap();
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    let log = process.log();
    for place in ["in the handler", "in CPU work", "in the state", "in a span", "in a task"] {
        let lines = lines(&log, place);
        assert_eq!(lines.len(), 1, "{place}\n{log}");
        assert!(lines[0].contains(METHOD) && lines[0].contains(&format!("\"trace_id\":\"{TRACE}\"")), "{}", lines[0]);
    }
    let of_span = &lines(&log, "in a span")[0];
    let fields = ["\"span\":\"query\"", "\"key\":\"a\\nkey\"", "\"rows\":3"];
    assert!(fields.iter().all(|field| of_span.contains(field)), "{of_span}");
}

/// A failed call was a number in a metric, and nothing in the log.
#[tokio::test]
async fn a_call_that_failed_by_our_fault_leaves_a_line_and_what_is_suppressed_is_said() {
    const CALLS: u64 = 40;
    let mut process = Process::start("failed", "", &[]);
    let mut client = client(process.address("listen").await).await;
    client.call(order("no such thing", 0)).await.unwrap_err();
    let mut late = traced(order("sleep", 60_000));
    late.set_timeout(Duration::from_millis(10));
    client.call(late).await.unwrap_err();
    for _ in 0..CALLS {
        assert_eq!(client.call(traced(order("fail", 0))).await.unwrap_err().code(), Code::Internal);
    }
    // Past the second that the limit is counted in.
    sleep(Duration::from_millis(1_100)).await;
    client.call(traced(order("fail", 0))).await.unwrap_err();
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    let log = process.log();
    let failed = lines(&log, "call failed");
    let of = |code: &str| {
        let code = format!("\"code\":\"{code}\"");
        failed.iter().filter(|line| line.contains(&code)).collect::<Vec<_>>()
    };
    let internal = of("INTERNAL");
    let suppressed: u64 = internal.iter().map(|line| number(line, "suppressed")).sum();
    assert!(suppressed > 0, "{log}");
    assert_eq!(internal.len() as u64 + suppressed, CALLS + 1, "{log}");
    for line in &internal {
        let parts =
            ["\"error\":\"the database is gone\"", "\"peer\":\"127.0.0.1:", METHOD, TRACE, "\"level\":\"WARN\""];
        assert!(parts.iter().all(|part| line.contains(part)), "{line}");
    }
    assert_eq!(of("DEADLINE_EXCEEDED").len(), 1, "{log}");
    assert_eq!(failed.len(), internal.len() + 1, "a caller's own fault is no line: {log}");
}

/// The trace id was missing where a hot path's code panics; and a `Debug` that panics while it is recorded held a lock that
/// the line waited for: the process neither said anything nor ended.
#[tokio::test]
async fn a_panic_has_its_trace_and_ends_the_process_wherever_it_is() {
    for place in ["CPU work", "the state", "a task", "a span"] {
        for mode in [&[][..], &[ABORTS]] {
            let mut process = Process::start(&place.replace(' ', "-"), "", mode);
            let mut client = client(process.address("listen").await).await;
            drop(timeout(PATIENCE, client.call(traced(order(&format!("panic in {place}"), 0)))).await.unwrap());
            let (code, signal) = process.ended().await;
            assert!(code == Some(70) || signal == Some(6), "{place}: {code:?} {signal:?}");
            let log = process.log();
            let line = lines(&log, "panicked").pop().unwrap_or_else(|| panic!("{place}: {log}"));
            assert!(line.contains("\"panic\":\"planted\"") && line.contains("backtrace"), "{line}");
            assert!(line.contains(TRACE) && line.contains(METHOD), "{place}: {line}");
        }
    }
}

/// Reads a log until it holds `what`.
fn read_until(log: &mut PipeReader, what: &str) -> String {
    let mut text = Vec::new();
    let mut piece = [0; 4 << 10];
    loop {
        let length = log.read(&mut piece).unwrap();
        text.extend_from_slice(&piece[..length]);
        let text = String::from_utf8_lossy(&text);
        if text.contains(what) {
            return text.into_owned();
        }
        assert!(length > 0, "no {what}: {text}");
    }
}

fn address(log: &str, name: &str) -> std::net::SocketAddr {
    log.split(&format!("\"{name}\":\"")).nth(1).unwrap().split('"').next().unwrap().parse().unwrap()
}

/// A reader of the log that hangs (a restart of the container runtime, a log driver that blocks) froze the service, which
/// then ignored SIGTERM.
#[tokio::test]
async fn a_log_that_nobody_reads_holds_up_neither_calls_nor_the_end() {
    for goes_on in [false, true] {
        let (mut log, stderr) = pipe().unwrap();
        let mut process = Process::start_with("stalled", "", &[], Some(stderr.into()));
        let said = read_until(&mut log, "\"serving\"");
        let (listen, admin) = (address(&said, "listen"), address(&said, "admin"));
        let mut client = client(listen).await;
        for _ in 0..20 {
            timeout(PATIENCE, client.call(order("chatter", 100))).await.unwrap().unwrap();
        }
        assert!(page(admin, "/healthz").await.starts_with("HTTP/1.1 200"));
        let dropped = metric(admin, "hotpath_log_lines_dropped_total", &[]).await;
        assert!(dropped > 0.0);
        if goes_on {
            let text = tokio::task::spawn_blocking(move || {
                let text = read_until(&mut log, "log lines were dropped");
                (text, log)
            });
            let (text, _log) = timeout(PATIENCE, text).await.unwrap().unwrap();
            let told = text.lines().find(|line| line.contains("log lines were dropped")).unwrap();
            assert!(number(told, "lines") > 0, "{told}");
            process.signal("-KILL");
        } else {
            process.signal("-TERM");
            assert_eq!(process.ended().await, (Some(0), None));
        }
    }
}

#[tokio::test]
async fn text_is_for_people_and_a_wrong_format_is_refused() {
    let mut process = Process::start("text", "", &[("LOG_FORMAT", "text")]);
    eventually("it serves", async || process.log().contains(" INFO hotpath::server: serving listen=127.0.0.1:")).await;
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    assert!(process.log().contains(" limits={\"methods\":{"), "{}", process.log());
    assert!(!process.log().contains('\x1b'), "no colours in a file: {}", process.log());
    let mut process = Process::start("format", "", &[("LOG_FORMAT", "xml")]);
    assert_eq!(process.ended().await, (Some(78), None));
    assert!(process.log().contains("LOG_FORMAT=xml: not json, nor text"), "{}", process.log());
}

/// `LOG=debug` took the place of the filter that keeps HTTP/2 quiet: 40 lines a call.
#[tokio::test]
async fn debug_is_of_the_service_and_not_of_every_frame() {
    let mut process = Process::start("debug", "", &[("LOG", "debug")]);
    client(process.address("listen").await).await.call(order("echo", 1)).await.unwrap();
    process.signal("-TERM");
    assert_eq!(process.ended().await, (Some(0), None));
    let log = process.log();
    let targets: BTreeSet<_> = log.lines().filter_map(|line| line.split("\"target\":\"").nth(1)).collect();
    assert!(!targets.iter().any(|target| target.starts_with("h2") || target.starts_with("hyper")), "{log}");
}

/// The bounds were a JSON text in a JSON string, which no query of a log store looks into.
#[tokio::test]
async fn the_line_of_a_start_has_its_bounds_as_fields() {
    let process = Process::start("bounds", "", &[("MEMORY_BUDGET", "128MiB")]);
    process.address("listen").await;
    let log = process.log();
    let line = log.lines().find(|line| line.contains("\"serving\"")).unwrap();
    assert!(line.contains(r#","memory_budget":134217728,"limits":{"methods":{"fixture.v1.Fixture/Call":{"#), "{line}");
}
