//! What is shown of a user: nothing that is secret, and each refusal with its reason.

use serde::{Deserialize, Serialize};

use super::AuditEntryView;
use super::audit::view;
use super::user_reasons::remedy;
use crate::app::Policy;
use crate::domain::challenge::{Challenge, ChallengeStatus, DenyReason};
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::factor::{Factor, FactorKind, FactorLock, FactorStatus, LockReason};
use crate::domain::limits::Failures;
use crate::domain::time::Timestamp;
use crate::domain::verification::{Ending, Possible, Verification, VerificationStatus};
use crate::flows::audit::list::LatestEntries;
use crate::flows::support::guards::DestinationBlock;
use crate::flows::support::report::{DestinationReport, FactorReport, MOST_PENDING, PlaceReport, UserReport};

/// How things stand with a user.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct UserView {
    pub(in crate::cli) account_sid: String,
    pub(in crate::cli) account_status: String,
    pub(in crate::cli) time: String,
    /// What of this user's own, and of the guards that are looked at, keeps codes and answers from being accepted or sent now, in
    /// words; none if nothing does.
    pub(in crate::cli) refused_now: Vec<String>,
    pub(in crate::cli) places: Vec<PlaceView>,
    pub(in crate::cli) has_more_places: bool,
    /// Whether the name is the SID of somebody's and the identity of somebody else.
    pub(in crate::cli) is_ambiguous: bool,
    pub(in crate::cli) destinations: Vec<DestinationView>,
    /// The newest first.
    pub(in crate::cli) decisions: Vec<AuditEntryView>,
    /// Back to when decisions were looked for, if there are older ones.
    pub(in crate::cli) decisions_back_to: Option<String>,
    /// How many entries that were looked at for decisions this release cannot read.
    #[serde(default)]
    pub(in crate::cli) unreadable_entries: u64,
    /// Who was not let in to the account lately; whether that was the user, nobody knows.
    pub(in crate::cli) not_let_in: Vec<AuditEntryView>,
}

/// A moment, and how far it is from now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::cli) struct MomentView {
    pub(in crate::cli) at: String,
    /// Negative of what is past.
    pub(in crate::cli) in_seconds: i64,
}

/// A service that knows the user.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct PlaceView {
    pub(in crate::cli) service_sid: String,
    pub(in crate::cli) identity: String,
    /// If the user has or had factors.
    pub(in crate::cli) entity_sid: Option<String>,
    /// If the protocol that the user is managed by knows numbers.
    pub(in crate::cli) phone: Option<String>,
    pub(in crate::cli) phone_verified: Option<bool>,
    pub(in crate::cli) code_by_sms: Option<bool>,
    pub(in crate::cli) factors: Vec<FactorView>,
    /// The newest first.
    pub(in crate::cli) challenges: Vec<ChallengeView>,
    pub(in crate::cli) has_more_challenges: bool,
}

/// A factor.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct FactorView {
    pub(in crate::cli) sid: String,
    #[serde(rename = "type")]
    pub(in crate::cli) kind: String,
    pub(in crate::cli) friendly_name: String,
    pub(in crate::cli) status: String,
    /// Wrong codes in a row.
    pub(in crate::cli) failures: u32,
    pub(in crate::cli) last_failure: Option<MomentView>,
    /// How many wrong numbers in a row were typed; of push factors.
    pub(in crate::cli) wrong_numbers: Option<u8>,
    /// How many challenges wait for an answer; of push factors.
    pub(in crate::cli) pending: Option<usize>,
    /// Of TOTP factors, the time step of the code that was accepted last; of push factors, the last approval that is known.
    pub(in crate::cli) last_use: Option<MomentView>,
    /// By how many time steps the device's clock is ahead, as it was learned.
    pub(in crate::cli) drift_steps: Option<i8>,
    /// How the device is woken, and that it cannot be.
    pub(in crate::cli) notification: Option<String>,
    pub(in crate::cli) unreachable: Option<String>,
    pub(in crate::cli) date_created: String,
    pub(in crate::cli) locks: Vec<LockView>,
}

/// What closes something.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct LockView {
    pub(in crate::cli) reason: String,
    pub(in crate::cli) explanation: String,
    /// `None` if no waiting helps.
    pub(in crate::cli) until: Option<MomentView>,
    /// What opens it before that, if `countersign user unlock` does not.
    pub(in crate::cli) remedy: Option<String>,
}

