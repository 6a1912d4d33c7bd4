//! Compiles the protos of a service: the one call of its build script.
//!
//! `proto/` holds the service's own API, and `proto/foreign/` the protos of the services that it calls and of whatever
//! else is imported. Both folders are include roots: a file imports another by its path below the root.
//!
//! Three files are written to `OUT_DIR`:
//!
//! - `pb.rs`: the messages, clients and servers of all protos, in modules nested as their packages are.
//! - `descriptors.bin`: the own API with all that it imports, as reflection shows it and as the server layer finds the
//!   methods that it serves. The services of imported files are left out, because they are not served here.
//! - `foreign.bin`: the foreign protos, where the server layer finds the methods that it calls.
use prost::Message as _;
use prost_types::FileDescriptorSet;
use std::collections::BTreeSet;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

/// Why the protos could not be compiled: the file, the place in it, and what is wrong there.
pub type Failure = Box<dyn Error + Send + Sync>;

const OWN: &str = "proto";
const FOREIGN: &str = "proto/foreign";

/// Compiles the protos of the package whose build script calls this.
///
/// # Errors
/// If a proto does not compile, no own proto exists, or a file cannot be read or written.
pub fn compile() -> Result<(), Failure> {
    println!("cargo:rerun-if-changed={OWN}");
    let out = env::var_os("OUT_DIR").ok_or("OUT_DIR is not set: call this from a build script")?;
    generate(Path::new(OWN), Path::new(FOREIGN), Path::new(&out))
}

/// Compiles the protos under `own` and `foreign` into `out`. `foreign` may lie inside `own`, and need not exist.
fn generate(own: &Path, foreign: &Path, out: &Path) -> Result<(), Failure> {
    let (mut own_files, mut foreign_files) = (Vec::new(), Vec::new());
    find(own, foreign, &mut own_files)?;
    let mut roots = vec![own];
    if foreign.is_dir() {
        find(foreign, Path::new(""), &mut foreign_files)?;
        // The inner root comes first: a file below both belongs to it.
        roots.insert(0, foreign);
    }
    if own_files.is_empty() {
        return Err(format!("no .proto file under {}", own.display()).into());
    }
    let mut served = protox::compile(&own_files, &roots)?;
    keep_services_of(&mut served, &own_files, own);
    fs::write(out.join("descriptors.bin"), served.encode_to_vec())?;
    let called = protox::compile(&foreign_files, &roots)?;
    fs::write(out.join("foreign.bin"), called.encode_to_vec())?;

    let mut all = protox::compile(own_files.iter().chain(&foreign_files), &roots)?;
    for file in &mut all.file {
        // Comments would become documentation, and their code blocks tests: `cargo test` would run what a proto quotes.
        file.source_code_info = None;
    }
    tonic_prost_build::configure()
        // `Bytes` shares the receive buffer of a call; `Vec<u8>` would copy it.
        .bytes(".")
        // The clients are used over a connection that is made elsewhere, and a method may be named `Connect`.
        .build_transport(false)
        .include_file("pb.rs")
        .out_dir(out)
        .compile_fds(all)?;
    Ok(())
}

/// Removes the services of all files in `set` that are not among `files`, which lie under `root`.
fn keep_services_of(set: &mut FileDescriptorSet, files: &[PathBuf], root: &Path) {
    let names = files.iter().filter_map(|file| file.strip_prefix(root).ok());
    let names: BTreeSet<String> = names.map(|name| name.to_string_lossy().replace('\\', "/")).collect();
    for file in &mut set.file {
        if !names.contains(file.name()) {
            file.service.clear();
        }
    }
}

