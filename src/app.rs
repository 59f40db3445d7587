//! The wired parts.
