//! The register of the servers that share a store: who runs, with which settings, and by what clock.
//!
//! A server enters itself before it serves, says every few seconds that it still runs, and takes itself out when it stops.
//! Where nobody else can share the store there is no register, and nothing is read or written.

mod clock;
mod duties;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use tokio::time::sleep;
use zeroize::Zeroizing;

use crate::app::App;
use crate::crypto::vault::Vault;
use crate::domain::node::{ClockOffset, ClockVerdict, NodeId, NodeRecord, SettingMark};
use crate::domain::time::CLOCKS_APART;
use crate::flows::reading::Reading;
use crate::flows::retry::FlowError;
use crate::flows::{Fault, retry_on_conflict};
use crate::store::{Batch, keys};

/// What a server says of itself when it starts.
#[derive(Debug)]
pub struct NewNode {
    /// What its machine is called.
    pub host: String,
    /// The version of its program.
    pub version: String,
    /// The settings that all servers of the store must have alike.
    pub settings: Vec<SettingMark>,
    /// Whether it starts although others have other settings.
    pub rolling: bool,
}

/// A server that stands in the register.
#[derive(Debug)]
pub struct RegisteredNode {
    node: NodeId,
    /// What it said of itself at its start.
    record: NodeRecord,
    rolling: bool,
    /// What it warned of already.
    warned: BTreeSet<String>,
    verdict: ClockVerdict,
}

/// A server of the register, as others see it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct RunningNode {
    pub node: NodeId,
    pub record: NodeRecord,
}

/// Why a server is not to run beside the others.
#[derive(Debug, thiserror::Error)]
pub enum NotJoined {
    /// Its clock is not that of the others.
    #[error(
        "the clock of this machine is {0} the database's, and more than {apart} s are too many for servers that share a \
         store; have a time service set both",
        apart = CLOCKS_APART.as_secs()
    )]
    ClockIsWrong(ClockOffset),
    /// The database does not say in time what time it is, so neither its clock nor the register can be compared.
    #[error(
        "the database takes too long to say what time it is, so it is not known whether the clock of this machine is right; \
         start again when it answers within two seconds"
    )]
    ClockIsUnknown,
    /// The register could not be read or written.
    #[error(transparent)]
    Failed(#[from] Fault),
    /// Another server has other settings.
    #[error(
        "{0}; all servers of a store must have these alike: start with the same ones, or with --rolling (COUNTERSIGN_ROLLING) \
         while they are changed server by server"
    )]
    OtherSettings(OtherSettings),
}

/// In what a server differs from one that runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OtherSettings {
    host: String,
    names: Vec<String>,
}

/// What tells a setting from another value of it.
#[must_use]
pub fn mark(vault: &Vault, name: String, text: &Zeroizing<String>) -> SettingMark {
    let context = [b"setting ", name.as_bytes()].concat();
    let fingerprint = vault.fingerprint(&context, text.as_bytes());
    let mut mark = [0; 8];
    mark.copy_from_slice(&fingerprint.as_bytes()[..8]);
    SettingMark { name, mark }
}

/// Enters this process into the register, unless it has the store to itself.
///
/// # Errors
/// [`NotJoined`]: it is not in the register then.
pub async fn join(app: &App, new: NewNode) -> Result<Option<RegisteredNode>, NotJoined> {
    if !app.shares_store() {
        return Ok(None);
    }
    let mut bytes = [0; 16];
    app.entropy.fill(&mut bytes);
    let now = app.clock.now();
    let mut member = RegisteredNode {
        node: NodeId::from_bytes(bytes),
        record: NodeRecord {
            host: new.host,
            version: new.version,
            started: now,
            until: now,
            clock: None,
            settings: new.settings,
        },
        rolling: new.rolling,
        warned: BTreeSet::new(),
        verdict: ClockVerdict::Right,
    };
    clock::measure_surely(app).await?;
    let others = retry_on_conflict(app, || join_once(app, &member)).await?;
    app.memory.nodes.joined(member.node);
    member.look_at(app, &others);
    if let Err(error) = duties::look(app, member.node).await {
        tracing::debug!("the duties of servers were not looked at: {error}");
    }
    Ok(Some(member))
}

/// Of two that start at once each finds the other, or comes second: whoever enters also writes what was read first.
async fn join_once(app: &App, member: &RegisteredNode) -> Result<Vec<RunningNode>, NotJoined> {
    let mut reading = Reading::new(app);
    let format = reading.get(&keys::store_format()).await?;
    let others = running(app, &mut reading, member.node).await?;
    if let Some(offset) = app.memory.nodes.clock()
        && ClockVerdict::of(offset, &clocks(&others), true) == ClockVerdict::Wrong
    {
        return Err(NotJoined::ClockIsWrong(offset));
    }
    if let Some(other) = member.differing(&others).next()
        && !member.rolling
    {
        return Err(NotJoined::OtherSettings(other));
    }
    let mut batch = member.put(app, Batch::new())?;
    if let Some(format) = format {
        batch = batch
            .put_record(keys::store_format(), &format)
            .map_err(Fault::from)?;
    }
    reading.commit(batch).await?;
    Ok(others)
}

