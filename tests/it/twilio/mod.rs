//! The Twilio dialect as an attacker, a careless client and an honest one see it.

mod approvals;
mod caps;
mod caps_of_creations;
mod deleting;
mod device_tokens;
mod enrolment;
mod enumeration;
mod events;
mod failures;
mod garbage;
mod guessing;
mod limits;
mod paging;
mod pathways;
mod redemption;
mod replay;
mod restarts;
mod streams;
mod tenants;
mod waiting;
