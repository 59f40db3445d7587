//! Servers that share a database, each with a proxy of its own before it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::app::App;
use countersign::domain::time::SystemClock;
use countersign::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use tempfile::TempDir;

use super::clocks::MovingClock;
use crate::postgres_server::{Cluster, ClusterOptions, Database, Proxy};
use crate::server_kill::line::Servers;
use crate::server_kill::server::{self, DATA, Server};

/// Servers on one database.
pub(crate) struct Nodes {
    // Before what it needs, so that it goes first.
    all: Vec<Node>,
    servers: Arc<Servers>,
    database: Database,
    cluster: Cluster,
    _directory: TempDir,
}

struct Node {
    directory: PathBuf,
    /// Stands between it and the database.
    proxy: Proxy,
    variables: Vec<(&'static str, String)>,
    server: Option<Server>,
}

impl Nodes {
    /// So many servers, all up. None where PostgreSQL is not installed.
    pub(crate) fn start(number: usize) -> Option<Self> {
        let cluster = Cluster::own(ClusterOptions::default())?;
        Some(Self::start_on(cluster, &vec![None; number]))
    }

    /// Servers on a database of this cluster, one for each of the clocks that they are to have.
    pub(super) fn start_on(cluster: Cluster, clocks: &[Option<&MovingClock>]) -> Self {
        Self::start_configured(cluster, clocks, None)
    }

    /// The same with a configuration file for all.
    pub(super) fn start_configured(
        cluster: Cluster,
        clocks: &[Option<&MovingClock>],
        settings: Option<&str>,
    ) -> Self {
        let number = clocks.len();
        let database = cluster.database();
        let directory = TempDir::new().unwrap();
        let node = |number: usize| {
            let mut variables = clocks[number].map_or(Vec::new(), MovingClock::variables);
            if let Some(settings) = settings {
                let path = directory.path().join("countersign.toml");
                fs::write(&path, settings).unwrap();
                variables.push(("COUNTERSIGN_CONFIG", path.to_str().unwrap().to_owned()));
            }
            Node::new(&directory.path().join(number.to_string()), &database, variables)
        };
        let mut nodes = Self {
            all: (0..number).map(node).collect(),
            servers: Servers::sharing(number),
            database,
            cluster,
            _directory: directory,
        };
        let migrate = ["store", "migrate", "--store", &nodes.database.url()];
        server::run(&nodes.all[0].directory, &migrate);
        nodes.recover();
        nodes
    }

    pub(crate) fn servers(&self) -> Arc<Servers> {
        Arc::clone(&self.servers)
    }

    /// Where the database keeps its files.
    pub(crate) fn files(&self) -> PathBuf {
        // What is in memory only is none of them yet.
        self.cluster.administration().psql("CHECKPOINT");
        self.cluster.directory().join("data")
    }

    /// Does something with the store, as a server would.
    pub(crate) fn within(&self, work: impl AsyncFnOnce(&App)) {
        let address = PostgresAddress::parse(&self.database.url(), None).unwrap();
        let open = async || {
            let options = PostgresOptions::new(address);
            Arc::new(
                PostgresStore::open(&options, Arc::new(SystemClock))
                    .await
                    .unwrap(),
            )
        };
        server::within_store(&self.all[0].directory.join(DATA), open, work);
    }

    /// The directory of one of them, for commands that are given there.
    pub(crate) fn directory(&self, number: usize) -> &Path {
        &self.all[number].directory
    }

    pub(super) fn number(&self) -> usize {
        self.all.len()
    }

    /// What stands between each server and the database.
    pub(super) fn proxies(&self) -> impl Iterator<Item = &Proxy> {
        self.all.iter().map(|node| &node.proxy)
    }

    pub(crate) fn database(&self) -> &Database {
        &self.database
    }

    pub(super) fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    pub(crate) fn kill(&mut self, number: usize) {
        self.all[number].server = None;
        self.servers.is_down(number);
    }

    /// Starts one that was killed, and does not wait until it listens.
    pub(super) fn half_start(&self, number: usize) -> server::Process {
        let node = &self.all[number];
        server::spawn_with(&node.directory, &node.arguments(&self.database), &node.variables)
    }

    /// Starts what was killed. All of it must be of use again soon.
    pub(crate) fn recover(&mut self) {
        let begin = Instant::now();
        for number in 0..self.all.len() {
            let node = &mut self.all[number];
            if node.server.is_none() {
                let server =
                    Server::start_with(&node.directory, &node.arguments(&self.database), &node.variables);
                self.servers.is_up(number, &server.address);
                node.server = Some(server);
            }
        }
        for node in &self.all {
            let server = node.server.as_ref().unwrap();
            while server.connect().call("GET", "/v2/Services", &[]).unwrap().status != 200 {
                assert!(begin.elapsed() < RECOVERY, "a server does not recover");
                thread::sleep(Duration::from_millis(20));
            }
        }
    }
}

impl Node {
    fn new(directory: &Path, database: &Database, variables: Vec<(&'static str, String)>) -> Self {
        let data = directory.join(DATA);
        fs::create_dir_all(&data).unwrap();
        let key = data.join("master.key");
        fs::write(&key, STANDARD.encode([7; 32])).unwrap();
        fs::set_permissions(&key, fs::Permissions::from_mode(0o600)).unwrap();
        Self {
            directory: directory.to_owned(),
            proxy: Proxy::start(database.address()),
            variables,
            server: None,
        }
    }

    fn arguments(&self, database: &Database) -> [String; 2] {
        let proxied = database.at(self.proxy.address());
        ["--store".to_owned(), proxied.url()]
    }
}

/// How long all may take until it is of use.
const RECOVERY: Duration = Duration::from_secs(15);
