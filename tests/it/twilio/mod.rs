//! The Twilio dialect as an attacker, a careless client and an honest one see it.

mod guessing;
mod replay;
