//! Vonage's Verify, version 1: its real clients over TCP, and the answers themselves, on a clock that is moved.

mod answers;
mod clients;
mod forms;
mod mutations;
mod networks;
mod round_trips;
mod routes;
mod statuses;
mod workflows;
mod world;
