//! Lanes that are due and wait for a place.
//!
//! Each pool has two tracks: what was slow or failed the last time is not in the way of the rest. On a track the next place
//! goes to the account that has the fewest, and of those to the one that has waited longest; no account takes so many that
//! nothing is left for others ([`Shares`]). How many lanes an account has makes no difference to others, nor to how long it
//! takes to choose one.
//!
//! Within an account what serves many (a push provider) and what serves one (a device with a push service of its own choice)
//! take turns, and those that serve one leave some of the account's places to the others: somebody may have many devices that
//! hang.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};

use super::worker::Limits;
use crate::domain::outbox::{DeliveryPool, Lane};
use crate::domain::shares::Shares;
use crate::domain::sid::AccountSid;

/// Where a lane waits, and whose places its visit takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Track {
    pub(super) pool: DeliveryPool,
    /// Whether the receiver was slow or failed the last time.
    pub(super) slow: bool,
}

impl Track {
    /// All there are.
    pub(super) fn all() -> impl Iterator<Item = Self> {
        let pools = [DeliveryPool::Codes, DeliveryPool::Pushes, DeliveryPool::Webhooks];
        let tracks = pools.map(|pool| [false, true].map(|slow| Self { pool, slow }));
        tracks.into_iter().flatten()
    }
}

/// The lanes that wait, by track.
#[derive(Debug)]
pub(super) struct Queues(BTreeMap<Track, Queue>);

/// The lanes that wait on one track.
#[derive(Debug)]
struct Queue {
    places: Shares<AccountSid>,
    /// How many places the receivers of an account have that serve one device, and may have.
    single: HashMap<AccountSid, usize>,
    most_single: usize,
    waiting: HashMap<AccountSid, AccountLanes>,
    /// The accounts with lanes that wait: by how many places each has, then by when it had its last turn.
    order: BTreeSet<(usize, u64, AccountSid)>,
    turns: u64,
}

#[derive(Debug)]
struct AccountLanes {
    /// Where it stands in the order.
    held: usize,
    turn: u64,
    /// Of receivers that serve many.
    shared: VecDeque<Lane>,
    /// Of receivers that serve one.
    single: VecDeque<Lane>,
    /// Whose turn it is where both wait.
    single_is_next: bool,
}

impl AccountLanes {
    fn of(&mut self, lane: Lane) -> &mut VecDeque<Lane> {
        if is_single(lane) {
            &mut self.single
        } else {
            &mut self.shared
        }
    }

    fn is_empty(&self) -> bool {
        self.shared.is_empty() && self.single.is_empty()
    }

    /// The next lane, of those that serve one only if these `may` go on.
    fn pop(&mut self, may: bool) -> Option<Lane> {
        let single = may && !self.single.is_empty() && (self.single_is_next || self.shared.is_empty());
        self.single_is_next = !single;
        if single {
            self.single.pop_front()
        } else {
            self.shared.pop_front()
        }
    }
}

/// Whether it is one device's. Webhooks are few, and the account's own.
fn is_single(lane: Lane) -> bool {
    lane.receiver.pool() == DeliveryPool::Pushes && !lane.receiver.serves_many()
}

impl Queues {
    pub(super) fn new(limits: &Limits) -> Self {
        let queue = |track: Track| {
            let places = if track.slow {
                limits.slow_visits
            } else {
                limits.visits
            };
            (track, Queue::new(places))
        };
        Self(Track::all().map(queue).collect())
    }

    /// Lets a lane wait that does not.
    pub(super) fn push(&mut self, lane: Lane, track: Track) {
        if let Some(queue) = self.0.get_mut(&track) {
            queue.push(lane);
        }
    }

    /// The next lane that there is a place for, which it takes until [`Queues::done`].
    pub(super) fn next(&mut self) -> Option<(Lane, Track)> {
        let mut queues = self.0.iter_mut();
        queues.find_map(|(track, queue)| Some((queue.next()?, *track)))
    }

    /// The visit of a lane is over.
    pub(super) fn done(&mut self, lane: Lane, track: Track) {
        if let Some(queue) = self.0.get_mut(&track) {
            queue.done(lane);
        }
    }
}

