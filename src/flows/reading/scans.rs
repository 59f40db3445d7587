//! Stretches of the key map, and many entries at once: a decision rests on none of them by itself.

use super::Reading;
use crate::domain::time::Timestamp;
use crate::flows::Fault;
use crate::store::keys::Prefix;
use crate::store::records::{self, Record};
use crate::store::{Entry, ExpiredPage, ExpiryPosition, Order, Scan, ScanPage, StoreError};

impl Reading<'_> {
    /// A stretch of the key map, as it is now; what was read before does not show in it. The decision rests on what is said
    /// to be by [`Reading::rest_on`] afterwards.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, Fault> {
        Ok(self.store.scan(scan).await?)
    }

    /// The same as far as one read goes, which goes past a bounded number of entries that somebody else wrote; and behind which
    /// key to go on, if it came to that. For lists that tell their reader where the next page begins.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn scan_some(&self, scan: Scan) -> Result<ScanPage, Fault> {
        Ok(self.store.scan_some(scan).await?)
    }

    /// The same as [`Reading::scan`], past any number of entries that somebody else wrote. For what goes through the store beside
    /// all requests, which get their turn in between; a request has to say where it stopped instead.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn scan_past(&self, mut scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, Fault> {
        let mut found = Vec::new();
        loop {
            let ScanPage { entries, next } = self.store.scan_some(scan.clone()).await?;
            scan.limit -= entries.len();
            found.extend(entries);
            if next.is_none() {
                return Ok(found);
            }
            scan.after = next;
            tokio::task::yield_now().await;
        }
    }

    /// At most `limit` of the entries whose end has come by `now`, from where an earlier page ended. As with [`Reading::scan`],
    /// the decision rests on none of them by itself.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, Fault> {
        Ok(self.store.expired(now, after, limit).await?)
    }

    /// The first `limit` records of a listing with their keys, which the decision does not rest on. What a later release may have
    /// written, so that this one cannot read it, is left out, and so are entries that somebody else wrote; what lies behind so many of
    /// those that one read does not go past them is left out, too, for whoever asked waits.
    ///
    /// # Errors
    /// [`Fault::Unavailable`].
    pub async fn list_readable<T: Record>(
        &mut self,
        prefix: &Prefix<T>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, T)>, Fault> {
        let scan = Scan {
            prefix: prefix.bytes().to_vec(),
            after: None,
            order: Order::Ascending,
            limit,
        };
        let entries = self.scan_some(scan).await?.entries.into_iter();
        let readable = entries.filter_map(|(key, entry)| Some((key, records::decode(&entry.value).ok()?)));
        Ok(readable.collect())
    }

    /// The entries at `keys` as servers of this store wrote them; what somebody else wrote, and what is gone, is left out. As with
    /// [`Reading::scan`], the decision rests on none of them by itself.
    ///
    /// # Errors
    /// [`Fault::Unavailable`], [`Fault::Corrupt`].
    pub(in crate::flows) async fn entries(&self, keys: &[Vec<u8>]) -> Result<Vec<(Vec<u8>, Entry)>, Fault> {
        let found = match self.store.get_many(keys).await {
            Err(StoreError::Forged(_)) => {
                let mut found = Vec::with_capacity(keys.len());
                for key in keys {
                    found.push(match self.store.get(key).await {
                        Err(StoreError::Forged(_)) => None,
                        entry => entry?,
                    });
                }
                found
            }
            found => found?,
        };
        let pairs = keys.iter().zip(found);
        Ok(pairs
            .filter_map(|(key, entry)| Some((key.clone(), entry?)))
            .collect())
    }
}
