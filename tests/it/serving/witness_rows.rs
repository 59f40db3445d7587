//! The witness of a store as a row in a database elsewhere: what is promised of a file is promised of it.

use std::time::Instant;

use super::process::{Process, complaint, run, stdout_of};
use super::witnesses::{Site, holder, status, stop};
use crate::doubles::watch;
use crate::postgres_server::{Cluster, ClusterOptions, Database};

/// A store whose witness is in this database.
struct Watched {
    site: Site,
    database: Database,
    url: String,
}

impl Watched {
    fn by(database: Database) -> Self {
        let url = database.url();
        Self {
            site: Site::new(),
            database,
            url,
        }
    }

    fn start(&self) -> Process {
        self.site.start_with(&["--witness", &self.url])
    }

    /// The one line of a start that is refused.
    fn refusal(&self) -> String {
        let arguments = ["serve", "--listen", "127.0.0.1:0", "--witness", &self.url];
        complaint(&run(&self.site.data, &arguments), 1)
    }

    /// What the rows say.
    fn said(&self) -> String {
        self.database
            .psql("SELECT said FROM countersign_witness ORDER BY store")
    }

    /// The identity of the only store that has a row.
    fn store(&self) -> String {
        self.database.psql("SELECT store FROM countersign_witness")
    }

    fn wait_until_raised(&self, before: &str) {
        while self.said() == before {
            std::thread::yield_now();
        }
    }

    fn no_epoch_begins(&self) {
        let server = self.start();
        server.signal("TERM");
        let log = server.log_until("stopping");
        assert!(!log.iter().any(|line| line.contains("so epoch ")), "{log:?}");
        assert_eq!(server.wait(), Some(0));
    }
}

#[test]
fn a_directory_that_is_put_back_is_noticed_by_a_row_as_by_a_file() {
    let Some(cluster) = Cluster::shared() else { return };
    let watched = Watched::by(cluster.database());
    let server = watched.start();
    let holder = holder(&server);
    stop(server);
    assert!(watched.said().contains("\nepoch 0\n"), "{}", watched.said());
    let copy = watched.site.copy("copy");
    let server = watched.start();
    let code = holder.code();
    let before = watched.said();
    assert_eq!(status(&server, &holder, &code), "approved");
    // While it runs.
    watched.wait_until_raised(&before);
    stop(server);

    watched.site.put_back(&copy);
    let server = watched.start();
    let line = server.wait_for_log("the store is older than its witness in postgres://postgres@127.0.0.1:");
    assert!(line.contains("so epoch 1 begins"), "{line}");
    assert_eq!(
        status(&server, &holder, &code),
        "pending",
        "it was used before the copy was put back"
    );
    stop(server);
    watched.no_epoch_begins();
    // What commands change counts as well.
    let before = watched.said();
    stdout_of(
        &watched.site.data,
        &["account", "create", "--witness", &watched.url],
    );
    assert_ne!(watched.said(), before);
}

#[test]
fn a_row_that_is_gone_voids_and_one_that_is_wrong_refuses_the_start() {
    let Some(cluster) = Cluster::shared() else { return };
    let database = cluster.database();
    let (watched, other) = (Watched::by(database.clone()), Watched::by(database));
    stop(watched.start());
    let store = watched.store();
    stop(other.start());
    // Each store has a row of its own; another one's in its place is not taken for it.
    let database = &watched.database;
    database.psql(&format!(
        "CREATE TABLE kept AS SELECT * FROM countersign_witness;
         UPDATE countersign_witness SET said = (SELECT said FROM kept WHERE store <> '{store}') WHERE store = '{store}'"
    ));
    let refused = watched.refusal();
    assert!(
        refused.contains("is that of another store; name another file or database"),
        "{refused}"
    );
    for damaged in ["''", "replace(k.said, 'epoch 0', 'epoch 1')", "repeat('x', 5000)"] {
        database.psql(&format!(
            "UPDATE countersign_witness w SET said = {damaged} FROM kept k
             WHERE k.store = w.store AND w.store = '{store}'"
        ));
        let refused = watched.refusal();
        assert!(
            refused.contains("is not as a server of this store wrote it; find out"),
            "{refused}"
        );
    }
    database.psql(&format!(
        "DELETE FROM countersign_witness WHERE store = '{store}'"
    ));
    let server = watched.start();
    server.wait_for_log("the witness of the store is gone from postgres://");
    stop(server);
    other.no_epoch_begins();
}

