//! The store's own keys, as operators see and change them.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::{AdminRefusal, Reply};
use crate::app::App;
use crate::crypto::master_key::MasterKey;
use crate::domain::key_ring::{DataKeyState, HeldEntries, KeyId, KeyNumber};
use crate::flows::Fault;
use crate::flows::data_keys::{self, KeyChangeError, KeyState};
use crate::store::keys::KeyParts;

/// What is asked for of a store's own keys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub(in crate::cli) enum KeyRequest {
    /// Another master key that opens the store, too.
    AddMaster {
        key: MasterKeyText,
    },
    List,
    Retire {
        number: u16,
    },
    /// All master keys but this one, which has to be the server's.
    RetireMasters {
        kept: KeyId,
    },
    Rotate,
    /// Goes on for a moment with writing entries anew.
    Walk,
}

/// What is shown of a store's keys: nothing that is secret.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct DataKeysView {
    store: String,
    /// The identifier of the master key that the server has.
    master_key: String,
    /// Those of all that open the store.
    master_keys: Vec<String>,
    pub(in crate::cli) data_keys: Vec<DataKeyView>,
    /// Whether entries are being written anew.
    pub(in crate::cli) under_way: bool,
    entries_seen: u64,
    entries_written: u64,
    /// How many entries keep a key from going, and the first of them.
    entries_held: u64,
    held: Vec<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct DataKeyView {
    pub(in crate::cli) number: u16,
    /// `active`, `reading` or `leaving`.
    state: String,
    since: String,
}

impl DataKeysView {
    /// It, for people.
    pub(super) fn text(&self) -> String {
        let mut text = format!("store {}\n", self.store);
        for id in &self.master_keys {
            let ours = if *id == self.master_key { "  (given)" } else { "" };
            let _ = writeln!(text, "master key {id}{ours}");
        }
        for key in &self.data_keys {
            let DataKeyView { number, state, since } = key;
            let _ = writeln!(text, "data key {number}  {state}  since {since}");
        }
        if self.data_keys.len() > 1 {
            let _ = writeln!(text, "{}", self.progress());
        }
        if let Some(why) = self.what_stays() {
            let _ = writeln!(text, "{why}");
        }
        text
    }

    /// What keeps a data key that is to go, and what to do about it; none if nothing does.
    pub(in crate::cli) fn what_stays(&self) -> Option<String> {
        let leaving = |key: &&DataKeyView| key.state == DataKeyState::Leaving.name();
        let numbers: Vec<String> = self
            .data_keys
            .iter()
            .filter(leaving)
            .map(|key| key.number.to_string())
            .collect();
        if self.entries_held == 0 || numbers.is_empty() {
            return None;
        }
        let more = if self.entries_held > self.held.len() as u64 {
            ", ..."
        } else {
            ""
        };
        Some(format!(
            "data key {} stays: {} entries of it are refused as older than they were ({}{more}), and could not be read without it; \
             start every server of the store anew, one after the other, and it goes by itself",
            numbers.join(", "),
            self.entries_held,
            self.held.join(", "),
        ))
    }

    /// How far entries were written anew.
    pub(in crate::cli) fn progress(&self) -> String {
        let (seen, written) = (self.entries_seen, self.entries_written);
        let end = if self.under_way { "; going on" } else { "; done" };
        format!("{seen} entries looked at, {written} written anew{end}")
    }
}

impl From<&KeyState> for DataKeysView {
    fn from(state: &KeyState) -> Self {
        let KeyState { ring, master, walk } = state;
        let data_keys = ring.data.iter().map(|key| DataKeyView {
            number: key.number.0,
            state: key.state.name().to_owned(),
            since: key.since.to_string(),
        });
        Self {
            store: ring.store.to_string(),
            master_key: master.to_string(),
            master_keys: ring
                .lasting
                .iter()
                .map(|wrap| wrap.master_key.to_string())
                .collect(),
            data_keys: data_keys.collect(),
            under_way: state.is_under_way(),
            entries_seen: walk.as_ref().map_or(0, |walk| walk.seen),
            entries_written: walk.as_ref().map_or(0, |walk| walk.written),
            entries_held: walk.as_ref().map_or(0, |walk| walk.still_held.count),
            held: walk
                .as_ref()
                .map_or_else(Vec::new, |walk| names(&walk.still_held)),
        }
    }
}

