//! Counts an account's attempts, and how many of them were converted.

use crate::app::App;
use crate::domain::refusal::Refusal;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::store::Order;

use super::filter::AttemptFilter;
use super::range::Range;

/// The most attempts that are looked at for one summary.
pub const MOST_COUNTED: usize = 500_000;

/// How many are read at a time: so many are in memory, and other requests get their turn behind each.
const PIECE: usize = 1000;

/// How many attempts there were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AttemptSummary {
    /// All that the filter wants.
    pub total: u64,
    /// Those of them that were converted.
    pub converted: u64,
}

impl AttemptSummary {
    /// How many of a hundred were converted, in billionths and rounded down; `None` if there were none.
    #[must_use]
    pub fn percentage_billionths(&self) -> Option<u128> {
        let converted = u128::from(self.converted) * 100 * 1_000_000_000;
        converted.checked_div(u128::from(self.total))
    }
}

/// Counts, exactly: every attempt within the filter's dates is looked at. Where these are more than [`MOST_COUNTED`],
/// nothing is counted rather than a part.
///
/// # Errors
/// [`Refusal::TooManyToCount`], [`Error::Corrupt`], [`Error::Unavailable`].
pub async fn summarize_attempts(
    app: &App,
    account: AccountSid,
    filter: &AttemptFilter,
) -> Result<AttemptSummary, Error> {
    summarize(app, account, filter, MOST_COUNTED).await
}

pub(super) async fn summarize(
    app: &App,
    account: AccountSid,
    filter: &AttemptFilter,
    most: usize,
) -> Result<AttemptSummary, Error> {
    let range = Range::of(app, account, filter);
    let (mut summary, mut looked_at, mut from) = (AttemptSummary::default(), 0, None);
    loop {
        let piece = range.read(from, Order::Ascending, PIECE).await?;
        looked_at += piece.attempts.len();
        if looked_at > most {
            return Err(Refusal::TooManyToCount { most }.into());
        }
        for attempt in piece.attempts.iter().filter(|attempt| filter.matches(attempt)) {
            summary.total += 1;
            summary.converted += u64::from(attempt.converted_at.is_some());
        }
        match piece.attempts.last() {
            Some(last) if !piece.is_last => from = Some(*last.sid.as_bytes()),
            _ => return Ok(summary),
        }
        tokio::task::yield_now().await;
    }
}
