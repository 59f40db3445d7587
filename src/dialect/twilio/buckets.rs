//! Buckets of a rate limit: how many in how long.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::error::{ApiError, Parameter};
use super::form::whole_number;
use super::json::{self, Text};
use super::listing::Listing;
use crate::domain::rate_limit::{Bucket, BucketChanges, BucketInterval, BucketMax};
use crate::domain::sid::{AccountSid, BucketSid, RateLimitSid, ServiceSid};
use crate::domain::text::Invalid;
use crate::domain::time::Timestamp;
use crate::flows::rate_limit::bucket;

/// `POST /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let parent = Parent::of(&call)?;
    let changes = changes(&call)?;
    let max = changes.max.ok_or_else(|| ApiError::missing("Max"))?;
    let interval = changes.interval.ok_or_else(|| ApiError::missing("Interval"))?;
    let (account, service, limit) = (parent.account, parent.service, parent.limit);
    let bucket = bucket::create(call.app(), account, service, limit, max, interval).await;
    Ok(json::resource(
        StatusCode::CREATED,
        &parent.json(&call, &call.settle(bucket)?),
    ))
}

/// `GET /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let parent = Parent::of(&call)?;
    let sid = call.sid("BucketSid")?;
    let found = bucket::fetch(call.app(), parent.account, parent.service, parent.limit, sid).await;
    Ok(json::resource(
        StatusCode::OK,
        &parent.json(&call, &call.settle(found)?),
    ))
}

/// `POST /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}`
pub(super) async fn update(call: Call) -> Result<Response, ApiError> {
    let parent = Parent::of(&call)?;
    let changes = changes(&call)?;
    let sid = call.sid("BucketSid")?;
    let (account, service, limit) = (parent.account, parent.service, parent.limit);
    let updated = bucket::update(call.app(), account, service, limit, sid, changes).await;
    Ok(json::resource(
        StatusCode::OK,
        &parent.json(&call, &call.settle(updated)?),
    ))
}

/// `DELETE /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let parent = Parent::of(&call)?;
    let sid = call.sid("BucketSid")?;
    call.settle(bucket::delete(call.app(), parent.account, parent.service, parent.limit, sid).await)?;
    Ok(json::deleted())
}

/// `GET /v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets`
pub(super) async fn list(call: Call) -> Result<Response, ApiError> {
    let parent = Parent::of(&call)?;
    let listing = Listing::read(&call.query, &[])?;
    let (account, service, limit) = (parent.account, parent.service, parent.limit);
    let page = call.settle(bucket::list(call.app(), account, service, limit, listing.request).await)?;
    let page = page.map(|bucket| parent.json(&call, bucket));
    Ok(listing.answer(&call, "buckets", &page))
}

fn changes(call: &Call) -> Result<BucketChanges, ApiError> {
    fn number<T>(check: impl Fn(u32) -> Result<T, Invalid>) -> impl Fn(&str) -> Result<T, Invalid> {
        // What is no number is as far out of any range as 0 is.
        move |text| check(whole_number(text).unwrap_or(0))
    }
    Ok(BucketChanges {
        max: call.form.parsed(Parameter::MAX, number(BucketMax::parse))?,
        interval: call
            .form
            .parsed(Parameter::INTERVAL, number(BucketInterval::parse))?,
    })
}

struct Parent {
    account: AccountSid,
    service: ServiceSid,
    limit: RateLimitSid,
}

impl Parent {
    fn of(call: &Call) -> Result<Self, ApiError> {
        Ok(Self {
            account: call.account()?,
            service: call.sid("ServiceSid")?,
            limit: call.sid("RateLimitSid")?,
        })
    }

    fn json(&self, call: &Call, bucket: &Bucket) -> BucketJson {
        let (service, limit, sid) = (self.service, self.limit, bucket.sid);
        BucketJson {
            sid: Text(sid),
            rate_limit_sid: Text(limit),
            service_sid: Text(service),
            account_sid: Text(self.account),
            max: bucket.max.get(),
            interval: bucket.interval.get(),
            date_created: Text(bucket.date_created),
            date_updated: Text(bucket.date_updated),
            url: call.url(format_args!(
                "/v2/Services/{service}/RateLimits/{limit}/Buckets/{sid}"
            )),
        }
    }
}

#[derive(Serialize)]
struct BucketJson {
    sid: Text<BucketSid>,
    rate_limit_sid: Text<RateLimitSid>,
    service_sid: Text<ServiceSid>,
    account_sid: Text<AccountSid>,
    max: u32,
    interval: u32,
    date_created: Text<Timestamp>,
    date_updated: Text<Timestamp>,
    url: String,
}
