//! What a client still sends of a body that nobody wants, as its request was answered without it.
//!
//! The stream might be reset at once (RFC 9113, 8.1). But some clients lose the answer when they read the reset together with
//! it: curl 7.88, and HAProxy 2.6 towards a server. So they have a moment to read it, as in HTTP/1.1; what they send meanwhile is
//! read and thrown away, since what waits unread takes room from the other requests of the connection.

use h2::RecvStream;
use tokio::sync::oneshot;

use crate::server::patience::{LINGER, LINGER_BYTES};

/// Where the rest of a body is left by whoever read only a part of it.
pub(super) struct Leftover(Option<oneshot::Receiver<RecvStream>>);

/// What leaves it there.
pub(super) type Leave = oneshot::Sender<RecvStream>;

impl Leftover {
    /// Of a request that has a body. Whoever may not read all of it needs what [`Leave`] is for.
    pub(super) fn new() -> (Leave, Self) {
        let (leave, left) = oneshot::channel();
        (leave, Self(Some(left)))
    }

    /// Of a request without a body.
    pub(super) fn none() -> Self {
        Self(None)
    }

    /// What was left so far.
    pub(super) fn take(self) -> Option<RecvStream> {
        self.0.and_then(|mut left| left.try_recv().ok())
    }
}

/// Reads on for a moment, and resets the stream if that was not all.
pub(super) async fn discard(mut rest: RecvStream) {
    let mut left = LINGER_BYTES;
    let reading = async {
        while let Some(Ok(bytes)) = rest.data().await {
            // Fails only if more was given back than was taken.
            let _given_back = rest.flow_control().release_capacity(bytes.len());
            left = left.saturating_sub(bytes.len());
            if left == 0 {
                return;
            }
        }
    };
    let _late = tokio::time::timeout(LINGER, reading).await;
}
