//! Why there is no answer.

use std::error::Error as StdError;
use std::fmt;
use std::net::IpAddr;

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HttpError {
    /// The address must not be reached.
    #[error(
        "{host} is at {address}, which is no public address, so it is not connected to; to allow it, put it or its network \
         into outbound_allow (--outbound-allow, COUNTERSIGN_OUTBOUND_ALLOW) and start the server again"
    )]
    Blocked {
        /// The URL's host.
        host: String,
        /// Its address, or the first of them.
        address: IpAddr,
    },
    /// There was no connection, or it broke before there was an answer.
    #[error("the exchange with {host} failed: {}", causes.innermost().unwrap_or("it is refused by the HTTP client"))]
    Failed {
        /// The URL's host.
        host: String,
        /// What went wrong.
        causes: Causes,
    },
    /// The URL is not `https`, and has to be.
    #[error("the endpoint is not https; http is for addresses in outbound_allow only")]
    Plaintext,
    /// No connection can be made to anybody.
    #[error("cannot set up TLS: {}", .0.innermost().unwrap_or("it is refused by the HTTP client"))]
    Setup(Causes),
    /// It took too long.
    #[error("{host} did not answer in time")]
    TimedOut {
        /// The URL's host.
        host: String,
        /// What took too long; empty if it is all together.
        causes: Causes,
    },
    /// The name has no address.
    #[error("no address was found for {host}: {reason}")]
    Unresolved {
        /// The URL's host.
        host: String,
        /// What went wrong.
        reason: String,
    },
    /// The URL is not one that is sent to.
    #[error("the URL must begin with http:// or https:// and have a host, and no user name and password")]
    Url,
}

/// What went wrong, and why, and why that; on one line if it is shown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Causes(Vec<String>);

impl HttpError {
    /// What `error` of an exchange with `host` means.
    pub(super) fn explain(error: reqwest::Error, host: String) -> Self {
        let mut cause: Option<&dyn StdError> = Some(&error);
        while let Some(inner) = cause {
            // What the resolver said.
            if let Some(ours) = inner.downcast_ref::<Self>() {
                return ours.clone();
            }
            cause = inner.source();
        }
        let late = error.is_timeout();
        let causes = Causes::of(error);
        if late {
            Self::TimedOut { host, causes }
        } else {
            Self::Failed { host, causes }
        }
    }

    /// The causes, if any are known.
    pub(in crate::delivery) fn causes(&self) -> Option<&Causes> {
        match self {
            Self::Failed { causes, .. } | Self::Setup(causes) => Some(causes),
            Self::TimedOut { causes, .. } => Some(causes).filter(|causes| !causes.0.is_empty()),
            Self::Blocked { .. } | Self::Plaintext | Self::Unresolved { .. } | Self::Url => None,
        }
    }
}

impl Causes {
    /// Those of `error`, without the URL.
    pub(super) fn of(error: reqwest::Error) -> Self {
        let error = error.without_url();
        let mut texts = vec![error.to_string()];
        let mut cause = error.source();
        while let Some(inner) = cause {
            texts.push(inner.to_string());
            cause = inner.source();
        }
        Self(texts)
    }

    /// The innermost cause says more than "error sending request", and nothing of the URL. `None` if nothing caused it.
    #[must_use]
    pub fn innermost(&self) -> Option<&str> {
        self.0.get(1..)?.last().map(String::as_str)
    }
}

impl fmt::Display for Causes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(": "))
    }
}
