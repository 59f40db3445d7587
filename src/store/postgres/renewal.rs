//! Going on in a database that is not as it was.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::{ErrorKind, SessionPurpose, StatementFailure, within};
use super::layout::bigint;
use super::writer::WriterContext;
use crate::store::{StoreError, ValueAfterLoss};

/// Has the versions of this process rise above all that are in the database. Tries for as long as a commit may take.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(super) async fn raise_versions(context: &WriterContext) -> Result<(), StoreError> {
    let mut tries = Tries::new(context);
    loop {
        let done = async {
            let session = context.connector.connect(SessionPurpose::Write).await?;
            let bound = context.connector.bounds().statement;
            within(bound, context.versions.draw_next(&session.client)).await
        };
        match done.await {
            Ok(()) => return Ok(()),
            Err(failure) => tries.fail(failure).await?,
        }
    }
}

/// Has them rise above all that any process can have drawn in what a database has lost, and behind that writes at `key` what
/// `value` makes of the value there. Tries for as long as a commit may take.
///
/// # Errors
/// [`StoreError::Unavailable`].
pub(super) async fn overwrite(
    context: &WriterContext,
    key: &[u8],
    value: &ValueAfterLoss<'_>,
) -> Result<(), StoreError> {
    let mut tries = Tries::new(context);
    let mut is_above = false;
    loop {
        match overwrite_once(context, key, value, &mut is_above).await {
            Ok(outcome) => return outcome,
            Err(failure) => tries.fail(failure).await?,
        }
    }
}

async fn overwrite_once(
    context: &WriterContext,
    key: &[u8],
    value: &ValueAfterLoss<'_>,
    is_above: &mut bool,
) -> Result<Result<(), StoreError>, StatementFailure> {
    let (connector, versions) = (&context.connector, &context.versions);
    let session = connector.connect(SessionPurpose::Write).await?;
    let (client, bound) = (&session.client, connector.bounds().statement);
    let warnings = session.warnings();
    if !*is_above {
        within(bound, versions.draw_after_loss(client)).await?;
        *is_above = true;
    }
    let read = async { Ok::<_, StatementFailure>(client.query_opt(READ, &[&key]).await?) };
    let (found, seen): (Option<Vec<u8>>, i64) = match within(bound, read).await? {
        Some(row) => (Some(row.try_get(0)?), row.try_get(1)?),
        None => (None, -1),
    };
    let written = match value(found.as_deref()) {
        Ok(written) => written,
        Err(error) => return Ok(Err(error)),
    };
    let Some(version) = versions.next() else {
        *is_above = false;
        return Err(StatementFailure::new(
            ErrorKind::TooSlow,
            "an epoch was used up at once",
        ));
    };
    let version = bigint(version.0);
    let write = async {
        let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 4] = [&key, &written, &version, &seen];
        Ok::<_, StatementFailure>(client.execute(OVERWRITE, &parameters).await?)
    };
    if within(bound, write).await? == 0 {
        return Err(StatementFailure::new(
            ErrorKind::Serialization,
            "another process wrote it, too",
        ));
    }
    if session.warnings() == warnings {
        Ok(Ok(()))
    } else {
        Err(StatementFailure::new(ErrorKind::Lost, "it warned of the commit"))
    }
}

/// Trying again, each time after a longer pause, until there is no time any more.
struct Tries {
    deadline: Instant,
    pause: Duration,
}

impl Tries {
    fn new(context: &WriterContext) -> Self {
        Self {
            deadline: Instant::now() + context.connector.bounds().commit,
            pause: Duration::from_millis(1),
        }
    }

    async fn fail(&mut self, failure: StatementFailure) -> Result<(), StoreError> {
        if failure.kind == ErrorKind::Refused || Instant::now() + self.pause >= self.deadline {
            return Err(failure.unavailable());
        }
        sleep(self.pause).await;
        self.pause = (self.pause * 2).min(Duration::from_millis(200));
        Ok(())
    }
}

const READ: &str = "SELECT value, version FROM countersign_entries WHERE key = $1";
const OVERWRITE: &str = "INSERT INTO countersign_entries (key, value, version) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version, expires_at = NULL
WHERE countersign_entries.version = $4";
