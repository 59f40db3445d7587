//! The event stream of a factor, an extension: what happens to its challenges, as server-sent events (WHATWG HTML, 9.2).

use std::convert::Infallible;
use std::time::Duration;

use axum::http::header::{ACCEPT, CONNECTION};
use axum::http::{HeaderMap, HeaderName, HeaderValue};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use futures_util::stream;

use super::call::Call;
use super::challenges::{ChallengeJson, status_name};
use super::error::{ApiError, Parameter};
use super::form::sid;
use crate::domain::challenge::Challenge;
use crate::domain::entity::EntityScope;
use crate::domain::sid::ChallengeSid;
use crate::flows::challenge::{FactorWatch, Tiding};

/// `GET /v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}/Events`
pub(super) async fn stream(headers: HeaderMap, call: Call) -> Result<Response, ApiError> {
    let (actor, admission) = (call.actor()?, call.admission()?);
    let name = call.entity()?;
    let factor = call.sid("FactorSid")?;
    if !takes_events(&headers) {
        return Err(ApiError::not_acceptable("a stream of type text/event-stream"));
    }
    let last = last_event(&headers, &call)?;
    let watch = FactorWatch::begin(call.shared_app(), actor, admission, name, factor, last).await;
    let feed = Feed {
        retry: Some(retry(&call)),
        watch: call.settle(watch)?,
        call,
    };
    let events = stream::unfold(feed, |mut feed| async move {
        let event = feed.next().await?;
        Some((Ok::<_, Infallible>(event), feed))
    });
    let mut response = Sse::new(events).into_response();
    let headers = response.headers_mut();
    // nginx would collect the answer until it is complete.
    headers.insert(ACCEL_BUFFERING, HeaderValue::from_static("no"));
    // Nothing can follow on a connection whose last answer may go on for an hour.
    headers.insert(CONNECTION, HeaderValue::from_static("close"));
    Ok(response)
}

/// A stream that was answered.
struct Feed {
    call: Call,
    watch: FactorWatch,
    /// What comes first: after how long to come again when the stream ends.
    retry: Option<Duration>,
}

impl Feed {
    async fn next(&mut self) -> Option<Event> {
        if let Some(retry) = self.retry.take() {
            return Some(Event::default().retry(retry));
        }
        match self.watch.next().await {
            Ok(Some(Tiding::Asked(scope, challenge))) => self.event("created", &scope, &challenge),
            Ok(Some(Tiding::Settled(scope, challenge))) => {
                let status = status_name(challenge.status(self.call.now()));
                self.event(status, &scope, &challenge)
            }
            Ok(Some(Tiding::Quiet)) => Some(Event::default().comment("still here")),
            Ok(None) => None,
            Err(error) => {
                tracing::error!("an event stream ended: {error}");
                None
            }
        }
    }

    /// The challenge as the caller sees it everywhere. What a device has to sign is not told here: it fetches a challenge
    /// before it answers, as it does after every other notification.
    fn event(&self, what: &str, scope: &EntityScope, challenge: &Challenge) -> Option<Event> {
        let json = serde_json::to_string(&ChallengeJson::new(&self.call, scope, challenge)).ok()?;
        let event = Event::default().id(challenge.sid.to_string());
        Some(event.event(format!("challenge.{what}")).data(json))
    }
}

/// Whether the client takes a stream: it says so, or says nothing.
fn takes_events(headers: &HeaderMap) -> bool {
    let mut accepted = headers.get_all(ACCEPT).iter().peekable();
    let ranges = ["text/event-stream", "text/*", "*/*"];
    accepted.peek().is_none()
        || accepted
            .filter_map(|value| value.to_str().ok())
            .flat_map(|value| value.split(','))
            .filter_map(|range| range.split(';').next())
            .any(|range| {
                ranges
                    .iter()
                    .any(|known| range.trim().eq_ignore_ascii_case(known))
            })
}

/// The last event that the client has, from the header that browsers and libraries send when they come again, or from the
/// query.
fn last_event(headers: &HeaderMap, call: &Call) -> Result<Option<ChallengeSid>, ApiError> {
    const EXPECTED: &str = "must be the id of an event: YC and 32 hex digits";
    let Some(header) = headers.get(LAST_EVENT_ID).filter(|value| !value.is_empty()) else {
        return call.query.parsed(Parameter::LAST_EVENT_ID, sid(EXPECTED));
    };
    let sid = header.to_str().ok().and_then(|text| text.parse().ok());
    sid.map(Some)
        .ok_or_else(|| ApiError::invalid(Parameter::LAST_EVENT_ID_HEADER, EXPECTED))
}

/// Two to six seconds: when a server ends all its streams at once, not all of them begin anew at once.
fn retry(call: &Call) -> Duration {
    let mut random = [0; 2];
    call.app().entropy.fill(&mut random);
    Duration::from_millis(2000 + u64::from(u16::from_be_bytes(random)) / 16)
}

const ACCEL_BUFFERING: HeaderName = HeaderName::from_static("x-accel-buffering");
const LAST_EVENT_ID: HeaderName = HeaderName::from_static("last-event-id");
