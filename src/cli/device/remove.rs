//! `countersign device remove`.

use reqwest::Method;
use serde_json::json;

use super::error::DeviceError;
use super::session::DeviceSession;
use crate::cli::output;

/// Deletes the factor, then the state file. A server that does not know the factor any more (404, or 401 twice) is no
/// obstacle; any other refusal keeps the key.
pub(super) async fn run(mut session: DeviceSession<'_>, json: bool) -> Result<(), DeviceError> {
    let factor = session.factor();
    let known = match session.send(Method::DELETE, factor, &[]).await {
        Ok(_) => true,
        Err(DeviceError::Refused {
            status: 401 | 404, ..
        }) => false,
        Err(error) => return Err(error),
    };
    let sid = session.state.factor_sid.clone();
    session.file.remove()?;
    let note = if known {
        ""
    } else {
        ", which the server no longer knew"
    };
    output::tell(
        json,
        || json!({"factor_sid": sid, "was_known": known}),
        || format!("removed {sid}{note}\n"),
    );
    Ok(())
}
