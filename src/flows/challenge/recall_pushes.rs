//! Learns what became of the challenges that a push factor remembers.

use crate::app::App;
use crate::domain::challenge::{Challenge, Outcome};
use crate::domain::entity::EntityScope;
use crate::domain::push_guard::{ChallengeFate, PushGuard};
use crate::domain::sid::ChallengeSid;
use crate::domain::time::Timestamp;
use crate::flows::Error;
use crate::store::{keys, records};

/// What became of each challenge that `guard` remembers.
///
/// The caller asserts the factor's version, not that of these challenges: one that is answered meanwhile only makes room,
/// so a decision that did not see it is at worst too strict.
pub(super) async fn recall_pushes(
    app: &App,
    scope: &EntityScope,
    guard: &PushGuard,
    now: Timestamp,
) -> Result<Vec<(ChallengeSid, ChallengeFate)>, Error> {
    let remembered = guard.remembered(now);
    let mut fates = Vec::with_capacity(remembered.len());
    for sid in remembered {
        let found = records::read(app.store.as_ref(), &keys::challenge(scope, sid)).await?;
        let fate = found.map_or(ChallengeFate::Over, |found| fate_of(&found.record, now));
        fates.push((sid, fate));
    }
    Ok(fates)
}

fn fate_of(challenge: &Challenge, now: Timestamp) -> ChallengeFate {
    match &challenge.outcome {
        Outcome::Approved(answer) => ChallengeFate::Approved(answer.at),
        Outcome::Denied(_) | Outcome::Expired => ChallengeFate::Over,
        Outcome::Pending if now >= challenge.expires_at => ChallengeFate::Over,
        Outcome::Pending => ChallengeFate::Pending,
    }
}
