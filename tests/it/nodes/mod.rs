//! Several real servers on one database: races between them, clocks that differ, and faults of the servers, of the database and
//! of what is between them.

pub(crate) mod clocks;
mod crowds;
mod faults;
mod races;
mod servers;
mod sms_provider;

pub(crate) use servers::Nodes;
