//! Scans go past what somebody else wrote, which may be any number of entries: one read goes past so many, and says where to go on.

use super::AuthenticStore;
use crate::store::keys::KeyParts;
use crate::store::{Scan, ScanPage, StoreError};

impl AuthenticStore {
    pub(super) async fn scan_past_forged(&self, scan: Scan) -> Result<ScanPage, StoreError> {
        let wanted = scan.limit;
        let mut page = ScanPage::default();
        let (mut after, mut passed_over) = (scan.after, 0);
        loop {
            let left = wanted - page.entries.len();
            let limit = if passed_over == 0 {
                left.min(MOST_AT_ONCE)
            } else {
                // Those that are passed over come in many, and a round trip for each as many as are left may be one for each.
                left.clamp(FEWEST_BEHIND_FORGED, MOST_AT_ONCE)
            };
            let begun = self.begin_read();
            let stretch = Scan {
                prefix: scan.prefix.clone(),
                after: after.clone(),
                order: scan.order,
                limit,
            };
            let found = self.engine.scan(stretch).await?;
            self.look_if_lacking(self.lacks_key_of(found.iter().map(|(_, entry)| entry)))
                .await?;
            let Some(found) = self.open_page(&begun, found) else {
                continue;
            };
            let is_last = found.len() < limit;
            let mut last_forged = None;
            for (key, entry) in found {
                if page.entries.len() == wanted {
                    break;
                }
                match entry {
                    Ok(entry) => {
                        page.entries.push((key, entry));
                        last_forged = None;
                    }
                    Err(forgery) => {
                        self.refuse(&key, forgery);
                        passed_over += 1;
                        last_forged = Some(key);
                    }
                }
            }
            if is_last || page.entries.len() == wanted {
                return Ok(page);
            }
            after = last_forged.or_else(|| page.entries.last().map(|(key, _)| key.clone()));
            if passed_over >= MOST_PASSED_OVER {
                page.next = after;
                return Ok(page);
            }
        }
    }
}

/// What a scan fails of that cannot go on behind so many.
pub(super) fn too_many_forged(last: &[u8]) -> StoreError {
    let kind = KeyParts::parse(last).map_or("of no known kind", |parts| parts.kind().name);
    StoreError::Forged(format!(
        "{MOST_PASSED_OVER} or more entries ({kind}) among those that were read are not as a server of this store wrote them; \
         `countersign store check` names them, and a store that is copied or restored without them has what is left"
    ))
}

/// So many forged entries are passed over by one read, or as many more as the engine gives at once.
pub(super) const MOST_PASSED_OVER: u64 = 4096;

/// How many entries the engine is asked for at once, and how few behind a forged one.
const MOST_AT_ONCE: usize = 1024;
const FEWEST_BEHIND_FORGED: usize = 256;
