//! The integration tests: one binary that mirrors the dialects.

mod serving;
