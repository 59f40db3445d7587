//! Checks a code.

use std::net::IpAddr;

use axum::response::Response;

use super::RESPONSE;
use super::call::VerifyCall;
use super::error::{VerifyError, Wish};
use super::prices::price_of;
use super::reply::VerifyReply;
use super::search::last_event;
use crate::domain::verification::VerificationStatus;
use crate::flows::attempt;
use crate::flows::verification::{self, AgreedPayment, Guess, VerificationName};

/// `/verify/check/{format}`
pub(super) async fn check(mut call: VerifyCall) -> Response {
    let id = call
        .parameters
        .one("request_id")
        .ok()
        .flatten()
        .map(str::to_owned);
    let outcome = compare(&mut call).await.map_err(|error| match &id {
        Some(id) if super::call::named(id).is_some() => error.of_request(id),
        _ => error,
    });
    call.respond(RESPONSE, outcome)
}

async fn compare(call: &mut VerifyCall) -> Result<VerifyReply, VerifyError> {
    let (sid, shown) = call.request()?;
    let code = call.parameters.required("code")?.to_owned();
    let ip = call.parameters.parsed("ip_address", |text| {
        let address: IpAddr = text.parse().ok()?;
        Some(address.to_canonical().to_string())
    })?;
    let Some(sid) = sid else {
        return Err(VerifyError::of_flow(
            &crate::domain::verification::Refusal::NotFound.into(),
            Wish::Check,
            &shown,
            None,
        ));
    };
    let guess = Guess {
        code: Some(&code),
        payment: AgreedPayment::AsSent,
        ip,
        ..Guess::default()
    };
    let account = call.admitted();
    let which = VerificationName::Sid(sid);
    let checked = verification::check(&call.app, account, call.service, &which, &guess)
        .await
        .map_err(|error| VerifyError::of_flow(&error, Wish::Check, &shown, None))?
        .verification;
    if checked.status(call.app.clock.now()) != VerificationStatus::Approved {
        return Err(VerifyError::wrong_code());
    }
    let attempts = attempt::of_verification(&call.app, &checked)
        .await
        .map_err(|fault| VerifyError::failed(&fault))?;
    let price = price_of(&attempts);
    Ok(VerifyReply::new(RESPONSE)
        .with("request_id", super::error::request_id(checked.sid.as_bytes()))
        .with("event_id", last_event(&checked))
        .with("status", "0")
        .with("price", price.value)
        .with("currency", price.currency))
}
