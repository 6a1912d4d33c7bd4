//! Compiles the protos under `proto`: the own API, and in `proto/foreign` those that it calls or imports.
fn main() -> Result<(), hotpath_build::Failure> {
    hotpath_build::compile()
}
