//! Silent network authentication: what a device gets that calls the URL of a verification over its mobile data.
//!
//! It needs no credentials: the URL is the secret. The answer is always 200, as Twilio's is; `ErrorCode` is 0 if the number
//! is the device's, and otherwise -10, whatever the reason. What the reason was is seen by whoever checks the verification
//! (`sna_attempts_error_codes`).

use axum::extract::{Path, Request, State};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use zeroize::Zeroizing;

use super::call::Twilio;
use super::error::ApiError;
use crate::domain::verification::Refusal;
use crate::flows;
use crate::flows::verification::{self, SilentAnswer};
use crate::web::arrival::Arrival;

/// Where devices call; behind the public URL; what it ends in was given out when the verification was started.
pub(super) const PATH: &str = "/v2/SilentAuth/{Token}";

/// What the device is told.
struct Told {
    error_code: i32,
    error_description: &'static str,
    token: Option<String>,
}

impl Told {
    /// As a form. Twilio's SDKs look for `ErrorCode=0&ErrorDescription=Success` in the text, whatever else there is.
    fn to_text(&self) -> String {
        let mut form = form_urlencoded::Serializer::new(String::new());
        form.append_pair("ErrorCode", &self.error_code.to_string());
        form.append_pair("ErrorDescription", self.error_description);
        if let Some(token) = &self.token {
            form.append_pair("Token", token);
        }
        form.finish()
    }
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
    let headers = [
        (CONTENT_TYPE, "text/plain; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
    ];
    (headers, told.to_text()).into_response()
}

fn failure(error_description: &'static str) -> Told {
    Told {
        error_code: -10,
        error_description,
        token: None,
    }
}
