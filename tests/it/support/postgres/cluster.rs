//! A PostgreSQL server that the tests start.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use super::certificates::ServerCertificate;
use super::database::Database;
use super::keeper::Keeper;
use super::programs::Programs;

/// What a cluster of a test's own is like.
#[derive(Clone, Copy, Debug, Default)]
pub struct ClusterOptions {
    /// How many megabytes the disk holds that everything of it lies on, if that is one of its own. Needs root.
    pub disk: Option<u32>,
    /// Whether a commit waits for the disk.
    pub fsync: bool,
    /// The password of the user `postgres`, which is asked for as SCRAM-SHA-256. Whoever connects is trusted without one.
    pub password: Option<&'static str>,
    /// Lines of `postgresql.conf`.
    pub settings: &'static str,
    /// Whether TLS is spoken, and nothing else.
    pub tls: bool,
}

/// A server on a port of 127.0.0.1. It is stopped and removed when it is dropped, or when this process is gone, however it
/// ends.
#[derive(Debug)]
pub struct Cluster {
    keeper: Mutex<Keeper>,
    pub(super) address: SocketAddr,
    pub(super) options: ClusterOptions,
    pub(super) programs: &'static Programs,
}

impl Cluster {
    /// The server that the tests of this process share, started when it is first asked for. None where PostgreSQL is not
    /// installed; then a line on standard error says so.
    ///
    /// A commit does not wait for the disk here; in all else it is as it comes.
    ///
    /// # Panics
    /// When PostgreSQL is not installed and `COUNTERSIGN_TEST_ALL` is 1.
    pub fn shared() -> Option<&'static Self> {
        static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::own(ClusterOptions::default()))
            .as_ref()
    }

    /// A server for one test; otherwise as [`Self::shared`].
    ///
    /// # Panics
    /// As [`Self::shared`].
    pub fn own(options: ClusterOptions) -> Option<Self> {
        let programs = Programs::installed()?;
        let mut keeper = match options.disk {
            None => Keeper::new(programs),
            Some(megabytes) => Keeper::on_small_disk(programs, megabytes),
        };
        let mut initdb = "initdb -D data -U postgres -E UTF8 --locale=C --no-sync".to_owned();
        if let Some(password) = options.password {
            keeper.write("password", password);
            initdb.push_str(" --pwfile=password");
        }
        keeper.run(&initdb);
        keeper.write("data/pg_hba.conf", &options.host_based_authentication());
        if options.tls {
            let certificate = ServerCertificate::generate();
            keeper.write("data/authority.crt", &certificate.authority);
            keeper.write("data/server.crt", &certificate.certificate);
            keeper.write("data/server.key", &certificate.key);
        }
        Some(Self::started(keeper, options, programs))
    }

    /// Starts a server whose data are there, on a port that is free.
    pub(super) fn started(mut keeper: Keeper, options: ClusterOptions, programs: &'static Programs) -> Self {
        let mut taken = String::new();
        for _ in 0..PORTS_TO_TRY {
            let port = free_port();
            keeper.write("data/postgresql.conf", &options.configuration(port));
            match keeper.attempt("start") {
                Ok(()) => {
                    return Self {
                        keeper: Mutex::new(keeper),
                        address: (Ipv4Addr::LOCALHOST, port).into(),
                        options,
                        programs,
                    };
                }
                // Somebody else took it meanwhile.
                Err(problem) if problem.contains("could not bind") => taken = problem,
                Err(problem) => panic!("{problem}"),
            }
        }
        panic!("no port is free: {taken}");
    }

    /// Makes an empty database that no other test knows.
    pub fn database(&self) -> Database {
        self.created("template0", &[])
    }

    /// Makes a database that no other test knows, with all that is in one which nobody uses. Drops those that are no longer
    /// needed.
    pub fn copy(&self, template: &Database, unneeded: &[Database]) -> Database {
        self.created(template.name(), unneeded)
    }

    fn created(&self, template: &str, unneeded: &[Database]) -> Database {
        static CREATED: AtomicUsize = AtomicUsize::new(0);
        let name = format!("test_{}", CREATED.fetch_add(1, Ordering::Relaxed));
        let dropped = unneeded
            .iter()
            .map(|database| format!("DROP DATABASE {} WITH (FORCE);\n", database.name()));
        let statements = dropped.collect::<String>() + &format!("CREATE DATABASE {name} TEMPLATE {template}");
        self.administration().psql(&statements);
        self.existing(&name)
    }

    /// The database that comes with every server.
    pub fn administration(&self) -> Database {
        self.existing("postgres")
    }

    /// The database of this name, on this server.
    pub fn existing(&self, name: &str) -> Database {
        Database {
            name: name.to_owned(),
            address: self.address,
            password: self.options.password,
            sslmode: if self.options.tls { "require" } else { "disable" },
            psql: self.programs.psql(),
        }
    }

    /// Where it listens, and will again after it was stopped or killed.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The certificate of the authority that signed the server's, if it speaks TLS.
    pub fn authority(&self) -> Option<PathBuf> {
        let path = self.keeper().directory().join("data/authority.crt");
        self.options.tls.then_some(path)
    }

    /// Where everything of it lies: its data in `data`, its log in `log`.
    pub fn directory(&self) -> PathBuf {
        self.keeper().directory().to_path_buf()
    }

    /// Kills all its processes at once.
    pub fn kill(&self) {
        self.keeper().run("crash");
    }

    /// Stops it in good order; whoever is connected is thrown out.
    pub fn stop(&self) {
        self.keeper().run("stop");
    }

    /// Starts it again, on the same port. Returns when it can be used.
    pub fn start(&self) {
        self.keeper().run("start");
    }

    /// Fills the disk, if it has one of its own, to the last byte.
    pub fn fill_disk(&self) {
        assert!(self.options.disk.is_some());
        self.keeper().run("cat /dev/zero >filler || :");
    }

    /// There is space again. If the server has ended for want of it, it is started.
    pub fn clear_disk(&self) {
        self.keeper()
            .run("rm filler && { pg_ctl -D data status || { forget && start; }; }");
    }

    /// Whether a server can have a disk of its own: in some containers root may not mount one either.
    pub fn may_have_disk() -> bool {
        let may_mount = || {
            let mut mount = Programs::command("unshare");
            mount.args(["--mount", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]);
            mount.output().is_ok_and(|output| output.status.success())
        };
        Programs::installed().is_some_and(|programs| programs.owner().is_some()) && may_mount()
    }

    pub(super) fn keeper(&self) -> MutexGuard<'_, Keeper> {
        self.keeper.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClusterOptions {
    fn host_based_authentication(&self) -> String {
        let kind = if self.tls { "hostssl" } else { "host" };
        let method = if self.password.is_some() {
            "scram-sha-256"
        } else {
            "trust"
        };
        let line = |database| format!("{kind} {database} all 127.0.0.1/32 {method}\n");
        line("all") + &line("replication")
    }

    fn configuration(&self, port: u16) -> String {
        let switch = |on| if on { "on" } else { "off" };
        format!(
            "listen_addresses = '127.0.0.1'\n\
             port = {port}\n\
             unix_socket_directories = ''\n\
             max_connections = 400\n\
             password_encryption = 'scram-sha-256'\n\
             # What a killed server leaves behind goes with its directory.\n\
             dynamic_shared_memory_type = mmap\n\
             fsync = {}\n\
             ssl = {}\n\
             # What a standby reports itself as.\n\
             cluster_name = 'countersign-test-{port}'\n\
             {}\n",
            switch(self.fsync),
            switch(self.tls),
            self.settings
        )
    }
}

/// A port that nobody listens on, and that the system gives nobody who asks for any: it stays free while the server that
/// uses it is stopped. Processes begin at different ones.
pub fn free_port() -> u16 {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let range = std::fs::read_to_string("/proc/sys/net/ipv4/ip_local_port_range").unwrap_or_default();
    let end = range
        .split_whitespace()
        .next()
        .and_then(|first| first.parse().ok());
    let end = end.filter(|end| *end >= 2 * FIRST_PORT).unwrap_or(32768);
    let process = std::process::id() as usize;
    loop {
        let index = process * 31 + ASKED.fetch_add(1, Ordering::Relaxed);
        let port = u16::try_from(FIRST_PORT + index % (end - FIRST_PORT)).unwrap();
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() {
            return port;
        }
    }
}

const FIRST_PORT: usize = 10_000;
const PORTS_TO_TRY: usize = 10;
