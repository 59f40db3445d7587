//! What a process learnt of conversions by itself, learnt anew from the store: where others share it, each sees only the tries
//! that it settled and the approvals that came to it, and all would judge the same senders and prefixes differently.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::{Fault, code, fraud};
use crate::app::App;

/// Learns from what all processes wrote.
///
/// # Errors
/// [`Fault::Unavailable`], [`Fault::Corrupt`].
pub async fn relearn(app: &App) -> Result<(), Fault> {
    code::learn_from_stored(app).await?;
    fraud::rebuild(app).await
}

/// Goes on learning for as long as others share the store, which is for good. It takes no more than a tenth of its time.
pub async fn keep_up(app: Arc<App>) {
    let (mut failing, mut rest) = (false, PERIOD);
    while app.shares_store() {
        sleep(rest).await;
        let began = Instant::now();
        let learnt = relearn(&app).await;
        rest = PERIOD.max(began.elapsed() * 10);
        if let (Err(error), false) = (&learnt, failing) {
            tracing::error!("what other servers on this store learn of senders is not known here: {error}");
        }
        failing = learnt.is_err();
    }
}

/// A try counts once it is five minutes old, so nothing is learnt too late.
const PERIOD: Duration = Duration::from_mins(1);
