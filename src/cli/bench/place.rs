//! Where a benchmark works: a service of its own, which it takes away again.

use std::sync::Arc;

use rustix::process::{Resource, getrlimit};

use super::api;
use super::pool::ClientPool;
use super::progress;
use super::target::{AccountCredentials, Target};

/// Whose service it is, and what becomes of it.
#[derive(Debug, clap::Args)]
pub(super) struct PlaceArgs {
    /// The account that the benchmark makes a service in.
    #[arg(
        long,
        value_name = "SID:TOKEN",
        env = "COUNTERSIGN_ACCOUNT",
        hide_env_values = true
    )]
    pub(super) account: AccountCredentials,
    /// Leave the service as it is in the end, instead of deleting it. What is below a deleted one is reclaimed afterwards, while
    /// another run may already measure.
    #[arg(long)]
    keep: bool,
}

impl PlaceArgs {
    /// Has `work` done in a service with these settings, with up to so many `connections`. The service is deleted in the end, whatever
    /// came of it, unless it is to be kept.
    ///
    /// # Errors
    /// What to do about it, before anything is made, if nothing could be measured; the error of `work`.
    pub(super) fn within_service<T>(
        &self,
        url: &str,
        settings: &'static [(&str, &str)],
        connections: usize,
        work: impl FnOnce(Target, String) -> Result<T, String>,
    ) -> Result<T, String> {
        require_files(connections)?;
        let target = Target::parse(url)?;
        let service = one_connection(|| api::create_service(target.clone(), self.account.clone(), settings))?;
        let done = work(target.clone(), service.clone());
        if self.keep {
            progress(&format!("the service {service} stays"))?;
            return done;
        }
        let deleted =
            one_connection(|| api::delete_service(target.clone(), self.account.clone(), service.clone()));
        match (done, deleted) {
            (Ok(_), Err(error)) => Err(format!(
                "the service {service} stays, for it was not deleted: {error}"
            )),
            (Err(failed), Err(error)) => Err(format!(
                "{failed}; and the service {service} stays, for it was not deleted: {error}"
            )),
            (done, Ok(())) => done,
        }
    }
}

fn one_connection<T: Send + 'static, F>(call: impl Fn() -> F + Sync) -> Result<T, String>
where
    F: Future<Output = Result<T, String>> + Send + 'static,
{
    let one = ClientPool {
        connections: 1,
        threads: 1,
    };
    let mut answers = one.work(&Arc::default(), |_| call())?;
    answers.pop().ok_or_else(|| "nothing was answered".to_owned())
}

/// Fails if this process may not open a file for each connection and some to spare.
pub(super) fn require_files(connections: usize) -> Result<(), String> {
    let limit = getrlimit(Resource::Nofile).current;
    let needed = u64::try_from(connections)
        .unwrap_or(u64::MAX)
        .saturating_add(TO_SPARE);
    match limit {
        Some(limit) if limit < needed => Err(format!(
            "{connections} connections need {needed} open files, and this process may have {limit}: run `ulimit -n {needed}` before, \
             and give the server as many"
        )),
        _ => Ok(()),
    }
}

/// What a process has open besides.
const TO_SPARE: u64 = 32;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn more_connections_than_files_are_refused_with_how_many_it_takes() {
        assert_eq!(require_files(1), Ok(()));
        if getrlimit(Resource::Nofile).current.is_some() {
            let refused = require_files(usize::MAX / 2).unwrap_err();
            assert!(refused.contains("run `ulimit -n "), "{refused}");
        }
    }
}
