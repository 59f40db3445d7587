//! What every operation is handed: who calls, and what the request says.

use std::sync::Arc;

use axum::extract::{FromRequest, Request};
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use zeroize::Zeroizing;

use super::error::VerifyError;
use super::parameters::{BodySyntax, ParameterOrigin, RequestParameters};
use super::reply::{ReplyFormat, VerifyReply};
use super::{NAME, SERVICE_NAME, failures, routes, start};
use crate::app::App;
use crate::domain::destination::Destination;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::text::{DialectName, ServiceName};
use crate::flows::access::Actor;
use crate::flows::reading::{Admitted, Foreseen, Prior};
use crate::flows::verification::{self, VerificationName};
use crate::flows::{access, audit, dialect_service};
use crate::web::basic::BasicCredentials;
use crate::web::body;

/// What every operation needs.
#[derive(Clone, Debug)]
pub(super) struct Vonage {
    pub(super) app: Arc<App>,
}

/// A request of an account that was let in.
pub(super) struct VerifyCall {
    pub(super) app: Arc<App>,
    pub(super) account: AccountSid,
    /// The account's service for this protocol.
    pub(super) service: ServiceSid,
    /// What the caller showed: the identifier of the account, or of a key.
    pub(super) key: String,
    pub(super) parameters: RequestParameters,
    pub(super) format: ReplyFormat,
    prior: Prior,
}

impl VerifyCall {
    /// The account, for the one flow that goes on with what was read to know it.
    pub(super) fn admitted(&mut self) -> Admitted<AccountSid> {
        Admitted {
            who: self.account,
            prior: std::mem::take(&mut self.prior),
        }
    }

    /// The request that is named, and how it was named; `None` of what can be no name.
    pub(super) fn request(&self) -> Result<(Option<VerificationSid>, String), VerifyError> {
        let text = self.parameters.required("request_id")?;
        Ok((named(text), text.chars().take(MOST_SHOWN).collect()))
    }

    /// The answer of HTTP.
    pub(super) fn respond(&self, root: &'static str, outcome: Result<VerifyReply, VerifyError>) -> Response {
        outcome.map_or_else(
            |error| error.respond(root, self.format),
            |reply| reply.respond(axum::http::StatusCode::OK, self.format),
        )
    }
}

/// What a request's identifier names: 32 hexadecimal digits, perhaps with the dashes of a UUID.
pub(super) fn named(text: &str) -> Option<VerificationSid> {
    if text.len() > 36 {
        return None;
    }
    let digits = text.replace('-', "").to_ascii_lowercase();
    format!("{}{digits}", VerificationSid::PREFIX).parse().ok()
}

impl FromRequest<Vonage> for VerifyCall {
    type Rejection = Response;

    async fn from_request(request: Request, vonage: &Vonage) -> Result<Self, Response> {
        let (parts, request_body) = request.into_parts();
        let path = parts.uri.path();
        let (root, format) = (routes::root(path), routes::format(path));
        let bytes = body::read(&parts, request_body)
            .await
            .map_err(|failure| failures::respond(failure, root, format))?;
        let app = &vonage.app;
        admit(app, &parts, &bytes)
            .await
            .map_err(|error| error.respond(root, format))
            .map(|admitted| Self {
                app: app.clone(),
                account: admitted.account.who,
                service: admitted.service,
                key: admitted.key,
                parameters: admitted.parameters,
                format,
                prior: admitted.account.prior,
            })
    }
}

pub(super) struct AdmittedCall {
    pub(super) account: Admitted<AccountSid>,
    pub(super) service: ServiceSid,
    key: String,
    pub(super) parameters: RequestParameters,
}