/// What the entries are.
fn names(held: &HeldEntries) -> Vec<String> {
    let parts = held.first.iter().filter_map(|key| KeyParts::parse(key));
    parts.map(|parts| parts.to_string()).collect()
}

pub(super) async fn execute(app: &App, request: KeyRequest) -> Result<Reply, AdminRefusal> {
    let explain = |error: KeyChangeError| error.to_string();
    let done = match request {
        KeyRequest::AddMaster { key } => {
            let key = MasterKey::parse(key.reveal()).map_err(|error| error.to_string())?;
            data_keys::add_master(app, &key).await.map_err(explain)?;
            format!(
                "master key {} opens the store, too; start every server with it, then end the change with `countersign keys \
                 retire --master`",
                key.id()
            )
        }
        KeyRequest::List => return show(data_keys::list(app).await),
        KeyRequest::Retire { number } => {
            let retired = data_keys::retire(app, KeyNumber(number)).await;
            retired.map_err(explain)?;
            format!("data key {number} is to go")
        }
        KeyRequest::RetireMasters { kept } => {
            let retired = data_keys::retire_other_masters(app, kept).await;
            retired.map_err(explain)?;
            format!("only master key {kept} opens the store")
        }
        KeyRequest::Rotate => {
            let number = data_keys::rotate(app).await.map_err(explain)?;
            format!("data key {number} is the active one")
        }
        KeyRequest::Walk => return show(data_keys::go_on(app, MOMENT).await),
    };
    Ok(Reply::Done(done))
}

fn show(state: Result<KeyState, Fault>) -> Result<Reply, AdminRefusal> {
    let state = state.map_err(|fault| fault.to_string())?;
    Ok(Reply::DataKeys((&state).into()))
}

/// For how long is gone on, or waited for whoever does.
const MOMENT: Duration = Duration::from_millis(300);

/// A master key as text, on its way to a server of the same machine.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(in crate::cli) struct MasterKeyText(Zeroizing<String>);

impl MasterKeyText {
    pub(in crate::cli) fn new(key: &MasterKey) -> Self {
        Self(key.to_text())
    }

    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for MasterKeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MasterKeyText(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::key_ring::{KeyWalk, SealedDataKey, SealedKeyRing, StoreIdentity};
    use crate::domain::sid::AccountSid;
    use crate::domain::time::Timestamp;
    use crate::store::keys;

    fn state(first: DataKeyState, held: u8) -> KeyState {
        let key = |number, state| SealedDataKey {
            number: KeyNumber(number),
            state,
            since: Timestamp::from_seconds(1),
            wraps: Vec::new(),
        };
        let mut walk = KeyWalk::new(3);
        for number in 0..held {
            let account = AccountSid::from_bytes([number; 16]);
            walk.held.add(keys::audit_head(account).bytes());
        }
        walk.end_round();
        KeyState {
            ring: SealedKeyRing {
                store: StoreIdentity::from_bytes([7; 16]),
                generation: 3,
                lasting: Vec::new(),
                data: vec![key(1, first), key(2, DataKeyState::Active)],
            },
            master: KeyId::from_bytes([1; 4]),
            walk: Some(walk),
        }
    }

    #[test]
    fn what_keeps_a_key_is_named_and_says_what_to_do() {
        let view = DataKeysView::from(&state(DataKeyState::Leaving, 7));
        let why = view.what_stays().unwrap();
        assert!(
            why.starts_with("data key 1 stays: 7 entries of it are refused"),
            "{why}"
        );
        assert!(
            why.contains(&AccountSid::from_bytes([4; 16]).to_string()),
            "{why}"
        );
        assert!(
            !why.contains(&AccountSid::from_bytes([5; 16]).to_string()) && why.contains(", ...)"),
            "{why}"
        );
        assert!(why.contains("start every server of the store anew"), "{why}");
        assert!(view.text().ends_with(&format!("{why}\n")));
        for (first, held) in [(DataKeyState::Leaving, 0), (DataKeyState::Reading, 1)] {
            let view = DataKeysView::from(&state(first, held));
            assert_eq!(view.what_stays(), None);
        }
    }
}
