//! Which operation is where.

use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};

use super::error::ApiError;
use super::{access_tokens, challenges, entities, factors, forms, notifications, services, webhooks};
use crate::app::App;
use crate::web::public_url::PublicUrl;

/// What every operation needs.
#[derive(Clone, Debug)]
pub struct Twilio {
    /// The wired parts.
    pub app: Arc<App>,
    /// How clients reach this server.
    pub public_url: PublicUrl,
}

/// The operations of Twilio Verify v2.
pub fn router(app: Arc<App>, public_url: PublicUrl) -> Router {
    const SERVICE: &str = "/v2/Services/{ServiceSid}";
    const ENTITY: &str = "/v2/Services/{ServiceSid}/Entities/{Identity}";
    let below = |parent: &str, path: &str| format!("{parent}{path}");
    Router::new()
        .route("/v2/Services", post(services::create).get(services::list))
        .route(
            SERVICE,
            post(services::update)
                .get(services::fetch)
                .delete(services::delete),
        )
        .route(
            &below(SERVICE, "/Entities"),
            post(entities::create).get(entities::list),
        )
        .route(ENTITY, get(entities::fetch).delete(entities::delete))
        .route(
            &below(ENTITY, "/Factors"),
            post(factors::create).get(factors::list),
        )
        .route(
            &below(ENTITY, "/Factors/{FactorSid}"),
            post(factors::update).get(factors::fetch).delete(factors::delete),
        )
        .route(
            &below(ENTITY, "/Challenges"),
            post(challenges::create).get(challenges::list),
        )
        .route(
            &below(ENTITY, "/Challenges/{ChallengeSid}"),
            post(challenges::update).get(challenges::fetch),
        )
        .route(
            &below(ENTITY, "/Challenges/{ChallengeSid}/Notifications"),
            post(notifications::create),
        )
        .route(&below(SERVICE, "/AccessTokens"), post(access_tokens::create))
        .route(
            &below(SERVICE, "/AccessTokens/{AccessTokenSid}"),
            get(access_tokens::fetch),
        )
        .route(
            &below(SERVICE, "/Webhooks"),
            post(webhooks::create).get(webhooks::list),
        )
        .route(
            &below(SERVICE, "/Webhooks/{WebhookSid}"),
            post(webhooks::update)
                .get(webhooks::fetch)
                .delete(webhooks::delete),
        )
        .route("/v2/Forms/{FormType}", get(forms::fetch))
        .method_not_allowed_fallback(method_not_allowed)
        .fallback(unknown_path)
        .with_state(Twilio { app, public_url })
}

async fn unknown_path(request: Request) -> Response {
    ApiError::not_found(request.uri().path()).into_response()
}

async fn method_not_allowed() -> Response {
    ApiError::method_not_allowed().into_response()
}
