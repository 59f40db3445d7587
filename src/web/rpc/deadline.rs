//! How long a call may take, if its caller says so (gRPC over HTTP/2, `grpc-timeout`).

use std::future::Future;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, Response};
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use tonic::Status;

use super::{failed, form, refuse};
use crate::dialect::{AnswerForm, HttpFailure};
use crate::flows::audit;
use crate::web::arrival::Arrival;
use crate::web::{failure, panics};

/// When a call is to be over.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline(Option<Instant>);

impl Deadline {
    /// The one that these headers set, counted from now on.
    ///
    /// # Errors
    /// When it is no time, or no time at all.
    pub(super) fn of(headers: &HeaderMap) -> Result<Self, Status> {
        let mut values = headers.get_all("grpc-timeout").iter();
        let Some(value) = values.next() else {
            return Ok(Self(None));
        };
        let parsed = value.to_str().ok().and_then(parse);
        let span = parsed.filter(|_| values.next().is_none()).ok_or_else(|| {
            Status::invalid_argument(
                "grpc-timeout must be sent once: up to 8 digits and one of H, M, S, m, u and n",
            )
        })?;
        let deadline = Self(Instant::now().checked_add(span));
        deadline.check()?;
        Ok(deadline)
    }

    /// Whether there is time left to begin something.
    ///
    /// # Errors
    /// When there is none.
    pub(super) fn check(self) -> Result<(), Status> {
        match self.0 {
            Some(end) if Instant::now() >= end => Err(elapsed()),
            _ => Ok(()),
        }
    }

    /// The earlier one of this and of so long from now on.
    pub(super) fn or_within(self, most: Duration) -> Instant {
        let latest = Instant::now() + most;
        self.0.map_or(latest, |end| end.min(latest))
    }

    /// What `reading` comes to, which is given up if it does not come in time.
    ///
    /// # Errors
    /// When it took too long.
    pub(super) async fn give_up<T>(self, reading: impl Future<Output = T>) -> Result<T, Status> {
        let read = match self.0 {
            Some(end) => timeout_at(end, reading).await.map_err(|_| elapsed())?,
            None => reading.await,
        };
        self.check()?;
        Ok(read)
    }

    /// What `call` comes to, if it does in time. It goes on if not, and has the place of the request until it ends.
    ///
    /// # Errors
    /// When it took too long, or panicked.
    pub(super) async fn hold<Call>(
        self,
        call: Call,
        arrival: Option<Arrival>,
    ) -> Result<Response<Body>, Status>
    where
        Call: Future<Output = Response<Body>> + Send + 'static,
    {
        let Some(end) = self.0 else {
            return Ok(call.await);
        };
        // A change that is under way is carried to its end, whoever still waits for it. What its caller does not wait for is
        // as much work as what it does, and fails as much.
        let (tell, told) = oneshot::channel();
        let call = audit::carried(call);
        tokio::spawn(async move {
            let answered = panics::guard(call).await.map_err(|place| {
                let told = form::status(HttpFailure::Panicked);
                failed(told, format!("panicked at {place}"))
            });
            if let Err(unheard) = tell.send(answered)
                && let Some(arrival) = arrival
            {
                let unheard = unheard.unwrap_or_else(|status| refuse(&status, AnswerForm::default()));
                failure::log(arrival.request_id, &unheard);
            }
        });
        match timeout_at(end, told).await {
            Ok(Ok(answered)) => answered,
            Ok(Err(_)) => Err(Status::cancelled("the server is stopping")),
            Err(_) => Err(elapsed()),
        }
    }
}

pub(super) fn elapsed() -> Status {
    Status::deadline_exceeded("the call took longer than its deadline")
}

fn parse(text: &str) -> Option<Duration> {
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    let written = (1..=8).contains(&digits.len()) && digits.bytes().all(|digit| digit.is_ascii_digit());
    let count: u64 = Some(digits).filter(|_| written)?.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_hours(count),
        "M" => Duration::from_mins(count),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_are_read_as_they_are_written() {
        for (text, expected) in [
            ("1H", Some(3_600_000)),
            ("2M", Some(120_000)),
            ("3S", Some(3_000)),
            ("00000004m", Some(4)),
            ("5000u", Some(5)),
            ("6000000n", Some(6)),
            ("99999999H", Some(99_999_999 * 3_600_000)),
            ("", None),
            ("S", None),
            ("1", None),
            ("1 S", None),
            ("-1S", None),
            ("+1S", None),
            ("1.5S", None),
            ("1s", None),
            ("100000000m", None),
            ("1é", None),
        ] {
            assert_eq!(parse(text), expected.map(Duration::from_millis), "{text}");
        }
    }
}
