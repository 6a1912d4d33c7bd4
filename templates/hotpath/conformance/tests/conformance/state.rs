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
    for (at, complaint) in [(24, "is damaged (its checksum is wrong)"), (8, "is damaged"), (0, "not a snapshot")] {
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

/// As hotpath 1.7 wrote it: `HOTPATH1`, version 2, eight bytes, FNV-1a, and the sum, 40.
#[tokio::test]
async fn a_snapshot_of_hotpath_1_is_taken_over() {
    let folder = std::path::Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fixture-of-1-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (version, sum) = (2u32.to_le_bytes(), 40u64.to_le_bytes());
    let checksum = version
        .iter()
        .chain(&sum)
        .fold(0xcbf2_9ce4_8422_2325u64, |checksum, byte| (checksum ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let snapshot = [&b"HOTPATH1"[..], &version, &8u64.to_le_bytes(), &checksum.to_le_bytes(), &sum].concat();
    std::fs::write(folder.join("fixture.snapshot"), snapshot).unwrap();
    assert_eq!(remember(&restart("of-1", &folder), 2).await, "42");
    assert!(std::fs::read(folder.join("fixture.snapshot")).unwrap().starts_with(b"HOTPATH2"));
    std::fs::remove_dir_all(&folder).unwrap();
}

/// Two processes on one folder replaced each other's snapshots, and neither said so.
#[tokio::test]
async fn a_state_is_one_process_s_and_free_again_however_that_ends() {
    let mut first = Process::start("owner", "", &[("SNAPSHOT_INTERVAL_MS", "20")]);
    assert_eq!(remember(&first, 40).await, "40");
    let snapshot = first.folder.join("state/fixture.snapshot");
    eventually("a snapshot holds it", async || std::fs::read(&snapshot).unwrap().ends_with(&40u64.to_le_bytes())).await;
    let mut second = restart("intruder", &first.folder.join("state"));
    assert_eq!(second.ended().await, (Some(78), None));
    let said = format!("{}: another process has this state", snapshot.display());
    assert!(second.log().contains(&said), "{}", second.log());
    first.signal("-KILL");
    first.ended().await;
    assert_eq!(remember(&restart("heir", &first.folder.join("state")), 2).await, "42");
}

/// The file, the payload and the state were in memory at once, where `RESERVE` counts two: a process that was killed at its
/// limit was killed again at each start.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_large_snapshot_is_in_memory_once_while_it_is_loaded() {
    const MIB: usize = 1 << 20;
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("fixture-large-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let mut payload = vec![0; 96 * MIB];
    payload[..8].copy_from_slice(&40u64.to_le_bytes());
    let version = 2u32.to_le_bytes();
    let mut checksum = crc32fast::Hasher::new();
    checksum.update(&version);
    checksum.update(&payload);
    let length = (payload.len() as u64).to_le_bytes();
    let head = [&b"HOTPATH2"[..], &version, &length, &checksum.finalize().to_le_bytes()].concat();
    std::fs::write(folder.join("fixture.snapshot"), [head, payload].concat()).unwrap();
    let process = restart("large", &folder);
    assert_eq!(remember(&process, 2).await, "42");
    let most = process.peak_memory() / MIB;
    assert!((96..150).contains(&most), "{most} MiB");
    std::fs::remove_dir_all(&folder).unwrap();
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
