//! What a request costs.

use crate::domain::attempt::{Attempt, AttemptStatus};

/// A sum, as answers have it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct SumShown {
    /// With eight decimals.
    pub(super) value: String,
    /// Three upper-case letters.
    pub(super) currency: String,
}

/// What the messages cost that were sent or are about to be, as the operator said of their senders; nothing, in euros, if
/// nobody said so. Where senders have several currencies, it is what the first one counts in.
pub(super) fn price_of(attempts: &[Attempt]) -> SumShown {
    let sent = attempts.iter().filter(|attempt| match attempt.status {
        AttemptStatus::Queued | AttemptStatus::Sent => true,
        AttemptStatus::Canceled | AttemptStatus::Failed { .. } => false,
    });
    let prices: Vec<_> = sent.filter_map(|attempt| attempt.price).collect();
    let Some(first) = prices.first() else {
        return shown(0, "eur");
    };
    let same = prices.iter().filter(|price| price.currency == first.currency);
    let sum = same.fold(0_u64, |sum, price| sum.saturating_add(price.micros));
    shown(sum, first.currency.as_str())
}

fn shown(micros: u64, currency: &str) -> SumShown {
    SumShown {
        value: format!("{}.{:06}00", micros / 1_000_000, micros % 1_000_000),
        currency: currency.to_ascii_uppercase(),
    }
}

#[cfg(test)]
mod tests {
    use crate::domain::channel::Channel;
    use crate::domain::destination::Destination;
    use crate::domain::price::{Currency, Price};
    use crate::domain::sender_name::SenderName;
    use crate::domain::sid::{AccountSid, AttemptSid, ServiceSid, VerificationSid};
    use crate::domain::time::Timestamp;

    use super::*;

    #[test]
    fn sums_have_eight_decimals() {
        assert_eq!(price_of(&[]), shown(0, "eur"));
        let values = [0, 1, 33_300, 100_000, 12_345_678].map(|micros| shown(micros, "eur").value);
        assert_eq!(
            values,
            [
                "0.00000000",
                "0.00000100",
                "0.03330000",
                "0.10000000",
                "12.34567800"
            ]
        );
    }

    fn attempt(status: AttemptStatus, price: Option<(u64, &str)>) -> Attempt {
        let now = Timestamp::from_seconds(1_800_000_000);
        let price = price.map(|(micros, currency)| Price {
            micros,
            currency: Currency::parse(currency).unwrap(),
        });
        Attempt {
            sid: AttemptSid::from_bytes([1; 16]),
            account: AccountSid::from_bytes([2; 16]),
            service: ServiceSid::from_bytes([3; 16]),
            verification: VerificationSid::from_bytes([4; 16]),
            channel: Channel::Sms,
            destination: Destination::Phone("+12025550123".to_owned().try_into().unwrap()),
            country: None,
            locale: None,
            code_length: 4,
            sender: SenderName::parse("log").unwrap(),
            status,
            converted_at: None,
            expires_at: now,
            price,
            reference: None,
            date_created: now,
            date_updated: now,
        }
    }

    #[test]
    fn what_was_not_called_off_is_summed_in_one_currency() {
        let sum = price_of(&[
            attempt(AttemptStatus::Sent, Some((50_000, "usd"))),
            attempt(AttemptStatus::Sent, None),
            attempt(AttemptStatus::Sent, Some((1_250_000, "usd"))),
            attempt(AttemptStatus::Sent, Some((7, "eur"))),
            attempt(AttemptStatus::Canceled, Some((9_000_000, "usd"))),
        ]);
        assert_eq!(sum, shown(1_300_000, "usd"));
    }
}
