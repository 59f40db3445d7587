//! The README and the manual hold what they say.
//!
//! A block is tagged with its language. Blocks of `sh` are run, page by page, in a fresh directory beside a server of their
//! own, and those of the README once more in one go, from its first line to its last ([`readme`]); those of `python` too, in tests that are ignored unless the libraries are there; those of `toml` must be settings that a server starts with,
//! and those of `json` JSON. A block that starts a server and does not end is tagged `sh serves`. What cannot be run is
//! tagged `not-run: REASON`, and stands in [`blocks::NOT_RUN`] as well, so that nothing is left out unseen.
//!
//! Lines that begin with `#>` say what the output of their block must hold. A page says in a sentence where its commands go
//! on; what stands there is run before.

mod blocks;
mod command;
mod container;
mod kubernetes;
mod leavings;
mod links;
mod monitoring;
mod names;
mod page;
mod proxies;
mod python;
mod readme;
mod sentences;
pub(crate) mod server;
mod shell;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap()
}

fn files(directory: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(root().join(directory)).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}
