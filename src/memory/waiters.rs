//! Wakes those who wait for a change of a challenge or a factor.
//!
//! A waiter registers first, then reads the store, then waits; whoever changed something commits first, then wakes. So
//! a change is either in what the waiter reads, or it wakes the waiter: a wake-up that comes before the waiter waits is kept
//! for it. It says "look again" and nothing else, because what a waiter may see is decided where everything else is decided
//! too.
//!
//! Waiters are found by the entity that they are about. An entity nobody waits for is not in the map, so that a change
//! costs one look into a map that is almost empty.
//!
//! When all places are taken, an account that has fewer than another one gets one of that one's: its oldest waiter need not
//! wait any longer, and is answered with what there is. So one account may have all places that nobody else wants, and none
//! is kept from waiting by another one.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::news::{ChangeNews, NewsItem};
use crate::domain::entity::EntityScope;
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, FactorSid, ServiceSid};

/// Everybody who waits, in this process.
#[derive(Debug, Default)]
pub struct Waiters {
    state: Mutex<WaitersState>,
    news: ChangeNews,
}

#[derive(Debug, Default)]
struct WaitersState {
    closing: bool,
    waiting: usize,
    entities: HashMap<EntitySid, Group>,
    /// The waiters of each account, the oldest first.
    accounts: HashMap<AccountSid, BTreeMap<u64, Arc<WaiterCall>>>,
    /// The accounts by how many waiters they have.
    order: BTreeSet<(usize, AccountSid)>,
    /// How many there ever were.
    registered: u64,
}

/// How a waiter is reached.
#[derive(Debug, Default)]
struct WaiterCall {
    wakeup: Notify,
    /// Its place was given to somebody else.
    is_over: AtomicBool,
}

/// Those who wait for something of one entity.
#[derive(Debug)]
struct Group {
    account: AccountSid,
    service: ServiceSid,
    members: Vec<Member>,
}

#[derive(Debug)]
struct Member {
    interest: Interest,
    call: Arc<WaiterCall>,
}

/// What somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// Changes of one challenge.
    Challenge(ChallengeSid),
    /// New challenges of an entity, and changes of all of its challenges.
    Entity,
    /// New challenges of one factor, and changes of all of its challenges.
    Factor(FactorSid),
}

/// One more would be too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("too many requests wait already")]
pub struct TooManyWait;

/// Somebody who waits, until dropped.
#[derive(Debug)]
pub struct Waiter {
    all: Arc<Waiters>,
    account: AccountSid,
    entity: EntitySid,
    number: u64,
    call: Arc<WaiterCall>,
}

impl Waiters {
    /// The most that wait for the same challenge, the same factor, or new challenges of the same entity: the devices and
    /// the backends of one user, with a few that are gone and not missed yet.
    pub const MOST_FOR_THE_SAME: usize = 8;

    /// Registers somebody who waits for `interest` in the entity; `most` may wait altogether.
    ///
    /// # Errors
    /// [`TooManyWait`] when `most` wait and no account has more than this one would have then, or when
    /// [`Waiters::MOST_FOR_THE_SAME`] wait for the same.
    pub fn register(
        self: &Arc<Self>,
        scope: &EntityScope,
        interest: Interest,
        most: usize,
    ) -> Result<Waiter, TooManyWait> {
        let call = Arc::<WaiterCall>::default();
        let mut state = self.lock();
        let same = state.entities.get(&scope.entity).map_or(0, |group| {
            let members = group.members.iter();
            members.filter(|member| member.interest == interest).count()
        });
        if same >= Self::MOST_FOR_THE_SAME {
            return Err(TooManyWait);
        }
        if state.waiting >= most && !state.give_up_one_for(scope.account) {
            return Err(TooManyWait);
        }
        if state.closing {
            call.wakeup.notify_one();
        }
        let number = state.enter(scope.account, Arc::clone(&call));
        let group = state.entities.entry(scope.entity).or_insert_with(|| Group {
            account: scope.account,
            service: scope.service,
            members: Vec::with_capacity(1),
        });
        group.members.push(Member {
            interest,
            call: Arc::clone(&call),
        });
        drop(state);
        Ok(Waiter {
            all: Arc::clone(self),
            account: scope.account,
            entity: scope.entity,
            number,
            call,
        })
    }

    /// A challenge of the entity's factor was created or changed, and that is committed.
    pub fn challenge_changed(&self, entity: EntitySid, factor: FactorSid, challenge: ChallengeSid) {
        self.news.note(NewsItem::Entity(entity));
        let state = self.lock();
        let Some(group) = state.entities.get(&entity) else {
            return;
        };
        for member in &group.members {
            let concerned = match member.interest {
                Interest::Challenge(wanted) => wanted == challenge,
                Interest::Entity => true,
                Interest::Factor(wanted) => wanted == factor,
            };
            if concerned {
                member.call.wakeup.notify_one();
            }
        }
    }

