//! Wakes those who wait for a change of a challenge or a factor.
//!
//! A waiter registers first, then reads the store, then waits; whoever changed something commits first, then wakes. So
//! a change is either in what the waiter reads, or it wakes the waiter: a wake-up that comes before the waiter waits is kept
//! for it. It says "look again" and nothing else, because what a waiter may see is decided where everything else is decided
//! too.
//!
//! Waiters are found by the entity that they are about. An entity nobody waits for is not in the map, so that a change
//! costs one look into a map that is almost empty.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::entity::EntityScope;
use crate::domain::sid::{AccountSid, ChallengeSid, EntitySid, FactorSid, ServiceSid};

/// Everybody who waits, in this process.
#[derive(Debug, Default)]
pub struct Waiters {
    state: Mutex<WaitersState>,
}

#[derive(Debug, Default)]
struct WaitersState {
    closing: bool,
    waiting: usize,
    entities: HashMap<EntitySid, Group>,
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
    wakeup: Arc<Notify>,
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
    entity: EntitySid,
    wakeup: Arc<Notify>,
}

impl Waiters {
    /// The most that wait for the same challenge, the same factor, or new challenges of the same entity: the devices and
    /// the backends of one user, with a few that are gone and not missed yet.
    pub const MOST_FOR_THE_SAME: usize = 8;

    /// Registers somebody who waits for `interest` in the entity; `most` may wait altogether.
    ///
    /// # Errors
    /// [`TooManyWait`] when `most` wait, or [`Waiters::MOST_FOR_THE_SAME`] for the same.
    pub fn register(
        self: &Arc<Self>,
        scope: &EntityScope,
        interest: Interest,
        most: usize,
    ) -> Result<Waiter, TooManyWait> {
        let wakeup = Arc::new(Notify::new());
        let mut state = self.lock();
        if state.waiting >= most {
            return Err(TooManyWait);
        }
        let same = state.entities.get(&scope.entity).map_or(0, |group| {
            let members = group.members.iter();
            members.filter(|member| member.interest == interest).count()
        });
        if same >= Self::MOST_FOR_THE_SAME {
            return Err(TooManyWait);
        }
        if state.closing {
            wakeup.notify_one();
        }
        state.waiting += 1;
        let group = state.entities.entry(scope.entity).or_insert_with(|| Group {
            account: scope.account,
            service: scope.service,
            members: Vec::with_capacity(1),
        });
        group.members.push(Member {
            interest,
            wakeup: Arc::clone(&wakeup),
        });
        drop(state);
        Ok(Waiter {
            all: Arc::clone(self),
            entity: scope.entity,
            wakeup,
        })
    }

    /// A challenge of the entity's factor was created or changed, and that is committed.
    pub fn challenge_changed(&self, entity: EntitySid, factor: FactorSid, challenge: ChallengeSid) {
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
                member.wakeup.notify_one();
            }
        }
    }

    /// The entity was deleted, or one of its factors was deleted or can be used no longer, and that is committed.
    pub fn entity_changed(&self, entity: EntitySid) {
        if let Some(group) = self.lock().entities.get(&entity) {
            group.wake();
        }
    }

    /// The service was deleted, and that is committed. Costs a look at each entity that somebody waits for.
    pub fn service_changed(&self, service: ServiceSid) {
        let state = self.lock();
        let concerned = state.entities.values().filter(|group| group.service == service);
        concerned.for_each(Group::wake);
    }

    /// The account was suspended or credentials of it were revoked, and that is committed. Costs as much as
    /// [`Waiters::service_changed`].
    pub fn account_changed(&self, account: AccountSid) {
        let state = self.lock();
        let concerned = state.entities.values().filter(|group| group.account == account);
        concerned.for_each(Group::wake);
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

impl Group {
    fn wake(&self) {
        self.members.iter().for_each(|member| member.wakeup.notify_one());
    }
}

impl Waiter {
    /// Waits until there is a reason to look again since this was last called.
    pub async fn woken(&self) {
        self.wakeup.notified().await;
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        let mut state = self.all.lock();
        let Some(group) = state.entities.get_mut(&self.entity) else {
            return;
        };
        group
            .members
            .retain(|member| !Arc::ptr_eq(&member.wakeup, &self.wakeup));
        if group.members.is_empty() {
            state.entities.remove(&self.entity);
        }
        state.waiting = state.waiting.saturating_sub(1);
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
