//! Compiles the public contract; needs no `protoc`.

use std::path::PathBuf;
use std::{env, error, fs};

#[allow(clippy::disallowed_methods, reason = "cargo hands the output folder to build scripts by the environment")]
fn main() -> Result<(), Box<dyn error::Error>> {
    let files = [
        "account_service",
        "checkout_service",
        "common",
        "decision",
        "errors",
        "ledger_service",
        "limit_service",
        "member_service",
        "payout_service",
        "referral_service",
        "reward_service",
        "simulation_service",
    ]
    .map(|name| format!("proto/guerdon/v1/{name}.proto"));
    println!("cargo:rerun-if-changed=proto");
    let mut compiler = protox::Compiler::new(["proto"])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("guerdon.fds.bin"), compiler.encode_file_descriptor_set())?;
    // See `grpc::codec` for why not the usual one.
    tonic_prost_build::configure()
        .codec_path("crate::grpc::codec::Plain")
        .compile_fds(compiler.file_descriptor_set())?;
    Ok(())
}
