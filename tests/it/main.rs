//! The integration tests: one binary that mirrors the dialects.

#![expect(clippy::unwrap_used, reason = "a panic is how a test fails")]

mod support;
mod twilio;
