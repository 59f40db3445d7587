//! Twilio Verify v2: the Entities, Factors and Challenges API, as Twilio's helper libraries and mobile SDKs speak it.
//!
//! Requests are forms, answers are JSON. `routes` says which operation is where; each resource has a file with its
//! operations and its JSON; `call` is what every operation is handed; `error` has every number that can come back,
//! `failures` those of requests that no operation answers.
//!
//! Invariant: nothing is decided here. What a client may not do, a flow refuses.

mod access_tokens;
mod approval;
mod attempts;
mod auth;
mod buckets;
mod call;
mod challenges;
mod credentials;
mod destinations;
mod device_jwt;
mod entities;
mod error;
mod factor_events;
mod factor_settings;
mod factors;
mod failures;
mod foresight;
mod form;
mod forms;
mod json;
mod listing;
mod locks;
mod messaging_configurations;
mod notifications;
mod rate_limits;
mod routes;
mod safe_list;
mod service_settings;
mod services;
mod silent_auth;
mod spelling;
mod templates;
mod verification_checks;
mod verification_parameters;
mod verification_policy;
mod verifications;
mod webhooks;

/// What the dialect is called where its part of a record is kept.
const NAME: &str = "twilio";

pub use approval::{ApprovalJwt, ApprovalJwtError, SignedAnswer};
/// What every parameter of a request is called, in bodies, queries and (with a blank) within JSON.
pub const PARAMETERS: &[&str] = error::Parameter::NAMES;

pub use device_jwt::{DeviceJwt, DeviceJwtError};
pub use failures::TwilioFailures;
pub use form::Form;
pub use listing::{parse_token as parse_page_token, print_token as print_page_token};
pub use routes::{OPERATIONS, Operation, http, router};