    /// The entity was deleted, or one of its factors was deleted or can be used no longer, and that is committed.
    pub fn entity_changed(&self, entity: EntitySid) {
        self.changed(NewsItem::Entity(entity));
    }

    /// The service was deleted, and that is committed. Costs a look at each entity that somebody waits for.
    pub fn service_changed(&self, service: ServiceSid) {
        self.changed(NewsItem::Service(service));
    }

    /// The account was suspended or credentials of it were revoked, and that is committed. Costs as much as
    /// [`Waiters::service_changed`].
    pub fn account_changed(&self, account: AccountSid) {
        self.changed(NewsItem::Account(account));
    }

    fn changed(&self, item: NewsItem) {
        self.news.note(item);
        self.heard(item);
    }

    /// Wakes those whom it concerns, in this process only.
    pub fn heard(&self, item: NewsItem) {
        let state = self.lock();
        let groups = state.entities.values();
        match item {
            NewsItem::Entity(entity) => state.entities.get(&entity).into_iter().for_each(Group::wake),
            NewsItem::Service(service) => groups
                .filter(|group| group.service == service)
                .for_each(Group::wake),
            NewsItem::Account(account) => groups
                .filter(|group| group.account == account)
                .for_each(Group::wake),
            NewsItem::Everything => groups.for_each(Group::wake),
        }
    }

    /// The entities that somebody waits for.
    #[must_use]
    pub fn entities(&self) -> Vec<EntitySid> {
        self.lock().entities.keys().copied().collect()
    }

    /// What changed, for other processes.
    #[must_use]
    pub fn news(&self) -> &ChangeNews {
        &self.news
    }

    /// Nobody is to wait any longer: the server stops.
    pub fn close(&self) {
        let mut state = self.lock();
        state.closing = true;
        state.entities.values().for_each(Group::wake);
    }

    /// Whether [`Waiters::close`] was called.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        self.lock().closing
    }

    /// How many wait, for whatever it is.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lock().waiting
    }

    fn lock(&self) -> MutexGuard<'_, WaitersState> {
        // What is done under the lock leaves the state whole at each point where it could panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WaitersState {
    /// Counts one more, and gives it a number.
    fn enter(&mut self, account: AccountSid, call: Arc<WaiterCall>) -> u64 {
        self.registered += 1;
        self.waiting += 1;
        let calls = self.accounts.entry(account).or_default();
        self.order.remove(&(calls.len(), account));
        calls.insert(self.registered, call);
        self.order.insert((calls.len(), account));
        self.registered
    }

    /// Counts one no more, unless that is done already.
    fn leave(&mut self, account: AccountSid, number: u64) -> Option<Arc<WaiterCall>> {
        let calls = self.accounts.get_mut(&account)?;
        let before = calls.len();
        let call = calls.remove(&number)?;
        self.waiting = self.waiting.saturating_sub(1);
        self.order.remove(&(before, account));
        if calls.is_empty() {
            self.accounts.remove(&account);
        } else {
            self.order.insert((before - 1, account));
        }
        Some(call)
    }

    /// Ends the wait of one of the account that has most, if it would still have as many as `account` then.
    fn give_up_one_for(&mut self, account: AccountSid) -> bool {
        let mine = self.accounts.get(&account).map_or(0, BTreeMap::len);
        let Some(&(_, other)) = self.order.last().filter(|(theirs, _)| *theirs > mine + 1) else {
            return false;
        };
        let oldest = self
            .accounts
            .get(&other)
            .and_then(|calls| calls.keys().next().copied());
        let Some(call) = oldest.and_then(|oldest| self.leave(other, oldest)) else {
            return false;
        };
        call.is_over.store(true, Ordering::Release);
        call.wakeup.notify_one();
        true
    }
}

impl Group {
    fn wake(&self) {
        self.members
            .iter()
            .for_each(|member| member.call.wakeup.notify_one());
    }
}

impl Waiter {
    /// Waits until there is a reason to look again since this was last called.
    pub async fn woken(&self) {
        self.call.wakeup.notified().await;
    }

