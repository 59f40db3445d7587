//! Makes Rust of the protocols' `.proto` files, and a description of them for whoever asks a server what it speaks.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};

use protox::prost::Message as _;

fn main() -> Result<(), Box<dyn Error>> {
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    println!("cargo::rerun-if-changed=src/web/rpc/build.rs");
    for entry in fs::read_dir("src/dialect")? {
        let dialect = entry?;
        let folder = dialect.path().join("proto");
        if folder.is_dir() {
            let name = dialect.file_name();
            let name = name
                .to_str()
                .ok_or("the name of a dialect's folder is not text")?;
            compile(&folder, &out.join(format!("{name}.descriptors")))?;
        }
    }
    Ok(())
}

/// Makes Rust of all files of one dialect.
fn compile(folder: &Path, described: &Path) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={}", folder.display());
    let mut files = Vec::new();
    for entry in fs::read_dir(folder)? {
        files.push(entry?.path());
    }
    // The same order everywhere makes the same bytes everywhere.
    files.sort();
    let files = protox::compile(files, [folder])?;
    fs::write(described, files.encode_to_vec())?;
    tonic_prost_build::configure()
        .build_client(false)
        .build_transport(false)
        .compile_fds(files)?;
    Ok(())
}