/// A challenge.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct ChallengeView {
    pub(in crate::cli) sid: String,
    pub(in crate::cli) factor_sid: String,
    pub(in crate::cli) status: String,
    pub(in crate::cli) why: String,
    pub(in crate::cli) attempts: u8,
    pub(in crate::cli) created: MomentView,
    pub(in crate::cli) expires: MomentView,
}

/// A number or an address.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct DestinationView {
    pub(in crate::cli) destination: String,
    pub(in crate::cli) is_safe: bool,
    /// Wrong codes in a row, over all services of the account.
    pub(in crate::cli) failures: u32,
    pub(in crate::cli) last_failure: Option<MomentView>,
    pub(in crate::cli) locks: Vec<LockView>,
    /// The services that remember it.
    pub(in crate::cli) service_sids: Vec<String>,
    /// The newest first.
    pub(in crate::cli) verifications: Vec<VerificationView>,
    pub(in crate::cli) has_more_verifications: bool,
}

/// A verification.
#[derive(Debug, Serialize, Deserialize)]
pub(in crate::cli) struct VerificationView {
    pub(in crate::cli) sid: String,
    pub(in crate::cli) service_sid: String,
    pub(in crate::cli) channel: Option<String>,
    pub(in crate::cli) status: String,
    pub(in crate::cli) why: String,
    /// Wrong codes for the last code that was sent.
    pub(in crate::cli) failures: u32,
    pub(in crate::cli) sends: usize,
    pub(in crate::cli) created: MomentView,
    pub(in crate::cli) expires: MomentView,
}

impl UserView {
    pub(super) fn new(report: &UserReport, policy: &Policy, shows_destinations: bool) -> Self {
        let seen = UserSight {
            now: report.at,
            policy,
            shows_destinations,
        };
        let account = report.account.sid;
        let entries = |latest: &LatestEntries| -> Vec<_> {
            let entries = latest.entries.iter();
            entries
                .map(|(sid, entry)| view(account, *sid, entry, shows_destinations))
                .collect()
        };
        let is_active = report.account.is_active();
        let mut user = Self {
            account_sid: account.to_string(),
            account_status: if is_active { "active" } else { "suspended" }.to_owned(),
            time: report.at.to_string(),
            refused_now: Vec::new(),
            places: report.places.iter().map(|place| seen.place(place)).collect(),
            has_more_places: report.has_more_places,
            is_ambiguous: report.is_ambiguous,
            destinations: report
                .destinations
                .iter()
                .map(|to| seen.destination(to))
                .collect(),
            decisions: entries(&report.decisions),
            decisions_back_to: report.decisions.looked_back_to.map(|moment| moment.to_string()),
            unreadable_entries: report.decisions.unreadable,
            not_let_in: entries(&report.strangers),
        };
        user.refused_now = user.reasons(is_active);
        user
    }
}

/// When something is looked at, and how.
struct UserSight<'a> {
    now: Timestamp,
    policy: &'a Policy,
    shows_destinations: bool,
}

