//! What has to be done with the outbox before a server writes and sends.

use crate::app::App;
use crate::flows::Fault;
use crate::flows::outbox::lanes::{lanes, last_row_of};

/// Makes sure that new rows come behind all that are there, whatever became of the clock since.
///
/// # Errors
/// [`Fault::Corrupt`], [`Fault::Unavailable`].
pub async fn prepare(app: &App) -> Result<(), Fault> {
    for lane in lanes(app).await? {
        if let Some(last) = last_row_of(app, lane).await? {
            app.memory.event_order.begin_after(last);
        }
    }
    Ok(())
}
