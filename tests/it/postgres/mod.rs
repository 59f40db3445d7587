//! On PostgreSQL.

mod servers;
