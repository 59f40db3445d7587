//! Requests in JSON, to a service that notes what it is asked and answers what it is told to.

mod answers;
mod bodies;
mod outcomes;
mod paths;

use std::sync::{Arc, Mutex};

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Response};
use bytes::Bytes;
use http_body_util::BodyExt as _;
use prost_reflect::prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::Value;
use tonic::Status;
use tower::ServiceExt as _;

use super::*;
use crate::web::rpc::message::{frame, unframe};
use crate::web::rpc::serve as serve_calls;

const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/zitadel.descriptors"));

const ROUTES: &[JsonRoute] = &[
    JsonRoute {
        method: "GET",
        path: "/auth/v1/users/me/phone",
        call: "zitadel.auth.v1.AuthService/GetMyPhone",
    },
    JsonRoute {
        method: "PUT",
        path: "/auth/v1/users/me/phone",
        call: "zitadel.auth.v1.AuthService/SetMyPhone",
    },
    JsonRoute {
        method: "POST",
        path: "/auth/v1/users/me/phone/_verify",
        call: "zitadel.auth.v1.AuthService/VerifyMyPhone",
    },
    JsonRoute {
        method: "POST",
        path: "/v2/users/{user_id}/phone",
        call: "zitadel.user.v2.UserService/SetPhone",
    },
    JsonRoute {
        method: "DELETE",
        path: "/v2/users/{user_id}/phone",
        call: "zitadel.user.v2.UserService/RemovePhone",
    },
    JsonRoute {
        method: "POST",
        path: "/v2/users/{user_id}/phone/verify",
        call: "zitadel.user.v2.UserService/VerifyPhone",
    },
    JsonRoute {
        method: "POST",
        path: "/v2/users/{user_id}/authentication_factors/_search",
        call: "zitadel.user.v2.UserService/ListAuthenticationFactors",
    },
];

/// One call as it arrived.
#[derive(Clone, Debug)]
struct RecordedCall {
    path: String,
    headers: HeaderMap,
    message: Bytes,
}

impl RecordedCall {
    /// The message, in JSON, by the proto's names of fields.
    fn message(&self, kind: &str) -> Value {
        let kind = pool().get_message_by_name(kind).unwrap();
        let message = DynamicMessage::decode(kind, self.message.clone()).unwrap();
        let options = prost_reflect::SerializeOptions::new().use_proto_field_name(true);
        message
            .serialize_with_options(serde_json::value::Serializer, &options)
            .unwrap()
    }
}

/// What is served as JSON.
struct JsonWorld {
    json: Json,
    asked: Arc<Mutex<Vec<RecordedCall>>>,
    answer: Arc<Mutex<Result<Vec<u8>, Status>>>,
}

/// A request's head; the body has this type unless there is none.
fn request(method: &str, path: &str, body: impl Into<Body>) -> Request<Body> {
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("content-type", "application/json")
        .header("authorization", "Bearer one");
    request.body(body.into()).unwrap()
}

impl JsonWorld {
    fn new() -> Self {
        let asked = Arc::new(Mutex::new(Vec::new()));
        let answer = Arc::new(Mutex::new(Ok::<_, Status>(Vec::new())));
        let noted = (Arc::clone(&asked), Arc::clone(&answer));
        let service = tower::service_fn(move |request: Request<tonic::body::Body>| {
            let (asked, answer) = noted.clone();
            async move {
                let (parts, body) = request.into_parts();
                let body = body.collect().await.unwrap().to_bytes();
                asked.lock().unwrap().push(RecordedCall {
                    path: parts.uri.path().to_owned(),
                    headers: parts.headers,
                    message: unframe(&body).unwrap(),
                });
                let answer = answer.lock().unwrap().clone();
                Ok(match answer {
                    Ok(message) => {
                        let mut trailers = HeaderMap::new();
                        Status::ok("").add_header(&mut trailers).unwrap();
                        let body = Full::new(frame(&message)).with_trailers(async { Some(Ok(trailers)) });
                        Response::new(tonic::body::Body::new(body))
                    }
                    Err(status) => status.into_http(),
                })
            }
        });
        let calls = Router::new().fallback_service(serve_calls(service));
        Self {
            json: serve(calls, DESCRIPTORS, ROUTES).unwrap(),
            asked,
            answer,
        }
    }

    async fn ask(&self, request: Request<Body>) -> (u16, HeaderMap, String) {
        let Ok(response) = self.json.clone().oneshot(request).await;
        let (parts, body) = response.into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        (
            parts.status.as_u16(),
            parts.headers,
            String::from_utf8(body.to_vec()).unwrap(),
        )
    }

    /// What was asked meanwhile.
    fn asked(&self) -> Vec<RecordedCall> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }

    /// What is answered from now on: a message of this kind, or a status.
    fn answers(&self, kind: &str, json: &Value) {
        let kind = pool().get_message_by_name(kind).unwrap();
        let message = DynamicMessage::deserialize(kind, json.clone()).unwrap();
        *self.answer.lock().unwrap() = Ok(message.encode_to_vec());
    }

    fn refuses(&self, status: Status) {
        *self.answer.lock().unwrap() = Err(status);
    }
}

fn pool() -> DescriptorPool {
    DescriptorPool::decode(DESCRIPTORS).unwrap()
}
