//! Keys that clients and this server agreed on, in protocols that encrypt by themselves, and who is logged in with one.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::destination::Destination;
use super::opaque::Sealed;
use super::refusal::AreaRefusal;
use super::sid::AccountSid;
use super::time::Timestamp;

/// A key that a client and this server agreed on.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ClientKey {
    /// The key, sealed for its record.
    pub key: Sealed,
    /// Who is logged in with it.
    pub login: Option<ClientLogin>,
    /// What the client speaks, if it said so.
    pub version: Option<ClientVersion>,
    pub date_created: Timestamp,
    /// The day of its last use; the moment is nobody's business.
    pub last_used: Timestamp,
    /// From when on the client wants it no more, if it said so.
    pub expires_at: Option<Timestamp>,
}

/// Who is logged in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientLogin {
    /// The account that the code was sent for.
    pub account: AccountSid,
    /// Where the code went.
    pub destination: Destination,
    /// A number that stands for the destination in this account: 1 to 2^40 - 1, always the same.
    pub user: u64,
    /// Since when.
    pub since: Timestamp,
}

/// Which version of its protocol a client said that it speaks. It says so once, and means all that it does with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ClientVersion {
    pub number: u32,
    /// When it was written down.
    pub since: Timestamp,
}

/// How long keys are kept without a use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct KeyLives {
    pub logged_in: Duration,
    pub otherwise: Duration,
}

impl ClientKey {
    /// When it is forgotten if it is not used again.
    #[must_use]
    pub fn forgotten_at(&self, lives: KeyLives) -> Timestamp {
        let life = match self.login {
            Some(_) => lives.logged_in,
            None => lives.otherwise.min(lives.logged_in),
        };
        let unused = self.last_used + life;
        self.expires_at.map_or(unused, |end| end.min(unused))
    }

    /// Notes a use; says whether that is worth to be written down, which it is once a day at the most, or sooner where keys live
    /// for less.
    pub fn used(&mut self, now: Timestamp, lives: KeyLives) -> bool {
        let life = self.forgotten_at(lives).since(self.last_used);
        let is_news = now.since(self.last_used) >= DAY.min(life / 8) || self.last_used.was_set_back(now);
        if is_news {
            self.last_used = now;
        }
        is_news
    }

    /// Notes which version the client speaks; says whether that is worth to be written down, which it is once a minute at the
    /// most, whatever a client says in between.
    pub fn speaks(&mut self, number: u32, now: Timestamp) -> bool {
        let is_news = match self.version {
            None => true,
            Some(known) => {
                known.number != number && (now.since(known.since) >= MINUTE || known.since.was_set_back(now))
            }
        };
        if is_news {
            self.version = Some(ClientVersion { number, since: now });
        }
        is_news
    }
}

const MINUTE: Duration = Duration::from_mins(1);
const DAY: Duration = Duration::from_hours(24);

/// Why nothing became of what somebody wanted of such a key.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// There is no such key, or not any more.
    #[error("there is no such key")]
    NotFound,
    /// There is another key of this name.
    #[error("there is another key of this name")]
    Taken,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(login: bool) -> ClientKey {
        let login = login.then(|| ClientLogin {
            account: AccountSid::from_bytes([1; 16]),
            destination: Destination::Phone("+12025550123".to_owned().try_into().unwrap()),
            user: 7,
            since: Timestamp::from_seconds(0),
        });
        ClientKey {
            key: Sealed::from_bytes(Vec::new()),
            login,
            version: None,
            date_created: Timestamp::from_seconds(0),
            last_used: Timestamp::from_seconds(1000),
            expires_at: None,
        }
    }

    const LIVES: KeyLives = KeyLives {
        logged_in: Duration::from_hours(24 * 180),
        otherwise: Duration::from_hours(24),
    };

    #[test]
    fn a_key_without_a_login_is_forgotten_sooner_and_one_with_an_end_then() {
        let day = Timestamp::from_seconds(1000) + DAY;
        assert_eq!(key(false).forgotten_at(LIVES), day);
        assert!(key(true).forgotten_at(LIVES) > day + DAY);
        let ending = ClientKey {
            expires_at: Some(Timestamp::from_seconds(1100)),
            ..key(true)
        };
        assert_eq!(ending.forgotten_at(LIVES), Timestamp::from_seconds(1100));
        let short = KeyLives {
            logged_in: Duration::from_mins(1),
            ..LIVES
        };
        assert_eq!(key(false).forgotten_at(short), Timestamp::from_seconds(1060));
    }

    #[test]
    fn a_version_is_written_down_when_it_is_new_and_once_a_minute() {
        let mut key = key(false);
        for (seconds, number, written) in [
            (0, 229, true),
            (1, 229, false),
            (59, 186, false),
            (60, 186, true),
            (61, 229, false),
            (500, 186, false),
        ] {
            assert_eq!(
                key.speaks(number, Timestamp::from_seconds(5000 + seconds)),
                written,
                "{seconds}"
            );
        }
        assert!(
            key.speaks(229, Timestamp::from_seconds(10)),
            "the clock was set back"
        );
        assert_eq!(key.version.map(|version| version.number), Some(229));
    }

    #[test]
    fn uses_are_written_down_seldom_and_in_time() {
        let at = |seconds: u64| Timestamp::from_seconds(1000 + seconds);
        for (login, seconds, written) in [
            (true, 0, false),
            (true, 86_399, false),
            (true, 86_400, true),
            (false, 10_799, false),
            (false, 10_800, true),
        ] {
            let mut key = key(login);
            assert_eq!(key.used(at(seconds), LIVES), written, "{login}, {seconds}");
            assert_eq!(key.last_used == at(seconds), written || seconds == 0);
        }
        assert!(
            key(true).used(Timestamp::from_seconds(10), LIVES),
            "the clock was set back"
        );
    }
}
