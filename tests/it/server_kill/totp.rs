//! A factor whose secret is known, and so are its codes.

use std::io;

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::domain::totp_algorithm::TotpAlgorithm;
use zeroize::Zeroizing;

use super::line::Line;
use crate::doubles::watch;

/// An enrolled factor.
pub(crate) struct Totp {
    /// The path of its entity.
    pub(crate) entity: String,
    pub(crate) sid: String,
    pub(crate) secret: TotpSecret,
    digits: u8,
}

impl Totp {
    pub(crate) fn enrol(line: &mut Line, entity: String, secret: TotpSecret, digits: u8) -> io::Result<Self> {
        watch::secret(&secret.to_base32());
        let form = [
            ("FriendlyName", FRIENDLY_NAME),
            ("FactorType", "totp"),
            ("Binding.Secret", &secret.to_base32()),
            ("Config.CodeLength", &digits.to_string()),
            ("Config.Skew", "2"),
        ];
        let created = line
            .call("POST", &format!("{entity}/Factors"), &form)?
            .expect(201);
        Ok(Self {
            entity,
            sid: created["sid"].as_str().unwrap().to_owned(),
            secret,
            digits,
        })
    }

    /// Whether the code of `step` proved the enrolment: not if it had gone out of its window on the way.
    pub(crate) fn verify(&self, line: &mut Line, step: u64) -> io::Result<bool> {
        let code = self.code(step);
        let updated = line
            .call("POST", &self.path(), &[("AuthPayload", &code)])?
            .expect(200);
        Ok(updated["status"] == "verified")
    }

    pub(crate) fn path(&self) -> String {
        format!("{}/Factors/{}", self.entity, self.sid)
    }

    /// Where its challenges are created.
    pub(crate) fn challenges(&self) -> String {
        format!("{}/Challenges", self.entity)
    }

    pub(crate) fn code(&self, step: u64) -> String {
        let code = code_at(&self.secret, TotpAlgorithm::Sha1, self.digits, step).unwrap();
        code.reveal().to_owned()
    }

    /// A code that belongs to no time step near now.
    pub(crate) fn wrong_code(&self) -> String {
        let now = current_step();
        let near: Vec<String> = (now - 5..=now + 5).map(|step| self.code(step)).collect();
        let digits = usize::from(self.digits);
        let mut candidates = (0..).map(|number| format!("{number:0digits$}"));
        candidates.find(|code| !near.contains(code)).unwrap()
    }
}

pub(crate) fn secret_of(bytes: [u8; 20]) -> TotpSecret {
    TotpSecret::from_bytes(Zeroizing::new(bytes.to_vec())).unwrap()
}

pub(crate) fn current_step() -> u64 {
    SystemClock.now().seconds() / 30
}

/// What all factors are called: no secret, so it must be found where no secret may be.
pub(crate) const FRIENDLY_NAME: &str = "the phone that everybody may know of";
