//! What a device signs besides the challenge that it was shown.

use serde_json::Value;

use crate::crypto::approval_jwt::SignedAnswer;
use crate::domain::refusal::Refusal;

/// What the holder adds to an answer.
#[derive(Debug, Default)]
pub(super) struct SignedClaims {
    /// `number`: what they typed.
    pub(super) number: Option<String>,
    /// `reason`: why they say no.
    pub(super) reason: Option<String>,
}

impl SignedClaims {
    /// Takes the claims out of `answer`: what is left has to be what was shown, and nothing else.
    ///
    /// # Errors
    /// [`Refusal::BadChallengeProof`] when one is there and no text: nobody typed a JSON number or `null`.
    pub(super) fn take(answer: &mut SignedAnswer) -> Result<Self, Refusal> {
        let mut take = |name| match answer.fields.shift_remove(name) {
            None => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(NO_TEXT),
        };
        Ok(Self {
            number: take("number")?,
            reason: take("reason")?,
        })
    }
}

const NO_TEXT: Refusal = Refusal::BadChallengeProof {
    why: "\"number\" and \"reason\" must be texts",
};
