//! What becomes of codes, with senders that do as a test says and a clock that a test moves.

mod failover;
mod forged;
mod key_change;
mod recipients;
mod routing;
mod silent;
mod world;