impl Queue {
    fn new(places: usize) -> Self {
        Self {
            places: Shares::halves(places),
            single: HashMap::new(),
            // Three quarters of the half that an account has.
            most_single: (places * 3 / 8).max(1),
            waiting: HashMap::new(),
            order: BTreeSet::new(),
            turns: 0,
        }
    }

    fn push(&mut self, lane: Lane) {
        let account = lane.account;
        let (held, turn) = (self.places.held(account), self.turns);
        let waiting = self.waiting.entry(account).or_insert_with(|| {
            self.order.insert((held, turn, account));
            AccountLanes {
                held,
                turn,
                shared: VecDeque::new(),
                single: VecDeque::new(),
                single_is_next: false,
            }
        });
        waiting.of(lane).push_back(lane);
    }

    fn next(&mut self) -> Option<Lane> {
        // Those that are passed over have most of their places taken, so they are few.
        let account = self
            .order
            .iter()
            .map(|(_, _, account)| *account)
            .find(|account| {
                let waiting = self.waiting.get(account);
                waiting.is_some_and(|waiting| !waiting.shared.is_empty() || self.may_single(*account))
            })?;
        // Whoever has more gets none either.
        if !self.places.take(account) {
            return None;
        }
        let may_single = self.may_single(account);
        let lane = self.waiting.get_mut(&account)?.pop(may_single);
        if lane.is_some_and(is_single) {
            *self.single.entry(account).or_default() += 1;
        }
        self.turns += 1;
        let turn = self.turns;
        self.stand(account, Some(turn));
        lane
    }

    fn may_single(&self, account: AccountSid) -> bool {
        self.single
            .get(&account)
            .is_none_or(|held| *held < self.most_single)
    }

    fn done(&mut self, lane: Lane) {
        let account = lane.account;
        if is_single(lane)
            && let Some(held) = self.single.get_mut(&account)
        {
            *held -= 1;
            if *held == 0 {
                self.single.remove(&account);
            }
        }
        self.places.give_back(account);
        self.stand(account, None);
    }

