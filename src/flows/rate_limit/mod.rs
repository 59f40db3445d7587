//! Rate limits of a service and their buckets, and how they hold.

pub mod create_bucket;
pub mod create_rate_limit;
pub mod delete_bucket;
pub mod delete_rate_limit;
pub mod enforce;
pub mod fetch_bucket;
pub mod fetch_rate_limit;
pub mod list_buckets;
pub mod list_rate_limits;
pub mod update_bucket;
pub mod update_rate_limit;

use crate::app::App;
use crate::domain::rate_limit::{MAX_RATE_LIMITS, RateLimit};
use crate::domain::refusal::Refusal;
use crate::domain::sid::{RateLimitSid, ServiceSid};
use crate::flows::Error;
use crate::store::records::{self, Stored};
use crate::store::{Order, Scan, keys};

/// The rate limit with its version.
async fn read_rate_limit(
    app: &App,
    service: ServiceSid,
    sid: RateLimitSid,
) -> Result<Stored<RateLimit>, Error> {
    let found = records::read(app.store.as_ref(), &keys::rate_limit(service, sid)).await?;
    Ok(found.ok_or(Refusal::NotFound)?)
}

/// All rate limits of a service with their versions, in the order of their creation.
pub(crate) async fn read_rate_limits(
    app: &App,
    service: ServiceSid,
) -> Result<Vec<Stored<RateLimit>>, Error> {
    let scan = Scan {
        prefix: keys::rate_limits(service).bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: MAX_RATE_LIMITS,
    };
    let entries = app.store.scan(scan).await?;
    entries
        .iter()
        .map(|(_, entry)| {
            Ok(Stored {
                record: records::decode(&entry.value)?,
                version: entry.version,
            })
        })
        .collect()
}
