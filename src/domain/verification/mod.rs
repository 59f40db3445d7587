//! Verifications: a code is sent to somebody, over one channel or several, and checked.
//!
//! One state machine for every protocol. What the protocols do differently is a [`CodePolicy`], copied into the record when
//! it is created; nothing here asks who created it. Whether something may be done now, and when otherwise, is decided from
//! the record and the time alone, so it holds across resends, parallel requests and restarts.

mod availability;
mod beginning;
mod checking;
mod content;
mod ending;
mod policy;
mod refusal;
mod sending;

#[cfg(test)]
pub(crate) mod tests;

use serde::{Deserialize, Serialize};

pub use self::availability::{Availability, Possible};
pub use self::beginning::Draft;
pub use self::checking::Submission;
pub use self::content::{Content, EmailOptions, Payment};
pub use self::policy::{
    Alphabet, ChannelWaits, CheckScope, CodePolicy, CodeReuse, Exhaustion, PlanStep, SentCodeLength,
    SessionLife, Uniqueness,
};
pub use self::refusal::Refusal;
pub use self::sending::NewCode;

use super::channel::Channel;
use super::destination::Destination;
use super::opaque::{Sealed, TokenHash};
use super::sender_name::SenderName;
use super::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
use super::time::Timestamp;

/// One attempt to show that somebody receives what is sent to a destination, with all codes that it takes. It is dated
/// again with each sending and what becomes of it, with each check and with its end.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Verification {
    pub sid: VerificationSid,
    /// The account that wants it.
    pub account: AccountSid,
    /// The service that it belongs to.
    pub service: ServiceSid,
    /// Where its codes go.
    pub destination: Destination,
    /// The rules it is played by.
    pub policy: CodePolicy,
    /// What its messages say besides the code.
    pub content: Content,
    /// How it ended, if it did; see [`Verification::status`] for what holds now.
    pub end: Option<End>,
    /// Its codes; the last one is the one that counts.
    pub codes: Vec<IssuedCode>,
    /// How often it was sent, and how.
    pub sends: Vec<Sending>,
    /// What was checked since it was created; the oldest are forgotten beyond [`Verification::MOST_CHECKS`].
    pub checks: Vec<Check>,
    /// The silent authentication, if that was asked for.
    pub silent: Option<SilentAuthentication>,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
    /// From when on it is over if nothing else ends it.
    pub expires_at: Timestamp,
    /// When the next step of its plan is due, if it has one.
    pub next_step_at: Option<Timestamp>,
}

/// How and when a verification ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct End {
    pub how: Ending,
    pub at: Timestamp,
}

/// The ways to end that are written down; running out of time is not, it shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Ending {
    /// The right code was given, or the owner said that it was.
    Approved,
    /// The owner does not want it any more.
    Canceled,
    /// Another one for the same destination took its place.
    Replaced,
    /// Too many wrong codes were given. See [`Exhaustion`] for what that means to the destination.
    MaxAttemptsReached,
}

/// What a caller sees of a verification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VerificationStatus {
    /// The right code was given, or the owner said that it was.
    Approved,
    /// The owner does not want it any more, or another one took its place.
    Canceled,
    /// No code was right in time.
    Expired,
    /// Too many wrong codes were given.
    MaxAttemptsReached,
    /// It waits.
    Pending,
}

/// A code that was made for a verification.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuedCode {
    /// The code, sealed for the verification's key: it is sent again, so a hash would not do.
    pub sealed: Sealed,
    /// How many characters it has.
    pub length: u8,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it is not right any more.
    pub expires_at: Timestamp,
    /// How many wrong codes were given while it counted.
    pub failures: u32,
}

/// One time that a code was sent: asked for by the caller, or due by the plan.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Sending {
    /// Over which channel.
    pub channel: Channel,
    /// When it was asked for.
    pub at: Timestamp,
    /// Which of the codes: its position.
    pub code: u8,
    /// The tries, each with one sender; the last one is the one that counts.
    pub tries: Vec<Try>,
    /// What became of it, as far as it changes what may be done next.
    pub outcome: SendingOutcome,
}

