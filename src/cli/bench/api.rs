//! The set-up phase: the public API, over the load generator's own connections.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::cli::progress::{ProgressLine, ProgressUnit};
use crate::domain::time::Clock;

use super::connection::Connection;
use super::pool::ClientPool;
use super::target::{AccountCredentials, PreparedRequest, Target};

/// A connection that calls the API.
pub(super) struct Api {
    target: Target,
    connection: Connection,
    request: Vec<u8>,
}

/// An answer with the header that push challenges bring.
pub(super) struct ApiAnswer {
    pub(super) body: Value,
    pub(super) signature_fields: Option<String>,
}

impl Api {
    pub(super) async fn open(target: Target) -> Result<Self, String> {
        let connection = Connection::open(target.address).await.map_err(|error| {
            let address = target.address;
            format!("cannot connect to {address}: {error}; is a server started, and does it listen there?")
        })?;
        Ok(Self {
            target,
            connection,
            request: Vec::with_capacity(1024),
        })
    }

    /// Calls an operation; anything but success is an error.
    pub(super) async fn call(
        &mut self,
        authorization: &AccountCredentials,
        method: &str,
        path: &str,
        form: &[(&str, &str)],
    ) -> Result<ApiAnswer, String> {
        let form = form_urlencoded::Serializer::new(String::new())
            .extend_pairs(form)
            .finish();
        let request = PreparedRequest {
            method,
            path,
            form: &form,
        };
        self.target.write(&mut self.request, authorization, &request);
        let response = self
            .connection
            .exchange(&self.request)
            .await
            .map_err(|error| format!("{method} {path}: the connection broke: {error}"))?;
        if !(200..300).contains(&response.status) {
            let advice = advice(response.status);
            return Err(format!("{method} {path} answers {}{advice}", response.excerpt()));
        }
        let body = if response.body.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(response.body)
                .map_err(|error| format!("{method} {path} answers no JSON: {error}"))?
        };
        Ok(ApiAnswer {
            signature_fields: response
                .header("twilio-verify-signature-fields")
                .map(str::to_owned),
            body,
        })
    }
}

impl ApiAnswer {
    /// A text field that the protocol promises.
    pub(super) fn text(&self, pointer: &str) -> Result<&str, String> {
        self.body
            .pointer(pointer)
            .and_then(Value::as_str)
            .ok_or_else(|| format!("an answer has no text at {pointer}: is this a Verify v2 server?"))
    }
}

/// What is set up, and where.
pub(super) struct SetUp {
    pub(super) pool: ClientPool,
    pub(super) target: Target,
    pub(super) account: AccountCredentials,
    /// The service's SID.
    pub(super) service: String,
    /// How many pieces to make; else as many as `duration` suffices for.
    pub(super) wanted: Option<usize>,
    pub(super) duration: Duration,
    pub(super) clock: Arc<dyn Clock>,
}

impl SetUp {
    /// A path that no earlier run used, to which a number is added for each entity.
    pub(super) fn entities(&self) -> String {
        let millis = self.clock.now().millis();
        format!("/v2/Services/{}/Entities/bench-{millis:x}", self.service)
    }

    /// What says when enough is made, or that a connection failed and set `stop`.
    pub(super) fn quota(&self, stop: &Arc<AtomicBool>) -> Quota {
        let line = ProgressLine::begin("setting up", ProgressUnit::Pieces);
        if let Some(wanted) = self.wanted {
            line.of(wanted as u64);
        }
        Quota {
            made: AtomicUsize::new(0),
            wanted: self.wanted,
            until: Instant::now() + self.duration,
            stop: Arc::clone(stop),
            line,
        }
    }
}

/// Makes the service that the benchmark works in; its SID.
pub(super) async fn create_service(
    target: Target,
    account: AccountCredentials,
    settings: &[(&str, &str)],
) -> Result<String, String> {
    let mut api = Api::open(target).await?;
    let form = [&[("FriendlyName", "bench")], settings].concat();
    let answer = api.call(&account, "POST", "/v2/Services", &form).await?;
    Ok(answer.text("/sid")?.to_owned())
}

/// Deletes that service, with all that is in it.
pub(super) async fn delete_service(
    target: Target,
    account: AccountCredentials,
    service: String,
) -> Result<(), String> {
    let mut api = Api::open(target).await?;
    let path = format!("/v2/Services/{service}");
    api.call(&account, "DELETE", &path, &[]).await.map(drop)
}

/// What to do about an answer that is no success.
pub(super) fn advice(status: u16) -> &'static str {
    match status {
        401 => "; is it SID:TOKEN of an account of this server? `countersign account list` names them",
        403 => "; the account may be suspended: `countersign account resume`",
        404 | 405 => "; is this a server of Countersign, and the URL that of its API?",
        429 => "; a limit is reached: measure on a server whose limits are for measuring",
        500.. => "; `/readyz` of its `ops_listen`, and its log, say what is wrong with the server",
        _ => "",
    }
}

/// When the set-up has made enough.
///
/// Without a number it goes on for as long as the load is to last: what it makes costs the server more requests than
/// it is worth in the load.
pub(super) struct Quota {
    made: AtomicUsize,
    wanted: Option<usize>,
    until: Instant,
    stop: Arc<AtomicBool>,
    line: ProgressLine,
}

impl Quota {
    /// The number of the next piece to make, if one more is to be made by a connection that made `mine` so far.
    pub(super) fn next(&self, mine: usize) -> Option<usize> {
        if self.stop.load(Ordering::Relaxed) {
            return None;
        }
        let number = self.made.fetch_add(1, Ordering::Relaxed);
        let wanted = match self.wanted {
            Some(wanted) => number < wanted,
            // Two pieces of each connection, at the least: one in use, one to go on with.
            None => mine < 2 || Instant::now() < self.until,
        };
        if wanted {
            self.line.at(number as u64);
            Some(number)
        } else {
            self.line.end();
            None
        }
    }
}
