//! Ends a request, or goes on with its workflow at once.

use axum::response::Response;

use super::call::VerifyCall;
use super::error::{VerifyError, Wish};
use super::reply::VerifyReply;
use crate::domain::verification::Refusal;
use crate::flows::verification::{self, Settlement, VerificationName};

/// `/verify/control/{format}`
pub(super) async fn control(call: VerifyCall) -> Response {
    let outcome = act(&call).await;
    call.respond(ROOT, outcome)
}

async fn act(call: &VerifyCall) -> Result<VerifyReply, VerifyError> {
    let (sid, shown) = call.request()?;
    let (wish, command) = match call.parameters.required("cmd")? {
        "cancel" => (Wish::Cancel, "cancel"),
        "trigger_next_event" => (Wish::TriggerNextEvent, "trigger_next_event"),
        _ => return Err(VerifyError::invalid("cmd")),
    };
    let refused = |error| VerifyError::of_flow(&error, wish, &shown, None);
    let Some(sid) = sid else {
        return Err(refused(Refusal::NotFound.into()));
    };
    let (app, account, service) = (&call.app, call.account, call.service);
    if wish == Wish::Cancel {
        let which = VerificationName::Sid(sid);
        verification::settle(app, account, service, &which, Settlement::Cancel)
            .await
            .map_err(refused)?;
    } else {
        verification::advance(app, account, service, sid)
            .await
            .map_err(refused)?;
    }
    Ok(VerifyReply::new(ROOT)
        .with("status", "0")
        .with("command", command))
}

/// What XML calls the answer.
const ROOT: &str = "response";