/// What became of a sending, as far as it changes what may be done next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SendingOutcome {
    /// It is on its way, or arrived, or failed: it counts.
    Counts,
    /// The destination cannot be reached over this channel: nothing is sent over it again.
    ChannelRefused,
    /// Nobody could send it: it does not count.
    Unavailable,
}

/// One try to send, with one sender, and when; what became of it stands in its attempt.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Try {
    pub attempt: AttemptSid,
    pub sender: SenderName,
    pub at: Timestamp,
}

/// A code that was given, and whether it was right.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Check {
    pub at: Timestamp,
    pub right: bool,
    /// What was given, if the policy keeps that: protocols that show it. Sealed for the verification's key.
    pub submitted: Option<Sealed>,
    /// From which address, if the protocol says so.
    pub ip: Option<String>,
}

/// Silent network authentication: the device calls a URL, and its network says whose it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SilentAuthentication {
    /// What the URL ends in, as a hash.
    pub token: TokenHash,
    /// What the device gets when its network knows it, and the check has to name; if that was asked for.
    pub client_token: Option<TokenHash>,
    /// Whether the caller wants a client token.
    pub wants_client_token: bool,
    /// Whether the network has said that the number is the device's.
    pub confirmed: bool,
    /// How often the URL was called.
    pub calls: u32,
    /// What went wrong, each time a call of the URL failed.
    pub errors: Vec<SilentError>,
}

impl Sending {
    /// How often one sending is tried: each try costs money and leaves an attempt, and whoever owns a mail server or a
    /// number can let all of them fail. Five minutes of tries, with the usual pauses.
    pub const MOST_TRIES: usize = 60;
}

impl SilentAuthentication {
    /// How often the URL may be called. A device whose network is slow tries again; nobody needs more.
    pub const MOST_CALLS: u32 = 5;
}

/// What went wrong when the URL of a silent authentication was called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SilentError {
    /// The call: each is an attempt.
    pub attempt: AttemptSid,
    /// What went wrong.
    pub why: SilentFailure,
}

/// What can go wrong when the URL of a silent authentication is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum SilentFailure {
    /// The network says that the number is not the device's.
    Mismatch,
    /// The network could not be asked, or could not tell.
    Undecided,
}

impl SilentAuthentication {
    /// One whose URL nobody has called yet.
    #[must_use]
    pub fn new(token: TokenHash, wants_client_token: bool) -> Self {
        Self {
            token,
            client_token: None,
            wants_client_token,
            confirmed: false,
            calls: 0,
            errors: Vec::new(),
        }
    }
}

impl Verification {
    /// The most sendings that a verification remembers: no policy allows more.
    pub const MOST_SENDS: u32 = 100;
    /// How many checks it remembers.
    pub const MOST_CHECKS: usize = 100;

    /// What holds at `now`.
    #[must_use]
    pub fn status(&self, now: Timestamp) -> VerificationStatus {
        match self.end.map(|end| end.how) {
            Some(Ending::Approved) => VerificationStatus::Approved,
            Some(Ending::Canceled | Ending::Replaced) => VerificationStatus::Canceled,
            Some(Ending::MaxAttemptsReached) => VerificationStatus::MaxAttemptsReached,
            None if now >= self.expires_at => VerificationStatus::Expired,
            None => VerificationStatus::Pending,
        }
    }

    /// Whether it waits for a code at `now`.
    #[must_use]
    pub fn is_pending(&self, now: Timestamp) -> bool {
        self.status(now) == VerificationStatus::Pending
    }

    /// The code of a sending; `None` in silent authentication, where there is nothing to read and type.
    #[must_use]
    pub fn code_of(&self, sending: &Sending) -> Option<&IssuedCode> {
        let has_code = sending.channel != Channel::Sna;
        self.codes.get(usize::from(sending.code)).filter(|_| has_code)
    }

    /// The channel of the last sending.
    #[must_use]
    pub fn channel(&self) -> Option<Channel> {
        self.sends.last().map(|send| send.channel)
    }
}
