//! What became of a call, as JSON.

use axum::body::Body;
use axum::http::header::{CONTENT_TYPE, RETRY_AFTER};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Limited};
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage, MessageDescriptor, SerializeOptions};
use prost_types::Any;
use serde_json::{Map, Value};
use tonic::{Code, Status};

use crate::dialect::{AnswerForm, FailureAnswers, HttpFailure, RequestId};
use crate::web::failure::Cause;
use crate::web::rpc::{CallFailures, MAX_MESSAGE_BYTES, failed, form, is_call, message, outcome};

/// Why there is no message to answer with.
#[derive(Debug)]
pub(super) struct JsonError {
    http: StatusCode,
    status: Box<Status>,
}

impl From<Status> for JsonError {
    fn from(status: Status) -> Self {
        Self {
            http: http_status(status.code()),
            status: Box::new(status),
        }
    }
}

impl From<HttpFailure<'_>> for JsonError {
    fn from(failure: HttpFailure<'_>) -> Self {
        let (http, status) = match failure {
            HttpFailure::BodyBroken | HttpFailure::HeaderTwice { .. } | HttpFailure::HostUnclear => {
                (StatusCode::BAD_REQUEST, form::status(failure))
            }
            HttpFailure::BodyTimedOut => (StatusCode::REQUEST_TIMEOUT, form::status(failure)),
            HttpFailure::BodyTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, form::status(failure)),
            HttpFailure::HeadTooLarge { .. } => {
                (StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, form::status(failure))
            }
            // In the gateway's words.
            HttpFailure::MethodNotAllowed => (
                StatusCode::NOT_IMPLEMENTED,
                Status::unimplemented("Method Not Allowed"),
            ),
            HttpFailure::NotFound { .. } => (StatusCode::NOT_FOUND, Status::not_found("Not Found")),
            HttpFailure::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, form::status(failure)),
            HttpFailure::Panicked => (StatusCode::INTERNAL_SERVER_ERROR, form::status(failure)),
        };
        Self {
            http,
            status: Box::new(status),
        }
    }
}

impl JsonError {
    /// For a body that is something else.
    pub(super) fn wrong_type() -> Self {
        Self {
            http: StatusCode::UNSUPPORTED_MEDIA_TYPE,
            status: Box::new(Status::invalid_argument("send content-type: application/json")),
        }
    }

    /// As the gateway writes it; details are of messages in `pool`.
    pub(super) fn answer(&self, pool: &DescriptorPool) -> Response<Body> {
        let mut object = Map::new();
        object.insert("code".to_owned(), i32::from(self.status.code()).into());
        object.insert("message".to_owned(), self.status.message().into());
        let details = StatusDetails::decode(self.status.details()).unwrap_or_default();
        let details: Vec<_> = details
            .details
            .iter()
            .filter_map(|any| detail(pool, any))
            .collect();
        if !details.is_empty() {
            object.insert("details".to_owned(), details.into());
        }
        let mut response = json(&Value::Object(object));
        *response.status_mut() = self.http;
        outcome::note(&self.status, response.extensions_mut());
        if let Some(wait) = self.status.metadata().get(RETRY_AFTER.as_str()) {
            let wait = HeaderValue::from_bytes(wait.as_encoded_bytes());
            response
                .headers_mut()
                .extend(wait.ok().map(|wait| (RETRY_AFTER, wait)));
        }
        response
    }
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, prost::Message)]
struct StatusDetails {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
    #[prost(message, repeated, tag = "3")]
    details: Vec<Any>,
}

/// A message that says its kind; nothing if the kind is not known.
fn detail(pool: &DescriptorPool, any: &Any) -> Option<Value> {
    let kind = pool.get_message_by_name(any.type_url.rsplit('/').next()?)?;
    let message = DynamicMessage::decode(kind, &*any.value).ok()?;
    let mut object = Map::new();
    object.insert("@type".to_owned(), any.type_url.as_str().into());
    match written(&message)? {
        Value::Object(fields) => object.extend(fields),
        other => {
            object.insert("value".to_owned(), other);
        }
    }
    Some(Value::Object(object))
}

