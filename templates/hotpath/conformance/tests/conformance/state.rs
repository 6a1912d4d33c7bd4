//! State that survives whatever ends the process, but for SIGKILL.
use crate::{
    process::Process,
    support::{client, eventually, metric, order, start},
};
use std::path::Path;

async fn remember(process: &Process, n: u32) -> String {
    let mut client = client(process.address("listen").await).await;
    let answer = client.call(order("remember", n)).await.unwrap().into_inner();
    String::from_utf8(answer.payload.into()).unwrap()
}

fn restart(name: &str, folder: &Path) -> Process {
    Process::start(name, "", &[("STATE_DIR", folder.to_str().unwrap())])
}

#[tokio::test]
async fn sigterm_loses_nothing() {
    let mut first = Process::start("first", "", &[]);
    assert_eq!(remember(&first, 40).await, "40");
    first.signal("-TERM");
    assert_eq!(first.ended().await, (Some(0), None));
    assert_eq!(remember(&restart("second", &first.folder.join("state")), 2).await, "42");
}

#[tokio::test]
async fn a_panic_loses_nothing_wherever_it_is() {
    for what in ["panic", "panic in the state"] {
        let mut first = Process::start("panicked", "", &[]);
        assert_eq!(remember(&first, 40).await, "40");
        let status = client(first.address("listen").await).await.call(order(what, 1)).await.unwrap_err();
        assert_eq!(status.code(), tonic::Code::Internal, "{what}");
        assert_eq!(first.ended().await, (Some(70), None), "{what}");
        assert_eq!(remember(&restart("after", &first.folder.join("state")), 2).await, "42", "{what}");
    }
}

#[tokio::test]
async fn sigkill_loses_what_came_after_the_last_snapshot() {
    let mut first = Process::start("killed", "", &[("SNAPSHOT_INTERVAL_MS", "20")]);
    assert_eq!(remember(&first, 40).await, "40");
    let snapshot = first.folder.join("state/fixture.snapshot");
    eventually("a snapshot holds it", async || std::fs::read(&snapshot).unwrap().ends_with(&40u64.to_le_bytes())).await;
    first.signal("-KILL");
    first.ended().await;
    assert_eq!(remember(&restart("survivor", &first.folder.join("state")), 2).await, "42");
}

#[tokio::test]
async fn a_damaged_or_later_snapshot_is_refused_and_left_alone() {
    for (at, complaint) in [(28, "is damaged (its checksum is wrong)"), (8, "is damaged"), (0, "not a snapshot")] {
        let mut first = Process::start("intact", "", &[]);
        remember(&first, 40).await;
        first.signal("-TERM");
        first.ended().await;
        let snapshot = first.folder.join("state/fixture.snapshot");
        let mut bytes = std::fs::read(&snapshot).unwrap();
        bytes[at] ^= 1;
        std::fs::write(&snapshot, &bytes).unwrap();
        let mut second = restart("refusing", &first.folder.join("state"));
        assert_eq!(second.ended().await, (Some(78), None));
        assert!(second.log().contains(complaint), "{}", second.log());
        assert_eq!(std::fs::read(&snapshot).unwrap(), bytes, "left as it was");
    }
}

#[tokio::test]
async fn snapshots_are_counted() {
    let server = start(&[("SNAPSHOT_INTERVAL_MS", "10")]).await;
    let (mut client, admin) = (client(server.listen()).await, server.admin());
    client.call(order("remember", 1)).await.unwrap();
    eventually("one at start, and one of the change", async || {
        metric(admin, "hotpath_snapshots_total", &["result=\"written\""]).await >= 2.0
    })
    .await;
    assert!(server.stop(true).await.flushed);
}

/// A sync that takes its time on a busy disk was the p99 of every call that touched the state.
#[tokio::test]
async fn a_disk_that_hangs_holds_up_no_call() {
    let process = Process::start("hanging", "", &[("SNAPSHOT_INTERVAL_MS", "10")]);
    // What writes to a pipe that nobody reads hangs.
    let beside = process.folder.join("state/fixture.tmp");
    process.address("listen").await;
    eventually("no snapshot is being written", async || {
        std::process::Command::new("mkfifo")
            .arg(&beside)
            .stderr(std::process::Stdio::null())
            .status()
            .unwrap()
            .success()
    })
    .await;
    for sum in 1..=40u32 {
        assert_eq!(remember(&process, 1).await, sum.to_string());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
}
