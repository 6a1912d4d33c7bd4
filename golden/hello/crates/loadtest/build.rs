//! Compiles every proto of the workspace, clients and servers: the load test calls the service and plays its downstreams.
use std::{
    error::Error,
    fs,
    path::{Path, PathBuf},
};

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new("../../proto");
    println!("cargo:rerun-if-changed={}", root.display());
    let mut protos = Vec::new();
    find(root, &mut protos)?;
    let descriptors = protox::compile(protos, [root])?;
    tonic_prost_build::configure().bytes(".").include_file("protos.rs").compile_fds(descriptors)?;
    Ok(())
}

fn find(folder: &Path, protos: &mut Vec<PathBuf>) -> Result<(), Box<dyn Error>> {
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            find(&path, protos)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") {
            protos.push(path);
        }
    }
    Ok(())
}
