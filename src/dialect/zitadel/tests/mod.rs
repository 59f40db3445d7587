//! The calls, with the default guards against toll fraud, on a clock that is moved.

mod json;
mod my_factors;
mod my_phone;
mod named_users;
mod tokens;

use std::sync::Arc;
use std::time::Duration;

use prost::Message as _;
use tonic::{Code, Request, Response, Status};

use super::NAME;
use super::auth_service::MyUser;
use super::proto::rpc;
use super::proto::zitadel::auth::v1::auth_service_server::AuthService as _;
use super::proto::zitadel::auth::v1::{
    GetMyPhoneRequest, ResendMyPhoneVerificationRequest, SetMyPhoneRequest, VerifyMyPhoneRequest,
};
use super::proto::zitadel::v1::{ErrorDetail, ObjectDetails};
use crate::app::App;
use crate::domain::bearer_token::TokenUser;
use crate::domain::entity::EntityName;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::text::{DialectName, FriendlyName, Identity, ServiceName};
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::doubles::{ManualClock, TestParts};
use crate::flows::bearer_token::{self, NewBearerToken};
use crate::flows::code::open_code;
use crate::flows::reading::Foreseen;
use crate::flows::verification::VerificationName;
use crate::flows::{access, account, dialect_service, user, verification};

const NUMBER: &str = "+32470123456";
const OTHER_NUMBER: &str = "+32470654321";
const OWN: &str = "user-0001";

struct ZitadelWorld {
    app: Arc<App>,
    clock: Arc<ManualClock>,
    account: AccountSid,
    /// Of the user [`OWN`].
    token: String,
}

/// A status as callers see it: its code, its text, and what its details say.
type SeenStatus = (Code, String, Option<ErrorDetail>);

impl ZitadelWorld {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let app = TestParts {
            clock: clock.clone(),
            ..TestParts::default()
        }
        .wire();
        let name = FriendlyName::parse("An account").unwrap();
        let account = account::create(&app, name).await.unwrap().account.sid;
        let app = Arc::new(app);
        let token = token_of(&app, account, OWN, false).await;
        Self {
            app,
            clock,
            account,
            token,
        }
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    fn my(&self) -> MyUser {
        MyUser {
            app: Arc::clone(&self.app),
        }
    }

    async fn get(&self) -> (ObjectDetails, String, bool) {
        let answer = self
            .my()
            .get_my_phone(shown(&self.token, GetMyPhoneRequest {}))
            .await;
        let answer = answer.unwrap().into_inner();
        let phone = answer.phone.unwrap_or_default();
        (answer.details.unwrap(), phone.phone, phone.is_phone_verified)
    }

    async fn set(&self, number: &str) -> Result<ObjectDetails, SeenStatus> {
        let request = SetMyPhoneRequest {
            phone: number.to_owned(),
        };
        let set = self.my().set_my_phone(shown(&self.token, request)).await;
        seen(set).map(|answer| answer.details.unwrap())
    }

    async fn resend(&self) -> Result<ObjectDetails, SeenStatus> {
        let request = ResendMyPhoneVerificationRequest {};
        let sent = self
            .my()
            .resend_my_phone_verification(shown(&self.token, request))
            .await;
        seen(sent).map(|answer| answer.details.unwrap())
    }

    async fn verify(&self, code: &str) -> Result<ObjectDetails, SeenStatus> {
        let request = VerifyMyPhoneRequest {
            code: code.to_owned(),
        };
        let verified = self.my().verify_my_phone(shown(&self.token, request)).await;
        seen(verified).map(|answer| answer.details.unwrap())
    }

    async fn service(&self) -> ServiceSid {
        let (dialect, name) = (
            DialectName::parse(NAME).unwrap(),
            ServiceName::parse("ZITADEL").unwrap(),
        );
        dialect_service::service_of(&self.app, &mut self.account.into(), &dialect, &name, |_| {
            Foreseen::default()
        })
        .await
        .unwrap()
    }

    async fn name(&self, user: &str) -> EntityName {
        EntityName {
            service: self.service().await,
            identity: Identity::parse(user).unwrap(),
        }
    }

    /// The verification that shows whose the user's number is.
    async fn waits(&self) -> VerificationSid {
        let user = user::fetch(&self.app, self.account, &self.name(OWN).await)
            .await
            .unwrap();
        user.phone.unwrap().verification.unwrap()
    }

    async fn verification(&self, sid: VerificationSid) -> Verification {
        let which = VerificationName::Sid(sid);
        let service = self.service().await;
        verification::fetch(&self.app, self.account, service, &which)
            .await
            .unwrap()
            .1
    }

    /// The code that was issued last for the user's number.
    async fn code(&self) -> String {
        let waits = self.verification(self.waits().await).await;
        let code = open_code(&self.app, &waits, waits.codes.last().unwrap()).unwrap();
        code.reveal().to_owned()
    }
}

async fn token_of(app: &App, account: AccountSid, user: &str, manages_users: bool) -> String {
    let new = NewBearerToken {
        dialect: DialectName::parse(NAME).unwrap(),
        user: Some(TokenUser {
            name: Identity::parse(user).unwrap(),
            manages_users,
        }),
        friendly_name: FriendlyName::parse("a token").unwrap(),
        life: None,
    };
    let (token, secret) = bearer_token::create(app, account, new).await.unwrap();
    access::presented(token.sid, &secret).to_string()
}

/// A call by whoever shows this token.
fn shown<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    let value = format!("Bearer {token}").parse().unwrap();
    request.metadata_mut().insert("authorization", value);
    request
}

/// The answer, or the status as callers see it.
fn seen<T>(answer: Result<Response<T>, Status>) -> Result<T, SeenStatus> {
    answer.map(Response::into_inner).map_err(|status| {
        let detail = (!status.details().is_empty()).then(|| {
            let rich = rpc::Status::decode(status.details()).unwrap();
            assert_eq!(
                (rich.code, rich.message.as_str()),
                (status.code().into(), status.message())
            );
            let [detail] = rich.details.as_slice() else {
                panic!("one detail: {rich:?}");
            };
            assert_eq!(detail.type_url, "type.googleapis.com/zitadel.v1.ErrorDetail");
            ErrorDetail::decode(detail.value.as_slice()).unwrap()
        });
        (status.code(), status.message().to_owned(), detail)
    })
}

/// The error of the protocol that has this identifier.
fn known<T>(code: Code, id: &str, text: &str) -> Result<T, SeenStatus> {
    let detail = ErrorDetail {
        id: id.to_owned(),
        message: text.to_owned(),
    };
    Err((code, format!("{text} ({id})"), Some(detail)))
}

/// The code of a status whose text is not the protocol's.
fn code_of<T>(answer: Result<T, SeenStatus>) -> Option<Code> {
    answer.err().map(|(code, text, detail)| {
        assert!(detail.is_none() && !text.is_empty(), "{text}");
        code
    })
}

/// A code of the same form that is not this one.
fn other(code: &str) -> String {
    let first = if code.starts_with('A') { "B" } else { "A" };
    format!("{first}{}", &code[1..])
}
