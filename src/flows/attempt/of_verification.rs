//! The attempts of one verification: it names them itself.

use crate::app::App;
use crate::domain::attempt::Attempt;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::flows::Error;
use crate::flows::page::{Page, PageRequest, page_of};
use crate::store::{Order, keys, records};

use super::filter::AttemptFilter;
use super::range::{Range, beginning, predecessor};

/// How many attempts are looked at to learn which service a verification belongs to. Its first one was written at the
/// same moment as itself.
const MOST_OF_A_MOMENT: usize = 1000;

/// A page of what is wanted of the verification's attempts; `None` if it cannot be read any more.
pub(super) async fn page_of_verification(
    app: &App,
    account: AccountSid,
    sid: VerificationSid,
    filter: &AttemptFilter,
    request: PageRequest,
) -> Result<Option<Page<Attempt>>, Error> {
    let service = match filter.service {
        Some(service) => service,
        None => match service_of(app, account, sid).await? {
            Some(service) => service,
            None => return Ok(None),
        },
    };
    let found = records::read(app.store.as_ref(), &keys::verification(service, sid)).await?;
    let Some(verification) = found.map(|found| found.record) else {
        return Ok(None);
    };
    let mut attempts = Vec::new();
    for tried in verification.sends.iter().flat_map(|send| &send.tries) {
        // Another account's verification has no attempts in this one.
        let key = keys::attempt(account, tried.attempt);
        let Some(found) = records::read(app.store.as_ref(), &key).await? else {
            continue;
        };
        let attempt = found.record;
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
) -> Result<Option<ServiceSid>, Error> {
    let created = sid.created_at();
    let range = Range::of(app, account, &AttemptFilter::default());
    let from = predecessor(beginning(created));
    let piece = range.read(from, Order::Ascending, MOST_OF_A_MOMENT).await?;
    let first = piece.attempts.iter().find(|attempt| attempt.verification == sid);
    Ok(first.map(|attempt| attempt.service))
}
