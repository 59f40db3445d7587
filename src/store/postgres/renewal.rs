//! Going on in a database that is not as it was.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::connection::{ErrorKind, SessionPurpose, StatementFailure, within};
use super::layout::bigint;
use super::writer::WriterContext;
use crate::store::StoreError;

/// What is done before a process goes on. It belongs to no batch, and doing it twice does no harm.
pub(super) enum Renewal {
    /// Its versions rise above all that are there.
    OfVersions,
    /// The same in a database that has lost commits, and behind that it writes what says so, whatever is there.
    AfterLoss { key: Vec<u8>, value: Vec<u8> },
}

impl Renewal {
    /// Tries for as long as a commit may take.
    ///
    /// # Errors
    /// [`StoreError::Unavailable`] when it was not done.
    pub(super) async fn carry_out(&self, context: &WriterContext) -> Result<(), StoreError> {
        let deadline = Instant::now() + context.connector.bounds().commit;
        let mut pause = Duration::from_millis(1);
        loop {
            let failure = match self.try_once(context).await {
                Ok(()) => return Ok(()),
                Err(failure) => failure,
            };
            if failure.kind == ErrorKind::Refused || Instant::now() + pause >= deadline {
                return Err(failure.unavailable());
            }
            sleep(pause).await;
            pause = (pause * 2).min(Duration::from_millis(200));
        }
    }

    async fn try_once(&self, context: &WriterContext) -> Result<(), StatementFailure> {
        let (connector, versions) = (&context.connector, &context.versions);
        let session = connector.connect(SessionPurpose::Write).await?;
        let bound = connector.bounds().statement;
        let Self::AfterLoss { key, value } = self else {
            return within(bound, versions.draw_next(&session.client)).await;
        };
        let warnings = session.warnings();
        within(bound, versions.draw_after_loss(&session.client)).await?;
        let Some(version) = versions.next() else {
            return Err(StatementFailure::new(
                ErrorKind::TooSlow,
                "an epoch was used up at once",
            ));
        };
        let version = bigint(version.0);
        let written = async {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 3] = [key, value, &version];
            Ok::<_, StatementFailure>(session.client.execute(OVERWRITE, &parameters).await?)
        };
        within(bound, written).await?;
        if session.warnings() == warnings {
            Ok(())
        } else {
            Err(StatementFailure::new(ErrorKind::Lost, "it warned of the commit"))
        }
    }
}

const OVERWRITE: &str = "INSERT INTO countersign_entries (key, value, version) VALUES ($1, $2, $3)
ON CONFLICT (key) DO UPDATE SET value = EXCLUDED.value, version = EXCLUDED.version";
