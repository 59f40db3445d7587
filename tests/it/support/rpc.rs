//! Callers of gRPC, in messages and statuses: over the router of a test, or over a connection.

use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{HeaderMap, Request, Version};
use bytes::Bytes;
use countersign::app::App;
use countersign::dialect::signal::{self, Callers};
use countersign::dialect::zitadel;
use countersign::domain::bearer_token::TokenUser;
use countersign::domain::text::{DialectName, FriendlyName, Identity};
use countersign::flows::access::presented;
use countersign::flows::bearer_token::{self, NewBearerToken};
use http_body_util::BodyExt as _;
use percent_encoding::percent_decode;
use prost::Message;
use prost_types::FileDescriptorSet;
use tonic::Code;
use tower::ServiceExt as _;

use super::Credentials;
pub(crate) use super::connection::{RawAnswer, RpcConnection};
use crate::doubles::watch;

/// Signal's registration service, as today's clients name it.
pub(crate) const REGISTRATION: &str = "/org.signal.registration.rpc.RegistrationService";

/// Zitadel's services: for users themselves, and for users by name.
pub(crate) const OWN_USER: &str = "/zitadel.auth.v1.AuthService";
pub(crate) const NAMED_USERS: &str = "/zitadel.user.v2.UserService";

/// Whoever calls with a token, or without one.
#[derive(Clone, Debug)]
pub(crate) struct RpcCaller {
    router: Router,
    token: Option<String>,
}

/// The answer to a call: a message, or a status and what it says.
pub(crate) type Answered<Answer> = Result<Answer, (Code, String)>;

impl RpcCaller {
    /// A backend of the account, with a token of its own for Signal's service.
    pub(crate) async fn of_signal(app: &Arc<App>, account: &Credentials) -> Self {
        Self {
            router: signal::http(app.clone(), Callers::Tokens, None).router,
            token: Some(new_token(app, account, "signal").await),
        }
    }

    /// A user of the account, with a token of its own for Zitadel's services.
    pub(crate) async fn of_zitadel(
        app: &Arc<App>,
        account: &Credentials,
        name: &str,
        manages_users: bool,
    ) -> Self {
        Self {
            router: zitadel::http(app.clone()).router,
            token: Some(new_user_token(app, account, name, manages_users).await),
        }
    }

    /// Calls `path`, which answers or refuses.
    pub(crate) async fn call<Asked: Message, Answer: Message + Default>(
        &self,
        path: &str,
        asked: &Asked,
    ) -> Answered<Answer> {
        let request = Request::post(path)
            .version(Version::HTTP_2)
            .header("content-type", "application/grpc")
            .header("te", "trailers");
        let request = match &self.token {
            Some(token) => request.header("authorization", format!("Bearer {token}")),
            None => request,
        };
        let request = request.body(Body::from(framed(asked))).unwrap();
        let (head, body) = self.router.clone().oneshot(request).await.unwrap().into_parts();
        let body = body.collect().await.unwrap();
        let trailers = body.trailers().cloned().unwrap_or_default();
        answered(&head.headers, &trailers, &body.to_bytes())
    }
}

/// A new token of the account for a protocol.
pub(crate) async fn new_token(app: &App, account: &Credentials, dialect: &str) -> String {
    token_of(app, account, dialect, None).await
}

/// A new token of a user of the account, for Zitadel's services.
pub(crate) async fn new_user_token(
    app: &App,
    account: &Credentials,
    name: &str,
    manages_users: bool,
) -> String {
    let name = Identity::parse(name).unwrap();
    let user = TokenUser { name, manages_users };
    token_of(app, account, "zitadel", Some(user)).await
}

async fn token_of(app: &App, account: &Credentials, dialect: &str, user: Option<TokenUser>) -> String {
    let new = NewBearerToken {
        dialect: DialectName::parse(dialect).unwrap(),
        user,
        friendly_name: FriendlyName::parse("A backend").unwrap(),
        life: None,
    };
    let owner = account.user.parse().unwrap();
    let (token, secret) = bearer_token::create(app, owner, new).await.unwrap();
    let shown = presented(token.sid, &secret).to_string();
    watch::secret(&shown);
    shown
}

/// A message behind its length (gRPC over HTTP/2, "Length-Prefixed-Message").
pub(crate) fn framed(message: &impl Message) -> Vec<u8> {
    let length = u32::try_from(message.encoded_len()).unwrap();
    [&[0][..], &length.to_be_bytes(), &message.encode_to_vec()].concat()
}

/// What an answer says: the status stands behind the message, or before everything if there is none.
pub(crate) fn answered<Answer: Message + Default>(
    headers: &HeaderMap,
    trailers: &HeaderMap,
    body: &[u8],
) -> Answered<Answer> {
    let of = |name| trailers.get(name).or_else(|| headers.get(name));
    let status = of("grpc-status").expect("a status");
    let code = Code::from_bytes(status.as_bytes());
    if code != Code::Ok {
        let text = of("grpc-message").map_or(&[][..], |text| text.as_bytes());
        let text = percent_decode(text).decode_utf8().unwrap();
        return Err((code, text.into_owned()));
    }
    let (length, message) = body[1..].split_first_chunk::<4>().unwrap();
    assert_eq!(
        usize::try_from(u32::from_be_bytes(*length)).unwrap(),
        message.len()
    );
    Ok(Answer::decode(Bytes::copy_from_slice(message)).unwrap())
}

/// The paths of all calls that a dialect's `.proto` files describe, in their order there.
pub(crate) fn methods(dialect: &str) -> Vec<String> {
    let file = Path::new(env!("OUT_DIR")).join(format!("{dialect}.descriptors"));
    let described = FileDescriptorSet::decode(&*std::fs::read(file).unwrap()).unwrap();
    let services = described.file.iter().flat_map(|file| {
        let services = file.service.iter();
        services.map(move |service| (format!("{}.{}", file.package(), service.name()), service))
    });
    let paths = services.flat_map(|(name, service)| {
        let methods = service.method.iter();
        methods.map(move |method| format!("/{name}/{}", method.name()))
    });
    paths.collect()
}

/// `CreateSession` as `create_session`.
pub(crate) fn in_snake_case(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
