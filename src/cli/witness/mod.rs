//! What knows outside of the store how far it has come, and notices when it was put back: a file, or a row in another database.
//!
//! A store in a directory that was copied back, or on a machine that was rolled back, has codes in it that were used since. A server
//! raises the witness at its start and its end, and every few seconds if something was committed. What was used between the last
//! time and the moment of the copy cannot be known; nor that the witness was put back along with the store.
//!
//! Whoever finds the witness gone begins an epoch: it may have been taken away to hide how old the store is, and what is void then is
//! asked for again within minutes. One that was damaged or is another store's stops the start: somebody has to look at it.
//!
//! One process has it at a time. A copy of the store that is used with the same settings would raise it above the store itself, whose
//! next start would then void everything.

mod file;
mod place;

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, OwnedMutexGuard};
use tokio::time::sleep;

pub(super) use self::place::WitnessPlace;

use super::{ExitStatus, Failure};
use crate::app::App;
use crate::crypto::vault::Vault;
use crate::domain::witness::{StoreProgress, Testimony};
use crate::flows::Fault;
use crate::flows::witness::{self, WitnessWord};

/// The witness of the store that this process has open.
#[derive(Clone, Debug)]
pub(super) struct Witness {
    held: Arc<Mutex<HeldWitness>>,
}

/// Why the witness was not raised.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotRaised {
    /// It is further than this server has ever brought it.
    #[error("the witness in {0} knows of more than this server has written")]
    IsAhead(String),
    #[error("{0}")]
    Fault(#[from] Fault),
    #[error("cannot write the witness to {0}: {1}")]
    Unwritten(String, String),
    #[error("cannot read the witness in {0}: {1}")]
    Unreadable(String, String),
}

impl Witness {
    /// Asks the witness in `place` about the store before anything of it is used, begins an epoch if it was put back, and raises the
    /// witness.
    pub(super) async fn begin(app: &App, mut place: WitnessPlace) -> Result<Self, Failure> {
        let shown = place.to_string();
        let failed =
            |fault: Fault| Failure::new(format!("cannot compare the store with its witness: {fault}"));
        let said = first_word(&mut place, &app.vault).await?;
        // Before anything is committed: a start that is refused must not have counted.
        let writable = place.require_writable().await;
        writable.map_err(|error| refused(&error))?;
        let was_put_back = witness::was_put_back(app, said.as_ref()).await.map_err(failed)?;
        if was_put_back {
            let begun = witness::begin_epoch(app, said).await.map_err(failed)?;
            let why = match said {
                Some(_) => format!("the store is older than its witness in {shown} knows it"),
                None => format!(
                    "the witness of the store is gone from {shown}, and nobody knows how old the store is"
                ),
            };
            tracing::error!(
                "{why}, so epoch {} begins: challenges, codes and access tokens from before are void, and so are the time steps \
                 of TOTP up to {}; what was created, changed or revoked since the store was this old is as it was then, so see \
                 to revocations (`countersign manual backup`)",
                begun.number,
                begun.began
            );
        }
        let witness = Self {
            held: Arc::new(Mutex::new(HeldWitness {
                place,
                written: said.map(|said| said.progress),
                is_told: false,
            })),
        };
        if said.is_none() && !was_put_back {
            // Written before the store counts for the first time: if that is as far as it gets, the next start finds it.
            witness
                .write(app, witness::uncounted(app))
                .await
                .map_err(|error| refused(&error))?;
        }
        witness.raise(app).await.map_err(|error| refused(&error))?;
        Ok(witness)
    }

    /// Has the store and its witness count on.
    pub(super) async fn raise(&self, app: &App) -> Result<(), NotRaised> {
        let progress = witness::advance(app).await?;
        self.write(app, progress).await
    }

    /// Has the witness say so.
    async fn write(&self, app: &App, progress: StoreProgress) -> Result<(), NotRaised> {
        let testimony = Testimony {
            identity: app.vault.store_identity(),
            progress,
            at: app.clock.now(),
        };
        let vault = Arc::clone(&app.vault);
        self.with_held(async move |mut held| held.raise(&testimony, &vault).await)
            .await
    }

