//! What every operation is handed: who calls, what the path and the parameters say.

use std::fmt::{Display, Write as _};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::extract::{FromRequest, FromRequestParts, MatchedPath, RawPathParams, Request};
use axum::http::Method;
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Response};

use super::auth::{Authenticated, Caller, caller, credentials};
use super::error::{ApiError, Parameter, ToApiError};
use super::foresight::Asked;
use super::form::{Form, whole_number};
use super::spelling;
use crate::app::App;
use crate::domain::access::Refusal;
use crate::domain::entity::EntityName;
use crate::domain::sid::{AccessTokenSid, AccountSid, ServiceSid};
use crate::domain::text::Identity;
use crate::domain::time::Timestamp;
use crate::flows::access::{Actor, Admission};
use crate::flows::reading::{Admitted, Prior};
use crate::flows::{self, Fault, audit};
use crate::web::body;
use crate::web::public_url::PublicUrl;

/// What every operation needs.
#[derive(Clone, Debug)]
pub(super) struct Twilio {
    /// The wired parts.
    pub(super) app: Arc<App>,
    /// How clients reach this server.
    pub(super) public_url: PublicUrl,
}

/// An authenticated request with its parameters read.
pub(super) struct Call {
    twilio: Twilio,
    caller: Caller,
    /// What was read to know the caller: whoever needs it first goes on with it.
    prior: Mutex<Prior>,
    admission: Option<Admission>,
    names: Option<RawPathParams>,
    /// A copy: a part of the request's own bytes would keep the connection's buffer from being used again while this waits.
    path: Box<str>,
    base: Arc<str>,
    /// What the body says.
    pub(super) form: Form,
    /// What the query says.
    pub(super) query: Form,
}

impl Call {
    /// The wired parts.
    pub(super) fn app(&self) -> &App {
        &self.twilio.app
    }

    /// The wired parts, for what goes on behind the answer.
    pub(super) fn shared_app(&self) -> &Arc<App> {
        &self.twilio.app
    }

    /// The time that answers are seen at.
    pub(super) fn now(&self) -> Timestamp {
        self.twilio.app.clock.now()
    }

    /// The account, for what is no device's business.
    pub(super) fn account(&self) -> Result<AccountSid, ApiError> {
        self.refuse(self.caller.actor().and_then(Actor::account_only))
    }

    /// The account, for what the devices of this service may see as well.
    pub(super) fn account_of_service(&self, service: ServiceSid) -> Result<AccountSid, ApiError> {
        self.refuse(self.caller.actor().and_then(|actor| actor.of_service(service)))
    }

    /// The same, for flows that go on with what was read to know it.
    pub(super) fn admitted_account(&self) -> Result<Admitted<AccountSid>, ApiError> {
        Ok(self.admitted(self.account()?))
    }

    /// The account or the device.
    pub(super) fn actor(&self) -> Result<Admitted<Actor>, ApiError> {
        let actor = self.refuse(self.caller.actor())?;
        Ok(self.admitted(actor.clone()))
    }

    fn admitted<T>(&self, who: T) -> Admitted<T> {
        let mut prior = self.prior.lock().unwrap_or_else(PoisonError::into_inner);
        let prior = std::mem::take(&mut *prior);
        Admitted { who, prior }
    }

    /// What the account or the device was let in by.
    pub(super) fn admission(&self) -> Result<Admission, ApiError> {
        self.refuse(self.admission.clone().ok_or(Refusal::Forbidden))
    }

    /// How long the answer may be waited for, if at all.
    pub(super) fn wait(&self) -> Result<Option<Duration>, ApiError> {
        let seconds = self.query.parsed(Parameter::WAIT, |text| {
            whole_number(text)
                .filter(|seconds| *seconds <= 60)
                .ok_or("must be a whole number of seconds from 0 to 60")
        })?;
        Ok(seconds
            .filter(|seconds| *seconds > 0)
            .map(|seconds| Duration::from_secs(u64::from(seconds))))
    }

