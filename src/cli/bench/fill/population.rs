//! Who is in a filled store: everybody follows from a seed and a number, so that whoever loads the server later knows the
//! secret and the identifiers of each, and need not ask for them.
//!
//! Whoever knows the seed knows all secrets.

use std::fmt;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use aws_lc_rs::hmac;

use crate::crypto::plain_token::PlainToken;
use crate::crypto::totp::TotpSecret;
use crate::domain::entropy::Entropy;
use crate::domain::sid::{AccountSid, FactorSid, ServiceSid, SidSource};
use crate::domain::text::{FriendlyName, Identity, Invalid};
use crate::domain::time::{Clock, Timestamp};
use crate::domain::totp_algorithm::TotpAlgorithm;

/// An account with one service, and entities of one TOTP factor each. They are numbered from 1; 0 is the service.
#[derive(Clone)]
pub(in crate::cli::bench) struct Population(hmac::Key);

/// What is drawn for a number.
#[derive(Clone, Copy)]
enum PopulationDraw {
    Account = 0,
    Token = 1,
    Identity = 2,
    Secret = 3,
    Sids = 4,
}

impl Population {
    /// The one that belongs to a seed.
    pub(in crate::cli::bench) fn of(seed: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, seed.as_bytes()))
    }

    pub(in crate::cli::bench) fn account(&self) -> AccountSid {
        AccountSid::generate_at(Self::began(0), &self.drawn(PopulationDraw::Account, 0))
    }

    /// The account's auth token.
    pub(in crate::cli::bench) fn token(&self) -> PlainToken {
        PlainToken::auth_token(&self.drawn(PopulationDraw::Token, 0))
    }

    pub(in crate::cli::bench) fn service(&self) -> ServiceSid {
        ServiceSid::generate_at(Self::began(0), &self.drawn(PopulationDraw::Sids, 0))
    }

    /// As most callers name their users: with a UUID, which says nothing of the order in which they came.
    ///
    /// # Errors
    /// None: it is as long as an identity may be.
    pub(in crate::cli::bench) fn identity(&self, number: u64) -> Result<Identity, Invalid> {
        let mut bytes = [0; 16];
        self.drawn(PopulationDraw::Identity, number).fill(&mut bytes);
        let mut text = format!("{:032x}", u128::from_be_bytes(bytes));
        for dash in [8, 13, 18, 23] {
            text.insert(dash, '-');
        }
        Identity::parse(&text)
    }

    /// What the factor is called.
    ///
    /// # Errors
    /// None: it is as long as a name may be.
    pub(super) fn friendly_name(number: u64) -> Result<FriendlyName, Invalid> {
        FriendlyName::parse(&format!("user-{number:08}@example.com"))
    }

    pub(in crate::cli::bench) fn secret(&self, number: u64) -> TotpSecret {
        TotpSecret::generate(TotpAlgorithm::Sha1, &self.drawn(PopulationDraw::Secret, number))
    }

    /// An enrolment draws the identifier of the factor first.
    pub(in crate::cli::bench) fn factor(&self, number: u64) -> FactorSid {
        FactorSid::generate_at(Self::began(number), &self.drawn(PopulationDraw::Sids, number))
    }

    /// When it was enrolled: long ago, so that none of the steps that are live now was used.
    fn began(number: u64) -> Timestamp {
        Timestamp::from_millis(BEGAN_MILLIS.saturating_add(number))
    }

    fn drawn(&self, draw: PopulationDraw, number: u64) -> Drawn<'_> {
        Drawn {
            key: &self.0,
            draw,
            number,
            position: AtomicU32::new(0),
        }
    }
}

impl fmt::Debug for Population {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Population(..)")
    }
}

/// The bytes that are drawn for one thing, one after the other.
struct Drawn<'p> {
    key: &'p hmac::Key,
    draw: PopulationDraw,
    number: u64,
    /// How many blocks were taken.
    position: AtomicU32,
}

impl Entropy for Drawn<'_> {
    fn fill(&self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(hmac::HMAC_SHA256.digest_algorithm().output_len()) {
            let mut context = hmac::Context::with_key(self.key);
            context.update(&[self.draw as u8]);
            context.update(&self.number.to_be_bytes());
            context.update(&self.position.fetch_add(1, Ordering::Relaxed).to_be_bytes());
            chunk.copy_from_slice(&context.sign().as_ref()[..chunk.len()]);
        }
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Drawn(..)")
    }
}

/// Whose turn it is to be enrolled: what time it is then, and which identifiers come next. It belongs to one enrolment at a
/// time.
#[derive(Debug)]
pub(super) struct EnrolmentTurn {
    population: Population,
    number: AtomicU64,
    /// How many identifiers this turn has had.
    sids: AtomicU32,
}

impl EnrolmentTurn {
    /// The turn of the service.
    pub(super) fn new(population: Population) -> Self {
        Self {
            population,
            number: AtomicU64::new(0),
            sids: AtomicU32::new(0),
        }
    }

    /// It is the turn of this number.
    pub(super) fn begin(&self, number: u64) {
        self.number.store(number, Ordering::Relaxed);
        self.sids.store(0, Ordering::Relaxed);
    }
}

impl Clock for EnrolmentTurn {
    fn now(&self) -> Timestamp {
        Population::began(self.number.load(Ordering::Relaxed))
    }
}

impl SidSource for EnrolmentTurn {
    /// What comes before in a turn is smaller or larger by chance: nothing that is listed together comes from one turn.
    fn next(&self, now: Timestamp, _behind: [u8; 16]) -> [u8; 16] {
        let drawn = Drawn {
            position: AtomicU32::new(self.sids.fetch_add(1, Ordering::Relaxed)),
            ..self
                .population
                .drawn(PopulationDraw::Sids, self.number.load(Ordering::Relaxed))
        };
        *FactorSid::generate_at(now, &drawn).as_bytes()
    }
}

/// 2026-01-01T00:00:00Z.
const BEGAN_MILLIS: u64 = 1_767_225_600_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everybody_follows_from_the_seed_and_differs_from_all_others() {
        let (one, same, other) = (
            Population::of("a seed"),
            Population::of("a seed"),
            Population::of("another"),
        );
        let all = |population: &Population| {
            let of_each = (1..=3).flat_map(|number| {
                [
                    population.identity(number).unwrap().to_string(),
                    population.secret(number).to_base32().to_string(),
                    population.factor(number).to_string(),
                ]
            });
            let mut all: Vec<String> = of_each.collect();
            all.push(population.account().to_string());
            all.push(population.token().reveal().to_owned());
            all.push(population.service().to_string());
            all
        };
        assert_eq!(all(&one), all(&same));
        let mut both = [all(&one), all(&other)].concat();
        both.sort();
        both.dedup();
        assert_eq!(both.len(), 24);
    }

    #[test]
    fn a_turn_gives_the_identifiers_that_are_known_beforehand() {
        let population = Population::of("a seed");
        let turn = EnrolmentTurn::new(population.clone());
        assert_eq!(ServiceSid::generate(turn.now(), &turn), population.service());
        turn.begin(7);
        assert_eq!(FactorSid::generate(turn.now(), &turn), population.factor(7));
        let second = FactorSid::generate(turn.now(), &turn);
        assert_ne!(second, population.factor(7));
        turn.begin(7);
        assert_eq!(FactorSid::generate(turn.now(), &turn), population.factor(7));
    }

    #[test]
    fn those_who_come_later_have_later_identifiers() {
        let population = Population::of("a seed");
        let sids: Vec<FactorSid> = (1..1000).map(|number| population.factor(number)).collect();
        assert!(sids.is_sorted());
    }
}
