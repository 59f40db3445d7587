//! What must hold for verifications and the timers of their plans.

use super::walk::{Here, Walk};
use crate::domain::sealing::SealedField;
use crate::domain::sid::{ServiceSid, VerificationSid};
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::flows::Fault;
use crate::store::keys;
use crate::store::records::{self, Stored, VerificationTimer};

impl Walk<'_> {
    pub(super) async fn check_verification(
        &mut self,
        here: &Here<'_>,
        service: ServiceSid,
        sid: VerificationSid,
    ) -> Result<(), Fault> {
        let verification: Verification = here.record()?;
        self.check_sid(here, verification.sid == sid && verification.service == service);
        for code in &verification.codes {
            let opened = self.app.vault.open(here.key, SealedField::Code, &code.sealed);
            self.require_open(here, "a code", opened).await?;
        }
        let submitted = verification.checks.iter();
        for sealed in submitted.filter_map(|check| check.submitted.as_ref()) {
            let opened = self.app.vault.open(here.key, SealedField::SubmittedCode, sealed);
            self.require_open(here, "what was given for a code", opened)
                .await?;
        }
        self.check_account(here, service, verification.account);
        Ok(())
    }

    /// What a timer leads to may be gone: whoever takes it finds out. If it is there and goes on, it does so then.
    pub(super) async fn check_plan_timer(
        &mut self,
        here: &Here<'_>,
        due: Timestamp,
        sid: VerificationSid,
    ) -> Result<(), Fault> {
        let timer: VerificationTimer = here.record()?;
        self.check_sid(here, timer.verification == sid);
        let key = keys::verification(timer.service, sid);
        let found = records::read(self.app.store.as_ref(), &key).await;
        if let Ok(Some(Stored { record, .. })) = found
            && record.next_step_at.is_some_and(|next| next != due)
        {
            self.blame(here, "its verification goes on at another time");
        }
        Ok(())
    }
}
