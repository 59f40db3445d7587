//! The rules of a verification, as data: what one protocol does differently from another.

use serde::{Deserialize, Serialize};

use crate::domain::channel::Channel;
use crate::domain::text::Invalid;

/// The rules of a verification. All times are in seconds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a rule of its own, and they do not depend on each other"
)]
pub struct CodePolicy {
    /// What codes are made of.
    pub alphabet: Alphabet,
    /// How many characters they have.
    pub code_length: SentCodeLength,
    /// How long a code is right after it was made.
    pub code_life: u32,
    /// When a new one is made.
    pub reuse: CodeReuse,
    /// When the verification is over.
    pub session_life: SessionLife,
    /// The steps that follow by themselves; none if the caller asks for each sending.
    pub plan: Vec<PlanStep>,
    /// How long to wait before sending again over a channel; channels that are not named have no waits of their own.
    pub send_waits: Vec<ChannelWaits>,
    /// How long after the first text message the first call may be asked for; `None` if calls wait for none.
    pub call_after_sms: Option<u32>,
    /// How often codes are sent altogether.
    pub max_sends: u32,
    /// How long to wait before the second check, the third, and so on; zero for those beyond the list.
    pub check_waits: Vec<u32>,
    /// How many wrong codes are evaluated.
    pub max_checks: u32,
    /// What these are counted for.
    pub check_scope: CheckScope,
    /// How old it must be before it can be canceled.
    pub min_cancel_age: u32,
    /// What becomes of another one that waits for the same destination.
    pub uniqueness: Uniqueness,
    /// Whether an approved one is unknown to every further check. Otherwise it goes on saying that it is approved, whatever is
    /// given; the code itself is accepted once in either case.
    pub single_use: bool,
    /// Whether what was given is kept, sealed.
    pub keeps_submitted: bool,
    /// How long it can be fetched after it ended.
    pub retention: u32,
    /// What becomes of it when the last wrong code was evaluated.
    pub exhaustion: Exhaustion,
    /// Whether whatever is given that cannot be a code counts as a wrong one; otherwise it is refused, and no guess.
    pub counts_malformed: bool,
    /// Whether it can only be canceled while steps of its plan are left.
    pub cancel_needs_step: bool,
    /// Whether a call may carry a payment, which it reads out with the code.
    pub calls_tell_payments: bool,
}

/// How many characters a code has that is sent: 4 to 10, 6 if nothing else is said.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SentCodeLength(u8);

impl SentCodeLength {
    /// Checks the range.
    ///
    /// # Errors
    /// [`Invalid`] with the range.
    pub fn new(characters: u8) -> Result<Self, Invalid> {
        if (4..=10).contains(&characters) {
            Ok(Self(characters))
        } else {
            Err(Invalid::range(4, 10))
        }
    }

    /// The number of characters.
    #[must_use]
    pub fn get(self) -> u8 {
        self.0
    }
}

impl Default for SentCodeLength {
    fn default() -> Self {
        Self(6)
    }
}

/// What becomes of a verification when all wrong codes were given that are evaluated.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Exhaustion {
    /// It goes on, and nothing is evaluated until there is another code.
    AwaitsCode,
    /// It is over, and nothing else begins for the destination until its time is over.
    Blocks,
    /// It is over.
    Ends,
}

/// What codes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Alphabet {
    /// 0 to 9.
    Digits,
    /// A to Z and 0 to 9.
    UpperAlphanumeric,
}

/// When a new code is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CodeReuse {
    /// The same one is sent as long as it is right.
    KeepWhileValid,
    /// Each sending has its own; earlier ones are void.
    NewEachSend,
}

/// When a verification is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SessionLife {
    /// This long after the last thing that could have been done.
    AfterLastPossibleAction(u32),
    /// Never: it is replaced.
    Endless,
    /// This long after it was created.
    Fixed(u32),
    /// When the last step of the plan has had its time.
    PlanEnd,
}

/// A sending that follows by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct PlanStep {
    pub channel: Channel,
    /// How long until the next step.
    pub wait: u32,
}

/// How long to wait before sending again over one channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ChannelWaits {
    pub channel: Channel,
    /// Before the second sending, the third, and so on: n waits allow n + 1 sendings.
    pub waits: Vec<u32>,
}

/// What wrong codes are counted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum CheckScope {
    /// Each code has its own count.
    PerCode,
    /// All codes of the verification together.
    PerSession,
}

/// What becomes of another verification that waits for the same destination.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Uniqueness {
    /// They go on beside each other.
    None,
    /// The new one is refused, and the other one named.
    RejectWithExisting,
    /// The new one takes its place.
    Replace,
    /// There is no new one: the other one is sent again.
    ReturnExisting,
}
