//! What a user and a backend do about the user's phone number and factors.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::http::Method;
use countersign::dialect::zitadel::proto::zitadel::auth::v1::{
    AddMyAuthFactorOtpRequest, AddMyAuthFactorOtpResponse, GetMyPhoneRequest, GetMyPhoneResponse,
    ListMyAuthFactorsRequest, ListMyAuthFactorsResponse, SetMyPhoneRequest, SetMyPhoneResponse,
};
use countersign::dialect::zitadel::{self, DESCRIPTORS};
use countersign::flows::check_store::check_store;
use countersign::flows::store_format;
use countersign::store::Entry;
use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use serde_json::{Value, json};
use tempfile::TempDir;
use tonic::Code;

use super::answers::Said;
use super::breaker::{Breaker, Form, PlainRequest, Recorded, Tally};
use super::patient_limits;
use crate::serving::process::{Process, stdout_of};
use crate::support::called::serve_beside_twilio;
use crate::support::rpc::{OWN_USER, RawAnswer, RpcCaller, RpcConnection, framed, methods, new_user_token};
use crate::support::{Credentials, TestApp};

/// The tokens of a user and of a backend that manages users.
struct Tokens {
    user: String,
    backend: String,
}

/// A verb, a path, what the call is called, and the body.
type PlainCall = (&'static str, String, &'static str, Value);

/// No code, and not a few bytes from one.
const GUESS: &str = "what is not right";

/// What a user asks about itself.
fn own_calls(phone: &str) -> Vec<PlainCall> {
    let me = "/auth/v1/users/me";
    vec![
        ("GET", "/auth/v1/healthz".to_owned(), "Healthz", json!({})),
        ("GET", format!("{me}/phone"), "GetMyPhone", json!({})),
        (
            "PUT",
            format!("{me}/phone"),
            "SetMyPhone",
            json!({ "phone": phone }),
        ),
        (
            "POST",
            format!("{me}/phone/_verify"),
            "VerifyMyPhone",
            json!({ "code": GUESS }),
        ),
        (
            "POST",
            format!("{me}/phone/_resend_verification"),
            "ResendMyPhoneVerification",
            json!({}),
        ),
        ("DELETE", format!("{me}/phone"), "RemoveMyPhone", json!({})),
        (
            "POST",
            format!("{me}/auth_factors/_search"),
            "ListMyAuthFactors",
            json!({}),
        ),
        (
            "POST",
            format!("{me}/auth_factors/otp"),
            "AddMyAuthFactorOTP",
            json!({}),
        ),
        (
            "POST",
            format!("{me}/auth_factors/otp/_verify"),
            "VerifyMyAuthFactorOTP",
            json!({ "code": GUESS }),
        ),
        (
            "DELETE",
            format!("{me}/auth_factors/otp"),
            "RemoveMyAuthFactorOTP",
            json!({}),
        ),
        (
            "POST",
            format!("{me}/auth_factors/otp_sms"),
            "AddMyAuthFactorOTPSMS",
            json!({}),
        ),
        (
            "DELETE",
            format!("{me}/auth_factors/otp_sms"),
            "RemoveMyAuthFactorOTPSMS",
            json!({}),
        ),
    ]
}

/// What is asked about a user by name.
fn named_calls(user: &str, phone: &str) -> Vec<PlainCall> {
    let they = format!("/v2/users/{user}");
    let set = json!({ "userId": user, "phone": phone, "returnCode": {} });
    let vouch = json!({ "userId": user, "phone": phone, "isVerified": true });
    let resend = json!({ "userId": user, "sendCode": {} });
    let verify = json!({ "userId": user, "verificationCode": GUESS });
    let prove = json!({ "userId": user, "code": GUESS });
    let list = json!({ "userId": user, "authFactors": ["OTP"], "states": ["AUTH_FACTOR_STATE_READY"] });
    let whom = json!({ "userId": user });
    vec![
        ("POST", format!("{they}/phone"), "SetPhone", set),
        ("POST", format!("{they}/phone"), "SetPhone", vouch),
        ("POST", format!("{they}/phone/resend"), "ResendPhoneCode", resend),
        ("POST", format!("{they}/phone/verify"), "VerifyPhone", verify),
        ("DELETE", format!("{they}/phone"), "RemovePhone", whom.clone()),
        ("POST", format!("{they}/totp"), "RegisterTOTP", whom.clone()),
        (
            "POST",
            format!("{they}/totp/verify"),
            "VerifyTOTPRegistration",
            prove,
        ),
        ("DELETE", format!("{they}/totp"), "RemoveTOTP", whom.clone()),
        ("POST", format!("{they}/otp_sms"), "AddOTPSMS", whom.clone()),
        ("DELETE", format!("{they}/otp_sms"), "RemoveOTPSMS", whom),
        (
            "POST",
            format!("{they}/authentication_factors/_search"),
            "ListAuthenticationFactors",
            list,
        ),
    ]
}

