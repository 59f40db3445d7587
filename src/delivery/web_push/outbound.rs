//! What this sender needs of an HTTP client. A device chose the endpoint, so the client must be one that refuses
//! addresses which are not public.

use async_trait::async_trait;

/// An HTTP client for addresses that others chose.
///
/// Whoever implements it refuses addresses that are not public and `http`, both unless the operator allows them, follows
/// no redirect, gives up after a few seconds, and reads no more of an answer than a bound says.
#[async_trait]
pub trait Outbound: Send + Sync + std::fmt::Debug {
    /// Posts `body` to `url` with these headers, whose names are in small letters.
    async fn post(&self, url: &str, headers: &[(&str, &str)], body: Vec<u8>) -> Result<Answer, Problem>;
}

/// An answer, as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status code.
    pub status: u16,
    /// The value of `Retry-After`, as it was sent.
    pub retry_after: Option<String>,
}

/// Why there is no answer. The texts name neither the path nor the query of the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Problem {
    /// The address must not be called.
    Forbidden {
        /// Why not.
        why: String,
    },
    /// It could not be reached, broke off, said nothing in time, or spoke no HTTP.
    Failed {
        /// What went wrong.
        why: String,
    },
}

/// Reaches nobody.
#[derive(Clone, Copy, Debug, Default)]
pub struct Unconnected;

#[async_trait]
impl Outbound for Unconnected {
    async fn post(&self, _: &str, _: &[(&str, &str)], _: Vec<u8>) -> Result<Answer, Problem> {
        Err(Problem::Failed {
            why: "this server has no HTTP client".to_owned(),
        })
    }
}
