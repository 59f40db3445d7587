//! What is known of the database's clock, which is the one that all servers of a store can ask.

use crate::app::App;
use crate::domain::node::{ClockOffset, ClockVerdict};
use crate::flows::Fault;
use crate::flows::nodes::NotJoined;
use crate::flows::reading::Reading;

/// Asks the database what time it is, until it says so in time or that is out of the question.
///
/// # Errors
/// [`NotJoined::ClockIsUnknown`], [`NotJoined::Failed`].
pub(super) async fn measure_surely(app: &App) -> Result<(), NotJoined> {
    for _ in 0..MOST_QUESTIONS {
        if measure(app).await? {
            return Ok(());
        }
    }
    Err(NotJoined::ClockIsUnknown)
}

/// Asks the database what time it is. What takes too long says nothing, and what was known before stays; whether it did not
/// take too long.
pub(super) async fn measure(app: &App) -> Result<bool, Fault> {
    let asked = app.clock.now();
    let database = Reading::new(app).store_clock().await?;
    let answered = app.clock.now();
    let measured = database.and_then(|database| ClockOffset::measured(asked, database, answered));
    if let Some(offset) = measured {
        app.memory.nodes.set_clock(offset);
    }
    Ok(database.is_none() || measured.is_some())
}

/// How often a database is asked that takes longer than two seconds each time.
const MOST_QUESTIONS: u32 = 5;

/// Says what has changed of the verdict.
pub(super) fn tell(verdict: ClockVerdict, offset: ClockOffset) {
    match verdict {
        ClockVerdict::Right => tracing::info!("the clock of this machine is that of the database again"),
        ClockVerdict::Noticeable => tracing::warn!(
            "the clock of this machine is {offset} the database's: have a time service set both, before it does harm"
        ),
        ClockVerdict::DatabaseIsWrong => tracing::warn!(
            "the clock of this machine is {offset} the database's, but most servers agree with it: have a time service set \
             that of the database"
        ),
        ClockVerdict::Wrong => tracing::error!(
            "the clock of this machine is {offset} the database's: the server counts as not ready until it is right; have a \
             time service set it"
        ),
    }
}
