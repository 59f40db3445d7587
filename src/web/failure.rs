//! What the log is told of failures.

/// Why a response is a 5xx: an extension that whoever makes such a response attaches to it. [`boundary`](super::boundary)
/// logs it, together with the request's identifier; the client learns nothing of it.
#[derive(Clone, Debug)]
pub(crate) struct Cause(pub String);
