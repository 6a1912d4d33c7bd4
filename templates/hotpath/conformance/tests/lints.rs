//! What the service's `clippy.toml` bans is really refused: `tests/lints/planted.rs` violates every ban, and clippy names
//! each.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, reason = "a test")]
use std::{fs, path::Path, process::Command};

#[test]
fn every_banned_thing_is_refused() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let read = |file: &str| fs::read_to_string(root.join(file)).unwrap();
    let bans = read("files/clippy.toml");

    // A crate with the layer's versions and lints.
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("planted");
    let write = |file: &str, text: &str| fs::write(folder.join(file), text).unwrap();
    let (manifest, workspace) = (read("files/crates/hotpath/Cargo.toml"), read("Cargo.toml"));
    // With tokio's files, which no crate of the layer has.
    let manifest = manifest.replace("features = [\"io-util\"", "features = [\"fs\", \"io-util\"");
    let dependencies =
        manifest.lines().filter(|line| ["tokio =", "tonic =", "tracing ="].iter().any(|name| line.starts_with(name)));
    let lints = workspace
        .split("[workspace.lints")
        .skip(1)
        .map(|part| format!("[lints{}\n", part.split("\n[").next().unwrap()));
    let head = ["[package]", "name = \"planted\"", "edition = \"2024\"", "[workspace]", "[dependencies]"];
    let lines: Vec<String> = head.into_iter().chain(dependencies).map(String::from).chain(lints).collect();
    fs::create_dir_all(folder.join("src")).unwrap();
    write("Cargo.toml", &lines.join("\n"));
    write("Cargo.lock", &read("Cargo.lock"));
    write("clippy.toml", &bans);
    write("src/lib.rs", &read("conformance/tests/lints/planted.rs"));

    let mut clippy = Command::new(env!("CARGO"));
    clippy.args(["clippy", "--offline", "--message-format", "short"]).current_dir(&folder);
    let output = clippy.env("CARGO_TARGET_DIR", folder.join("target")).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();

    let banned = bans.lines().filter_map(|line| line.trim_start().strip_prefix("{ path = \"")?.split('"').next());
    let refused = |path: &&str| said.contains(&format!("`{path}`"));
    let missed: Vec<&str> = banned.filter(|path| !refused(path)).collect();
    assert!(missed.is_empty(), "banned, and not refused where planted: {missed:?}\n{said}");
    for lint in ["this `MutexGuard` is held across an await point", "used `unwrap()`"] {
        assert!(said.contains(lint), "{lint}\n{said}");
    }
}
