//! The server's place among those that share its store.

use super::super::{Failure, telegram};
use crate::app::App;
use crate::cli::open::Opened;
use crate::config::AlikeSettings;
use crate::config::telegram::Telegram;
use crate::domain::time::CLOCKS_APART;
use crate::flows::nodes::{self, NewNode, NotJoined, RegisteredNode};

/// Enters the server into the register of those that share its store; `None` where nobody can.
///
/// # Errors
/// One line that says why it must not run beside them.
pub(super) async fn join(
    opened: &Opened,
    mut alike: AlikeSettings,
    telegram: &Telegram,
    rolling: bool,
) -> Result<Option<RegisteredNode>, Failure> {
    let app = &opened.app;
    if !app.shares_store() {
        return Ok(None);
    }
    check_device_clocks(app)?;
    if let Some(key) = telegram::public_key(telegram, opened.directory.path())? {
        alike.add("telegram_rsa_key_file", key);
    }
    let marks = alike
        .into_iter()
        .map(|setting| nodes::mark(&app.vault, setting.name, &setting.text));
    let new = NewNode {
        host: host(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        settings: marks.collect(),
        rolling,
    };
    nodes::join(app, new).await.map_err(|error| {
        Failure::new(match error {
            NotJoined::Failed(fault) => format!("cannot look for the other servers of the store: {fault}"),
            NotJoined::ClockIsUnknown | NotJoined::ClockIsWrong(_) | NotJoined::OtherSettings(_) => {
                error.to_string()
            }
        })
    })
}

/// A device that set its clock by one server must not be refused by another one: one may be ahead of the database's clock by as much
/// as the other is behind.
fn check_device_clocks(app: &App) -> Result<(), Failure> {
    let least = 2 * CLOCKS_APART;
    if app.policy.device_clock_skew >= least {
        return Ok(());
    }
    Err(Failure::new(format!(
        "devices.clock_skew_seconds must be at least {} where servers share a database: a device that goes by the clock of one \
         server would be refused by another",
        least.as_secs()
    )))
}

/// What operators know the machine by.
fn host() -> String {
    let name = hostname::get().unwrap_or_default();
    name.to_string_lossy().chars().take(255).collect()
}
