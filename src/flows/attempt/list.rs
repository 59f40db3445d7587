//! Lists an account's attempts.

use std::time::Duration;

use super::AttemptFilter;
use super::range::{Position, Range, beginning, predecessor, successor};
use crate::app::App;
use crate::domain::attempt::{Attempt, Refusal};
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::flows::page::{Cursor, Page, PageRequest, page_of};
use crate::flows::reading::Reading;
use crate::flows::{Error, Fault};
use crate::store::Order;
use crate::store::keys::{self, Key};

/// How many attempts are read for one page.
pub const MOST_READ: usize = 5000;

/// How long after a verification's creation its attempts are looked for when it cannot be read any more itself.
pub const LONGEST_VERIFICATION: Duration = Duration::from_hours(1);

/// A page of the account's attempts, the newest first, whatever order the request names.
///
/// The attempts of one verification are read from the verification, for as long as that is kept; later on, those of the
/// [`LONGEST_VERIFICATION`] after its creation are searched. Dates are ranges of keys. All other filters look at the
/// attempts one after the other, at most [`MOST_READ`] for one page: a page may hold fewer items than asked for, or none,
/// and still have a next one.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list(
    app: &App,
    account: AccountSid,
    filter: &AttemptFilter,
    request: PageRequest,
) -> Result<Page<Attempt>, Error<Refusal>> {
    let request = PageRequest {
        order: Order::Descending,
        ..request
    };
    let Some(sid) = filter.verification else {
        return Ok(search(&Range::of(app, account, filter), filter, request).await?);
    };
    if let Some(page) = page_of_verification(app, account, sid, filter, request).await? {
        return Ok(page);
    }
    let (first, last) = (sid.created_at(), sid.created_at() + LONGEST_VERIFICATION);
    let narrowed = AttemptFilter {
        created_after: Some(filter.created_after.map_or(first, |after| after.max(first))),
        created_before: Some(filter.created_before.map_or(last, |before| before.min(last))),
        ..filter.clone()
    };
    Ok(search(&Range::of(app, account, &narrowed), filter, request).await?)
}

/// Reads on in pieces until the page is full, the range ends, or enough was read: a match in front must not cost what a
/// long search costs.
async fn search(
    range: &Range<'_>,
    filter: &AttemptFilter,
    request: PageRequest,
) -> Result<Page<Attempt>, Fault> {
    let (mut from, order) = match request.cursor {
        Cursor::After(sid) => (Some(sid), Order::Descending),
        Cursor::Before(sid) => (Some(sid), Order::Ascending),
        Cursor::Start => (None, Order::Descending),
    };
    let (mut found, mut left, mut is_last) = (Vec::new(), MOST_READ, false);
    while !is_last && left > 0 && found.len() <= request.size {
        let limit = (2 * request.size).max(100).min(left);
        let piece = range.read(from, order, limit).await?;
        is_last = piece.is_last;
        left = left.saturating_sub(piece.attempts.len());
        from = piece
            .attempts
            .last()
            .map(|attempt| *attempt.sid.as_bytes())
            .or(from);
        found.extend(
            piece
                .attempts
                .into_iter()
                .filter(|attempt| filter.matches(attempt)),
        );
    }
    // Where the page ends, on the side that it grows towards: at the last item that fits, or where the reading ended.
    let mut end = from.filter(|_| !is_last);
    if found.len() > request.size {
        found.truncate(request.size);
        end = found.last().map(|attempt| *attempt.sid.as_bytes());
    }
    Ok(framed(found, end, request.cursor))
}

/// The page, and what leads to its neighbours: on the one side `end`, on the other the cursor that led here.
fn framed(mut items: Vec<Attempt>, end: Option<Position>, cursor: Cursor) -> Page<Attempt> {
    let (previous, next) = match cursor {
        Cursor::After(sid) => (predecessor(sid).map(Cursor::Before), end.map(Cursor::After)),
        Cursor::Before(sid) => {
            items.reverse();
            (end.map(Cursor::Before), Some(Cursor::After(successor(sid))))
        }
        Cursor::Start => (None, end.map(Cursor::After)),
    };
    Page {
        items,
        previous,
        next,
    }
}

/// How many attempts are looked at to learn which service a verification belongs to. Its first one was written at the
/// same moment as itself.
const MOST_OF_A_MOMENT: usize = 1000;

/// A page of what is wanted of the verification's attempts; `None` if it cannot be read any more.
async fn page_of_verification(
    app: &App,
    account: AccountSid,
    sid: VerificationSid,
    filter: &AttemptFilter,
    request: PageRequest,
) -> Result<Option<Page<Attempt>>, Fault> {
    let service = match filter.service {
        Some(service) => service,
        None => match service_of(app, account, sid).await? {
            Some(service) => service,
            None => return Ok(None),
        },
    };
    let mut reading = Reading::new(app);
    let Some(verification) = reading.get(&keys::verification(service, sid)).await? else {
        return Ok(None);
    };
    let tries = verification.sends.iter().flat_map(|send| &send.tries);
    let tries: Vec<_> = tries.map(|tried| keys::attempt(account, tried.attempt)).collect();
    reading.prefetch(tries.iter().map(Key::bytes)).await?;
    let mut attempts = Vec::new();
    for key in tries {
        // Another account's verification has no attempts in this one.
        let Some(attempt) = reading.get(&key).await? else {
            continue;
        };
        let since = filter
            .created_after
            .is_none_or(|after| attempt.date_created >= after);
        let until = filter
            .created_before
            .is_none_or(|before| attempt.date_created < before);
        let kept = attempt.date_created >= app.clock.now().before(Attempt::RETENTION);
        if since && until && kept && filter.matches(&attempt) {
            attempts.push((*attempt.sid.as_bytes(), attempt));
        }
    }
    Ok(Some(page_of(attempts, request)))
}

/// The service of a verification, as its first attempt names it.
async fn service_of(
    app: &App,
    account: AccountSid,
    sid: VerificationSid,
) -> Result<Option<ServiceSid>, Fault> {
    let created = sid.created_at();
    let range = Range::of(app, account, &AttemptFilter::default());
    let from = predecessor(beginning(created));
    let piece = range.read(from, Order::Ascending, MOST_OF_A_MOMENT).await?;
    let first = piece.attempts.iter().find(|attempt| attempt.verification == sid);
    Ok(first.map(|attempt| attempt.service))
}
