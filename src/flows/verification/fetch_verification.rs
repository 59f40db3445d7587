//! Fetches a verification, also for a while after its end.

use super::{Which, find};
use crate::app::App;
use crate::domain::sid::{AccountSid, ServiceSid};
use crate::domain::verification::Verification;
use crate::flows::Error;

/// The verification, whatever became of it; by destination, the last one for it.
///
/// # Errors
/// [`Refusal::NotFound`](crate::domain::refusal::Refusal::NotFound), [`Error::Failed`].
pub async fn fetch_verification(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    which: &Which,
) -> Result<Verification, Error> {
    let found = find(app, account, service, which, app.clock.now()).await?;
    Ok(found.verification.record)
}
