//! PostgreSQL's programs, wherever they are installed.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

/// Where PostgreSQL's programs are, and who may run the server.
#[derive(Debug)]
pub(super) struct Programs {
    directory: PathBuf,
    owner: Option<Owner>,
}

/// An unprivileged user: the server refuses to run as root.
#[derive(Clone, Copy, Debug)]
pub(super) struct Owner {
    pub(super) user: u32,
    pub(super) group: u32,
}

impl Programs {
    /// The programs, if they are installed. Says once in a process what is skipped where they are not, on a line of standard
    /// error that the test harness does not hold back.
    ///
    /// # Panics
    /// When they are not installed and `COUNTERSIGN_TEST_ALL` is 1.
    pub(super) fn installed() -> Option<&'static Self> {
        static PROGRAMS: OnceLock<Option<Programs>> = OnceLock::new();
        let programs = PROGRAMS.get_or_init(|| {
            let programs = Self::find();
            assert!(
                programs.is_some() || env::var_os(ALL).is_none_or(|all| all != "1"),
                "{ALL}=1, but PostgreSQL is not installed: install Debian's package postgresql, or set {DIRECTORY} to the \
                 directory of initdb"
            );
            if programs.is_none() {
                let line = "SKIPPED: the tests with PostgreSQL, which is not installed (Debian's package postgresql)\n";
                io::stderr().write_all(line.as_bytes()).unwrap();
            }
            programs
        });
        programs.as_ref()
    }

    pub(super) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whom the server must run as, if not as whoever runs the tests.
    pub(super) fn owner(&self) -> Option<Owner> {
        self.owner
    }

    pub(super) fn psql(&self) -> PathBuf {
        self.directory.join("psql")
    }

    /// Runs a program, or one that runs others, as if whoever runs the tests had no settings for other servers.
    pub(super) fn command(program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        // Certificates and passwords lie there, and a server that runs as somebody else cannot read them.
        command.env("HOME", "/nonexistent");
        for (name, _) in env::vars_os() {
            if name.as_encoded_bytes().starts_with(b"PG") {
                command.env_remove(name);
            }
        }
        command
    }

    fn find() -> Option<Self> {
        let directory = match env::var_os(DIRECTORY) {
            // For whoever wants to do without.
            Some(told) if told.is_empty() => None,
            Some(told) => {
                let told = PathBuf::from(told);
                assert!(
                    holds_programs(&told),
                    "{DIRECTORY}: there is no initdb in {}",
                    told.display()
                );
                Some(told)
            }
            None => newest_of_debian().or_else(in_path),
        };
        Some(Self {
            directory: directory?,
            owner: Owner::needed(),
        })
    }
}

impl Owner {
    fn needed() -> Option<Self> {
        if id(&["-u"])? != 0 {
            return None;
        }
        let of = |user: &str| {
            Some(Self {
                user: id(&["-u", user])?,
                group: id(&["-g", user])?,
            })
        };
        Some(
            of("postgres")
                .or_else(|| of("nobody"))
                .expect("root needs a user postgres or nobody"),
        )
    }
}

fn id(arguments: &[&str]) -> Option<u32> {
    let output = Command::new("id").args(arguments).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim().parse().ok()
}

fn newest_of_debian() -> Option<PathBuf> {
    let versions = Path::new("/usr/lib/postgresql").read_dir().ok()?;
    let version = |path: PathBuf| Some((path.file_name()?.to_str()?.parse::<u32>().ok()?, path.join("bin")));
    let versions = versions.filter_map(|entry| version(entry.ok()?.path()));
    let newest = versions
        .filter(|(_, directory)| holds_programs(directory))
        .max()?;
    Some(newest.1)
}

fn in_path() -> Option<PathBuf> {
    env::split_paths(&env::var_os("PATH")?).find(|directory| holds_programs(directory))
}

fn holds_programs(directory: &Path) -> bool {
    directory.join("initdb").is_file()
}

const ALL: &str = "COUNTERSIGN_TEST_ALL";
const DIRECTORY: &str = "COUNTERSIGN_TEST_POSTGRES";
