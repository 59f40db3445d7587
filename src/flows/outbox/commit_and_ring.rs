//! Commits a state change, and wakes the worker for what it announces.

use std::collections::BTreeSet;

use crate::app::App;
use crate::flows::Error;
use crate::store::{Batch, keys};

/// Commits `batch`; if that goes well, tells the worker which receivers there is something new for.
pub(crate) async fn commit_and_ring(app: &App, batch: Batch) -> Result<(), Error> {
    let lanes: BTreeSet<_> = batch.written_keys().filter_map(keys::lane_of).collect();
    app.store.commit(batch).await?;
    if !lanes.is_empty() {
        app.memory.wakeups.wake(lanes);
    }
    Ok(())
}
