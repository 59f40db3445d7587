//! What released versions have written must still be read: records one by one, and a whole store.
//!
//! The files in `tests/data` are written once and never changed: each released format stays there. When the format changes
//! on purpose, run the test that writes them with `COUNTERSIGN_WRITE_FIXTURES=1`, and today's format gets files of its own
//! beside the older ones. Until a release has written the newest format nobody has data in it: then delete its two files
//! first, so that they are written anew with the same number.
//!
//! ```text
//! rm tests/data/*-v1.*
//! COUNTERSIGN_WRITE_FIXTURES=1 cargo test --test it what_is_written_today
//! ```

mod code_samples;
mod codes;
mod files;
mod records;
pub(crate) mod samples;
pub(crate) mod store;
