//! Which versions of factors, destinations, counts of wrong codes and heads of the audit log are known to be over: an old one that
//! comes back was put there by somebody who has a copy of it, for its MAC is right.
//!
//! It is known for as long as the process runs, of what it read or wrote itself, and of so many entries: whoever puts the
//! whole store back while no server runs is not noticed here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::{Assertion, Batch, Version};
use crate::domain::audit::AuditHead;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::entity::Entity;
use crate::domain::factor::Factor;
use crate::domain::wrong_codes::WrongCodes;
use crate::store::keys::KeyParts;
use crate::store::records::Record;

/// What one process knows of versions.
#[derive(Default)]
pub(super) struct KnownVersions {
    /// Counts what is noted, to tell what was noted before a read began.
    time: AtomicU64,
    known: Mutex<KnownEntries>,
}

/// However many users come by, nothing is forgotten of the accounts.
#[derive(Default)]
struct KnownEntries {
    of_users: Generations,
    of_accounts: Generations,
}

/// Those that were of use lately, and those before them, which go when there are too many of the first.
#[derive(Default)]
struct Generations {
    young: HashMap<Box<[u8]>, VersionHistory>,
    old: HashMap<Box<[u8]>, VersionHistory>,
}

/// What is known of the versions of an entry.
#[derive(Default)]
struct VersionHistory {
    /// The one that was read last.
    current: Option<(u32, u32)>,
    /// By whose count (the upper half, in which the processes that share a store differ): all up to this one are over.
    over: Vec<(u32, u32)>,
    noted: u64,
}

impl KnownVersions {
    /// The moment when a read begins.
    pub(super) fn now(&self) -> u64 {
        self.time.load(Ordering::SeqCst)
    }

    /// Whether this version of the entry at `key` was over when the read `began` that has found it. If not, those before it
    /// are from now on.
    pub(super) fn is_superseded(&self, key: &[u8], version: Version, began: u64) -> bool {
        if !is_watched(key) {
            return false;
        }
        self.lock().with(key, |found| {
            if found.noted > began {
                // Two reads were under way at once, and nobody knows which one looked first.
                return false;
            }
            let version = halves(version);
            if found.current == Some(version) {
                return false;
            }
            if found.is_over(version) {
                return true;
            }
            if let Some(before) = found.current.replace(version) {
                found.end(before);
            }
            found.noted = self.next();
            false
        })
    }

    /// Of which versions a batch says that they are over once it is committed.
    #[expect(clippy::unused_self, reason = "the two halves of one act belong together")]
    pub(super) fn replaced_by(&self, batch: &Batch) -> Vec<(Vec<u8>, Version)> {
        let written = |key: &[u8]| {
            batch.written_keys().any(|written| written == key)
                || batch.deleted_keys().any(|deleted| deleted == key)
        };
        let replaced = batch.assertions.iter().filter_map(|assertion| match assertion {
            Assertion::At(key, version) if is_watched(key) && written(key) => Some((key.clone(), *version)),
            _ => None,
        });
        replaced.collect()
    }

    /// Notes that these versions are over.
    pub(super) fn note_replaced(&self, replaced: Vec<(Vec<u8>, Version)>) {
        for (key, version) in replaced {
            self.lock().with(&key, |found| {
                found.end(halves(version));
                found.noted = self.next();
            });
        }
    }

    /// Forgets all: what is older than it was counts again.
    pub(super) fn forget(&self) {
        *self.lock() = KnownEntries::default();
    }

    fn next(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst) + 1
    }

    fn lock(&self) -> MutexGuard<'_, KnownEntries> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl VersionHistory {
    /// Whether others of the same count came after it: those rise.
    fn is_over(&self, (count, lower): (u32, u32)) -> bool {
        let before = |(of, last): &(u32, u32)| *of == count && lower <= *last;
        self.over.iter().any(before) || self.current.iter().any(before)
    }

    /// This version, and those of its count before it, are over.
    fn end(&mut self, (count, lower): (u32, u32)) {
        if self.current == Some((count, lower)) {
            self.current = None;
        }
        match self.over.iter_mut().find(|(of, _)| *of == count) {
            Some((_, last)) => *last = lower.max(*last),
            None => self.over.push((count, lower)),
        }
        if self.over.len() > MOST_COUNTS {
            self.over.remove(0);
        }
    }
}

impl KnownEntries {
    /// What `visit` says of what is known of `key`, and may change.
    fn with<T>(&mut self, key: &[u8], visit: impl FnOnce(&mut VersionHistory) -> T) -> T {
        if key.first() == Some(&AuditHead::KIND) {
            self.of_accounts.with(key, visit)
        } else {
            self.of_users.with(key, visit)
        }
    }
}

impl Generations {
    fn with<T>(&mut self, key: &[u8], visit: impl FnOnce(&mut VersionHistory) -> T) -> T {
        if let Some(known) = self.young.get_mut(key) {
            return visit(known);
        }
        if self.young.len() >= MOST_KNOWN / 2 {
            self.old = std::mem::take(&mut self.young);
        }
        let mut known = self.old.remove(key).unwrap_or_default();
        let said = visit(&mut known);
        self.young.insert(key.into(), known);
        said
    }
}

