//! What closes a number or an address in a service, and its end (not part of Twilio's API). Paths name a number with its plus
//! sign, as it is or percent-encoded.

use axum::response::Response;

use super::call::Call;
use super::destinations::destination;
use super::error::ApiError;
use super::json;
use crate::flows::verification;

/// `DELETE /v2/Services/{ServiceSid}/Locks/{To}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.admitted_account()?;
    let service = call.sid("ServiceSid")?;
    let to = call.name("To").and_then(|text| destination(text).ok());
    let to = to.ok_or_else(|| call.not_found())?;
    call.settle_verification(verification::unlock(call.app(), account, service, &to).await)?;
    Ok(json::deleted())
}
