//! Lists all accounts.

use crate::app::App;
use crate::domain::account::Account;
use crate::flows::Error;
use crate::store::{Order, Scan, keys, records};

/// All accounts, oldest first. Accounts are few: one for each team that shares the server.
///
/// # Errors
/// [`Error::Failed`].
pub async fn list_accounts(app: &App) -> Result<Vec<Account>, Error> {
    let prefix = keys::accounts().bytes().to_vec();
    let scan = Scan {
        prefix,
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let entries = app.store.scan(scan).await?;
    entries
        .into_iter()
        .map(|(_, entry)| Ok(records::decode(&entry.value)?))
        .collect()
}
