//! Silent network authentication: what a device gets that calls the URL of a verification over its mobile data.
//!
//! It needs no credentials: the URL is the secret. The answer is always 200, as Twilio's is; `ErrorCode` is 0 if the number
//! is the device's, and otherwise -10, whatever the reason. What the reason was is seen by whoever checks the verification
//! (`sna_attempts_error_codes`).

use axum::extract::{Path, Request, State};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use zeroize::Zeroizing;

use super::call::Twilio;
use super::error::ApiError;
use super::json::resource;
use crate::domain::verification::Refusal;
use crate::flows;
use crate::flows::verification::{self, SilentAnswer};
use crate::web::arrival::Arrival;

/// Where devices call; behind the public URL; what it ends in was given out when the verification was started.
pub(super) const PATH: &str = "/v2/SilentAuth/{Token}";

/// What the device is told.
#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Told {
    error_code: i32,
    error_description: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    token: Option<String>,
}

/// Takes in the call of a device.
pub(super) async fn call(
    State(twilio): State<Twilio>,
    Path(token): Path<String>,
    request: Request,
) -> Response {
    let Some(address) = request.extensions().get().map(|arrival: &Arrival| arrival.client) else {
        return ApiError::not_found(request.uri().path()).into_response();
    };
    let (app, token) = (twilio.app, Zeroizing::new(token));
    // What the network says is taken in even if the device has gone away by then.
    let asking = tokio::spawn(async move { verification::confirm_silent(&app, &token, address).await });
    let told = match asking.await {
        Ok(Ok(SilentAnswer::Confirmed { client_token })) => Told {
            error_code: 0,
            error_description: "Success",
            token: client_token.map(|token| token.as_str().to_owned()),
        },
        Ok(Ok(SilentAnswer::Mismatch)) => failure("The network did not confirm the number"),
        Ok(Ok(SilentAnswer::Undecided)) => {
            failure("The network could not be asked; try again or use another channel")
        }
        Ok(Err(flows::Error::Refused(Refusal::NotFound))) => {
            failure("The URL is wrong, was used before, or is over; start another verification")
        }
        Ok(Err(error)) => return ApiError::from_flow(error, PATH).into_response(),
        Err(_) => failure("The network could not be asked; try again or use another channel"),
    };
    let mut response = resource(StatusCode::OK, &told);
    response
        .headers_mut()
        .insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn failure(error_description: &'static str) -> Told {
    Told {
        error_code: -10,
        error_description,
        token: None,
    }
}
