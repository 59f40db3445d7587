//! Takes what a code needs of the budgets: out of memory, or a block at a time out of the store.
//!
//! What memory lacks is taken out of the store by the commit that the code leaves with: no commit is for the budgets alone,
//! and nothing is taken out for a code that does not leave.

use std::sync::Arc;

use tokio::sync::MutexGuard;

use crate::app::App;
use crate::domain::fraud::budget::{Counter, Need, Taken};
use crate::domain::fraud::ledger::{StoreView, Taking};
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::memory::fraud::FraudMemory;
use crate::store::{Batch, keys};

/// What is taken for a code. What comes out of memory is given back to it if this is dropped without
/// [`Reservation::keep`].
#[derive(Debug)]
pub(super) struct Reservation<'a> {
    fraud: Arc<FraudMemory>,
    /// What came out of memory.
    taken: Vec<(Counter, u64)>,
    /// What the commit takes out of the store.
    drawn: Vec<Draw>,
    /// Keeps others of this process from asking the store for the same budgets before the commit is done.
    gates: Vec<MutexGuard<'a, ()>>,
    view: StoreView,
}

/// A block that is taken out of the store.
#[derive(Debug)]
struct Draw {
    counter: Counter,
    /// What the store says of the budget then.
    after: Taken,
    /// How much of it this code leaves to others of this process.
    spare: u64,
}

impl Reservation<'_> {
    /// Adds to `batch` what is taken out of the store.
    pub(super) fn put(&self, mut batch: Batch) -> Result<Batch, Fault> {
        for draw in &self.drawn {
            let key = keys::budget(&draw.counter);
            batch = batch.put_record_until(key, &draw.after, draw.counter.kept_until())?;
        }
        Ok(batch)
    }

    /// The batch is committed: what this code needs is spent, and the rest of the blocks is at hand.
    pub(super) fn keep(mut self) {
        self.taken.clear();
        let mut ledger = self.fraud.ledger();
        for draw in &self.drawn {
            ledger.add(&draw.counter, draw.spare, self.view.now);
        }
        drop(ledger);
        self.gates.clear();
    }

    /// Takes from memory; what is not there is returned. `Err` is the first that the store has not enough of either.
    fn take<'n>(&mut self, needs: &[&'n Need]) -> Result<Vec<&'n Need>, Counter> {
        let mut ledger = self.fraud.ledger();
        let mut lacking = Vec::new();
        for need in needs {
            match ledger.take(need, self.view) {
                Taking::Lacking => lacking.push(*need),
                Taking::Spent => return Err(need.counter.clone()),
                Taking::Taken => self.taken.push((need.counter.clone(), need.amount)),
            }
        }
        Ok(lacking)
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let mut ledger = self.fraud.ledger();
        for (counter, amount) in self.taken.drain(..) {
            ledger.add(&counter, amount, self.view.now);
        }
    }
}

/// Takes all that is needed, or nothing. `Err` within is the counter of the first budget that is spent.
///
/// What lacks in memory is read in one round trip and taken out of the store, whatever it is, by the commit of `reading`,
/// to whose batch [`Reservation::put`] adds it.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub(super) async fn reserve<'a>(
    app: &'a App,
    reading: &mut Reading<'_>,
    needs: &[&Need],
    now: Timestamp,
) -> Result<Result<Reservation<'a>, Counter>, Fault> {
    let mut reservation = Reservation {
        fraud: Arc::clone(&app.memory.fraud),
        taken: Vec::new(),
        drawn: Vec::new(),
        gates: Vec::new(),
        view: StoreView {
            now,
            shared: app.shares_store(),
        },
    };
    let mut lacking = match reservation.take(needs) {
        Ok(lacking) => lacking,
        Err(spent) => return Ok(Err(spent)),
    };
    if lacking.is_empty() {
        return Ok(Ok(reservation));
    }
    let counters = lacking.iter().map(|need| &need.counter);
    reservation.gates = app.memory.fraud.gates.enter(counters).await;
    // Whoever was at the gate before may have brought enough for all.
    lacking = match reservation.take(&lacking) {
        Ok(lacking) => lacking,
        Err(spent) => return Ok(Err(spent)),
    };
    if lacking.is_empty() {
        reservation.gates.clear();
        return Ok(Ok(reservation));
    }
    match draw(app, reading, &lacking, now).await? {
        Ok(drawn) => {
            reservation.drawn = drawn;
            Ok(Ok(reservation))
        }
        Err(spent) => Ok(Err(spent)),
    }
}

/// Looks for a block of each budget in the store. `Err` within is the first one that has not enough.
async fn draw(
    app: &App,
    reading: &mut Reading<'_>,
    needs: &[&Need],
    now: Timestamp,
) -> Result<Result<Vec<Draw>, Counter>, Fault> {
    let keys: Vec<_> = needs.iter().map(|need| keys::budget(&need.counter)).collect();
    reading.prefetch(keys.iter().map(keys::Key::bytes)).await?;
    let mut drawn = Vec::with_capacity(needs.len());
    for (need, key) in needs.iter().zip(&keys) {
        let taken = reading.glance(key).await?.unwrap_or_default();
        let Some(block) = need.grant(taken.units) else {
            let rest = need.limit.saturating_sub(taken.units);
            app.memory.fraud.ledger().learn(need, rest, now);
            return Ok(Err(need.counter.clone()));
        };
        drawn.push(Draw {
            counter: need.counter.clone(),
            after: Taken {
                units: taken.units.saturating_add(block),
                ..taken
            },
            spare: block.saturating_sub(need.amount),
        });
    }
    // There is enough of all: the commit takes it only if nobody else has taken of them meanwhile.
    for key in &keys {
        reading.get(key).await?;
    }
    Ok(Ok(drawn))
}