/// Whether the entry at `key` is one whose past would let somebody guess on (a factor, a destination, or the wrong codes for one), or
/// hide what the audit log had told: its head.
fn is_watched(key: &[u8]) -> bool {
    // Most entries are none of them, and are told by less.
    let may_be = match key {
        [letter, rest @ ..] if *letter == Entity::KIND => {
            rest.len() > SID && rest[rest.len() - SID - 1] == Factor::KIND
        }
        [letter, ..] => [DestinationRecord::KIND, WrongCodes::KIND, AuditHead::KIND].contains(letter),
        [] => false,
    };
    may_be
        && matches!(
            KeyParts::parse(key),
            Some(
                KeyParts::Factor(..)
                    | KeyParts::Destination(..)
                    | KeyParts::WrongCodes(..)
                    | KeyParts::AuditHead(..)
            )
        )
}

#[expect(clippy::cast_possible_truncation, reason = "both halves are wanted")]
fn halves(version: Version) -> (u32, u32) {
    ((version.0 >> 32) as u32, version.0 as u32)
}

const SID: usize = 16;

/// Of how many entries versions are known at the most: of users, and of accounts.
const MOST_KNOWN: usize = 32_768;

/// Of how many processes' counts they are.
const MOST_COUNTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::destination::Destination;
    use crate::domain::entity::EntityScope;
    use crate::domain::phone::PhoneNumber;
    use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, FactorSid, ServiceSid};
    use crate::domain::text::Identity;
    use crate::store::keys;

    fn key(number: u32) -> Vec<u8> {
        let number = PhoneNumber::try_from(format!("+32470{number:06}")).unwrap();
        let destination = Destination::Phone(number);
        keys::destination(ServiceSid::from_bytes([7; 16]), &destination).into_bytes()
    }

    /// What is over of each that is watched does not come back, and of nothing else is anything known.
    #[test]
    fn what_would_let_somebody_guess_on_or_hide_is_watched() {
        let (account, service) = (AccountSid::from_bytes([1; 16]), ServiceSid::from_bytes([2; 16]));
        let phone = Destination::Phone(PhoneNumber::try_from("+32470123456".to_owned()).unwrap());
        let scope = EntityScope {
            account,
            service,
            identity: Identity::parse("owl-of-the-bank").unwrap(),
            entity: EntitySid::from_bytes([3; 16]),
        };
        let sid = [4; 16];
        let watched = [
            keys::factor(&scope, FactorSid::from_bytes(sid)).into_bytes(),
            keys::destination(service, &phone).into_bytes(),
            keys::wrong_codes(account, &phone).into_bytes(),
            keys::audit_head(account).into_bytes(),
        ];
        let others = [
            keys::challenge(&scope, ChallengeSid::from_bytes(sid)).into_bytes(),
            keys::entity(service, &scope.identity).into_bytes(),
            keys::account(account).into_bytes(),
        ];
        let known = KnownVersions::default();
        for (keys, comes_back) in [(&watched[..], false), (&others[..], true)] {
            for key in keys {
                let read = |version| known.is_superseded(key, Version(version), known.now());
                assert!(!read(5) && !read(7), "{key:?}");
                assert_eq!(read(5), !comes_back, "{key:?}");
            }
        }
    }

    fn read(known: &KnownVersions, version: u64) -> bool {
        known.is_superseded(&key(1), Version(version), known.now())
    }

    #[test]
    fn what_was_read_or_replaced_does_not_come_back() {
        let known = KnownVersions::default();
        assert!(!read(&known, 5) && !read(&known, 5) && !read(&known, 7));
        assert!(read(&known, 5) && !read(&known, 7));
        let batch = Batch::new().assert_at(key(1), Version(7)).put(key(1), Vec::new());
        known.note_replaced(known.replaced_by(&batch));
        assert!(read(&known, 7) && !read(&known, 8));
        known.forget();
        assert!(!read(&known, 5));
    }

    /// Versions of two processes only differ.
    #[test]
    fn another_process_counts_for_itself() {
        let known = KnownVersions::default();
        let (first, second) = (6 << 32, 7 << 32);
        assert!(!read(&known, first + 99) && !read(&known, second + 5) && !read(&known, first + 100));
        assert!(read(&known, first + 99) && read(&known, second + 5));
    }

    #[test]
    fn a_read_that_began_before_is_not_blamed() {
        let known = KnownVersions::default();
        assert!(!read(&known, 5));
        let began = known.now();
        assert!(!read(&known, 6));
        assert!(!known.is_superseded(&key(1), Version(5), began));
        assert!(read(&known, 5));
    }

    #[test]
    fn so_many_are_known_and_no_more() {
        let known = KnownVersions::default();
        let head = keys::audit_head(AccountSid::from_bytes([1; 16])).into_bytes();
        known.is_superseded(&head, Version(2), known.now());
        for number in 0..2 * u32::try_from(MOST_KNOWN).unwrap() {
            known.is_superseded(&key(number), Version(1), known.now());
        }
        assert!(
            known.is_superseded(&head, Version(1), known.now()),
            "none of those is an account's"
        );
        let locked = known.lock();
        assert!(locked.of_users.young.len() + locked.of_users.old.len() <= MOST_KNOWN);
    }
}
