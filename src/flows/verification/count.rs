//! Counts verifications that began or ended, for the operators' metrics.

use crate::app::App;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Verification, VerificationStatus};
use crate::flows::reading::with_asker;
use crate::memory::verification_tally::CountedVerification;

/// Counts what a commit has made of a verification: `before` is what it was, if it was. To be called once for each commit.
///
/// One that nobody ends is over without a word, at a moment that no server has to notice: those are what is missing among the
/// ends.
pub(crate) fn count_change(app: &App, before: Option<&Verification>, after: &Verification, now: Timestamp) {
    let outcome = match (before.map(|before| before.status(now)), after.status(now)) {
        (None, _) => "begun",
        (Some(VerificationStatus::Pending), VerificationStatus::Approved) => "approved",
        (Some(VerificationStatus::Pending), VerificationStatus::Canceled) => "canceled",
        (Some(VerificationStatus::Pending), VerificationStatus::MaxAttemptsReached) => "failed",
        (Some(_), _) => return,
    };
    app.memory.verifications.count(&CountedVerification {
        dialect: with_asker(|asker| asker.map_or("", |asker| asker.dialect)),
        channel: after.sends.last().map_or("none", |send| send.channel.name()),
        outcome,
    });
}
