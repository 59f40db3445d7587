//! Which keys a [`Scan`] covers, as bounds that an ordered map understands.

use std::ops::Bound;

use super::{Order, Scan};

/// A lower and an upper bound; never inverted, which ordered maps answer with a panic.
pub(super) type KeyRange = (Bound<Vec<u8>>, Bound<Vec<u8>>);

impl Scan {
    /// The keys this scan may return; `None` if there can be none.
    pub(super) fn range(&self) -> Option<KeyRange> {
        let mut low = Bound::Included(self.prefix.clone());
        let mut high = match successor(&self.prefix) {
            Some(end) => Bound::Excluded(end),
            None => Bound::Unbounded,
        };
        if let Some(after) = &self.after {
            match self.order {
                Order::Ascending if *after >= self.prefix => low = Bound::Excluded(after.clone()),
                Order::Descending if after.starts_with(&self.prefix) => high = Bound::Excluded(after.clone()),
                Order::Descending if *after < self.prefix => return None,
                // On the side where the scan begins: all keys of the prefix are still to come.
                Order::Ascending | Order::Descending => {}
            }
        }
        let empty = match (&low, &high) {
            (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) => low >= high,
            _ => false,
        };
        (!empty).then_some((low, high))
    }
}

/// The smallest key behind all keys that begin with `prefix`; `None` if `prefix` is nothing but 0xff.
fn successor(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != u8::MAX)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_successor_skips_trailing_ff() {
        assert_eq!(successor(b"a"), Some(b"b".to_vec()));
        assert_eq!(successor(b"a\xff\xff"), Some(b"b".to_vec()));
        assert_eq!(successor(b"\xff"), None);
        assert_eq!(successor(b""), None);
    }

    #[test]
    fn a_range_that_would_be_inverted_is_none() {
        let scan = |after: &[u8], order| Scan {
            prefix: b"m".to_vec(),
            after: Some(after.to_vec()),
            order,
            limit: 1,
        };
        assert_eq!(scan(b"n", Order::Ascending).range(), None);
        assert_eq!(scan(b"z", Order::Ascending).range(), None);
        assert_eq!(scan(b"m", Order::Descending).range(), None);
        assert_eq!(scan(b"a", Order::Descending).range(), None);
        let whole = Some((Bound::Included(b"m".to_vec()), Bound::Excluded(b"n".to_vec())));
        assert_eq!(scan(b"a", Order::Ascending).range(), whole);
        assert_eq!(scan(b"z", Order::Descending).range(), whole);
    }
}
