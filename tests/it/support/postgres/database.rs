//! A database of a test's own.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;

use super::programs::Programs;

/// An empty database. It goes when its cluster does.
#[derive(Clone, Debug)]
pub struct Database {
    pub(super) name: String,
    pub(super) address: SocketAddr,
    pub(super) password: Option<&'static str>,
    pub(super) sslmode: &'static str,
    pub(super) psql: PathBuf,
}

impl Database {
    /// Its name on the server.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where its server listens, or what stands in front of it.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where a client finds it.
    pub fn url(&self) -> String {
        self.url_with(&format!("sslmode={}", self.sslmode))
    }

    /// As [`Self::url`], with these parameters and no other.
    pub fn url_with(&self, parameters: &str) -> String {
        let password = self
            .password
            .map_or(String::new(), |password| format!(":{password}"));
        format!(
            "postgres://postgres{password}@{}/{}?{parameters}",
            self.address, self.name
        )
    }

    /// The same database behind another address: that of a proxy, or of the standby that was promoted.
    #[must_use]
    pub fn at(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    /// What the statements return, a row on a line and columns with `|` between them.
    ///
    /// # Panics
    /// When one fails.
    pub fn psql(&self, statements: &str) -> String {
        self.try_psql(statements)
            .unwrap_or_else(|problem| panic!("{statements}: {problem}"))
    }

    /// As [`Self::psql`]. Each statement goes to the server for itself, and the first that fails is the last.
    ///
    /// # Errors
    /// What psql says of a failure, `SQLSTATE` included.
    pub fn try_psql(&self, statements: &str) -> Result<String, String> {
        self.psql_at(&self.url(), statements)
    }

    /// As [`Self::try_psql`], connected as this URL says.
    ///
    /// # Errors
    /// As [`Self::try_psql`].
    pub fn psql_at(&self, url: &str, statements: &str) -> Result<String, String> {
        let mut command = Programs::command(&self.psql);
        command
            .args([
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--tuples-only",
                "--no-align",
            ])
            .args(["--set=ON_ERROR_STOP=1", "--set=VERBOSITY=verbose", "--file=-"])
            .arg(url)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut psql = command.spawn().unwrap();
        // A server that cannot be reached is what psql tells then.
        let _written = psql.stdin.take().unwrap().write_all(statements.as_bytes());
        let output = psql.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap().trim().to_owned();
        if output.status.success() {
            Ok(text(output.stdout))
        } else {
            Err(text(output.stderr))
        }
    }
}