    /// The account, and the access token that permits a device to create a factor.
    pub(super) fn enroller(&self) -> Result<(Admitted<AccountSid>, Option<AccessTokenSid>), ApiError> {
        match &self.caller {
            Caller::Actor(actor) => Ok((self.admitted(self.refuse(actor.account_only())?), None)),
            Caller::Enrolment { account, permit } => Ok((self.admitted(*account), Some(*permit))),
        }
    }

    /// An identifier in the path. One of the wrong form names nothing.
    pub(super) fn sid<T: FromStr>(&self, name: &str) -> Result<T, ApiError> {
        self.name(name)
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| self.not_found())
    }

    /// The identity in the path.
    pub(super) fn identity(&self) -> Result<Identity, ApiError> {
        let text = self.name("Identity").unwrap_or_default();
        let rule = self.app().policy.identities;
        rule.parse(text)
            .map_err(super::error::of_parameter(Parameter::IDENTITY))
    }

    /// The entity in the path.
    pub(super) fn entity(&self) -> Result<EntityName, ApiError> {
        Ok(EntityName {
            service: self.sid("ServiceSid")?,
            identity: self.identity()?,
        })
    }

    /// A part of the path.
    pub(super) fn name(&self, name: &str) -> Option<&str> {
        named(self.names.as_ref(), name)
    }

    /// The absolute URL of a path of this API, such as `/v2/Services`.
    pub(super) fn url(&self, path: impl Display) -> String {
        let mut url = String::with_capacity(self.base.len() + TYPICAL_PATH_BYTES);
        url.push_str(&self.base);
        // Writing into a text cannot fail.
        let _ = write!(url, "{path}");
        url
    }

    /// The absolute URL of what was asked for, without its query.
    pub(super) fn own_url(&self) -> String {
        self.url(&self.path)
    }

    /// What a flow answered, with its errors in this dialect.
    pub(super) fn settle<T, R: ToApiError>(&self, answer: Result<T, flows::Error<R>>) -> Result<T, ApiError> {
        answer.map_err(|error| ApiError::from_flow(error, &self.path))
    }

    /// What a flow of verifications answered, which has a number of its own for too many requests at once.
    pub(super) fn settle_verification<T, R: ToApiError>(
        &self,
        answer: Result<T, flows::Error<R>>,
    ) -> Result<T, ApiError> {
        match answer {
            Err(flows::Error::Failed(Fault::Busy | Fault::Conflict(_))) => Err(ApiError::too_many_at_once()),
            answer => self.settle(answer),
        }
    }

    /// What the domain answered, with its refusals in this dialect.
    pub(super) fn refuse<T, R: ToApiError>(&self, answer: Result<T, R>) -> Result<T, ApiError> {
        self.settle(answer.map_err(flows::Error::from))
    }

    /// The answer for what does not exist.
    pub(super) fn not_found(&self) -> ApiError {
        ApiError::not_found(&self.path)
    }
}

impl FromRequest<Twilio> for Call {
    type Rejection = Response;

    async fn from_request(request: Request, twilio: &Twilio) -> Result<Self, Response> {
        let (mut parts, request_body) = request.into_parts();
        let names = RawPathParams::from_request_parts(&mut parts, &()).await.ok();
        let refuse = |error| ApiError::from_flow(error, parts.uri.path()).into_response();
        audit::note_dialect(super::NAME);
        let credentials = credentials(&parts.headers).map_err(|refusal| refuse(refusal.into()))?;
        // Before anything is read from the store: what is read for the caller is not old when the operation begins, however
        // long the body takes, and what the body names is read in the same round trip.
        let form = if parts.method == Method::POST {
            read_form(&parts, request_body).await
        } else {
            Ok(Form::default())
        };
        let route = parts.extensions.get::<MatchedPath>();
        let asked = Asked {
            app: &twilio.app,
            route: route.map_or("", MatchedPath::as_str),
            names: names.as_ref(),
            form: form.as_ref().ok(),
        };
        let enrols = service_to_enrol_in(&parts, names.as_ref());
        let Authenticated {
            caller,
            prior,
            admission,
        } = caller(&asked, credentials, enrols).await.map_err(refuse)?;
        let query = Form::parse(parts.uri.query().unwrap_or_default().as_bytes());
        let query = query
            .ok_or_else(|| ApiError::not_utf8("query"))
            .and_then(spelling::settle);
        let query = query.map_err(IntoResponse::into_response)?;
        let form = form
            .and_then(spelling::settle)
            .map_err(IntoResponse::into_response)?;
        let known = parts.extensions.get();
        let base = match known {
            Some(RequestBase(base)) => Arc::clone(base),
            None => twilio.public_url.owned_base(&parts),
        };
        Ok(Self {
            twilio: twilio.clone(),
            caller,
            prior: Mutex::new(prior),
            admission,
            names,
            path: parts.uri.path().into(),
            base,
            form,
            query,
        })
    }
}

