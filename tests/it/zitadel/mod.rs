//! Zitadel's services for users: their real clients, over TCP, on a clock that is moved.
//!
//! Clients are Python's `grpcio` with stubs that `grpcio-tools` makes of our own `.proto` files, `curl` for JSON, and Zitadel's
//! own, `@zitadel/client`.

mod clients;
mod kills;
mod users;
