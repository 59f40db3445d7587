//! Deciding anew when another change came first, and reading anew when a data key went between a read and the opening of what
//! it sealed.

use std::future::Future;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::time::{sleep, timeout};

use super::reading::record_refusal;
use super::{Error, Fault};
use crate::app::App;
use crate::domain::refusal::{AreaRefusal, RefusalReason};
use crate::memory::turns::{RecordTurn, TurnKey};

/// Runs a read-decide-commit attempt until no other change comes first.
///
/// Each round of parallel attempts lets one through, so the bound is how many requests may wait for one record. Where other
/// processes share the store, each attempt is paid for in round trips, of which many in parallel would make the square of
/// their number: whoever has lost a record to another change waits for a turn at it.
pub(crate) async fn retry_on_conflict<T, E, F, Attempt>(app: &App, mut attempt: F) -> Result<T, E>
where
    E: FlowError,
    F: FnMut() -> Attempt,
    Attempt: Future<Output = Result<T, E>>,
{
    const MOST_ATTEMPTS: u32 = 300;
    let mut contention = Contention::new(app);
    let mut sealed = SealedReads::default();
    for _ in 0..MOST_ATTEMPTS {
        let settled = contention.run(pin!(attempt())).await;
        let fault = settled.as_ref().err().and_then(E::fault);
        if fault.is_some_and(|fault| sealed.is_to_be_read_again(fault)) {
            continue;
        }
        let Some(Fault::Conflict(lost)) = fault else {
            if let Some(why) = settled.as_ref().err().and_then(E::refusal) {
                // Rare, so it is no part of what every request takes of memory.
                Box::pin(record_refusal(app, &why)).await;
            }
            return settled;
        };
        let lost = *lost;
        if app.shares_store() {
            // Rare, so it is no part of what every request takes of memory.
            Box::pin(contention.get_ready(lost)).await;
        }
    }
    Err(Fault::Busy.into())
}

/// How often one flow met a value whose data key the store does not have. A key goes when everything that it sealed is sealed
/// anew, so whoever read such a value before finds it anew; who never does has a record that nobody can open.
#[derive(Debug, Default)]
pub(crate) struct SealedReads(u32);

impl SealedReads {
    /// Whether that is why the flow failed, and it is worth another read.
    pub(crate) fn is_to_be_read_again(&mut self, fault: &Fault) -> bool {
        if !matches!(fault, Fault::KeyGone(_)) {
            return false;
        }
        self.0 += 1;
        self.0 < MOST_SEALED_READS
    }
}

/// What a flow may end in: a fault, or besides that the refusals of an area.
pub(crate) trait FlowError: From<Fault> {
    /// The fault, if it is one.
    fn fault(&self) -> Option<&Fault>;

    /// Why it was refused, if it was: the domain said no, or what it rests on is not as this store's servers wrote it.
    fn refusal(&self) -> Option<RefusalReason> {
        match self.fault()? {
            Fault::Forged(why) => Some(RefusalReason {
                code: "forged",
                words: format!("not as this store's servers wrote it: {why}"),
            }),
            Fault::OutboxFull => Some(RefusalReason {
                code: "outbox_full",
                words: "too many messages of the account wait to be sent".to_owned(),
            }),
            _ => None,
        }
    }
}

impl FlowError for Fault {
    fn fault(&self) -> Option<&Fault> {
        Some(self)
    }
}

impl<R: AreaRefusal> FlowError for Error<R> {
    fn fault(&self) -> Option<&Fault> {
        match self {
            Self::Failed(fault) => Some(fault),
            Self::Refused(_) => None,
        }
    }

    fn refusal(&self) -> Option<RefusalReason> {
        match self {
            Self::Failed(fault) => fault.refusal(),
            Self::Refused(refusal) => Some(RefusalReason {
                code: refusal.code(),
                words: refusal.to_string(),
            }),
        }
    }
}

/// How one that lost to others gets through in the end, at little cost for all.
struct Contention<'a> {
    app: &'a App,
    /// One at the most, so that nobody has one who waits for somebody else's.
    turn: Option<RecordTurn>,
    /// Whether its turn did not come in time: then it does not wait for another one.
    waited_in_vain: bool,
    /// How often it lost for another reason than that its turn had not come.
    lost: u32,
}

impl<'a> Contention<'a> {
    fn new(app: &'a App) -> Self {
        Self {
            app,
            turn: None,
            waited_in_vain: false,
            lost: 0,
        }
    }

    /// Runs an attempt. Its turn ends when others have waited long enough; the attempt does not.
    async fn run<Attempt: Future>(&mut self, mut attempt: Pin<&mut Attempt>) -> Attempt::Output {
        let Some(turn) = self.turn.take() else {
            return attempt.await;
        };
        if let Ok(output) = timeout(LONGEST_TURN, &mut attempt).await {
            self.turn = Some(turn);
            return output;
        }
        drop(turn);
        attempt.await
    }

    /// Waits until another attempt is likely to succeed.
    async fn get_ready(&mut self, lost: Option<TurnKey>) {
        let held = self.turn.as_ref().map(RecordTurn::key);
        match lost {
            Some(record) if held != Some(record) && !self.waited_in_vain => {
                self.turn = None;
                let turn = self.app.memory.turns.wait(record);
                self.turn = timeout(LONGEST_WAIT, turn).await.ok();
                if self.turn.is_some() {
                    return;
                }
                self.waited_in_vain = true;
            }
            _ => {}
        }
        // It lost to another process, or to one that did not know yet that there are turns: a chance for both.
        self.lost += 1;
        sleep(self.pause()).await;
    }

    /// Of a length that others do not have, too, and longer each time.
    fn pause(&self) -> Duration {
        let longest = (FIRST_PAUSE * self.lost.min(1000)).min(LONGEST_PAUSE);
        let mut chance = [0];
        self.app.entropy.fill(&mut chance);
        longest * u32::from(chance[0]) / 255
    }
}

/// How long one may decide before others get their turn: far longer than a read and a commit take of a database that answers.
const LONGEST_TURN: Duration = Duration::from_secs(1);

/// How long one waits for its turn before it tries without one.
const LONGEST_WAIT: Duration = Duration::from_secs(5);

/// The longest first pause, by which each may be longer than the one before, and the longest of all.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// How often a sealed value is read at the most. The second read finds it anew; a third one is for another key that goes
/// meanwhile.
const MOST_SEALED_READS: u32 = 3;

#[cfg(test)]
mod tests;
