//! The control for a server on PostgreSQL: pgbench with the simplest durable update there is, one row by its primary key, on
//! the same database.

use std::io::{self, Write as _};
use std::process::{Command, Stdio};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use url::Url;

use super::pool::ClientPool;

/// A table as large as that of the entries, until this is dropped.
pub(super) struct PgBench {
    database: DatabaseUrl,
    pool: ClientPool,
    rows: u64,
}

/// Where the database is, as PostgreSQL's own programs are told.
struct DatabaseUrl {
    /// Without the password, which everybody would see who may list processes.
    url: Url,
    password: Option<String>,
}

impl PgBench {
    /// Makes the table; nothing if pgbench and psql are not installed.
    ///
    /// # Errors
    /// What is not a database's URL, or what psql says.
    pub(super) fn set_up(url: &str, pool: ClientPool) -> Result<Option<Self>, String> {
        let database = DatabaseUrl::parse(url)?;
        for program in [PGBENCH, PSQL] {
            match Command::new(program).arg("--version").output() {
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(format!("cannot run {program}: {error}")),
            }
        }
        let made = database.psql(MAKE_TABLE)?;
        let rows = made.trim().parse();
        let rows = rows.map_err(|_| format!("psql answers {made:?} where a number was asked for"))?;
        Ok(Some(Self { database, pool, rows }))
    }

    /// How many rows the table has.
    pub(super) fn rows(&self) -> u64 {
        self.rows
    }

    /// Runs pgbench for so long: its transactions per second.
    ///
    /// # Errors
    /// What pgbench says.
    pub(super) fn measure(&self, duration: Duration) -> Result<f64, String> {
        let mut command = self.database.command(PGBENCH);
        command
            .args(["--no-vacuum", "--protocol=prepared"])
            .arg(format!("--client={}", self.pool.connections))
            .arg(format!("--jobs={}", self.pool.threads))
            .arg(format!("--time={}", duration.as_secs().max(1)))
            .arg("--file=-")
            .arg(self.database.url.as_str());
        let script = format!("\\set id random(1, {})\n{UPDATE}\n", self.rows);
        let answer = output(command, PGBENCH, &script)?;
        transactions_per_second(&answer).ok_or_else(|| format!("pgbench names no rate: {answer}"))
    }
}

impl Drop for PgBench {
    fn drop(&mut self) {
        if let Err(error) = self.database.psql(DROP_TABLE) {
            // Where it cannot be said, nothing can be done about it either.
            let _ = writeln!(io::stderr().lock(), "the table {TABLE} stays: {error}");
        }
    }
}

impl DatabaseUrl {
    fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text)
            .ok()
            .filter(|url| matches!(url.scheme(), "postgres" | "postgresql"))
            .ok_or("--store wants the URL of a database, like postgres://user@host/name")?;
        let password = url.password().map(percent_decode_str);
        let password = password.map(|password| password.decode_utf8_lossy().into_owned());
        url.set_password(None)
            .map_err(|()| "the URL of the database names no host".to_owned())?;
        Ok(Self { url, password })
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        if let Some(password) = &self.password {
            command.env("PGPASSWORD", password);
        }
        command
    }

    fn psql(&self, statements: &str) -> Result<String, String> {
        let mut command = self.command(PSQL);
        command
            .args([
                "--no-psqlrc",
                "--no-password",
                "--quiet",
                "--tuples-only",
                "--no-align",
            ])
            .args(["--set=ON_ERROR_STOP=1", "--command", statements])
            .arg(self.url.as_str());
        output(command, PSQL, "")
    }
}

/// What a program prints that reads `input`.
fn output(mut command: Command, program: &str, input: &str) -> Result<String, String> {
    let mut run = || {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        if let Some(mut stdin) = child.stdin.take() {
            // One that reads nothing says itself what it lacks.
            let _unread = stdin.write_all(input.as_bytes());
        }
        child.wait_with_output()
    };
    let output = run().map_err(|error: io::Error| format!("cannot run {program}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.trim()))
}

/// Of what pgbench prints: `tps = 1234.567890 (without initial connection time)`.
fn transactions_per_second(printed: &str) -> Option<f64> {
    let line = printed.lines().find_map(|line| line.strip_prefix("tps = "))?;
    line.split(' ').next()?.parse().ok()
}

const PGBENCH: &str = "pgbench";
const PSQL: &str = "psql";
const TABLE: &str = "countersign_bench";

/// As many rows as there are entries, each about as long.
const MAKE_TABLE: &str = "
SET client_min_messages = warning;
DROP TABLE IF EXISTS countersign_bench;
CREATE TABLE countersign_bench (id bigint PRIMARY KEY, count bigint NOT NULL, filler text NOT NULL);
INSERT INTO countersign_bench
SELECT id, 0, repeat('x', 300) FROM generate_series(1, (SELECT greatest(count(*), 1000) FROM countersign_entries)) AS id;
ANALYZE countersign_bench;
SELECT count(*) FROM countersign_bench";
const UPDATE: &str = "UPDATE countersign_bench SET count = count + 1 WHERE id = :id;";
const DROP_TABLE: &str = "DROP TABLE IF EXISTS countersign_bench";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::postgres_server::Cluster;

    #[test]
    fn the_rate_is_read_of_what_pgbench_prints() {
        let printed = "latency average = 5.1 ms\ntps = 12543.250000 (without initial connection time)\n";
        assert_eq!(transactions_per_second(printed), Some(12543.25));
        assert_eq!(transactions_per_second("pgbench: error"), None);
    }

    #[test]
    fn the_password_is_no_argument() {
        let database = DatabaseUrl::parse("postgres://ada:s%20e@db.example/codes?sslmode=require").unwrap();
        assert_eq!(
            database.url.as_str(),
            "postgres://ada@db.example/codes?sslmode=require"
        );
        assert_eq!(database.password.as_deref(), Some("s e"));
        for wrong in ["", "/var/lib/store", "http://db.example"] {
            assert!(DatabaseUrl::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn it_measures_on_a_table_that_goes_afterwards() {
        let Some(cluster) = Cluster::shared() else { return };
        let database = cluster.database();
        database.psql("CREATE TABLE countersign_entries (key bytea)");
        let pool = ClientPool {
            connections: 2,
            threads: 1,
        };
        // It is installed where the server is, but not everywhere where that is.
        let Some(bench) = PgBench::set_up(&database.url(), pool).unwrap() else {
            return;
        };
        assert_eq!(bench.rows(), 1000);
        assert!(bench.measure(Duration::from_secs(1)).unwrap() > 0.0);
        let updated = database.psql("SELECT sum(count) > 0 FROM countersign_bench");
        assert_eq!(updated, "t");
        drop(bench);
        assert!(database.try_psql("SELECT 1 FROM countersign_bench").is_err());
    }
}
