//! What released versions have written must still be read: records one by one, and a whole store.
//!
//! The files in `tests/data` are written once and never changed. When the format changes on purpose, run the tests with
//! `COUNTERSIGN_WRITE_FIXTURES=1`: today's format gets a file of its own beside the older ones.

mod code_samples;
mod codes;
mod files;
mod records;
mod samples;
pub(crate) mod store;
