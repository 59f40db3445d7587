//! Who asks, and for what, while a request or a command is under way.
//!
//! It goes with the task, as a tracing span does: every commit of the request is told of with it, and no use case has to hand
//! on what it does not need. Nothing is decided by it.

use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use crate::domain::audit::{AuditAct, AuditDecision, AuditOutcome, AuditRequest, AuditSubject, Author};
use crate::domain::entity::EntityName;
use crate::domain::sid::{AccountSid, ChallengeSid, FactorSid};

/// Who asks, as far as it is known by now.
#[derive(Debug)]
pub struct AuditScope {
    known: Mutex<KnownAsker>,
}

#[derive(Debug)]
pub(in crate::flows) struct KnownAsker {
    pub(in crate::flows) author: Author,
    pub(in crate::flows) account: Option<AccountSid>,
    pub(in crate::flows) request: Option<AuditRequest>,
    /// The protocol that it is made in; empty if it has not said enough to know.
    pub(in crate::flows) dialect: &'static str,
    pub(in crate::flows) act: AuditAct,
    pub(in crate::flows) subject: AuditSubject,
    /// What was decided and is not committed yet.
    pub(in crate::flows) decided: Option<CodedDecision>,
    /// When it was asked.
    pub(in crate::flows) began: Instant,
}

/// What was decided.
#[derive(Debug)]
pub(in crate::flows) struct CodedDecision {
    pub(in crate::flows) decision: AuditDecision,
    /// What its reason is counted as: one of few.
    pub(in crate::flows) code: &'static str,
}

tokio::task_local! {
    static SCOPE: Arc<AuditScope>;
}

impl AuditScope {
    /// A request of somebody who is not known yet.
    #[must_use]
    pub fn of_request(request: AuditRequest) -> Self {
        Self::new(Author::Unknown, Some(request))
    }

    /// The same of one whose protocol is known from the beginning.
    #[must_use]
    pub fn in_dialect(request: AuditRequest, dialect: &'static str) -> Self {
        let mut scope = Self::new(
            Author::Unknown,
            Some(AuditRequest {
                dialect: dialect.to_owned(),
                ..request
            }),
        );
        scope
            .known
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner)
            .dialect = dialect;
        scope
    }

    /// A command of this user of the machine.
    #[must_use]
    pub fn of_operator(user: u32) -> Self {
        Self::new(Author::Operator(user), None)
    }

    fn new(author: Author, request: Option<AuditRequest>) -> Self {
        Self {
            known: Mutex::new(KnownAsker {
                author,
                account: None,
                request,
                dialect: "",
                act: AuditAct::Change,
                subject: AuditSubject::default(),
                decided: None,
                began: Instant::now(),
            }),
        }
    }

    fn known(&self) -> MutexGuard<'_, KnownAsker> {
        // Each change is one assignment.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does `work` as what this scope says.
pub async fn within<F: Future>(scope: AuditScope, work: F) -> F::Output {
    SCOPE.scope(Arc::new(scope), work).await
}

/// The same work on behalf of whoever asks here, for a task of its own: a task does not know who began it.
pub fn carried<F: Future>(work: F) -> impl Future<Output = F::Output> {
    let scope = SCOPE.try_with(Arc::clone).ok();
    async move {
        match scope {
            Some(scope) => SCOPE.scope(scope, work).await,
            None => work.await,
        }
    }
}

/// What `visit` makes of who asks, if anybody does.
pub(in crate::flows) fn with_asker<T>(visit: impl FnOnce(Option<&mut KnownAsker>) -> T) -> T {
    match SCOPE.try_with(Arc::clone) {
        Ok(scope) => visit(Some(&mut scope.known())),
        Err(_) => visit(None),
    }
}

fn change(with: impl FnOnce(&mut KnownAsker)) {
    // What nobody asked for, the server does by itself.
    let _nobody_asked = SCOPE.try_with(|scope| with(&mut scope.known()));
}

/// Notes who was let in, to which account.
pub fn note_author(account: AccountSid, author: Author) {
    change(|known| {
        known.account = Some(account);
        known.author = author;
    });
}

/// Notes the protocol that the request is made in.
pub fn note_dialect(dialect: &'static str) {
    change(|known| {
        known.dialect = dialect;
        if let Some(request) = &mut known.request {
            dialect.clone_into(&mut request.dialect);
        }
    });
}

/// Notes what was decided about whom: the commit that comes next tells of it. The reason is only asked for if anybody asks: what
/// it is counted as, one of few, and in words.
pub(crate) fn decide(outcome: AuditOutcome, reason: impl FnOnce() -> (&'static str, Option<String>)) {
    change(|known| {
        let (code, reason) = reason();
        let decision = AuditDecision {
            act: known.act,
            subject: known.subject.clone(),
            outcome,
            reason,
        };
        known.decided = Some(CodedDecision { decision, code });
    });
}

/// Notes the entity that something is done to.
pub(crate) fn note_entity(name: &EntityName) {
    change(|known| {
        known.subject.service = Some(name.service);
        known.subject.identity = Some(name.identity.clone());
    });
}

/// Notes the factor that something is done to.
pub(crate) fn note_factor(factor: FactorSid) {
    change(|known| known.subject.factor = Some(factor));
}

/// Notes which challenge the decision is about that was noted last.
pub(crate) fn note_decided_challenge(challenge: ChallengeSid) {
    change(|known| {
        known.subject.challenge = Some(challenge);
        if let Some(decided) = &mut known.decided {
            decided.decision.subject.challenge = Some(challenge);
        }
    });
}

/// Notes what is to be decided about whom: if it is refused, that is what was refused.
pub(crate) fn note_subject(act: AuditAct, subject: impl FnOnce() -> AuditSubject) {
    change(|known| {
        known.act = act;
        known.subject = subject();
    });
}