/// All that can be asked about this user, who has this number.
fn recorded(user: &str, phone: &str, tokens: &Tokens) -> Vec<Recorded> {
    let pool = DescriptorPool::decode(DESCRIPTORS).unwrap();
    let of_service = |service: &'static str, token: &str, (verb, path, name, body): PlainCall| {
        let service_methods = pool.get_service_by_name(service).unwrap();
        let method = service_methods.methods().find(|method| method.name() == name);
        let message = DynamicMessage::deserialize(method.unwrap().input(), body.clone()).unwrap();
        Recorded {
            path: format!("/{service}/{name}"),
            message: message.encode_to_vec(),
            plain: Some(PlainRequest {
                verb: Method::from_bytes(verb.as_bytes()).unwrap(),
                path,
                body,
            }),
            token: token.to_owned(),
            reads: [
                "Healthz",
                "GetMyPhone",
                "ListMyAuthFactors",
                "ListAuthenticationFactors",
            ]
            .contains(&name),
        }
    };
    let mut all: Vec<_> = own_calls(phone)
        .into_iter()
        .map(|call| of_service("zitadel.auth.v1.AuthService", &tokens.user, call))
        .collect();
    for call in named_calls(user, phone) {
        let backends = call.2 == "SetPhone";
        let token = if backends { &tokens.backend } else { &tokens.user };
        all.push(of_service("zitadel.user.v2.UserService", token, call));
    }
    let mut paths: Vec<_> = all.iter().map(|call| call.path.clone()).collect();
    paths.dedup();
    let mut described = methods("zitadel");
    paths.sort_unstable();
    described.sort_unstable();
    assert_eq!(paths, described, "all calls are broken");
    all
}

/// A user whom nobody calls for, with a number that waits for its code and an app.
async fn somebody_else(server: &TestApp, account: &Credentials, name: &str, phone: &str) -> RpcCaller {
    let user = RpcCaller::of_zitadel(&server.app, account, name, false).await;
    let phone = SetMyPhoneRequest {
        phone: phone.to_owned(),
    };
    let _: SetMyPhoneResponse = user
        .call(&format!("{OWN_USER}/SetMyPhone"), &phone)
        .await
        .unwrap();
    let path = format!("{OWN_USER}/AddMyAuthFactorOTP");
    let _: AddMyAuthFactorOtpResponse = user.call(&path, &AddMyAuthFactorOtpRequest {}).await.unwrap();
    user
}

/// What they are told of themselves.
async fn told(user: &RpcCaller) -> (GetMyPhoneResponse, ListMyAuthFactorsResponse) {
    let phone = user
        .call(&format!("{OWN_USER}/GetMyPhone"), &GetMyPhoneRequest {})
        .await;
    let factors = user
        .call(
            &format!("{OWN_USER}/ListMyAuthFactors"),
            &ListMyAuthFactorsRequest {},
        )
        .await;
    (phone.unwrap(), factors.unwrap())
}

/// The range of the others' numbers.
const OTHERS: &[u8] = b"4915112";

/// Whether a call was answered well.
fn found(answer: &RawAnswer) -> Result<(), Said> {
    let said = Said::by_call(answer);
    if said.code == Code::Ok { Ok(()) } else { Err(said) }
}

