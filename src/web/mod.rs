//! What every HTTP listener shares, the operators' endpoints, and the manual in a browser.
//!
//! A request passes [`boundary`] on its way to a dialect's router: it gets an identifier, oversized heads are refused,
//! panics are caught, and a failure is logged, once, on the way back. A dialect reads bodies through [`body`] and builds
//! absolute URLs with [`public_url`].
//!
//! Invariant: headers, bodies, paths and query strings are never logged. What clients are told of failures comes from
//! their dialect, so no word, number or header of any protocol stands here.

pub mod allocations;
pub mod arrival;
pub mod basic;
pub mod body;
pub mod boundary;
pub mod client_address;
pub mod connection_tally;
pub mod cross_origin;
mod delivery_metrics;
pub mod docs;
pub(crate) mod failure;
pub mod metrics;
pub mod ops;
mod panics;
pub mod process;
pub mod public_url;
pub(crate) mod readiness;
pub(crate) mod request_id;
pub(crate) mod routes;
pub mod rpc;

pub use self::panics::log_panics;
