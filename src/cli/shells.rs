//! `countersign completions` and `countersign man`: what shells and readers of manual pages need, made of the command line itself.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use clap::Args;
use clap_complete::Shell;
use clap_mangen::Man;

use super::{Failure, output};

/// For which shell.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// The shell that reads it.
    shell: Shell,
}

/// Where manual pages go.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The directory to write a page for each command to, such as /usr/local/share/man/man1; it is made if it does not exist. Without
    /// it the page of the program itself is printed.
    directory: Option<PathBuf>,
}

/// Prints the script that the shell completes `command` with.
pub(super) fn completions(args: &CompletionsArgs, mut command: clap::Command) {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, PROGRAM, &mut script);
    output::say(&String::from_utf8_lossy(&script));
}

/// Prints or writes the manual pages of `command`.
pub(super) fn man(args: ManArgs, command: clap::Command) -> Result<(), Failure> {
    match args.directory {
        None => {
            let mut page = Vec::new();
            let made = Man::new(command).render(&mut page);
            made.map_err(|error| Failure::new(format!("cannot make the page: {error}")))?;
            output::say(&String::from_utf8_lossy(&page));
            Ok(())
        }
        Some(directory) => write(&directory, command).map_err(|error| {
            Failure::new(format!(
                "cannot write manual pages to {}: {error}",
                directory.display()
            ))
        }),
    }
}

fn write(directory: &Path, command: clap::Command) -> io::Result<()> {
    fs::create_dir_all(directory)?;
    clap_mangen::generate_to(command, directory)
}

const PROGRAM: &str = "countersign";
