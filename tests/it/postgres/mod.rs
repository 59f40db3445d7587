//! On PostgreSQL.

mod proxy;
mod servers;
mod wire;
