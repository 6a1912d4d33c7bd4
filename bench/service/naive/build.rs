fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=../proto");
    let files = protox::compile(["hello/v1/hello.proto", "prices/v1/prices.proto"], ["../proto"])?;
    tonic_prost_build::compile_fds(files)?;
    Ok(())
}
