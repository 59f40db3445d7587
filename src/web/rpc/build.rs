//! Makes Rust of the protocols' `.proto` files, and a description of them for whoever asks a server what it speaks; and says which
//! commit is built.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

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
    println!("cargo::rustc-env=BUILT_FROM={}", commit());
    Ok(())
}

/// The commit that is built: what `BUILT_FROM` says, for whoever builds without the repository, or what the repository
/// says. Nobody ships a debug build, and one need not be built anew because something was committed.
fn commit() -> String {
    println!("cargo::rerun-if-env-changed=BUILT_FROM");
    if let Ok(given) = std::env::var("BUILT_FROM") {
        return given;
    }
    if std::env::var("PROFILE").is_ok_and(|profile| profile == "debug") {
        return "debug build".to_owned();
    }
    // What every commit and every checkout appends to.
    if let Some(log) = git(&["rev-parse", "--git-path", "logs/HEAD"]) {
        println!("cargo::rerun-if-changed={log}");
    }
    git(&["rev-parse", "--short=12", "HEAD"]).map_or_else(
        || "unknown commit".to_owned(),
        |commit| format!("commit {commit}"),
    )
}

fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    Some(said.trim().to_owned()).filter(|said| output.status.success() && !said.is_empty())
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
