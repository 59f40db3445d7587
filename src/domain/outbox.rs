//! How the outbox decides: who waits behind whom, how long a receiver is left alone, what is given up.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::circuit::TryTarget;
use super::entropy::Entropy;
use super::events::{OutboxMessage, OutboxRow};
use super::refusal::AreaRefusal;
use super::sender_name::SenderName;
use super::sid::{AccountSid, CredentialSid, FactorSid, WebhookSid};
use super::text::shown;
use super::time::Timestamp;

/// Those rows of one account that go to one receiver. They lie together in the store, and neither another receiver nor
/// another account waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Lane {
    /// Whose rows these are.
    pub account: AccountSid,
    /// To whom they go.
    pub receiver: Receiver,
}

impl Lane {
    /// The bytes as they stand in keys: one for the kind of receiver, 16 for the account, 16 for the receiver's identifier
    /// or name.
    #[must_use]
    pub fn to_bytes(self) -> [u8; 33] {
        let [kind, sid @ ..] = self.receiver.to_bytes();
        let mut bytes = [kind; 33];
        bytes[1..17].copy_from_slice(self.account.as_bytes());
        bytes[17..].copy_from_slice(&sid);
        bytes
    }

    /// What the bytes of all lanes of an account begin with: one beginning for each kind of receiver.
    pub fn beginnings(account: AccountSid) -> impl Iterator<Item = [u8; 17]> {
        KINDS.into_iter().map(move |kind| {
            let mut bytes = [kind; 17];
            bytes[1..].copy_from_slice(account.as_bytes());
            bytes
        })
    }

    /// The lane with these bytes; `None` if they are none's.
    #[must_use]
    pub fn from_bytes(bytes: &[u8; 33]) -> Option<Self> {
        let [kind, rest @ ..] = bytes;
        let (account, sid) = rest.split_first_chunk()?;
        let mut receiver = [*kind; 17];
        receiver[1..].copy_from_slice(sid);
        Some(Self {
            account: AccountSid::from_bytes(*account),
            receiver: Receiver::from_bytes(&receiver)?,
        })
    }
}

/// What waits for each other at the worst: nothing that is in one pool takes a place of another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DeliveryPool {
    /// Codes by message.
    Codes,
    /// Notifications of devices.
    Pushes,
    /// Events.
    Webhooks,
}

/// To whom rows go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Receiver {
    /// What is pushed with the key of a push provider.
    Credential(CredentialSid),
    /// What is pushed to one device, whose transport needs no key.
    Factor(FactorSid),
    /// Codes that leave by one of the operator's senders.
    Sender(SenderName),
    /// What a webhook wants to hear.
    Webhook(WebhookSid),
}

/// The kinds of receivers, as [`Receiver::to_bytes`] writes them.
const KINDS: [u8; 4] = *b"cfsw";

impl Receiver {
    /// One byte for the kind, 16 for the identifier or the name.
    fn to_bytes(self) -> [u8; 17] {
        let (kind, sid) = match &self {
            Self::Credential(sid) => (b'c', *sid.as_bytes()),
            Self::Factor(sid) => (b'f', *sid.as_bytes()),
            Self::Sender(name) => (b's', *name.as_bytes()),
            Self::Webhook(sid) => (b'w', *sid.as_bytes()),
        };
        let mut bytes = [kind; 17];
        bytes[1..].copy_from_slice(&sid);
        bytes
    }

    fn from_bytes(bytes: &[u8; 17]) -> Option<Self> {
        let [kind, sid @ ..] = *bytes;
        match kind {
            b'c' => Some(Self::Credential(CredentialSid::from_bytes(sid))),
            b'f' => Some(Self::Factor(FactorSid::from_bytes(sid))),
            b's' => SenderName::from_bytes(&sid).map(Self::Sender),
            b'w' => Some(Self::Webhook(WebhookSid::from_bytes(sid))),
            _ => None,
        }
    }

