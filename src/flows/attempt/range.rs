//! A range of an account's attempts, read piece by piece.

use super::AttemptFilter;
use crate::app::App;
use crate::domain::attempt::Attempt;
use crate::domain::sid::AccountSid;
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::flows::reading::Reading;
use crate::store::keys::{self, Prefix};
use crate::store::{Order, Scan, records};

/// The bytes of an attempt's identifier, which begin with the moment of its creation.
pub(super) type Position = [u8; 16];

/// A range of an account's attempts: from `low` on, up to but not including `high`.
pub(super) struct Range<'a> {
    app: &'a App,
    prefix: Prefix<Attempt>,
    low: Position,
    high: Position,
}

/// What one reading found.
pub(super) struct RangePiece {
    /// The attempts, in the order of the reading.
    pub(super) attempts: Vec<Attempt>,
    /// Whether there is nothing behind them.
    pub(super) is_last: bool,
}

impl<'a> Range<'a> {
    /// The attempts of the filter's dates, as far as they are still kept.
    pub(super) fn of(app: &'a App, account: AccountSid, filter: &AttemptFilter) -> Self {
        let oldest = app.clock.now().before(Attempt::RETENTION);
        let low = filter.created_after.map_or(oldest, |after| after.max(oldest));
        Self {
            app,
            prefix: keys::attempts(account),
            low: beginning(low),
            high: filter.created_before.map_or([u8::MAX; 16], beginning),
        }
    }

    /// The next `limit` attempts of the range from `from` on, which is not one of them; from the range's own end if it
    /// lies outside.
    pub(super) async fn read(
        &self,
        from: Option<Position>,
        order: Order,
        limit: usize,
    ) -> Result<RangePiece, Fault> {
        let after = match order {
            Order::Ascending => {
                let before_low = predecessor(self.low);
                from.map_or(before_low, |from| Some(from.max(before_low.unwrap_or_default())))
            }
            Order::Descending => Some(from.map_or(self.high, |from| from.min(self.high))),
        };
        let scan = Scan {
            prefix: self.prefix.bytes().to_vec(),
            after: after.map(|position| self.prefix.key(&position).into_bytes()),
            order,
            limit,
        };
        let entries = Reading::new(self.app).scan(scan).await?;
        let mut is_last = entries.len() < limit;
        let mut attempts = Vec::with_capacity(entries.len());
        for (_, entry) in entries {
            let attempt: Attempt = records::decode(&entry.value)?;
            let position = attempt.sid.as_bytes();
            if *position < self.low || *position >= self.high {
                is_last = true;
                break;
            }
            attempts.push(attempt);
        }
        Ok(RangePiece { attempts, is_last })
    }
}

/// In front of all identifiers of this moment.
pub(super) fn beginning(moment: Timestamp) -> Position {
    let mut position = [0; 16];
    position[..6].copy_from_slice(&moment.millis().to_be_bytes()[2..]);
    position
}

/// The position before this one; `None` for the first.
pub(super) fn predecessor(position: Position) -> Option<Position> {
    u128::from_be_bytes(position)
        .checked_sub(1)
        .map(u128::to_be_bytes)
}

/// The position behind this one; the last one for the last.
pub(super) fn successor(position: Position) -> Position {
    u128::from_be_bytes(position).saturating_add(1).to_be_bytes()
}