    /// Does something with the witness to its end, whether or not somebody still waits for it: what is under way has the witness until
    /// then. Whoever ceases to wait before it begins leaves nothing behind.
    async fn with_held<T, F>(
        &self,
        act: impl FnOnce(OwnedMutexGuard<HeldWitness>) -> F,
    ) -> Result<T, NotRaised>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, NotRaised>> + Send + 'static,
    {
        let held = Arc::clone(&self.held).lock_owned().await;
        let acted = tokio::spawn(act(held)).await;
        acted.unwrap_or_else(|_| Err(Fault::Unavailable("the witness was not asked".into()).into()))
    }

    /// Raises it whenever something was committed, for as long as the server runs, which ends if the store was put back under it.
    pub(super) async fn keep_up(self, app: Arc<App>) {
        let mut rounds = WitnessRounds {
            is_failing: false,
            seen: app.store.statistics().commits,
        };
        loop {
            sleep(PERIOD).await;
            if let Err(error) = rounds.go_round(&self, &app).await {
                tracing::error!(
                    "{error}: this machine was rolled back while it ran, or another server has a copy of the store and the \
                     same witness. This one stops; its next start finds out, and begins an epoch"
                );
                ExitStatus::Failed.exit();
            }
        }
    }

    /// Whether it was raised: because it has to be, or because it is not as this server left it.
    async fn raise_or_look(&self, app: &App, has_to_be_raised: bool) -> Result<bool, NotRaised> {
        // Looked at although nothing was committed: a machine that was rolled back with its memory knows nothing of it.
        if !has_to_be_raised && self.look(app).await? {
            return Ok(false);
        }
        self.raise(app).await?;
        Ok(true)
    }

    /// Waits for the witness, however long it takes: nothing else is begun on a volume or database that hangs. But somebody is told.
    async fn answer<T>(&self, mut answer: Pin<Box<impl Future<Output = T>>>) -> T {
        if let Ok(answer) = tokio::time::timeout(SLOW, answer.as_mut()).await {
            return answer;
        }
        tracing::warn!(
            "the volume or database of the witness has not answered for {} s; until it does it is not noticed if the store is put \
             back",
            SLOW.as_secs()
        );
        answer.await
    }

    /// Raises it for the last time, if it can be done soon.
    pub(super) async fn end(self, app: &App) {
        self.end_within(LAST_TRY, app).await;
    }

    async fn end_within(self, patience: Duration, app: &App) {
        let raised = tokio::time::timeout(patience, self.raise(app)).await;
        let raised = raised.map_err(|_| "it took too long".to_owned());
        let raised = raised.and_then(|raised| raised.map_err(|error| error.to_string()));
        if let Err(why) = raised {
            tracing::error!("the witness was not raised at the end: {why}");
        }
    }

    /// Whether it is still as this server left it.
    async fn look(&self, app: &App) -> Result<bool, NotRaised> {
        let vault = Arc::clone(&app.vault);
        self.with_held(async move |mut held| held.look(&vault).await.map(|found| found.is_ours))
            .await
    }
}

/// What keeping it up goes by.
struct WitnessRounds {
    is_failing: bool,
    /// How many commits are witnessed.
    seen: u64,
}

impl WitnessRounds {
    /// Looks once, and raises the witness if it has to be. It fails only if the store was put back under this server.
    async fn go_round(&mut self, witness: &Witness, app: &App) -> Result<(), NotRaised> {
        let before = app.store.statistics().commits;
        let has_to_be_raised = before != self.seen || self.is_failing;
        let raised = witness
            .answer(Box::pin(witness.raise_or_look(app, has_to_be_raised)))
            .await;
        let was_failing = self.is_failing;
        self.is_failing = raised.is_err();
        match raised {
            // What others committed meanwhile is not witnessed yet; its own commit is.
            Ok(is_raised) => self.seen = before + u64::from(is_raised),
            Err(error @ NotRaised::IsAhead(_)) => return Err(error),
            Err(error) => {
                self.seen = before;
                if !was_failing {
                    tracing::error!(
                        "{error}; until that is done it is not noticed if the store is put back to this moment or a later one"
                    );
                }
            }
        }
        Ok(())
    }
}

