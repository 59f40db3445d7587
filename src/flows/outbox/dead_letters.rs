//! Dead letters: a row that cannot be delivered, or was not for too long, becomes one, and is looked at, put back, or dropped.

use super::letter_lines::tell_of_old_ones;
use super::rows::put_row;
use crate::app::App;
use crate::domain::events::OutboxRow;
use crate::domain::outbox::{DeadLetter, Lane, NoSuchLetter, Reason, Receiver};
use crate::domain::sid::EventSid;
use crate::flows::page::{Cursor, Page, PageRequest, page};
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault, retry_on_conflict};
use crate::store::{Batch, Order, Scan, keys, records};

/// A page of the dead letters, the oldest event first.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn list_dead_letters(app: &App, request: PageRequest) -> Result<Page<DeadLetter>, Fault> {
    let mut raw = page(app, &keys::dead_letters(), request).await?;
    let entries = std::mem::take(&mut raw.items);
    let letters = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value))
        .collect::<Result<_, _>>()?;
    Ok(raw.with_items(letters))
}

/// What becomes of a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Disposal {
    /// It is forgotten.
    Dropped,
    /// It goes back into its lane, at its old place in the order, as if it were new. What came behind it and was
    /// delivered meanwhile stays delivered.
    PutBack,
}

/// Decides on one dead letter.
///
/// # Errors
/// [`NoSuchLetter`], [`Error::Failed`].
pub async fn decide(app: &App, sid: EventSid, disposal: Disposal) -> Result<(), Error<NoSuchLetter>> {
    retry_on_conflict(app, || attempt(app, sid, disposal)).await
}

/// Decides on all dead letters, or on those for one receiver; how many these are.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`]; some may be done by then.
pub async fn decide_all(app: &App, receiver: Option<Receiver>, disposal: Disposal) -> Result<u64, Fault> {
    let (mut done, mut cursor) = (0, Cursor::Start);
    loop {
        let request = PageRequest {
            size: CHUNK,
            cursor,
            order: Order::Ascending,
        };
        let page = list_dead_letters(app, request).await?;
        for letter in &page.items {
            if receiver.is_some_and(|receiver| letter.row.message.receiver() != receiver) {
                continue;
            }
            match decide(app, letter.row.sid, disposal).await {
                Ok(()) => done += 1,
                // Somebody else was faster.
                Err(Error::Refused(NoSuchLetter)) => {}
                Err(Error::Failed(fault)) => return Err(fault),
            }
        }
        match page.next {
            Some(next) => cursor = next,
            None => return Ok(done),
        }
    }
}

async fn attempt(app: &App, sid: EventSid, disposal: Disposal) -> Result<(), Error<NoSuchLetter>> {
    let key = keys::dead_letter(sid);
    let mut reading = Reading::new(app);
    let letter = reading.require(&key).await?;
    let mut batch = Batch::new().delete(key.into_bytes());
    if disposal == Disposal::PutBack {
        let mut row = letter.row;
        let now = app.clock.now();
        (row.date_created, row.next_at) = (now, now);
        (row.attempts, row.lease) = (0, None);
        batch = put_row(batch, &row)?;
    }
    // The letter is all that there is of it.
    Ok(reading.commit_whole(batch).await?)
}

/// Puts the dead letter of `row` in its place. It is kept for as long as the operator chose.
pub(crate) fn give_up(app: &App, batch: Batch, mut row: OutboxRow, why: &Reason) -> Result<Batch, Fault> {
    let now = app.clock.now();
    let from = keys::outbox_row(row.message.lane(), row.sid);
    row.lease = None;
    let letter = DeadLetter {
        row,
        why: why.clone(),
        date_given_up: now,
    };
    let key = keys::dead_letter(letter.row.sid);
    let until = now + app.policy.outbox_dead_retention;
    Ok(batch
        .delete(from.into_bytes())
        .put_record_until(key, &letter, until)?)
}

/// Gives up the rows of a failing receiver that are too old, tried or not: one that is dead for good must not collect rows
/// for ever because each of them waits for its turn. The oldest are in front, and a bounded number is looked at.
pub(super) async fn give_up_old(app: &App, lane: Lane, why: &Reason) -> Result<(), Fault> {
    let mut count = 0;
    let ended = give_up_in_front(app, lane, why, &mut count).await;
    tell_of_old_ones(app, lane, count, why);
    ended
}

/// Adds to `given_up` how many rows it gave up.
async fn give_up_in_front(app: &App, lane: Lane, why: &Reason, given_up: &mut u64) -> Result<(), Fault> {
    const AT_ONCE: usize = 64;
    const MOST_CHUNKS: usize = 100;
    for _ in 0..MOST_CHUNKS {
        let scan = Scan {
            prefix: keys::outbox(lane).bytes().to_vec(),
            after: None,
            order: Order::Ascending,
            limit: AT_ONCE,
        };
        let (mut reading, mut batch, mut count) = (Reading::new(app), Batch::new(), 0);
        for (key, entry) in reading.scan_past(scan).await? {
            // What cannot be read stays: `countersign store check` names it.
            let Ok(row) = records::decode::<OutboxRow>(&entry.value) else {
                continue;
            };
            if row.is_older_than(app.policy.outbox_retention, app.clock.now()) {
                let why = row.last_error.clone().unwrap_or_else(|| why.clone());
                reading.rest_on(key, entry.version);
                batch = give_up(app, batch, row, &why)?;
                count += 1;
            }
        }
        if count == 0 {
            return Ok(());
        }
        match reading.commit_without_waking(batch).await {
            Ok(()) => {
                app.memory.deliveries.given_up(count);
                *given_up += count;
            }
            // Somebody changed one of them: the next visit sees to the rest.
            Err(Fault::Conflict(_)) => return Ok(()),
            Err(fault) => return Err(fault),
        }
    }
    Ok(())
}

const CHUNK: usize = 100;