    /// With whom it shares what there is for deliveries.
    #[must_use]
    pub fn pool(self) -> DeliveryPool {
        match self {
            Self::Credential(_) | Self::Factor(_) => DeliveryPool::Pushes,
            Self::Sender(_) => DeliveryPool::Codes,
            Self::Webhook(_) => DeliveryPool::Webhooks,
        }
    }

    /// How many rows of one account may be on their way to it at the same time.
    #[must_use]
    pub fn width(self) -> usize {
        match self {
            Self::Credential(_) => 64,
            Self::Factor(_) => 1,
            Self::Sender(_) => 32,
            Self::Webhook(_) => 8,
        }
    }

    /// How many rows of all accounts together may be on their way to it at the same time, if accounts share it. None of
    /// them gets so many that nothing is left for others.
    #[must_use]
    pub fn width_for_all(self) -> Option<usize> {
        match self {
            Self::Sender(_) => Some(64),
            Self::Credential(_) | Self::Factor(_) | Self::Webhook(_) => None,
        }
    }

    /// Whether its receiver is left alone as a whole when several of its rows fail in a row. A sender of codes is not: how
    /// it does is known from each try, and its codes do not wait for one another, as those that another sender takes leave
    /// at once.
    #[must_use]
    pub fn pauses(self) -> bool {
        match self {
            Self::Credential(_) | Self::Factor(_) | Self::Webhook(_) => true,
            Self::Sender(_) => false,
        }
    }

    /// Whether what it says of one row may be about that row's recipient only: behind a push provider and a sender of codes
    /// are many, a webhook and the push service of one device are one.
    #[must_use]
    pub fn serves_many(self) -> bool {
        match self {
            Self::Credential(_) | Self::Sender(_) => true,
            Self::Factor(_) | Self::Webhook(_) => false,
        }
    }

    /// Whether a receiver that asks to be left alone asks it for all of its rows. A push provider asks it for one device; a
    /// webhook is one server.
    #[must_use]
    pub fn asks_for_all(self) -> bool {
        match self {
            Self::Credential(_) | Self::Factor(_) | Self::Sender(_) => false,
            Self::Webhook(_) => true,
        }
    }

    /// The longest pause between two tries: a push or a code is over within minutes, so it cannot wait for long.
    #[must_use]
    pub fn longest_backoff(self) -> Duration {
        match self {
            Self::Credential(_) | Self::Factor(_) => Duration::from_secs(30),
            Self::Sender(_) => Duration::from_secs(10),
            Self::Webhook(_) => Duration::from_mins(5),
        }
    }
}

/// Its receiver.
impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.receiver.fmt(f)
    }
}

/// The receiver's SID, whose letters tell the kind; `sender:` and the name of a sender.
impl fmt::Display for Receiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credential(sid) => sid.fmt(f),
            Self::Factor(sid) => sid.fmt(f),
            Self::Sender(name) => write!(f, "{SENDER}{name}"),
            Self::Webhook(sid) => sid.fmt(f),
        }
    }
}

impl FromStr for Receiver {
    type Err = NotAReceiver;

    fn from_str(text: &str) -> Result<Self, NotAReceiver> {
        if let Some(name) = text.strip_prefix(SENDER) {
            return SenderName::parse(name)
                .map(Self::Sender)
                .map_err(|_| NotAReceiver);
        }
        let webhook = text.parse().map(Self::Webhook);
        let lane = webhook.or_else(|_| text.parse().map(Self::Credential));
        lane.or_else(|_| text.parse().map(Self::Factor))
            .map_err(|_| NotAReceiver)
    }
}

/// The text names no receiver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "must be the SID of a webhook (YW), of a push credential (CR) or of a factor (YF), or sender: and the name of a sender"
)]
pub struct NotAReceiver;

/// What stands before the name of a sender.
const SENDER: &str = "sender:";

/// What has to keep its order within a lane: a factor's events, a challenge's pushes, a verification's codes, what is
/// blocked for a service.
pub type Thread = [u8; 16];

impl OutboxMessage {
    /// In which lane it waits.
    #[must_use]
    pub fn lane(&self) -> Lane {
        Lane {
            account: self.account(),
            receiver: self.receiver(),
        }
    }