/// Appends the protos under `folder` to `files`, in the order of their paths, without those under `except`.
fn find(folder: &Path, except: &Path, files: &mut Vec<PathBuf>) -> Result<(), Failure> {
    let entries = fs::read_dir(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut paths = entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>()?;
    paths.sort();
    for path in paths {
        // A link to a folder above would be walked for ever.
        if path.is_dir() && !path.is_symlink() && path != except {
            find(&path, except, files)?;
        } else if path.extension().is_some_and(|extension| extension == "proto") && path.is_file() {
            files.push(path);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Tree(tempfile::TempDir);

    impl Tree {
        fn new(files: &[(&str, &str)]) -> Self {
            let folder = tempfile::tempdir().unwrap();
            fs::create_dir(folder.path().join("out")).unwrap();
            for (name, text) in files {
                let path = folder.path().join("proto").join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, format!("syntax = \"proto3\";\n{text}")).unwrap();
            }
            Self(folder)
        }

        fn generate(&self) -> Result<(), Failure> {
            let proto = self.0.path().join("proto");
            generate(&proto, &proto.join("foreign"), &self.0.path().join("out"))
        }

        fn services(&self, file: &str) -> Vec<String> {
            let bytes = fs::read(self.0.path().join("out").join(file)).unwrap();
            let set = FileDescriptorSet::decode(&*bytes).unwrap();
            let named = |file: &prost_types::FileDescriptorProto| {
                let package = file.package().to_owned();
                file.service.iter().map(move |service| format!("{package}.{}", service.name())).collect::<Vec<_>>()
            };
            set.file.iter().flat_map(named).collect()
        }

        fn code(&self) -> String {
            fs::read_to_string(self.0.path().join("out/pb.rs")).unwrap()
        }
    }

    const SHARED: &str = "package acme.common.v1;\nmessage Point { double x = 1; }\nservice Plotter { rpc Plot(Point) returns (Point); }\n";

    #[test]
    fn versions_lie_beside_each_other_and_need_no_edit() {
        let api = |version: &str| {
            format!("package shop.{version};\nmessage M {{}}\nservice Shop {{ rpc Buy(M) returns (M); }}\n")
        };
        let tree = Tree::new(&[("shop/v1/shop.proto", &api("v1")), ("shop/v2/shop.proto", &api("v2"))]);
        tree.generate().unwrap();
        assert_eq!(tree.services("descriptors.bin"), ["shop.v1.Shop", "shop.v2.Shop"]);
        let code = tree.code();
        assert!(code.contains("pub mod shop") && code.contains("pub mod v1") && code.contains("pub mod v2"), "{code}");
    }

    #[test]
    fn the_services_of_an_imported_file_are_called_and_not_served() {
        let own = "package shop.v1;\nimport \"acme/common/v1/common.proto\";\nimport \"google/protobuf/timestamp.proto\";\n\
                   message M { acme.common.v1.Point at = 1; google.protobuf.Timestamp when = 2; }\n\
                   service Shop { rpc Buy(M) returns (acme.common.v1.Point); }\n";
        let tree = Tree::new(&[("shop/v1/shop.proto", own), ("foreign/acme/common/v1/common.proto", SHARED)]);
        tree.generate().unwrap();
        assert_eq!(tree.services("descriptors.bin"), ["shop.v1.Shop"]);
        assert_eq!(tree.services("foreign.bin"), ["acme.common.v1.Plotter"]);
    }

    #[test]
    fn a_mistake_is_said_with_its_place() {
        let tree = Tree::new(&[("shop/v1/shop.proto", "package shop.v1;\nmessage M { Missing m = 1; }\n")]);
        let error = tree.generate().unwrap_err().to_string();
        assert!(error.contains("Missing"), "{error}");
        let error = Tree::new(&[("shop/README.md", "")]).generate().unwrap_err().to_string();
        assert!(error.starts_with("no .proto file under "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn a_link_to_a_folder_above_is_not_followed() {
        let tree = Tree::new(&[("shop/v1/shop.proto", "package shop.v1;\nmessage M {}\n")]);
        std::os::unix::fs::symlink("..", tree.0.path().join("proto/shop/up")).unwrap();
        tree.generate().unwrap();
    }
}
