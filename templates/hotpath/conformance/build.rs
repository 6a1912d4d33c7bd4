//! Compiles the fixture's proto, without a protoc on the machine.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a build script is not on the hot path")]
use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["proto/fixture.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("fixture.bin"), descriptors.encode_to_vec())?;
    // Bytes, not Vec<u8>: a `bytes` field shares the receive buffer instead of copying it.
    tonic_prost_build::configure().bytes(".").compile_fds(descriptors)?;
    Ok(())
}