    /// In whose name it leaves.
    #[must_use]
    pub fn account(&self) -> AccountSid {
        match self {
            Self::Blocked { event, .. } => event.account,
            Self::Code(code) => code.account,
            Self::Notice { notice, .. } => notice.account,
            Self::Push { account, .. } => *account,
            Self::Webhook { event, .. } => event.account,
        }
    }

    /// To whom it goes.
    #[must_use]
    pub fn receiver(&self) -> Receiver {
        match self {
            Self::Push {
                credential: Some(credential),
                ..
            } => Receiver::Credential(*credential),
            Self::Code(code) => Receiver::Sender(code.sender),
            Self::Push { factor, .. } => Receiver::Factor(*factor),
            Self::Blocked { webhook, .. } | Self::Notice { webhook, .. } | Self::Webhook { webhook, .. } => {
                Receiver::Webhook(*webhook)
            }
        }
    }

    /// What it must not overtake: earlier rows of its lane with the same thread.
    #[must_use]
    pub fn thread(&self) -> Thread {
        match self {
            Self::Code(code) => *code.verification.as_bytes(),
            Self::Blocked { event, .. } => *event.service.as_bytes(),
            Self::Notice { notice, .. } => *notice.account.as_bytes(),
            Self::Push { challenge, .. } => *challenge.as_bytes(),
            Self::Webhook { event, .. } => *event.factor.as_bytes(),
        }
    }

    /// For whom it is: of what is for one recipient one is tried at a time. Where a code goes is not in its row; its sender
    /// is asked when that is known.
    #[must_use]
    pub fn target(&self) -> TryTarget {
        let (recipient, group) = match self {
            Self::Push { factor, entity, .. } => (*factor.as_bytes(), *entity.as_bytes()),
            Self::Blocked { .. } | Self::Code(_) | Self::Notice { .. } | Self::Webhook { .. } => {
                (self.thread(), self.thread())
            }
        };
        TryTarget {
            account: self.account(),
            recipient,
            group,
        }
    }

    /// From when on it is of no use, if there is such a moment.
    #[must_use]
    pub fn expires_at(&self) -> Option<Timestamp> {
        match self {
            Self::Code(code) => Some(code.expires_at),
            Self::Push { expires_at, .. } => Some(*expires_at),
            Self::Blocked { .. } | Self::Notice { .. } | Self::Webhook { .. } => None,
        }
    }

    /// From when on the store may reclaim it, if there is such a moment. What has to be noted elsewhere when it ends (a
    /// dead letter of an event, the attempt of a code) ends by the worker's hand only.
    #[must_use]
    pub fn reclaimed_at(&self) -> Option<Timestamp> {
        match self {
            Self::Push { expires_at, .. } => Some(*expires_at),
            Self::Blocked { .. } | Self::Code(_) | Self::Notice { .. } | Self::Webhook { .. } => None,
        }
    }

    /// What it is, for people.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Code(_) => "code",
            Self::Blocked { event, .. } => event.event_type().name(),
            Self::Notice { notice, .. } => notice.event_type.name(),
            Self::Push { .. } => "push",
            Self::Webhook { event, .. } => event.event_type.name(),
        }
    }
}

impl OutboxRow {
    /// Takes in a failed try: the next one is due after a pause that doubles with each (from a second up to the lane's
    /// longest one, all of it by chance, so that those who failed together do not come back together), and not before
    /// `after`, which the receiver asked for.
    pub fn fail(&mut self, why: Reason, after: Option<Duration>, now: Timestamp, entropy: &dyn Entropy) {
        let wait = backoff(self.attempts, self.message.receiver().longest_backoff(), entropy);
        let asked = after.unwrap_or_default().min(LONGEST_WISH);
        self.attempts = self.attempts.saturating_add(1);
        self.next_at = now + wait.max(asked);
        self.last_error = Some(why);
        self.lease = None;
    }

    /// Whether it was created more than `age` ago.
    #[must_use]
    pub fn is_older_than(&self, age: Duration, now: Timestamp) -> bool {
        now.since(self.date_created) > age
    }
}