/// Says again and again that the server runs, and looks who else does.
pub async fn keep_up(app: &App, member: &mut RegisteredNode) -> Infallible {
    let node = member.node;
    tokio::join!(beat_again_and_again(app, member), duties::keep_up(app, node)).0
}

async fn beat_again_and_again(app: &App, member: &mut RegisteredNode) -> Infallible {
    let mut failing = false;
    loop {
        sleep(PERIOD).await;
        let beaten = member.beat(app).await;
        if let (Err(error), false) = (&beaten, failing) {
            tracing::warn!("other servers do not hear that this one runs: {error}");
        }
        failing = beaten.is_err();
        app.memory.nodes.told_others(!failing);
    }
}

/// Takes the server out of the register, and gives its duties back.
///
/// # Errors
/// [`Fault`]: others find it gone when its entry has ended.
pub async fn leave(app: &App, node: NodeId) -> Result<(), Fault> {
    let given_back = duties::give_back(app, node).await;
    let gone = Batch::new().delete(keys::node(node).into_bytes());
    let left = Reading::new(app).commit(gone).await;
    app.memory.nodes.left();
    given_back.and(left)
}

/// The servers that run on the store.
///
/// # Errors
/// [`Fault`].
pub async fn list(app: &App) -> Result<Vec<RunningNode>, Fault> {
    clock::measure(app).await?;
    let nobody = NodeId::from_bytes([0; 16]);
    running(app, &mut Reading::new(app), nobody).await
}

impl RegisteredNode {
    /// What it is called in the register.
    #[must_use]
    pub fn node(&self) -> NodeId {
        self.node
    }

    /// Says that it runs, looks at the clock and at who else runs.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn beat(&mut self, app: &App) -> Result<(), Fault> {
        clock::measure(app).await?;
        // Nobody else writes it.
        let batch = self.put(app, Batch::new())?;
        Reading::new(app).commit(batch).await?;
        let others = running(app, &mut Reading::new(app), self.node).await?;
        self.look_at(app, &others);
        Ok(())
    }

    fn put(&self, app: &App, batch: Batch) -> Result<Batch, Fault> {
        let until = app.memory.nodes.database_at(app.clock.now()) + NodeRecord::LIFE;
        let record = NodeRecord {
            until,
            clock: app.memory.nodes.clock(),
            ..self.record.clone()
        };
        Ok(batch.put_record_until(keys::node(self.node), &record, until)?)
    }

    /// In what it differs from each that has other settings.
    fn differing(&self, others: &[RunningNode]) -> impl Iterator<Item = OtherSettings> {
        others.iter().filter_map(|other| {
            let names = self.record.differences(&other.record);
            (!names.is_empty()).then(|| OtherSettings {
                host: other.record.host.clone(),
                names: names.into_iter().map(str::to_owned).collect(),
            })
        })
    }

    fn look_at(&mut self, app: &App, others: &[RunningNode]) {
        app.memory.nodes.set_live(others.len() + 1);
        let differing: Vec<OtherSettings> = self.differing(others).collect();
        for other in differing {
            let line = other.to_string();
            if !self.warned.contains(&line) {
                tracing::warn!("{line}; all servers of a store must have these alike");
                self.warned.insert(line);
            }
        }
        if let Some(offset) = app.memory.nodes.clock() {
            let verdict = ClockVerdict::of(offset, &clocks(others), false);
            app.memory.nodes.judge_clock(verdict);
            if verdict != self.verdict {
                clock::tell(verdict, offset);
                self.verdict = verdict;
            }
        }
    }
}

/// All that run but this one.
async fn running(app: &App, reading: &mut Reading<'_>, ours: NodeId) -> Result<Vec<RunningNode>, Fault> {
    let now = app.memory.nodes.database_at(app.clock.now());
    let all = reading.list_readable(&keys::nodes(), MOST_NODES).await?;
    let live = all.into_iter().filter(|(_, record)| record.is_live(now));
    let nodes = live.filter_map(|(key, record)| {
        let node = NodeId::from_bytes(key.get(1..)?.try_into().ok()?);
        (node != ours).then_some(RunningNode { node, record })
    });
    Ok(nodes.collect())
}

fn clocks(nodes: &[RunningNode]) -> Vec<Option<ClockOffset>> {
    nodes.iter().map(|node| node.record.clock).collect()
}

impl fmt::Display for OtherSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.join(", ");
        write!(f, "the server on {} runs with other settings: {names}", self.host)
    }
}

impl FlowError for NotJoined {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Failed(fault) => Some(fault),
            Self::ClockIsUnknown | Self::ClockIsWrong(_) | Self::OtherSettings(_) => None,
        }
    }
}

/// How often a server says that it runs.
pub const PERIOD: Duration = Duration::from_secs(10);

/// More than anybody has.
const MOST_NODES: usize = 1000;
