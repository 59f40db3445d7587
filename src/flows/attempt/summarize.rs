//! Counts an account's attempts, and how many of them were converted.

use super::AttemptFilter;
use super::range::Range;
use crate::app::App;
use crate::domain::attempt::Refusal;
use crate::domain::sid::AccountSid;
use crate::flows::Error;
use crate::store::Order;

/// The most attempts that are looked at for one summary.
pub const MOST_COUNTED: usize = 500_000;

/// How many are read at a time: so many are in memory, and other requests get their turn behind each.
const PIECE: usize = 1000;

/// The attempts that a filter wants, counted.
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
/// [`Refusal::TooManyToCount`], [`Error::Failed`].
pub async fn summarize(
    app: &App,
    account: AccountSid,
    filter: &AttemptFilter,
) -> Result<AttemptSummary, Error<Refusal>> {
    summarize_up_to(app, account, filter, MOST_COUNTED).await
}

pub(super) async fn summarize_up_to(
    app: &App,
    account: AccountSid,
    filter: &AttemptFilter,
    most: usize,
) -> Result<AttemptSummary, Error<Refusal>> {
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::attempt::{Attempt, AttemptStatus};
    use crate::domain::channel::Channel;
    use crate::domain::destination::{Destination, EmailAddress};
    use crate::domain::sender_name::SenderName;
    use crate::domain::sid::{AttemptSid, ServiceSid, VerificationSid};
    use crate::domain::time::Timestamp;
    use crate::doubles::TestParts;
    use crate::store::{Batch, keys};

    fn account() -> AccountSid {
        AccountSid::from_bytes([1; 16])
    }

    /// A server whose account has `count` attempts, a second apart.
    async fn with_attempts(count: usize) -> App {
        let app = TestParts::default().wire();
        let mut at = app.clock.now();
        for _ in 0..count {
            let attempt = Attempt {
                sid: AttemptSid::generate(at, app.sids.as_ref()),
                account: account(),
                service: ServiceSid::from_bytes([2; 16]),
                verification: VerificationSid::from_bytes([3; 16]),
                channel: Channel::Email,
                destination: Destination::Email(EmailAddress::parse("ada@example.com").unwrap()),
                country: None,
                locale: None,
                code_length: 6,
                sender: SenderName::parse("log").unwrap(),
                status: AttemptStatus::Sent,
                converted_at: None,
                expires_at: at,
                price: None,
                reference: None,
                date_created: at,
                date_updated: at,
            };
            let batch = Batch::new();
            let batch =
                batch.put_record_until(keys::attempt(account(), attempt.sid), &attempt, Timestamp::MAX);
            app.store.commit(batch.unwrap()).await.unwrap();
            at = at + Duration::from_secs(1);
        }
        app
    }

    /// It counts all of them or says that it cannot, whether they fit the filter or not.
    #[tokio::test]
    async fn nothing_is_counted_in_part() {
        let app = with_attempts(5).await;
        let by_phone = AttemptFilter {
            channel: Some(Channel::Call),
            ..AttemptFilter::default()
        };
        for (filter, total) in [(AttemptFilter::default(), 5), (by_phone, 0)] {
            let counted = summarize_up_to(&app, account(), &filter, 5).await.unwrap();
            assert_eq!((counted.total, counted.converted), (total, 0));
            let refused = summarize_up_to(&app, account(), &filter, 4).await;
            assert!(matches!(
                refused,
                Err(Error::Refused(Refusal::TooManyToCount { most: 4 }))
            ));
        }
        let shorter = AttemptFilter {
            created_before: Some(app.clock.now() + Duration::from_secs(4)),
            ..AttemptFilter::default()
        };
        assert_eq!(
            summarize_up_to(&app, account(), &shorter, 4).await.unwrap().total,
            4
        );
    }

    #[test]
    fn rates_are_rounded_down() {
        let rate = |converted, total| AttemptSummary { total, converted }.percentage_billionths();
        assert_eq!(rate(0, 0), None);
        assert_eq!(rate(9, 11), Some(81_818_181_818));
        assert_eq!(rate(3, 3), Some(100_000_000_000));
    }
}
