//! PostgreSQL as the tests run it: servers that they start themselves, and a proxy in front of one that makes faults.
//!
//! The library's own tests and those of `tests/it` share these files, each as `crate::postgres_server`.
//!
//! [`Cluster::shared`] is the one server of a test process, on which every test makes a [`Database`] of its own.
//! [`Cluster::own`] is for a test that kills its server, or that wants TLS, a password or a standby. [`Proxy`] stands between a client and either.

#![expect(
    clippy::missing_panics_doc,
    clippy::must_use_candidate,
    reason = "a panic is how a test fails; what these return, tests use"
)]

mod certificates;
mod cluster;
mod database;
mod keeper;
mod programs;
mod proxy;
mod standby;

pub use self::cluster::{Cluster, ClusterOptions, free_port};
pub use self::database::Database;
pub use self::proxy::Proxy;
pub use self::standby::Replication;