/// Lets the caller in, whose request began with `parts`.
pub(super) async fn admit(app: &App, parts: &Parts, bytes: &[u8]) -> Result<AdmittedCall, VerifyError> {
    // What a GET says of a body, clients say without one.
    let bytes = if parts.method == Method::GET { &[] } else { bytes };
    let query = parts.uri.query().unwrap_or_default().as_bytes();
    let parameters = RequestParameters::read(query, syntax(&parts.headers), bytes);
    let parameters = parameters.map_err(VerifyError::unreadable);
    audit::note_dialect(NAME);
    let shown = credentials(&parts.headers, parameters.as_ref())?;
    let (Ok(dialect), Ok(name)) = (DialectName::parse(NAME), ServiceName::parse(SERVICE_NAME)) else {
        return Err(VerifyError::failed(&crate::flows::Fault::Corrupt(
            "the names of the service are no names".to_owned(),
        )));
    };
    let pointer = |actor: &Actor| dialect_service::foresee(actor.account(), &dialect);
    let mut account = access::authenticate(app, &shown.key, &shown.secret, pointer)
        .await
        .map_err(|error| VerifyError::of_access(&error))?;
    let parameters = parameters?;
    let who = account.who;
    let needed = |service| foreseen(app, who, service, parts.uri.path(), &parameters);
    let service = dialect_service::service_of(app, &mut account, &dialect, &name, needed)
        .await
        .map_err(|error| VerifyError::of_service(&error))?;
    Ok(AdmittedCall {
        account,
        service,
        key: shown.key,
        parameters,
    })
}

/// What the operations that are asked for most are going to read.
fn foreseen(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    path: &str,
    parameters: &RequestParameters,
) -> Foreseen {
    let nothing = Foreseen::default;
    match path.rsplit_once('/').map(|(operation, _)| operation) {
        Some("/verify" | "/verify/psd2") => start::number(parameters).map_or_else(
            |_| nothing(),
            |number| verification::foresee_start(app, account, service, &Destination::Phone(number)),
        ),
        Some("/verify/check") => {
            let id = parameters.one("request_id").ok().flatten().and_then(named);
            id.map_or_else(nothing, |sid| {
                verification::foresee(account, service, &VerificationName::Sid(sid))
            })
        }
        _ => nothing(),
    }
}

/// How the body is written: as JSON if the request says so, or else as a form.
fn syntax(headers: &HeaderMap) -> BodySyntax {
    let content = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = content
        .and_then(|content| content.split(';').next())
        .map(str::trim);
    match kind {
        Some(kind) if kind.eq_ignore_ascii_case("application/json") => BodySyntax::Json,
        _ => BodySyntax::Form,
    }
}

/// A key and its secret.
struct ShownKey {
    key: String,
    secret: Zeroizing<String>,
}

/// What the caller shows: in the header, or else in the body, or else in the query. Two halves from two places are no pair.
fn credentials(
    headers: &HeaderMap,
    parameters: Result<&RequestParameters, &VerifyError>,
) -> Result<ShownKey, VerifyError> {
    let header = headers.get(AUTHORIZATION).map(axum::http::HeaderValue::as_bytes);
    let is_basic = |header: &&[u8]| {
        header
            .get(..6)
            .is_some_and(|scheme| scheme.eq_ignore_ascii_case(b"basic "))
    };
    if let Some(header) = header.filter(is_basic) {
        let basic = BasicCredentials::parse(header).ok_or_else(VerifyError::wrong_credentials)?;
        let (key, secret) = basic.into_parts();
        return Ok(ShownKey { key, secret });
    }
    let parameters = parameters.map_err(|error| error.clone().of_stranger())?;
    for origin in [ParameterOrigin::Body, ParameterOrigin::Query] {
        let half = |name| parameters.one_of(origin, name).map_err(VerifyError::of_stranger);
        match (half("api_key")?, half("api_secret")?) {
            (None, None) => {}
            (Some(key), Some(secret)) => {
                return Ok(ShownKey {
                    key: key.to_owned(),
                    secret: Zeroizing::new(secret.to_owned()),
                });
            }
            (None, Some(_)) => return Err(VerifyError::missing("api_key").of_stranger()),
            (Some(_), None) => return Err(VerifyError::missing("api_secret").of_stranger()),
        }
    }
    Err(VerifyError::missing("api_key").of_stranger())
}

/// Enough of what was given as an identifier for whoever looks for the mistake.
const MOST_SHOWN: usize = 64;
