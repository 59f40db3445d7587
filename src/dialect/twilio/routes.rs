//! Which operation is where.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::http::Uri;
use axum::response::{IntoResponse, Response};
use axum::routing::{delete, get, post};
use percent_encoding::percent_decode_str;
use tower::{Service as _, service_fn};

use super::call::{RequestBase, Twilio};
use super::error::{ApiError, said};
use super::failures::TwilioFailures;
use super::{
    access_tokens, attempts, buckets, challenges, credentials, entities, factor_events, factors, forms,
    locks, messaging_configurations, notifications, rate_limits, safe_list, services, silent_auth, templates,
    verification_checks, verifications, webhooks,
};
use crate::app::App;
use crate::dialect::{Http, HttpFailure};
use crate::web::public_url::PublicUrl;
use crate::web::routes::noted;

/// An operation: what is asked for, and where.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Operation {
    /// The HTTP method, in upper case.
    pub method: &'static str,
    /// The path, its parameters in braces.
    pub path: &'static str,
}

macro_rules! method_name {
    (delete) => {
        "DELETE"
    };
    (get) => {
        "GET"
    };
    (post) => {
        "POST"
    };
}

macro_rules! operations {
    ($($method:ident $path:literal => $handler:path;)+) => {
        /// Every operation there is: the router is made of this table, so there is no other.
        pub const OPERATIONS: &[Operation] = &[
            $(Operation { method: method_name!($method), path: $path },)+
        ];

        fn operations() -> Router<Twilio> {
            Router::new()$(.route($path, $method($handler)))+
        }
    };
}

operations! {
    post "/v2/Services" => services::create;
    get "/v2/Services" => services::list;
    post "/v2/Services/{ServiceSid}" => services::update;
    get "/v2/Services/{ServiceSid}" => services::fetch;
    delete "/v2/Services/{ServiceSid}" => services::delete;
    post "/v2/Services/{ServiceSid}/Entities" => entities::create;
    get "/v2/Services/{ServiceSid}/Entities" => entities::list;
    get "/v2/Services/{ServiceSid}/Entities/{Identity}" => entities::fetch;
    delete "/v2/Services/{ServiceSid}/Entities/{Identity}" => entities::delete;
    post "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors" => factors::create;
    get "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors" => factors::list;
    post "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}" => factors::update;
    get "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}" => factors::fetch;
    delete "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}" => factors::delete;
    get "/v2/Services/{ServiceSid}/Entities/{Identity}/Factors/{FactorSid}/Events" => factor_events::stream;
    post "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges" => challenges::create;
    get "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges" => challenges::list;
    post "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}" => challenges::update;
    get "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}" => challenges::fetch;
    post "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}/Notifications"
        => notifications::create;
    post "/v2/Services/{ServiceSid}/Verifications" => verifications::create;
    post "/v2/Services/{ServiceSid}/Verifications/{VerificationSid}" => verifications::update;
    get "/v2/Services/{ServiceSid}/Verifications/{VerificationSid}" => verifications::fetch;
    delete "/v2/Services/{ServiceSid}/Locks/{To}" => locks::delete;
    post "/v2/Services/{ServiceSid}/VerificationCheck" => verification_checks::create;
    post "/v2/Services/{ServiceSid}/AccessTokens" => access_tokens::create;
    get "/v2/Services/{ServiceSid}/AccessTokens/{AccessTokenSid}" => access_tokens::fetch;
    post "/v2/Services/{ServiceSid}/Webhooks" => webhooks::create;
    get "/v2/Services/{ServiceSid}/Webhooks" => webhooks::list;
    post "/v2/Services/{ServiceSid}/Webhooks/{WebhookSid}" => webhooks::update;
    get "/v2/Services/{ServiceSid}/Webhooks/{WebhookSid}" => webhooks::fetch;
    delete "/v2/Services/{ServiceSid}/Webhooks/{WebhookSid}" => webhooks::delete;
    post "/v2/Services/{ServiceSid}/RateLimits" => rate_limits::create;
    get "/v2/Services/{ServiceSid}/RateLimits" => rate_limits::list;
    post "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}" => rate_limits::update;
    get "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}" => rate_limits::fetch;
    delete "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}" => rate_limits::delete;
    post "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets" => buckets::create;
    get "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets" => buckets::list;
    post "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}" => buckets::update;
    get "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}" => buckets::fetch;
    delete "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}" => buckets::delete;
    post "/v2/Services/{ServiceSid}/MessagingConfigurations" => messaging_configurations::create;
    get "/v2/Services/{ServiceSid}/MessagingConfigurations" => messaging_configurations::list;
    post "/v2/Services/{ServiceSid}/MessagingConfigurations/{Country}" => messaging_configurations::update;
    get "/v2/Services/{ServiceSid}/MessagingConfigurations/{Country}" => messaging_configurations::fetch;
    delete "/v2/Services/{ServiceSid}/MessagingConfigurations/{Country}" => messaging_configurations::delete;
    post "/v2/SafeList/Numbers" => safe_list::create;
    get "/v2/SafeList/Numbers/{PhoneNumber}" => safe_list::fetch;
    delete "/v2/SafeList/Numbers/{PhoneNumber}" => safe_list::delete;
    get "/v2/Attempts" => attempts::list;
    get "/v2/Attempts/Summary" => attempts::summarize;
    get "/v2/Attempts/{AttemptSid}" => attempts::fetch;
    get "/v2/Templates" => templates::list;
    get "/v2/Forms/{FormType}" => forms::fetch;
    post "/v1/Credentials" => credentials::create;
    get "/v1/Credentials" => credentials::list;
    post "/v1/Credentials/{CredentialSid}" => credentials::update;
    get "/v1/Credentials/{CredentialSid}" => credentials::fetch;
    delete "/v1/Credentials/{CredentialSid}" => credentials::delete;
}

