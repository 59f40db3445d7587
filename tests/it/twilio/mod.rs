//! The Twilio dialect as an attacker, a careless client and an honest one see it.

mod approvals;
mod caps;
mod caps_of_creations;
mod credentials;
mod deleting;
mod device_tokens;
mod enrolment;
mod enumeration;
mod events;
mod factor_events;
mod failures;
mod garbage;
mod guessing;
mod limits;
mod number_matching;
mod paging;
mod pathways;
mod push_bombing;
mod redemption;
mod replay;
mod reports;
mod restarts;
mod streams;
mod tenants;
mod waiting;
mod wrong_numbers;
