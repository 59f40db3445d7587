//! Takes what a code needs of the budgets: out of memory, or a block at a time out of the store.

use std::sync::Arc;

use crate::app::App;
use crate::domain::fraud::budget::{Counter, Need, Taken};
use crate::domain::fraud::ledger::Taking;
use crate::domain::time::Timestamp;
use crate::flows::{Error, Fault};
use crate::memory::fraud::FraudMemory;
use crate::store::records::{self, Stored};
use crate::store::{Batch, keys};

/// What was taken. It is given back to this process's memory if this is dropped without [`Reservation::keep`].
#[derive(Debug)]
pub(super) struct Reservation {
    fraud: Arc<FraudMemory>,
    taken: Vec<(Counter, u64)>,
    now: Timestamp,
}

impl Reservation {
    /// It is spent.
    pub(super) fn keep(mut self) {
        self.taken.clear();
    }

    /// Takes from memory; what is not there is returned. `Err` is the first that the store has not enough of either.
    fn take<'a>(&mut self, needs: &[&'a Need]) -> Result<Vec<&'a Need>, Counter> {
        let mut ledger = self.fraud.ledger();
        let mut lacking = Vec::new();
        for need in needs {
            match ledger.take(need) {
                Taking::Lacking => lacking.push(*need),
                Taking::Spent => return Err(need.counter.clone()),
                Taking::Taken => self.taken.push((need.counter.clone(), need.amount)),
            }
        }
        Ok(lacking)
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.taken.is_empty() {
            return;
        }
        let mut ledger = self.fraud.ledger();
        for (counter, amount) in self.taken.drain(..) {
            ledger.add(&counter, amount, self.now);
        }
    }
}

/// Takes all that is needed, or nothing. `Err` within is the counter of the first budget that is spent.
///
/// What lacks in memory is taken out of the store in one commit, whatever it is.
///
/// # Errors
/// [`Error::Failed`].
pub(super) async fn reserve(
    app: &App,
    needs: &[&Need],
    now: Timestamp,
) -> Result<Result<Reservation, Counter>, Error> {
    /// Within a process the gates keep others away, so this is how often other processes may come first.
    const MOST_ATTEMPTS: u32 = 300;
    let mut reservation = Reservation {
        fraud: Arc::clone(&app.memory.fraud),
        taken: Vec::new(),
        now,
    };
    let mut lacking = match reservation.take(needs) {
        Ok(lacking) => lacking,
        Err(spent) => return Ok(Err(spent)),
    };
    if lacking.is_empty() {
        return Ok(Ok(reservation));
    }
    let counters = lacking.iter().map(|need| &need.counter);
    let _entered = app.memory.fraud.gates.enter(counters).await;
    for _ in 0..MOST_ATTEMPTS {
        // Whoever was at the gate before may have brought enough for all.
        lacking = match reservation.take(&lacking) {
            Ok(lacking) => lacking,
            Err(spent) => return Ok(Err(spent)),
        };
        if lacking.is_empty() {
            return Ok(Ok(reservation));
        }
        match draw(app, &lacking, &mut reservation).await {
            Ok(None) => return Ok(Ok(reservation)),
            Ok(Some(spent)) => return Ok(Err(spent)),
            Err(Error::Failed(Fault::Conflict)) => {}
            Err(error) => return Err(error),
        }
    }
    Err(Error::Failed(Fault::Busy))
}

/// Takes a block of each budget out of the store. Returns the first one that has not enough; nothing was taken then.
async fn draw(app: &App, needs: &[&Need], reservation: &mut Reservation) -> Result<Option<Counter>, Error> {
    let (mut batch, mut spare) = (Batch::new(), Vec::with_capacity(needs.len()));
    for need in needs {
        let key = keys::budget(&need.counter);
        let found: Option<Stored<Taken>> = records::read(app.store.as_ref(), &key).await?;
        let taken = found.as_ref().map(|found| found.record).unwrap_or_default();
        let Some(block) = need.grant(taken.units) else {
            let rest = need.limit.saturating_sub(taken.units);
            app.memory.fraud.ledger().learn(need, rest, reservation.now);
            return Ok(Some(need.counter.clone()));
        };
        batch = match &found {
            Some(found) => batch.assert_read(&key, found),
            None => batch.assert_absent(key.bytes().to_vec()),
        };
        let more = Taken {
            units: taken.units.saturating_add(block),
            ..taken
        };
        batch = batch.put_record_until(key, &more, need.counter.kept_until())?;
        spare.push((&need.counter, block.saturating_sub(need.amount)));
    }
    app.store.commit(batch).await?;
    let mut ledger = app.memory.fraud.ledger();
    for (counter, amount) in spare {
        ledger.add(counter, amount, reservation.now);
    }
    let drawn = needs.iter().map(|need| (need.counter.clone(), need.amount));
    reservation.taken.extend(drawn);
    Ok(None)
}
