//! Compiles both contracts; needs no `protoc`.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=../proto");
    for (include, files) in [
        ("../proto", ["guerdon/v1/checkout_service.proto", "guerdon/v1/member_service.proto"].as_slice()),
        ("proto", ["ratelimit.proto"].as_slice()),
    ] {
        tonic_prost_build::configure().compile_fds(protox::compile(files, [include])?)?;
    }
    Ok(())
}
