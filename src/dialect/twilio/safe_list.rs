//! The safe list of an account. Paths name a number with its plus sign, as it is or percent-encoded.

use axum::http::StatusCode;
use axum::response::Response;
use serde::Serialize;

use super::call::Call;
use super::destinations::phone;
use super::error::{ApiError, Parameter, of_parameter};
use super::json::{self, Text};
use crate::domain::phone::PhoneNumber;
use crate::domain::safe_list::SafeNumber;
use crate::domain::sid::SafeListSid;
use crate::flows::safe_list;

/// `POST /v2/SafeList/Numbers`
pub(super) async fn create(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let number = phone(call.form.required("PhoneNumber")?).map_err(of_parameter(Parameter::PHONE_NUMBER))?;
    let added = safe_list::add(call.app(), account, &number).await;
    Ok(json::resource(
        StatusCode::CREATED,
        &SafeNumberJson::new(&call, &call.settle(added)?),
    ))
}

/// `GET /v2/SafeList/Numbers/{PhoneNumber}`
pub(super) async fn fetch(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    let found = safe_list::fetch(call.app(), account, &number(&call)?).await;
    Ok(json::resource(
        StatusCode::OK,
        &SafeNumberJson::new(&call, &call.settle(found)?),
    ))
}

/// `DELETE /v2/SafeList/Numbers/{PhoneNumber}`
pub(super) async fn delete(call: Call) -> Result<Response, ApiError> {
    let account = call.account()?;
    call.settle(safe_list::remove(call.app(), account, &number(&call)?).await)?;
    Ok(json::deleted())
}

/// The number in the path. What is none is not on the list.
fn number(call: &Call) -> Result<PhoneNumber, ApiError> {
    call.name("PhoneNumber")
        .and_then(|text| PhoneNumber::parse(text, None).ok())
        .ok_or_else(|| call.not_found())
}

#[derive(Serialize)]
struct SafeNumberJson {
    sid: Text<SafeListSid>,
    phone_number: String,
    url: String,
}

impl SafeNumberJson {
    fn new(call: &Call, safe: &SafeNumber) -> Self {
        let number = safe.number.as_str();
        Self {
            sid: Text(safe.sid),
            phone_number: number.to_owned(),
            url: call.url(format_args!("/v2/SafeList/Numbers/{number}")),
        }
    }
}