/// Twilio's dialect, as servers speak it.
#[must_use]
pub fn http(app: Arc<App>, public_url: PublicUrl) -> Http {
    Http {
        router: router(app, public_url.clone()),
        failures: Arc::new(TwilioFailures { public_url }),
    }
}

/// The operations of Twilio Verify v2, the credentials of Notify v1, and what devices call in silent authentication.
///
/// A path with slashes at its end is that without.
pub fn router(app: Arc<App>, public_url: PublicUrl) -> Router {
    let router = operations().route(
        silent_auth::PATH,
        get(silent_auth::open).post(silent_auth::confirm),
    );
    let router = noted(router)
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown_path)
        .with_state(Twilio {
            app,
            public_url: public_url.clone(),
        });
    // Outside of the router: what is inside sees a request when its path is decided on.
    Router::new().fallback_service(service_fn(move |request: Request| {
        let mut router = router.clone();
        let (mut head, body) = request.into_parts();
        // Once for all that the answer says.
        let base = public_url.owned_base(&head);
        head.extensions.insert(RequestBase(Arc::clone(&base)));
        async move {
            if !is_text(head.uri.path()) {
                return Ok(said(ApiError::not_utf8("path").into_response(), &base));
            }
            trim_slashes(&mut head.uri);
            let Ok(response) = router.call(Request::from_parts(head, body)).await;
            Ok(said(response, &base))
        }
    }))
}

/// Whether a path is UTF-8 once its escapes are bytes. Whoever reads it in another way reads another path.
fn is_text(path: &str) -> bool {
    path.split('/')
        .all(|part| percent_decode_str(part).decode_utf8().is_ok())
}

/// Takes slashes away from the end of a path, but for the one that is all of it.
fn trim_slashes(uri: &mut Uri) {
    let path = uri.path();
    let trimmed = path.trim_end_matches('/');
    if trimmed.len() == path.len() || trimmed.is_empty() {
        return;
    }
    let query = uri.query().map_or_else(String::new, |query| format!("?{query}"));
    let shorter = format!("{trimmed}{query}").parse().ok();
    let mut parts = std::mem::take(uri).into_parts();
    parts.path_and_query = shorter;
    *uri = Uri::from_parts(parts).unwrap_or_default();
}

async fn unknown_path(request: Request) -> Response {
    let path = request.uri().path();
    ApiError::from(HttpFailure::NotFound { path }).into_response()
}

async fn method_not_allowed() -> Response {
    ApiError::from(HttpFailure::MethodNotAllowed).into_response()
}
