//! A second server that follows a first.

use super::cluster::Cluster;
use super::database::Database;
use super::keeper::{Keeper, quoted};

/// What a commit on the primary waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Replication {
    /// For nothing: what the standby has not got yet is lost with the primary.
    Asynchronous,
    /// For the standby to have it on disk.
    Synchronous,
}

impl Cluster {
    /// Makes a standby of this server, which follows it when this returns.
    #[must_use]
    pub fn standby(&self, replication: Replication) -> Self {
        let mut keeper = Keeper::new(self.programs);
        // Its parameters are kept for the standby, the password with them.
        let primary = quoted(self.administration().url());
        keeper.run(&format!(
            "pg_basebackup -d {primary} -D data -R -X stream -c fast --no-sync"
        ));
        let standby = Self::started(keeper, self.options, self.programs);
        let name = format!("countersign-test-{}", standby.address.port());
        let state = match replication {
            Replication::Asynchronous => "async",
            Replication::Synchronous => {
                let administration = self.administration();
                administration.psql(&format!(
                    "ALTER SYSTEM SET synchronous_standby_names = '\"{name}\"'"
                ));
                administration.psql("SELECT pg_reload_conf()");
                "sync"
            }
        };
        self.wait_until(&format!(
            "SELECT FROM pg_stat_replication
             WHERE application_name = '{name}' AND state = 'streaming' AND sync_state = '{state}'"
        ));
        standby
    }

    /// Makes a standby a server of its own right. Returns when it can be written.
    pub fn promote(&self) {
        self.keeper().run("promote");
    }

    /// Has a standby follow its primary no more, once it has what is there now; `database` is one of the primary's.
    pub fn stop_following(&self, database: &Database) {
        let position = database.psql("SELECT pg_current_wal_flush_lsn()");
        let behind = self.administration();
        self.wait_until(&format!("SELECT WHERE pg_last_wal_replay_lsn() >= '{position}'"));
        behind.psql("ALTER SYSTEM SET primary_conninfo = ''");
        behind.psql("SELECT pg_reload_conf()");
        // It has ended there, not only been told to.
        database.psql(
            "DO $$ BEGIN
               FOR attempt IN 1..3000 LOOP
                 IF NOT EXISTS (SELECT FROM pg_stat_replication) THEN RETURN; END IF;
                 PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
               END LOOP;
               RAISE 'not within 30 s';
             END $$",
        );
    }

    /// Waits until the query has a row. The server asks itself.
    fn wait_until(&self, query: &str) {
        self.administration().psql(&format!(
            "DO $$ BEGIN
               FOR attempt IN 1..3000 LOOP
                 IF EXISTS ({query}) THEN RETURN; END IF;
                 PERFORM pg_sleep(0.01), pg_stat_clear_snapshot();
               END LOOP;
               RAISE 'not within 30 s';
             END $$"
        ));
    }
}
