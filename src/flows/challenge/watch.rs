//! Tells what happens to a factor's challenges, one thing after the other.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::list::pending_of;
use crate::app::App;
use crate::domain::challenge::{Challenge, ChallengeStatus, Refusal};
use crate::domain::entity::{EntityName, EntityScope};
use crate::domain::factor::{self, FactorStatus};
use crate::domain::sid::{ChallengeSid, FactorSid};
use crate::domain::time::Timestamp;
use crate::flows::access::{Actor, Admission};
use crate::flows::reading::{Admitted, Reading};
use crate::flows::waiting::Waiting;
use crate::flows::{self, Error, entity};
use crate::memory::waiters::Interest;
use crate::store::keys;

/// What happened.
#[derive(Debug)]
pub enum Tiding {
    /// The challenge waits for an answer.
    Asked(EntityScope, Challenge),
    /// A challenge that was told of waits no longer.
    Settled(EntityScope, Challenge),
    /// Nothing, for [`FactorWatch::QUIET`].
    Quiet,
}

/// Follows the challenges of one factor.
///
/// Everything is told at least once, and what is told is decided by what the store holds, not by who was woken for
/// what: each look compares the pending challenges with those that were told of.
#[derive(Debug)]
pub struct FactorWatch {
    app: Arc<App>,
    admission: Admission,
    name: EntityName,
    factor: FactorSid,
    waiting: Waiting,
    /// The pending challenges that were told of, or need not be, and when they expire.
    known: HashMap<ChallengeSid, Timestamp>,
    /// What is to be told; read when it is told, so that many of them need little memory.
    queue: VecDeque<ChallengeSid>,
    ended: bool,
}

impl FactorWatch {
    /// How long nothing happens before that is told: shorter than the patience of proxies, which is a minute mostly.
    pub const QUIET: Duration = Duration::from_secs(20);

    /// By how much a challenge may become visible later than one whose identifier is greater: identifiers are made
    /// before the commit, and a commit waits for the disk.
    pub const SLACK: Duration = Duration::from_secs(30);

    /// Begins with the challenges that wait already: all of them, or those created after `last`, give or take
    /// [`FactorWatch::SLACK`]. The others are known to the caller; it is still told what becomes of them.
    ///
    /// # Errors
    /// [`Refusal::Access`], [`Refusal::Factor`] without such a factor or for one that is disabled,
    /// [`Refusal::TooManyWaiters`]; [`Error::Failed`].
    pub async fn begin(
        app: &Arc<App>,
        actor: impl Into<Admitted<Actor>>,
        admission: Admission,
        name: EntityName,
        factor: FactorSid,
        last: Option<ChallengeSid>,
    ) -> Result<Self, Error<Refusal>> {
        let (scope, found) = flows::factor::fetch(app, actor, &name, factor)
            .await
            .map_err(Error::into_area)?;
        if found.status == FactorStatus::Disabled {
            return Err(Refusal::Factor(factor::Refusal::Disabled).into());
        }
        let waiting = Waiting::begin(app, &admission, &scope, Interest::Factor(factor), None)?;
        let mut watch = Self {
            app: Arc::clone(app),
            admission,
            name,
            factor,
            waiting,
            known: HashMap::new(),
            queue: VecDeque::new(),
            ended: false,
        };
        let pending = watch.look(&scope).await?;
        if let Some(last) = last {
            watch.skip_to(last, pending);
        }
        Ok(watch)
    }

    /// What happened next; `None` at the end: the credentials are over or revoked, the factor is deleted or disabled,
    /// or the server stops.
    ///
    /// # Errors
    /// [`Error::Failed`]; nothing follows them.
    pub async fn next(&mut self) -> Result<Option<Tiding>, Error<Refusal>> {
        let told = self.tell().await;
        if !matches!(told, Ok(Some(_))) {
            self.ended = true;
        }
        match told {
            // Whatever is no longer in reach: that is the end, and not an error.
            Err(Error::Refused(_)) => Ok(None),
            told => told,
        }
    }

