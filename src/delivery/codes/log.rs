//! The sender of those who have none yet: codes go to the server's log.
//!
//! Invariant: this is the only place of the server that writes a code where somebody can read it.

use async_trait::async_trait;

use super::{CodeMessage, CodeSender, Sent};
use crate::domain::text::may_be_shown;

/// Writes channel, destination and code to the log, at level `info`.
#[derive(Clone, Copy, Debug, Default)]
pub struct LogSender;

#[async_trait]
impl CodeSender for LogSender {
    async fn send(&self, message: &CodeMessage) -> Sent {
        // What callers chose may hold anything; on a line of its own it could pass for another entry.
        let code: String = message.code.chars().filter(|c| may_be_shown(*c)).collect();
        let code = zeroize::Zeroizing::new(code);
        tracing::info!(
            "the code for {} by {} is {} ({})",
            message.to.as_str(),
            message.channel.name(),
            code.as_str(),
            message.id
        );
        Sent::delivered(None)
    }
}
