//! Compiles the protos of the suites, without a protoc on the machine.
#![expect(clippy::disallowed_methods, clippy::disallowed_macros, reason = "a build script is not on the hot path")]
use prost::Message as _;
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let descriptors = protox::compile(["conformance.proto", "interop.proto", "orca.proto"], ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("suites.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().build_client(false).compile_fds(descriptors)?;
    Ok(())
}
