//! Shared HTTP layers.
