//! Silent network authentication: what a device gets that calls the URL of a verification over its mobile data.
//!
//! It needs no credentials: the URL is the secret. The answer is always 200, as Twilio's is; `ErrorCode` is 0 if the number
//! is the device's, and otherwise -10, whatever the reason. What the reason was is seen by whoever checks the verification
//! (`sna_attempts_error_codes`).

use axum::extract::{Path, Request, State};
use axum::http::header::{ACCEPT, CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use zeroize::Zeroizing;

use super::call::Twilio;
use super::error::ApiError;
use crate::domain::verification::Refusal;
use crate::flows::verification::{self, SilentAnswer, SilentCall};
use crate::flows::{self, audit};
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

/// Takes in that the URL was opened. Where the device is to get a token, and where a browser or something that fetches ahead
/// comes, that shows a page, whose button calls the URL on purpose; otherwise it is the call of one of Twilio's SDKs, which
/// only make a GET.
pub(super) async fn open(twilio: State<Twilio>, token: Path<String>, request: Request) -> Response {
    if request.method() == Method::GET && !shows_pages(request.headers()) {
        call(twilio, token, request, SilentCall::Link).await
    } else {
        page()
    }
}

/// Takes in a call on purpose.
pub(super) async fn confirm(twilio: State<Twilio>, token: Path<String>, request: Request) -> Response {
    call(twilio, token, request, SilentCall::OnPurpose).await
}

/// Whether the request says that it is a browser's, or one to fetch ahead.
fn shows_pages(headers: &HeaderMap) -> bool {
    let marks = [
        "sec-fetch-mode",
        "sec-fetch-dest",
        "sec-purpose",
        "purpose",
        "x-purpose",
        "x-moz",
    ];
    let accepted = headers.get_all(ACCEPT).iter();
    let mut accepted = accepted.filter_map(|accepted| accepted.to_str().ok());
    marks.iter().any(|mark| headers.contains_key(*mark))
        || accepted.any(|accepted| accepted.to_ascii_lowercase().contains("text/html"))
}

/// Asks whoever opened the URL to go on.
fn page() -> Response {
    const PAGE: &str = "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\"><meta name=\"viewport\" \
        content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\"><title>Confirm</title><p>Confirm this \
        phone's number, over mobile data.<form method=\"post\"><button>Confirm</button></form></html>";
    let headers = [
        (CONTENT_TYPE, "text/html; charset=utf-8"),
        (CACHE_CONTROL, "no-store"),
        (REFERRER_POLICY, "no-referrer"),
        (
            CONTENT_SECURITY_POLICY,
            "default-src 'none'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
        ),
    ];
    (headers, PAGE).into_response()
}

async fn call(
    State(twilio): State<Twilio>,
    Path(token): Path<String>,
    request: Request,
    how: SilentCall,
) -> Response {
    let Some(arrival) = request.extensions().get::<Arrival>() else {
        return ApiError::not_found(request.uri().path()).into_response();
    };
    let (app, token) = (twilio.app, Zeroizing::new(token));
    let (address, held) = (arrival.client, arrival.hold());
    audit::note_dialect(super::NAME);
    // What the network says is taken in even if the device has gone away by then.
    let asking = tokio::spawn(audit::carried(async move {
        let _until_the_end = held;
        verification::confirm_silent(&app, &token, address, how).await
    }));
    let told = match asking.await {
        Ok(Ok(SilentAnswer::Confirmed { client_token })) => Told {
            error_code: 0,
            error_description: "Success",
            token: client_token.map(|token| token.as_str().to_owned()),
        },
        Ok(Ok(SilentAnswer::Unopened)) => return page(),
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