    async fn tell(&mut self) -> Result<Option<Tiding>, Error<Refusal>> {
        if self.ended {
            return Ok(None);
        }
        let began = Instant::now();
        loop {
            if self.waiting.is_over(&self.app) {
                return Ok(None);
            }
            while let Some(sid) = self.queue.pop_front() {
                if let Some(tiding) = Box::pin(self.read(sid)).await? {
                    return Ok(Some(tiding));
                }
            }
            let quiet = Self::QUIET.saturating_sub(began.elapsed());
            if quiet.is_zero() {
                return Ok(Some(Tiding::Quiet));
            }
            let expiry = self.known.values().min().copied();
            self.waiting.pause(&self.app, expiry, quiet).await;
            Box::pin(self.look_again()).await?;
        }
    }

    // This and `read` are boxed where they are awaited, so that those who wait do not take up what a look needs.
    async fn look_again(&mut self) -> Result<(), Error<Refusal>> {
        let scope = self.scope().await?;
        self.look(&scope).await?;
        Ok(())
    }

    /// The factor's place, if the caller may still look there.
    async fn scope(&self) -> Result<EntityScope, Error<Refusal>> {
        let foresee = |actor: &Actor| entity::foresee(actor.account(), &self.name);
        let actor = self.admission.check(&self.app, foresee).await;
        let actor = actor.map_err(Error::into_area)?;
        let (scope, factor) = flows::factor::fetch(&self.app, actor, &self.name, self.factor)
            .await
            .map_err(Error::into_area)?;
        if factor.status == FactorStatus::Disabled {
            return Err(Refusal::Factor(factor::Refusal::Disabled).into());
        }
        Ok(scope)
    }

    /// Queues what waits and was not told of, and what was told of and waits no longer.
    async fn look(
        &mut self,
        scope: &EntityScope,
    ) -> Result<BTreeMap<ChallengeSid, Timestamp>, Error<Refusal>> {
        let pending = pending_of(&self.app, scope, self.factor).await?;
        let mut over: Vec<_> = self
            .known
            .keys()
            .filter(|sid| !pending.contains_key(sid))
            .collect();
        over.sort_unstable();
        let asked = pending.keys().filter(|sid| !self.known.contains_key(sid));
        self.queue = over.into_iter().chain(asked).copied().collect();
        Ok(pending)
    }

    /// What is to be told of a challenge that was queued.
    async fn read(&mut self, sid: ChallengeSid) -> Result<Option<Tiding>, Error<Refusal>> {
        // Once for each thing that is told: the caller may take long to read, and may not know it any more.
        let scope = self.scope().await?;
        let key = keys::challenge(&scope, sid);
        let Some(challenge) = Reading::new(&self.app).glance(&key).await? else {
            self.known.remove(&sid);
            return Ok(None);
        };
        if challenge.status(self.app.clock.now()) == ChallengeStatus::Pending {
            let new = self.known.insert(sid, challenge.expires_at).is_none();
            return Ok(new.then_some(Tiding::Asked(scope, challenge)));
        }
        let told = self.known.remove(&sid).is_some();
        Ok(told.then_some(Tiding::Settled(scope, challenge)))
    }

    /// Takes those out of the queue that a caller knows who was told of `last`.
    fn skip_to(&mut self, last: ChallengeSid, pending: BTreeMap<ChallengeSid, Timestamp>) {
        let now = self.app.clock.now();
        // A clock that was set back gives lower identifiers to newer challenges; those of a node that is behind by a little are
        // within the slack.
        if last.created_at().was_set_back(now) {
            return;
        }
        let from = last.created_at().before(Self::SLACK);
        self.queue.retain(|sid| sid.created_at() >= from);
        self.known = pending
            .into_iter()
            .filter(|(sid, _)| sid.created_at() < from)
            .collect();
    }
}
