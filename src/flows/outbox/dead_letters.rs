//! Dead letters: looked at, put back, or dropped.

use super::{commit_and_ring, write_row};
use crate::app::App;
use crate::domain::outbox::{DeadLetter, Lane};
use crate::domain::refusal::Refusal;
use crate::domain::sid::EventSid;
use crate::flows::page::{Cursor, Page, PageRequest, page};
use crate::flows::{Error, retry_on_conflict};
use crate::store::{Batch, Order, keys, records};

/// A page of the dead letters, the oldest event first.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list_dead_letters(app: &App, request: PageRequest) -> Result<Page<DeadLetter>, Error> {
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
pub enum Fate {
    /// It is forgotten.
    Dropped,
    /// It goes back into its lane, at its old place in the order, as if it were new. What came behind it and was
    /// delivered meanwhile stays delivered.
    PutBack,
}

/// Decides on one dead letter.
///
/// # Errors
/// [`Refusal::NotFound`], [`Error::Failed`].
pub async fn decide(app: &App, sid: EventSid, fate: Fate) -> Result<(), Error> {
    retry_on_conflict(|| attempt(app, sid, fate)).await
}

/// Decides on all dead letters, or on those for one receiver; how many these are.
///
/// # Errors
/// [`Error::Failed`]; some may be done by then.
pub async fn decide_all(app: &App, lane: Option<Lane>, fate: Fate) -> Result<u64, Error> {
    let (mut done, mut cursor) = (0, Cursor::Start);
    loop {
        let request = PageRequest {
            size: CHUNK,
            cursor,
            order: Order::Ascending,
        };
        let page = list_dead_letters(app, request).await?;
        for letter in &page.items {
            if lane.is_some_and(|lane| letter.row.message.lane() != lane) {
                continue;
            }
            match decide(app, letter.row.sid, fate).await {
                Ok(()) => done += 1,
                // Somebody else was faster.
                Err(Error::Refused(Refusal::NotFound)) => {}
                Err(error) => return Err(error),
            }
        }
        match page.next {
            Some(next) => cursor = next,
            None => return Ok(done),
        }
    }
}

async fn attempt(app: &App, sid: EventSid, fate: Fate) -> Result<(), Error> {
    let key = keys::dead_letter(sid);
    let found = records::read(app.store.as_ref(), &key).await?;
    let found = found.ok_or(Refusal::NotFound)?;
    let mut batch = Batch::new().assert_read(&key, &found).delete(key.into_bytes());
    if fate == Fate::PutBack {
        let mut row = found.record.row;
        let now = app.clock.now();
        (row.date_created, row.next_at) = (now, now);
        (row.attempts, row.lease) = (0, None);
        batch = write_row(batch, &row)?;
    }
    commit_and_ring(app, batch).await
}

const CHUNK: usize = 100;