    /// Puts an account where it belongs in the order, or takes it out if nothing of it waits.
    fn stand(&mut self, account: AccountSid, turn: Option<u64>) {
        let Some(waiting) = self.waiting.get_mut(&account) else {
            return;
        };
        self.order.remove(&(waiting.held, waiting.turn, account));
        if waiting.is_empty() {
            self.waiting.remove(&account);
            return;
        }
        waiting.held = self.places.held(account);
        waiting.turn = turn.unwrap_or(waiting.turn);
        self.order.insert((waiting.held, waiting.turn, account));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::outbox::Receiver;
    use crate::domain::sid::{CredentialSid, FactorSid, WebhookSid};

    const TRACK: Track = Track {
        pool: DeliveryPool::Webhooks,
        slow: false,
    };

    fn lane(account: u8, number: u32) -> Lane {
        let mut sid = [0; 16];
        sid[..4].copy_from_slice(&number.to_be_bytes());
        Lane {
            account: AccountSid::from_bytes([account; 16]),
            receiver: Receiver::Webhook(WebhookSid::from_bytes(sid)),
        }
    }

    fn queues(visits: usize) -> Queues {
        Queues::new(&Limits {
            visits,
            ..Limits::default()
        })
    }

    fn account_of(next: Option<(Lane, Track)>) -> Option<u32> {
        next.map(|(lane, _)| u32::from(lane.account.as_bytes()[0]))
    }

    #[test]
    fn two_accounts_with_twice_as_much_as_there_is_leave_places_for_a_third_one() {
        let mut queues = queues(256);
        for number in 0..512 {
            queues.push(lane(1, number), TRACK);
            queues.push(lane(2, number), TRACK);
        }
        let begun: Vec<_> = std::iter::from_fn(|| account_of(queues.next())).collect();
        let of = |account| begun.iter().filter(|begun| **begun == account).count();
        assert!(of(1).abs_diff(of(2)) <= 1 && of(1) >= 85, "{} {}", of(1), of(2));
        for number in 0..40 {
            queues.push(lane(3, number), TRACK);
            assert_eq!(account_of(queues.next()), Some(3), "{number}");
        }
    }

    #[test]
    fn a_place_that_is_given_back_goes_to_whoever_has_fewest_and_all_get_their_turn() {
        let mut queues = queues(4);
        for number in 0..100 {
            queues.push(lane(1, number), TRACK);
        }
        let first: Vec<_> = std::iter::from_fn(|| queues.next()).collect();
        assert_eq!(first.len(), 2);
        for account in 2..5 {
            for number in 0..10 {
                queues.push(lane(account, number), TRACK);
            }
        }
        let mut got = Vec::new();
        let mut running: VecDeque<_> = first.into();
        while got.len() < 60 {
            while let Some(next) = queues.next() {
                got.push(u32::from(next.0.account.as_bytes()[0]));
                running.push_back(next);
            }
            let (lane, track) = running.pop_front().unwrap();
            queues.done(lane, track);
        }
        for account in 2..5 {
            // All ten of each, while the first one has ninety more.
            let last = got.iter().rposition(|got| *got == account).unwrap();
            assert!(last < 50, "{account}: {got:?}");
            assert_eq!(got.iter().filter(|got| **got == account).count(), 10);
        }
    }

    #[test]
    fn tracks_have_places_of_their_own() {
        let mut queues = queues(2);
        let tracks: Vec<_> = Track::all().collect();
        for (number, track) in tracks.iter().enumerate() {
            for more in 0..10 {
                queues.push(lane(1, u32::try_from(100 * number + more).unwrap()), *track);
            }
        }
        let begun: Vec<_> = std::iter::from_fn(|| queues.next()).collect();
        for track in tracks {
            assert!(begun.iter().any(|(_, begun)| *begun == track), "{track:?}");
        }
    }

    #[test]
    fn nothing_is_left_of_accounts_that_are_through() {
        let mut queues = queues(8);
        queues.push(lane(1, 1), TRACK);
        let (lane, track) = queues.next().unwrap();
        queues.done(lane, track);
        let queue = &queues.0[&TRACK];
        assert!(queue.waiting.is_empty() && queue.order.is_empty() && queue.places.taken() == 0);
    }

    #[test]
    fn devices_of_ones_own_choice_leave_places_to_a_push_provider() {
        let track = Track {
            pool: DeliveryPool::Pushes,
            slow: false,
        };
        let of = |receiver| Lane {
            account: AccountSid::from_bytes([1; 16]),
            receiver,
        };
        let mut queues = queues(256);
        for number in 0..1500_u32 {
            let mut sid = [0; 16];
            sid[..4].copy_from_slice(&number.to_be_bytes());
            queues.push(of(Receiver::Factor(FactorSid::from_bytes(sid))), track);
        }
        let hanging: Vec<_> = std::iter::from_fn(|| queues.next()).collect();
        assert_eq!(hanging.len(), 96, "three quarters of the half of an account");
        // Another account's are not held up by those that get no more.
        let theirs = Lane {
            account: AccountSid::from_bytes([2; 16]),
            receiver: Receiver::Factor(FactorSid::from_bytes([9; 16])),
        };
        queues.push(theirs, track);
        assert_eq!(queues.next().map(|(lane, _)| lane), Some(theirs));
        for number in 0..32 {
            let provider = of(Receiver::Credential(CredentialSid::from_bytes([number; 16])));
            queues.push(provider, track);
            assert_eq!(queues.next().map(|(lane, _)| lane), Some(provider), "{number}");
        }
        // Both take turns where both may go on.
        let (lane, track) = hanging[0];
        queues.done(lane, track);
        let provider = of(Receiver::Credential(CredentialSid::from_bytes([99; 16])));
        queues.push(provider, track);
        assert_eq!(
            queues.next().map(|(lane, _)| is_single(lane)),
            Some(true),
            "a provider had the last turn"
        );
        assert_eq!(queues.next(), None, "the account has its half");
    }
}