    /// Whether it need not wait any longer, because somebody else has its place.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.call.is_over.load(Ordering::Acquire)
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        state.leave(self.account, self.number);
        let Some(group) = state.entities.get_mut(&self.entity) else {
            return;
        };
        group
            .members
            .retain(|member| !Arc::ptr_eq(&member.call, &self.call));
        if group.members.is_empty() {
            state.entities.remove(&self.entity);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future as _;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;
    use crate::domain::text::Identity;

    fn scope(number: u8) -> EntityScope {
        EntityScope {
            account: AccountSid::from_bytes([number; 16]),
            service: ServiceSid::from_bytes([number; 16]),
            identity: Identity::parse("user-0001").unwrap(),
            entity: EntitySid::from_bytes([number; 16]),
        }
    }

    fn factor(number: u8) -> FactorSid {
        FactorSid::from_bytes([number; 16])
    }

    fn challenge(number: u8) -> ChallengeSid {
        ChallengeSid::from_bytes([number; 16])
    }

    /// Whether the waiter was woken since it was last asked.
    fn rang(waiter: &Waiter) -> bool {
        pin!(waiter.woken())
            .poll(&mut Context::from_waker(Waker::noop()))
            .is_ready()
    }

    #[test]
    fn only_those_are_woken_whom_a_change_concerns() {
        let everybody = Arc::new(Waiters::default());
        let register = |of, interest| everybody.register(&scope(of), interest, 100).unwrap();
        let waiters = [
            register(1, Interest::Entity),
            register(1, Interest::Factor(factor(1))),
            register(1, Interest::Factor(factor(2))),
            register(1, Interest::Challenge(challenge(1))),
            register(1, Interest::Challenge(challenge(2))),
            register(2, Interest::Entity),
        ];
        let rang = || waiters.each_ref().map(rang);
        everybody.challenge_changed(scope(1).entity, factor(1), challenge(1));
        assert_eq!(rang(), [true, true, false, true, false, false]);
        assert_eq!(rang(), [false; 6]);
        everybody.entity_changed(scope(1).entity);
        assert_eq!(rang(), [true, true, true, true, true, false]);
        everybody.service_changed(scope(2).service);
        assert_eq!(rang(), [false, false, false, false, false, true]);
        everybody.account_changed(scope(1).account);
        assert_eq!(rang(), [true, true, true, true, true, false]);
        everybody.close();
        assert_eq!(rang(), [true; 6]);
        // Whoever comes too late does not wait either.
        assert!(self::rang(&register(3, Interest::Entity)));
    }

    #[test]
    fn nothing_is_left_of_those_who_are_gone() {
        let everybody = Arc::new(Waiters::default());
        let first = everybody.register(&scope(1), Interest::Entity, 3).unwrap();
        let second = everybody.register(&scope(1), Interest::Entity, 3).unwrap();
        let third = everybody.register(&scope(2), Interest::Entity, 3).unwrap();
        assert_eq!(
            everybody.register(&scope(2), Interest::Entity, 3).unwrap_err(),
            TooManyWait
        );
        drop((first, third));
        assert_eq!((everybody.waiting(), everybody.lock().entities.len()), (1, 1));
        everybody.challenge_changed(scope(1).entity, factor(1), challenge(1));
        assert!(rang(&second));
        drop(second);
        assert_eq!((everybody.waiting(), everybody.lock().entities.len()), (0, 0));
    }

    #[test]
    fn an_account_that_has_all_places_gives_up_its_oldest_for_others_until_all_have_the_same() {
        let everybody = Arc::new(Waiters::default());
        let register = |of: u8, number: u8| {
            let scope = EntityScope {
                entity: EntitySid::from_bytes([number; 16]),
                ..scope(of)
            };
            everybody.register(&scope, Interest::Entity, 12)
        };
        let greedy: Vec<_> = (0..12).map(|number| register(1, number).unwrap()).collect();
        assert_eq!(register(1, 12).unwrap_err(), TooManyWait);
        let mut others = Vec::new();
        for round in 0..4 {
            for of in [2, 3] {
                others.push(register(of, 100 + 10 * of + round).unwrap());
                assert_eq!(everybody.waiting(), 12);
            }
        }
        for of in [1, 2, 3] {
            assert_eq!(register(of, 200).unwrap_err(), TooManyWait);
        }
        let over: Vec<_> = greedy
            .iter()
            .map(|waiter| waiter.is_over() && rang(waiter))
            .collect();
        assert_eq!(over, [[true; 8].as_slice(), &[false; 4]].concat());
        assert!(others.iter().all(|waiter| !waiter.is_over()));
        drop(greedy);
        assert_eq!(everybody.waiting(), 8);
        drop(others);
        let state = everybody.lock();
        assert!(state.accounts.is_empty() && state.order.is_empty() && state.waiting == 0);
    }

    #[test]
    fn one_thing_has_only_so_many_who_wait_for_it() {
        let everybody = Arc::new(Waiters::default());
        let of = |interest| everybody.register(&scope(1), interest, 100);
        let waiters: Vec<_> = (0..Waiters::MOST_FOR_THE_SAME)
            .map(|_| of(Interest::Factor(factor(1))).unwrap())
            .collect();
        assert_eq!(of(Interest::Factor(factor(1))).unwrap_err(), TooManyWait);
        of(Interest::Factor(factor(2))).unwrap();
        drop(waiters);
        of(Interest::Factor(factor(1))).unwrap();
    }
}
