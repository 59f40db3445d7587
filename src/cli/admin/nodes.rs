//! The servers that share a store, as operators see them.

use serde::{Deserialize, Serialize};

use super::{AdminRefusal, Reply};
use crate::app::App;
use crate::cli::table::TextTable;
use crate::domain::node::ClockOffset;
use crate::flows::nodes::{self, RunningNode};

/// What is shown of a server.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct NodeView {
    id: String,
    host: String,
    version: String,
    started: String,
    /// How far the database's clock is ahead of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    clock_offset_seconds: Option<f64>,
}

pub(super) async fn list(app: &App) -> Result<Reply, AdminRefusal> {
    if !app.shares_store() {
        return Err(
            "one server has the store in a data directory to itself, so there is no list of servers".into(),
        );
    }
    let nodes = nodes::list(app).await.map_err(|fault| fault.to_string())?;
    Ok(Reply::Nodes(nodes.iter().map(NodeView::from).collect()))
}

/// They, for people.
pub(super) fn table(nodes: &[NodeView]) -> String {
    let mut table = TextTable::new(
        ["NODE", "HOST", "VERSION", "SINCE", "CLOCK OF THE DATABASE"],
        "No servers run.",
    );
    for node in nodes {
        let NodeView {
            id,
            host,
            version,
            started,
            clock_offset_seconds,
        } = node;
        let clock = clock_offset_seconds.map_or(String::new(), |offset| format!("{offset:+.1} s ahead"));
        table.row([id.clone(), host.clone(), version.clone(), started.clone(), clock]);
    }
    table.text()
}

impl From<&RunningNode> for NodeView {
    fn from(RunningNode { node, record }: &RunningNode) -> Self {
        Self {
            id: node.to_string(),
            host: record.host.clone(),
            version: record.version.clone(),
            started: record.started.to_string(),
            clock_offset_seconds: record.clock.map(ClockOffset::seconds),
        }
    }
}