/// The witness, and what this process may have written to it last.
#[derive(Debug)]
struct HeldWitness {
    place: WitnessPlace,
    written: Option<StoreProgress>,
    /// Whether it was told that it is not as it was left.
    is_told: bool,
}

/// What was found where the witness is.
struct FoundWitness {
    text: Option<String>,
    /// Whether it says no more than what was written.
    is_ours: bool,
}

impl HeldWitness {
    async fn raise(&mut self, testimony: &Testimony, vault: &Vault) -> Result<(), NotRaised> {
        let FoundWitness { text, .. } = self.look(vault).await?;
        if self.written.is_some_and(|written| written > testimony.progress) {
            return Ok(());
        }
        // Noted first: what fails may fail after it was written.
        self.written = Some(testimony.progress);
        let signed = witness::signed(vault, testimony);
        self.place.replace(text.as_deref(), signed).await?;
        self.is_told = false;
        Ok(())
    }

    /// Whether it is there, and says no more than what was written. Anything else that is there, or nothing, is written over: it has
    /// nothing to tell. But if something was there, somebody is told.
    async fn look(&mut self, vault: &Vault) -> Result<FoundWitness, NotRaised> {
        let text = self.place.read().await?;
        let what = match text.as_deref().map(|text| witness::heard(vault, text)) {
            Some(WitnessWord::Said(said)) if self.written.is_none_or(|written| said.progress > written) => {
                return Err(NotRaised::IsAhead(self.place.to_string()));
            }
            Some(WitnessWord::Said(_)) => {
                return Ok(FoundWitness { text, is_ours: true });
            }
            Some(WitnessWord::OfAnotherStore) => "is that of another store",
            Some(WitnessWord::Damaged) => "is not as this server wrote it",
            None => "is gone",
        };
        if self.written.is_some() && !self.is_told {
            tracing::error!(
                "the witness in {} {what}, and is written anew; find out who changes it",
                self.place
            );
            self.is_told = true;
        }
        Ok(FoundWitness { text, is_ours: false })
    }
}

/// A start that is refused because of it.
fn refused(error: &NotRaised) -> Failure {
    Failure::new(format!(
        "{error}; a store whose witness cannot be raised must not be used"
    ))
}

/// A start that is refused because another process has it.
fn taken(shown: &str) -> Failure {
    Failure::new(format!(
        "another server uses the witness in {shown}; stop it if it has this store, and if this one is a copy, start it without a \
         witness"
    ))
}

/// What the witness says before this process has written anything.
async fn first_word(place: &mut WitnessPlace, vault: &Vault) -> Result<Option<Testimony>, Failure> {
    let text = place.read().await;
    let text = text.map_err(|error| Failure::new(error.to_string()))?;
    let Some(text) = text else { return Ok(None) };
    match witness::heard(vault, &text) {
        WitnessWord::Said(said) => Ok(Some(said)),
        WitnessWord::OfAnotherStore => Err(Failure::new(format!(
            "the witness in {place} is that of another store; name another file or database for this one, or remove that \
             file or row if this store takes the place of that one"
        ))),
        WitnessWord::Damaged => Err(Failure::new(format!(
            "the witness in {place} is not as a server of this store wrote it; find out who changes it, and remove it: the next \
             start then begins an epoch, because nobody knows how old the store is"
        ))),
    }
}

/// How long its volume or database may take before somebody is told.
const SLOW: Duration = Duration::from_secs(10);

/// How much may be used unseen before the store is put back.
const PERIOD: Duration = Duration::from_secs(2);

/// How long the end of a process waits for it.
const LAST_TRY: Duration = Duration::from_secs(5);

#[cfg(test)]
mod tests;