impl UserSight<'_> {
    fn moment(&self, moment: Timestamp) -> MomentView {
        let (ahead, behind) = (moment.since(self.now), self.now.since(moment));
        // What is not over yet is not shown as if it were.
        let ahead = i64::try_from(ahead.as_millis().div_ceil(1000)).unwrap_or(i64::MAX);
        let behind = i64::try_from(behind.as_secs()).unwrap_or(i64::MAX);
        MomentView {
            at: moment.to_string(),
            in_seconds: ahead - behind,
        }
    }

    fn shown(&self, destination: &Destination) -> String {
        if self.shows_destinations {
            destination.as_str().to_owned()
        } else {
            destination.masked()
        }
    }

    fn place(&self, report: &PlaceReport) -> PlaceView {
        let place = &report.place;
        let phone = place.user.as_ref().and_then(|user| user.phone.as_ref());
        PlaceView {
            service_sid: place.name.service.to_string(),
            identity: place.name.identity.to_string(),
            entity_sid: place.entity.as_ref().map(|entity| entity.sid.to_string()),
            phone: phone.map(|phone| self.shown(&Destination::Phone(phone.number.clone()))),
            phone_verified: phone.map(|phone| phone.verified),
            code_by_sms: place.user.as_ref().map(|user| user.code_by_sms),
            factors: report.factors.iter().map(|factor| self.factor(factor)).collect(),
            challenges: report
                .challenges
                .iter()
                .map(|challenge| self.challenge(challenge, &report.factors))
                .collect(),
            has_more_challenges: report.has_more_challenges,
        }
    }

    fn factor(&self, report: &FactorReport) -> FactorView {
        let factor = &report.factor;
        let mut locks: Vec<_> = factor
            .locks(&self.policy.push, self.now)
            .iter()
            // Between two delays of a row a code is looked at.
            .filter(|lock| lock.until.is_none_or(|until| until > self.now))
            .map(|lock| self.lock(factor, *lock))
            .collect();
        let most = self.policy.push.max_pending;
        if report.pending >= most.min(MOST_PENDING) {
            locks.push(LockView {
                reason: "pending".to_owned(),
                explanation: format!(
                    "{} challenges wait for an answer, and {most} may: no further one is created",
                    report.pending
                ),
                until: None,
                remedy: Some("an answer to one of them, also a denial, or the end of its time".to_owned()),
            });
        }
        let view = FactorView {
            sid: factor.sid.to_string(),
            kind: String::new(),
            friendly_name: factor.friendly_name.to_string(),
            status: factor_status(factor).to_owned(),
            failures: factor.failures.count(),
            last_failure: factor.failures.last().map(|last| self.moment(last)),
            wrong_numbers: None,
            pending: None,
            last_use: None,
            drift_steps: None,
            notification: None,
            unreachable: None,
            date_created: factor.date_created.to_string(),
            locks,
        };
        match &factor.kind {
            FactorKind::Push(push) => FactorView {
                kind: "push".to_owned(),
                wrong_numbers: Some(push.guard.wrong_numbers()),
                pending: Some(report.pending),
                last_use: push.guard.last_success().map(|last| self.moment(last)),
                notification: Some(push.notification.platform().to_owned()),
                unreachable: push.unreachable.as_ref().map(|lost| lost.why.clone()),
                ..view
            },
            FactorKind::Totp(totp) => FactorView {
                kind: "totp".to_owned(),
                last_use: totp.last_use().map(|last| self.moment(last)),
                drift_steps: Some(totp.drift.steps()),
                ..view
            },
        }
    }

    fn lock(&self, factor: &Factor, lock: FactorLock) -> LockView {
        let failures = factor.failures.count();
        let explanation = match lock.reason {
            LockReason::Challenges => "as many challenges were created as may be in a while".to_owned(),
            LockReason::Enrolment => format!(
                "{} codes were tried to prove the enrolment, and no more may be: unlock it or enrol anew",
                Factor::MAX_VERIFICATION_ATTEMPTS
            ),
            LockReason::Pushes => {
                "its holder was asked as often as may be without an approval, so no push is sent".to_owned()
            }
            LockReason::Report => {
                "paused, for its holder reported that somebody else asked; nobody may ask".to_owned()
            }
            LockReason::WrongCodes => format!(
                "{failures} wrong codes in a row: no code is looked at, and each further wrong one is followed by a longer delay, up \
                 to the {}th, which disables it",
                Failures::DISABLED_AT
            ),
            LockReason::WrongNumbers => {
                "paused, for its holder typed wrong numbers; nobody may ask".to_owned()
            }
        };
        LockView {
            reason: lock.reason.name().to_owned(),
            explanation,
            until: lock.until.map(|until| self.moment(until)),
            remedy: None,
        }
    }

    fn challenge(&self, challenge: &Challenge, factors: &[FactorReport]) -> ChallengeView {
        let is_there = factors.iter().any(|factor| factor.factor.sid == challenge.factor);
        let (status, why) = match challenge.status(self.now) {
            ChallengeStatus::Approved => ("approved", "its holder said yes"),
            ChallengeStatus::Denied => (
                "denied",
                match challenge.deny_reason {
                    None => "its holder said no",
                    Some(DenyReason::NotMe) => "its holder said no, and that somebody else asked",
                    Some(DenyReason::WrongNumber) => "its holder typed another number",
                },
            ),
            ChallengeStatus::Expired => ("expired", "it was not answered in time, or was ended"),
            ChallengeStatus::Pending if !is_there => {
                ("pending", "its factor was deleted, so nobody can answer it")
            }
            ChallengeStatus::Pending if challenge.attempts >= Challenge::MAX_ATTEMPTS => (
                "pending",
                "as many codes were tried as may be, so no more are looked at",
            ),
            ChallengeStatus::Pending => ("pending", "it waits for an answer"),
        };
        ChallengeView {
            sid: challenge.sid.to_string(),
            factor_sid: challenge.factor.to_string(),
            status: status.to_owned(),
            why: why.to_owned(),
            attempts: challenge.attempts,
            created: self.moment(challenge.date_created),
            expires: self.moment(challenge.expires_at),
        }
    }

    fn destination(&self, report: &DestinationReport) -> DestinationView {
        let failures = report.wrong_codes.as_ref().map(|codes| codes.failures);
        DestinationView {
            destination: self.shown(&report.destination),
            is_safe: report.is_safe,
            failures: failures.map_or(0, |failures| failures.count()),
            last_failure: failures
                .and_then(|failures| failures.last())
                .map(|last| self.moment(last)),
            locks: report
                .blocks
                .iter()
                .map(|block| self.block(block, &report.destination))
                .collect(),
            service_sids: report.services.iter().map(ToString::to_string).collect(),
            verifications: report
                .verifications
                .iter()
                .map(|found| self.verification(found))
                .collect(),
            has_more_verifications: report.has_more_verifications,
        }
    }

    fn block(&self, block: &DestinationBlock, destination: &Destination) -> LockView {
        let mut explanation = block.reason.explanation().to_owned();
        if let Some(service) = block.service {
            explanation = format!("{explanation} ({service})");
        }
        LockView {
            reason: block.reason.name().to_owned(),
            explanation,
            until: block.until.map(|until| self.moment(until)),
            remedy: remedy(block.reason, destination).map(str::to_owned),
        }
    }

    fn verification(&self, verification: &Verification) -> VerificationView {
        let status = verification.status(self.now);
        let failures = verification.codes.last().map_or(0, |code| code.failures);
        VerificationView {
            sid: verification.sid.to_string(),
            service_sid: verification.service.to_string(),
            channel: verification.channel().map(Channel::name).map(str::to_owned),
            status: status_name(status).to_owned(),
            why: self.why(verification, status),
            failures,
            sends: verification.sends.len(),
            created: self.moment(verification.date_created),
            expires: self.moment(verification.expires_at),
        }
    }

    fn why(&self, verification: &Verification, status: VerificationStatus) -> String {
        match status {
            VerificationStatus::Approved => "the right code was given, or its owner vouched for it".to_owned(),
            VerificationStatus::Canceled => match verification.end.map(|end| end.how) {
                Some(Ending::Replaced) => "another one took its place".to_owned(),
                _ => "it was ended before its time".to_owned(),
            },
            VerificationStatus::Expired => "no code was right in time".to_owned(),
            VerificationStatus::MaxAttemptsReached => "its wrong codes are used up".to_owned(),
            VerificationStatus::Pending => match verification.availability(self.now).check {
                Possible::At(moment) if moment > self.now => {
                    format!("the next code is looked at from {} on", self.moment(moment))
                }
                Possible::At(_) => "it waits for a code".to_owned(),
                Possible::Never => "no code can be right: none was sent yet, its time is over, or its tries are used up; another one \
                                    has to be sent"
                    .to_owned(),
            },
        }
    }
}

fn factor_status(factor: &Factor) -> &'static str {
    match factor.status {
        FactorStatus::Disabled => "disabled",
        _ if factor.failures.exhausted() => "disabled",
        FactorStatus::Unverified { .. } => "unverified",
        FactorStatus::Verified => "verified",
    }
}

fn status_name(status: VerificationStatus) -> &'static str {
    match status {
        VerificationStatus::Approved => "approved",
        VerificationStatus::Canceled => "canceled",
        VerificationStatus::Expired => "expired",
        VerificationStatus::MaxAttemptsReached => "max_attempts_reached",
        VerificationStatus::Pending => "pending",
    }
}
