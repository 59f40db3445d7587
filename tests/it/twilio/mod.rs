//! The Twilio dialect as an attacker, a careless client and an honest one see it.

mod approvals;
mod device_tokens;
mod enrolment;
mod enumeration;
mod failures;
mod guessing;
mod pathways;
mod redemption;
mod replay;
mod restarts;
mod tenants;
