//! What accounts, services, entities, factors and challenges are, and how they are decided.
//!
//! Invariant: pure. Nothing here knows HTTP, the store's engines, tasks or JSON; time and randomness are arguments.

pub mod access;
pub mod access_token;
pub mod account;
pub mod attached;
pub mod attempt;
pub mod challenge;
pub mod channel;
pub mod code_routing;
pub mod country;
pub mod credential;
pub mod destination;
pub mod destination_record;
pub mod email;
pub mod entity;
pub mod entropy;
pub mod events;
pub mod factor;
pub mod fraud;
pub mod gsm_alphabet;
pub mod limits;
pub mod message;
pub mod messaging_configuration;
pub mod notification;
pub mod number_matching;
pub mod opaque;
pub mod outbox;
pub mod phone;
pub mod price;
pub mod push_answer;
pub mod push_guard;
pub mod rate_limit;
pub mod refusal;
pub mod safe_list;
pub mod sender_name;
pub mod service;
pub mod shares;
pub mod sid;
pub mod text;
pub mod time;
pub mod totp_algorithm;
pub mod verification;
pub mod web_url;
pub mod webhook;
pub mod webhook_secrets;