/// What the URLs in the answer to a request begin with.
#[derive(Clone, Debug)]
pub(super) struct RequestBase(pub(super) Arc<str>);

/// A part of a path.
pub(super) fn named<'n>(names: Option<&'n RawPathParams>, name: &str) -> Option<&'n str> {
    let (_, value) = names?.iter().find(|(given, _)| *given == name)?;
    Some(value)
}

/// The service, if the route is the one that an access token is for.
fn service_to_enrol_in(parts: &Parts, names: Option<&RawPathParams>) -> Option<ServiceSid> {
    let route = parts.extensions.get::<MatchedPath>()?;
    if parts.method != Method::POST || !route.as_str().ends_with("/Factors") {
        return None;
    }
    named(names, "ServiceSid")?.parse().ok()
}

async fn read_form(parts: &Parts, request_body: axum::body::Body) -> Result<Form, ApiError> {
    let bytes = body::read(parts, request_body).await?;
    let form = parse_form(parts, &bytes)?;
    with_proof(parts, form)
}

/// What a device proves itself with may stand in a header of the route's own instead of `AuthPayload`.
fn with_proof(parts: &Parts, mut form: Form) -> Result<Form, ApiError> {
    let route = parts
        .extensions
        .get::<MatchedPath>()
        .map_or("", MatchedPath::as_str);
    let header = PROOF_HEADERS.iter().find(|(end, _)| route.ends_with(end));
    let Some(given) = header.and_then(|(_, name)| parts.headers.get(*name)) else {
        return Ok(form);
    };
    let name = Parameter::AUTH_PAYLOAD.name;
    match (given.to_str(), form.filled(name)) {
        (Ok(given), Some(own)) if given == own => {}
        (Ok(given), None) => form.push(name, given),
        _ => {
            let expected =
                "must be what the header says that has a signature, or only one of the two may be sent";
            return Err(ApiError::invalid(Parameter::AUTH_PAYLOAD, expected));
        }
    }
    Ok(form)
}

/// The ends of routes, and the headers that have a device's signature there.
const PROOF_HEADERS: [(&str, &str); 2] = [
    ("/Challenges/{ChallengeSid}", "twilio-verify-challenge-signature"),
    ("/Factors/{FactorSid}", "twilio-verify-factor-signature"),
];

fn parse_form(parts: &Parts, bytes: &[u8]) -> Result<Form, ApiError> {
    let is_form = parts
        .headers
        .get(CONTENT_TYPE)
        .is_none_or(|value| starts_with(value.as_bytes(), b"application/x-www-form-urlencoded"));
    if !bytes.is_empty() && !is_form {
        return Err(ApiError::no_form());
    }
    Form::parse(bytes).ok_or_else(|| ApiError::not_utf8("body"))
}

/// In either case, as media types are compared.
fn starts_with(text: &[u8], beginning: &[u8]) -> bool {
    text.get(..beginning.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(beginning))
}

/// Most paths in answers are no longer.
const TYPICAL_PATH_BYTES: usize = 224;