/// Without fields that say nothing, 64-bit numbers as strings.
fn written(message: &DynamicMessage) -> Option<Value> {
    let options = SerializeOptions::new();
    message
        .serialize_with_options(serde_json::value::Serializer, &options)
        .ok()
}

/// The message that `reply` brings, which is of this kind, or the status that it says instead.
pub(super) async fn said(
    reply: Response<Body>,
    kind: &MessageDescriptor,
) -> Result<Response<Body>, JsonError> {
    let (parts, body) = reply.into_parts();
    let unreadable = || {
        let told = Status::internal("an internal error occurred");
        failed(told, "the answer of the service cannot be read")
    };
    let limited = Limited::new(body, MAX_MESSAGE_BYTES + 64);
    let collected = limited.collect().await.map_err(|_| unreadable())?;
    let said = collected.trailers().and_then(Status::from_header_map);
    let status = said
        .or_else(|| Status::from_header_map(&parts.headers))
        .ok_or_else(unreadable)?;
    if status.code() != Code::Ok {
        // What was sent to the service is ours, so nobody else is to blame.
        let cause = match parts.extensions.get::<Cause>() {
            Some(Cause(cause)) => Some(cause.clone()),
            None if status.code() == Code::Internal => Some(status.message().to_owned()),
            None => None,
        };
        return Err(JsonError::from(match cause {
            Some(cause) => failed(status, cause),
            None => status,
        }));
    }
    let message = message::unframe(&collected.to_bytes()).ok_or_else(unreadable)?;
    let message = DynamicMessage::decode(kind.clone(), message).map_err(|_| unreadable())?;
    Ok(json(&written(&message).ok_or_else(unreadable)?))
}

fn json(value: &Value) -> Response<Body> {
    let mut response = Response::new(Body::from(value.to_string()));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

/// As the gateway has it.
fn http_status(code: Code) -> StatusCode {
    match code {
        Code::Ok => StatusCode::OK,
        Code::Cancelled => StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST),
        Code::Unknown | Code::Internal | Code::DataLoss => StatusCode::INTERNAL_SERVER_ERROR,
        Code::InvalidArgument | Code::FailedPrecondition | Code::OutOfRange => StatusCode::BAD_REQUEST,
        Code::DeadlineExceeded => StatusCode::GATEWAY_TIMEOUT,
        Code::NotFound => StatusCode::NOT_FOUND,
        Code::AlreadyExists | Code::Aborted => StatusCode::CONFLICT,
        Code::PermissionDenied => StatusCode::FORBIDDEN,
        Code::Unauthenticated => StatusCode::UNAUTHORIZED,
        Code::ResourceExhausted => StatusCode::TOO_MANY_REQUESTS,
        Code::Unimplemented => StatusCode::NOT_IMPLEMENTED,
        Code::Unavailable => StatusCode::SERVICE_UNAVAILABLE,
    }
}

/// Answers calls with a status, and all else in JSON.
#[derive(Clone, Copy, Debug)]
pub struct JsonFailures;

const JSON: AnswerForm = AnswerForm(3);

impl FailureAnswers for JsonFailures {
    fn request_id(&self, id: RequestId, form: AnswerForm) -> (HeaderName, HeaderValue) {
        CallFailures.request_id(id, form)
    }

    fn form(&self, _: &Uri, headers: &HeaderMap) -> AnswerForm {
        if is_call(headers) { form(headers) } else { JSON }
    }

    fn answer(&self, failure: HttpFailure<'_>, form: AnswerForm) -> Response<Body> {
        if form == JSON {
            JsonError::from(failure).answer(&DescriptorPool::new())
        } else {
            CallFailures.answer(failure, form)
        }
    }
}
