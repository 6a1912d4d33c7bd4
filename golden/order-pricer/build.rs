//! Compiles the protos with protox, which is pure Rust: no protoc on the build machine.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a build script is not on the hot path")]
use prost::Message as _;
use std::{
    env,
    error::Error,
    fs,
    path::{Path, PathBuf},
};

/// The folder of this service's own API; the others hold those of the services that it calls.
const OWN: &str = "proto/order_pricer/v1";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let mut files = Vec::new();
    find(Path::new("proto"), &mut files)?;
    let (own, called): (Vec<_>, Vec<_>) = files.into_iter().partition(|file| file.starts_with(OWN));
    let own = protox::compile(own, ["proto"])?;
    // What reflection answers, and where the server layer learns which methods there are.
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), own.encode_to_vec())?;
    // Bytes, not Vec<u8>: a `bytes` field shares the receive buffer instead of copying it.
    tonic_prost_build::configure().bytes(".").compile_fds(own)?;
    let called = protox::compile(called, ["proto"])?;
    fs::write(out.join("called.bin"), called.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".").build_server(false).compile_fds(called)?;
    // An image is built without its tests.
    let fixture = Path::new("tests/conformance/fixture.proto");
    println!("cargo:rerun-if-changed={}", fixture.display());
    if fixture.exists() {
        let fixture = protox::compile([fixture], ["tests/conformance"])?;
        fs::write(out.join("fixture.bin"), fixture.encode_to_vec())?;
        tonic_prost_build::configure().bytes(".").compile_fds(fixture)?;
    }
    Ok(())
}

fn find(folder: &Path, files: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            files.push(path);
        }
    }
    files.sort();
    Ok(())
}
