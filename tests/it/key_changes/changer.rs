//! Somebody who makes data keys and takes old ones away, with the commands that operators have.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::server_kill::server::{self, Process};

/// Of one store; each command goes to the server of this directory, or does it itself when none runs.
pub(super) struct KeyChanger {
    directory: PathBuf,
    flags: Vec<String>,
}

pub(super) struct ChangerState {
    pub(super) is_under_way: bool,
    /// The number of the oldest key.
    pub(super) first_key: u64,
    keys: usize,
}

impl KeyChanger {
    pub(super) fn on(directory: &Path, flags: &[&str]) -> Self {
        Self {
            directory: directory.to_owned(),
            flags: flags.iter().map(|flag| (*flag).to_owned()).collect(),
        }
    }

    pub(super) fn state(&self) -> ChangerState {
        let listed = self.run(&["keys", "list", "--json"]);
        let listed: Value = serde_json::from_str(&listed).unwrap();
        let keys = listed["data_keys"].as_array().unwrap();
        ChangerState {
            is_under_way: listed["under_way"].as_bool().unwrap(),
            first_key: keys[0]["number"].as_u64().unwrap(),
            keys: keys.len(),
        }
    }

    /// Makes a key, or takes the oldest one away if there are three; it is killed when what is returned is dropped.
    pub(super) fn begin_next(&self) -> Process {
        let state = self.state();
        let oldest = state.first_key.to_string();
        let command = if state.keys < 3 {
            vec!["keys", "rotate"]
        } else {
            vec!["keys", "retire", &oldest]
        };
        server::begin(&self.directory, &self.with_flags(&command))
    }

    /// Makes a key and takes all others away.
    pub(super) fn leave_one_new_key(&self) {
        while self.state().keys > 3 {
            self.retire_oldest();
        }
        self.run(&["keys", "rotate"]);
        while self.state().keys > 1 {
            self.retire_oldest();
        }
    }

    /// Takes the oldest key away, if there are two, and waits until it is gone.
    pub(super) fn retire_oldest(&self) {
        if self.state().keys < 2 {
            return;
        }
        let oldest = self.state().first_key.to_string();
        let retired = server::output(&self.directory, &self.with_flags(&["keys", "retire", &oldest]));
        // A server goes on with what a killed command has begun: the key may be gone in this very moment.
        let is_gone = format!("the store has no data key {oldest}\n");
        assert!(
            retired.status.success() || String::from_utf8_lossy(&retired.stderr).ends_with(&is_gone),
            "{retired:?}"
        );
    }

    fn run(&self, command: &[&str]) -> String {
        server::run(&self.directory, &self.with_flags(command))
    }

    fn with_flags<'c>(&'c self, command: &[&'c str]) -> Vec<&'c str> {
        let flags = self.flags.iter().map(String::as_str);
        command.iter().copied().chain(flags).collect()
    }
}