/// Breaks 500 requests of each of so many users, made in these forms, over HTTP/2 or HTTP/1.1.
async fn break_users(users: usize, forms: &'static [Form], over_http2: bool, seed: u32) -> Tally {
    let store = Arc::new(CountingStore::new(MemoryStore::new()));
    let server = TestApp::on(store.clone()).await;
    store_format::check(&server.app).await.unwrap();
    let spoken = zitadel::http(server.app.clone());
    let listening = serve_beside_twilio(&server, vec![(zitadel::claims, spoken)], patient_limits());
    let url = format!("http://{}", listening.address);
    let connect = async || {
        if over_http2 {
            RpcConnection::to(&url).await
        } else {
            RpcConnection::over_http1(&url).await
        }
    };
    // One is of the same account, the other has the same name.
    let other_account = server.another_account().await;
    let others = [
        somebody_else(
            &server,
            &server.account,
            "whoever-else-there-is",
            "+4915112345681",
        )
        .await,
        somebody_else(&server, &other_account, "user-aaaaaaaaa", "+4915112345682").await,
    ];
    let before_all = [told(&others[0]).await, told(&others[1]).await];
    let mut breaker = Breaker::new(connect().await, forms, seed);
    let mut all = Tally::default();
    // How good calls are made beside it.
    let path = format!("{OWN_USER}/GetMyPhone");
    let form = if over_http2 { Form::Native } else { Form::Web };
    for nth in 0..users {
        // Not a few bytes from another one, for whom a backend may act as well.
        let letter = char::from(b'a' + u8::try_from(nth).unwrap());
        let name = format!("user-{}", letter.to_string().repeat(9));
        let before: BTreeMap<Vec<u8>, Entry> = server.dump().await.into_iter().collect();
        let tokens = Tokens {
            user: new_user_token(&server.app, &server.account, &name, false).await,
            backend: new_user_token(&server.app, &server.account, "backend-01", true).await,
        };
        let phone = format!("+120155501{nth:02}");
        for token in [&tokens.user, &tokens.backend] {
            let first = connect()
                .await
                .begin(&path, form.content_type(), Some(token))
                .await;
            assert_eq!(found(&first.end(framed(&GetMyPhoneRequest {})).await), Ok(()));
        }
        breaker.record(recorded(&name, &phone, &tokens));
        // A call that was begun before all of these, and ends behind them.
        let other = connect().await;
        let beside = if over_http2 { &breaker.connection } else { &other };
        let bystander = beside.begin(&path, form.content_type(), Some(&tokens.user)).await;
        let tally = breaker.round(500, Some(&store)).await;
        all.well += tally.well;
        all.refused += tally.refused;
        let answer = bystander.end(framed(&GetMyPhoneRequest {})).await;
        assert_eq!(found(&answer), Ok(()), "others go on, user {nth}");
        let after: BTreeMap<Vec<u8>, Entry> = server.dump().await.into_iter().collect();
        for (key, entry) in &before {
            // What is sent to a range of numbers is counted for the account; only that of the others is nobody else's.
            if !key.starts_with(b"B") || key.windows(OTHERS.len()).any(|part| part == OTHERS) {
                assert_eq!(after.get(key), Some(entry), "{key:02x?}");
            }
        }
        server.wait(61);
    }
    assert_eq!([told(&others[0]).await, told(&others[1]).await], before_all);
    server.assert_audited("zitadel").await;
    let report = check_store(&server.app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
    all
}

#[tokio::test]
async fn four_thousand_broken_calls_change_nothing_of_anybody_else() {
    let all = break_users(8, Form::CALLS, true, 0x2171).await;
    assert!(all.well > 200 && all.refused > 1600, "{all:?}");
}

#[tokio::test]
async fn three_thousand_broken_calls_of_web_pages_over_http_1_1_do_no_more() {
    let all = break_users(6, Form::WEB_CALLS, false, 0x2172).await;
    assert!(all.well > 150 && all.refused > 1200, "{all:?}");
}

#[tokio::test]
async fn three_thousand_broken_requests_in_json_do_no_more_over_either_version() {
    for (over_http2, seed) in [(true, 0x2173), (false, 0x2174)] {
        let all = break_users(3, &[Form::Json], over_http2, seed).await;
        assert!(all.well > 75 && all.refused > 600, "{all:?}");
    }
}

/// The same against the real binary, which does not grow.
#[tokio::test]
async fn broken_calls_cost_no_memory() {
    let directory = TempDir::new().unwrap();
    let server = Process::start(directory.path());
    let token = |arguments: &[&str]| {
        let token = stdout_of(directory.path(), &[&["token", "create"], arguments].concat());
        token.trim().to_owned()
    };
    let tokens = Tokens {
        user: token(&["--user", "user-ada-01"]),
        backend: token(&["--user", "backend-01", "--manage-users"]),
    };
    let connection = RpcConnection::to(&server.url).await;
    let asked: Result<GetMyPhoneResponse, _> = connection
        .call(
            &format!("{OWN_USER}/GetMyPhone"),
            Some(&tokens.user),
            &GetMyPhoneRequest {},
        )
        .await;
    asked.unwrap();
    let mut begun = Some(connection);
    for forms in [Form::CALLS, &[Form::Json]] {
        let connection = match begun.take() {
            Some(connection) => connection,
            None => RpcConnection::over_http1(&server.url).await,
        };
        let mut breaker = Breaker::new(connection, forms, 0x2175);
        breaker.record(recorded("user-ada-01", "+12015550100", &tokens));
        breaker.round(400, None).await;
        let before = server.most_memory();
        breaker.round(800, None).await;
        let grown = server.most_memory().saturating_sub(before);
        assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
    }
}
