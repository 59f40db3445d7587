//! Reading all entries of one moment: pages of one read-only transaction on a connection of its own.

use std::time::Duration;

use async_trait::async_trait;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Statement};

use super::acknowledgements::Acknowledgements;
use super::connection::{Connector, DatabaseSession, SessionPurpose, StatementFailure, within};
use super::layout::{ENTRIES, entry_key};
use super::{SCAN_UP, keyed_entry_in, limit};
use crate::store::{Entry, Export, StoreError};

/// The transaction, and how far it was read.
pub(super) struct TableSnapshot {
    connection: DatabaseSession,
    /// Within what time a page is answered.
    bound: Duration,
    page: Statement,
    /// The first key of the table that was not read yet; `None` behind the last one.
    next: Option<Vec<u8>>,
}

/// Begins to read what there is at this moment.
pub(super) async fn begin(
    connector: &Connector,
    acknowledgements: &Acknowledgements,
) -> Result<TableSnapshot, StoreError> {
    let unavailable = |failure: StatementFailure| failure.unavailable();
    let connection = connector.connect(SessionPurpose::Read).await;
    let connection = connection.map_err(unavailable)?;
    let client = &connection.client;
    let bound = connector.bounds().statement;
    let begun = within(bound, async {
        acknowledgements.verify(client).await?;
        client.batch_execute(BEGIN).await?;
        client.prepare(SCAN_UP).await
    });
    let page = begun.await.map_err(unavailable)?;
    acknowledgements.check()?;
    let snapshot = TableSnapshot {
        connection,
        bound,
        page,
        next: Some(ENTRIES.0.to_vec()),
    };
    // The moment is that of the first statement.
    snapshot.rows(ENTRIES.1, 1).await?;
    Ok(snapshot)
}

impl TableSnapshot {
    /// Up to `count` rows from the one at `next` on.
    async fn rows(&self, next: &[u8], count: usize) -> Result<Vec<Row>, StoreError> {
        let count = limit(count);
        let page: [&(dyn ToSql + Sync); 3] = [&next, &ENTRIES.1, &count];
        let asked = self.connection.client.query(&self.page, &page);
        within(self.bound, asked)
            .await
            .map_err(|failure| failure.unavailable())
    }
}

#[async_trait]
impl Export for TableSnapshot {
    async fn next(&mut self) -> Result<Option<Vec<(Vec<u8>, Entry)>>, StoreError> {
        let Some(next) = &self.next else {
            return Ok(None);
        };
        let rows = self.rows(next, PAGE).await?;
        let entries: Result<Vec<_>, _> = rows.iter().map(keyed_entry_in).collect();
        let entries = entries?;
        self.next = match entries.last() {
            Some((key, _)) if entries.len() == PAGE => Some([&entry_key(key)[..], &[0]].concat()),
            _ => None,
        };
        Ok((!entries.is_empty()).then_some(entries))
    }
}

/// Whoever reads slowly must be let: there is no bound between two pages.
const BEGIN: &str =
    "SET idle_in_transaction_session_timeout = 0; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// How many entries one page has at the most.
const PAGE: usize = 500;
