//! Signal's registration service: its real clients, over TCP, on a clock that is moved.
//!
//! Clients are Python's `grpcio` with stubs that `grpcio-tools` makes of our own `.proto` file. The server runs within the
//! test, which does for the script what only an operator or time can do: see [`world`].

mod clients;
mod kills;
mod round_trips;
mod sessions;
mod tokens;
