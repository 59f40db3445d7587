//! Lanes that are due and wait for a place.
//!
//! Each pool has two tracks: what was slow or failed the last time is not in the way of the rest. On a track the next place
//! goes to the account that has the fewest, and of those to the one that has waited longest; no account takes so many that
//! nothing is left for others ([`Shares`]). How many lanes an account has makes no difference to others, nor to how long it
//! takes to choose one.

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
    lanes: VecDeque<Lane>,
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
            queue.done(lane.account);
        }
    }
}

impl Queue {
    fn new(places: usize) -> Self {
        Self {
            places: Shares::halves(places),
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
                lanes: VecDeque::new(),
            }
        });
        waiting.lanes.push_back(lane);
    }

    fn next(&mut self) -> Option<Lane> {
        let &(_, _, account) = self.order.first()?;
        // Whoever has more gets none either.
        if !self.places.take(account) {
            return None;
        }
        let lane = self.waiting.get_mut(&account)?.lanes.pop_front();
        self.turns += 1;
        let turn = self.turns;
        self.stand(account, Some(turn));
        lane
    }

    fn done(&mut self, account: AccountSid) {
        self.places.give_back(account);
        self.stand(account, None);
    }

    /// Puts an account where it belongs in the order, or takes it out if nothing of it waits.
    fn stand(&mut self, account: AccountSid, turn: Option<u64>) {
        let Some(waiting) = self.waiting.get_mut(&account) else {
            return;
        };
        self.order.remove(&(waiting.held, waiting.turn, account));
        if waiting.lanes.is_empty() {
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
    use crate::domain::sid::WebhookSid;

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
}
