//! The protocols that clients speak. Invariant: dialects import neither each other nor the store.

pub mod twilio;