/// The rehearsal of a restore would raise it above the store itself. Whoever has it may be a machine that is gone, so it is waited
/// for a while.
#[test]
fn a_copy_of_the_store_does_not_get_the_row_of_a_server_that_runs() {
    let Some(cluster) = Cluster::shared() else { return };
    let watched = Watched::by(cluster.database());
    stop(watched.start());
    let copy = watched.site.copy("copy");
    let server = watched.start();
    let refused = complaint(&run(&copy, &["account", "list", "--witness", &watched.url]), 1);
    assert!(
        refused.contains("another server uses the witness in postgres://")
            && refused.contains("if this one is a copy, start it without a witness"),
        "{refused}"
    );
    // One that is killed does not keep it.
    server.signal("KILL");
    server.wait();
    watched.no_epoch_begins();
}

#[test]
fn a_server_whose_row_is_ahead_of_it_stops() {
    let Some(cluster) = Cluster::shared() else { return };
    let watched = Watched::by(cluster.database());
    stop(watched.start());
    let (copy, old) = (watched.site.copy("copy"), watched.said());
    stop(watched.start());
    let ahead = watched.said();
    watched.site.put_back(&copy);
    watched
        .database
        .psql(&format!("UPDATE countersign_witness SET said = '{old}\n'"));
    let server = watched.start();
    watched
        .database
        .psql(&format!("UPDATE countersign_witness SET said = '{ahead}\n'"));
    server.wait_for_log("was rolled back while it ran, or another server has a copy");
    assert_eq!(server.wait(), Some(1));
    let server = watched.start();
    server.wait_for_log("the store is older than its witness in ");
}

/// A database that is gone keeps nobody from being served; somebody is told once. Its password is not in what they are told.
#[test]
fn a_database_of_the_witness_that_is_gone_is_told_of_and_raised_once_it_is_back() {
    const PASSWORD: &str = "a-password-of-the-witness";
    let options = ClusterOptions {
        password: Some(PASSWORD),
        ..ClusterOptions::default()
    };
    let Some(cluster) = Cluster::own(options) else {
        return;
    };
    watch::secret(PASSWORD);
    let watched = Watched::by(cluster.database());
    let server = watched.start();
    let before = watched.said();
    cluster.stop();
    let holder = holder(&server);
    let line = server.wait_for_log("until that is done it is not noticed if the store is put back");
    assert!(
        line.contains("the witness in postgres://postgres@127.0.0.1:")
            || line.contains("the witness to postgres://"),
        "{line}"
    );
    let began = Instant::now();
    assert_eq!(status(&server, &holder, &holder.code()), "approved");
    assert!(began.elapsed().as_secs() < 10);
    let refused = complaint(
        &run(
            watched.site.place.path().join("other").as_path(),
            &["account", "create", "--witness", &watched.url],
        ),
        1,
    );
    assert!(
        refused.contains("cannot use the witness in postgres://") && !refused.contains(PASSWORD),
        "{refused}"
    );
    cluster.start();
    watched.wait_until_raised(&before);
    // It has its lock again: of all locks the one on this database.
    let locks = "SELECT count(*) FROM pg_locks l JOIN pg_database d ON d.oid = l.database
                 WHERE l.locktype = 'advisory' AND d.datname = current_database()";
    assert_eq!(watched.database.psql(locks), "1");
    server.signal("TERM");
    let log = server.log_until("stopping");
    let told = log
        .iter()
        .filter(|line| line.contains("until that is done"))
        .count();
    assert_eq!(told, 0, "once was enough: {log:?}");
    assert_eq!(server.wait(), Some(0));
    watched.no_epoch_begins();
}

#[test]
fn an_address_of_a_witness_that_is_none_is_refused_without_showing_its_password() {
    let site = Site::new();
    for url in [
        "mysql://me:hush@host/app",
        "postgres:me:hush",
        "postgres://me:hush@host/app?sslmode=hush",
        "postgres://me:hush@127.0.0.1:1/app",
    ] {
        let output = run(&site.data, &["account", "create", "--witness", url]);
        let line = complaint(&output, 1);
        assert!(line.contains("witness") && !line.contains(":hush"), "{line}");
    }
}