/// How long a receiver may ask to be left alone (`Retry-After`).
pub const LONGEST_WISH: Duration = Duration::from_hours(1);

/// The pause behind the try number `attempts` (from 0): from a millisecond up to 1, 2, 4, ... seconds, by chance.
#[must_use]
pub fn backoff(attempts: u32, longest: Duration, entropy: &dyn Entropy) -> Duration {
    let most = Duration::from_secs(1 << attempts.min(20)).min(longest);
    let most = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
    let mut bytes = [0; 8];
    entropy.fill(&mut bytes);
    Duration::from_millis(1 + u64::from_le_bytes(bytes) % most)
}

/// A row that was given up.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// As it was last, but for its lease.
    pub row: OutboxRow,
    /// Why it was given up.
    pub why: Reason,
    /// From when on the operator's retention counts.
    pub date_given_up: Timestamp,
}

/// There is no such dead letter, or not any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("there is no such dead letter")]
pub struct NoSuchLetter;

impl AreaRefusal for NoSuchLetter {
    const NOT_FOUND: Self = Self;

    fn code(&self) -> &'static str {
        "not_found"
    }
}

/// What went wrong, for the operator: one line of at most [`Reason::MAX_CHARACTERS`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// What is longer is cut: a reason may quote a receiver, and is written with each try.
    pub const MAX_CHARACTERS: usize = 1000;

    /// As much of `text` as is kept; what would break a line or hide one becomes a blank.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(shown(text).take(Self::MAX_CHARACTERS).collect())
    }

    /// One line of at most [`Self::MAX_CHARACTERS`].
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doubles::SeededEntropy;

    #[test]
    fn pauses_double_up_to_the_longest_and_are_by_chance() {
        let entropy = SeededEntropy::new(1);
        for (attempts, most) in [
            (0, 1),
            (1, 2),
            (2, 4),
            (8, 256),
            (9, 300),
            (40, 300),
            (u32::MAX, 300),
        ] {
            let pauses: Vec<_> = (0..2000)
                .map(|_| backoff(attempts, Duration::from_mins(5), &entropy))
                .collect();
            let most = Duration::from_secs(most);
            assert!(
                pauses
                    .iter()
                    .all(|pause| *pause <= most && *pause > Duration::ZERO)
            );
            assert!(
                pauses.iter().any(|pause| *pause < most / 10),
                "{attempts}: the whole of it is by chance"
            );
            assert!(pauses.iter().any(|pause| *pause > most * 9 / 10), "{attempts}");
        }
    }

    #[test]
    fn a_lane_is_read_as_it_is_written() {
        let sid = [7; 16];
        for receiver in [
            Receiver::Credential(CredentialSid::from_bytes(sid)),
            Receiver::Factor(FactorSid::from_bytes(sid)),
            Receiver::Sender(SenderName::parse("sms-gateway-0001").unwrap()),
            Receiver::Sender(SenderName::parse("log").unwrap()),
            Receiver::Webhook(WebhookSid::from_bytes(sid)),
        ] {
            let account = AccountSid::from_bytes([8; 16]);
            let lane = Lane { account, receiver };
            assert_eq!(Lane::from_bytes(&lane.to_bytes()), Some(lane));
            assert_eq!(lane.to_string().parse(), Ok(receiver));
        }
        assert_eq!(Lane::from_bytes(&[b'x'; 33]), None);
        assert_eq!(
            Receiver::Sender(SenderName::parse("log").unwrap()).to_string(),
            "sender:log"
        );
        assert_eq!("sender:No Name".parse::<Receiver>(), Err(NotAReceiver));
        assert_eq!(
            "AC00000000000000000000000000000000".parse::<Receiver>(),
            Err(NotAReceiver)
        );
    }

    #[test]
    fn a_reason_is_one_line_of_bounded_length() {
        let reason = Reason::new(&format!("status 500\r\n{}", "\u{20ac}".repeat(2000)));
        assert_eq!(reason.as_str().chars().count(), Reason::MAX_CHARACTERS);
        assert!(reason.as_str().starts_with("status 500  \u{20ac}"), "{reason}");
    }
}
