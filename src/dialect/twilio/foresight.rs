//! What an operation is going to read, as far as its path and its parameters say so: it is read together with the account.
//!
//! Only what the operation's flow goes on with is worth naming here; nothing is decided by it.

use axum::extract::RawPathParams;

use super::call::named;
use super::destinations::destination;
use super::form::Form;
use crate::app::App;
use crate::domain::entity::EntityName;
use crate::domain::sid::ServiceSid;
use crate::domain::text::Identity;
use crate::flows::access::Actor;
use crate::flows::reading::Foreseen;
use crate::flows::verification::{self, VerificationName};
use crate::flows::{challenge, entity};

/// What is asked for, before anybody knows who asks.
pub(super) struct Asked<'r> {
    pub(super) app: &'r App,
    /// As the table of operations has it.
    pub(super) route: &'r str,
    pub(super) names: Option<&'r RawPathParams>,
    /// What the body says, if it can be read.
    pub(super) form: Option<&'r Form>,
}

impl Asked<'_> {
    /// What is going to be read if it is `actor` who asks.
    pub(super) fn foresee(&self, actor: &Actor) -> Foreseen {
        let Some(service) = self.name("ServiceSid").and_then(|text| text.parse().ok()) else {
            return Foreseen::default();
        };
        if let Some(identity) = self.name("Identity").and_then(|text| Identity::parse(text).ok()) {
            let name = EntityName { service, identity };
            return match self.name("ChallengeSid").and_then(|text| text.parse().ok()) {
                Some(challenge) => challenge::foresee(actor, &name, challenge),
                None => entity::foresee(actor.account(), &name),
            };
        }
        self.of_verification(actor, service).unwrap_or_default()
    }

    fn of_verification(&self, actor: &Actor, service: ServiceSid) -> Option<Foreseen> {
        let account = actor.account();
        let filled = |name| self.form.and_then(|form| form.filled(name));
        let to = || filled("To").and_then(|text| destination(text).ok());
        let below = self.route.strip_prefix("/v2/Services/{ServiceSid}/")?;
        let which = match below {
            "Verifications" => return Some(verification::foresee_start(self.app, account, service, &to()?)),
            "VerificationCheck" => {
                filled("VerificationSid").map_or_else(|| to().map(VerificationName::To), sid)
            }
            "Verifications/{VerificationSid}" => {
                let text = self.name("VerificationSid")?;
                sid(text).or_else(|| destination(text).ok().map(VerificationName::To))
            }
            _ => None,
        };
        Some(verification::foresee(account, service, &which?))
    }

    fn name(&self, name: &str) -> Option<&str> {
        named(self.names, name)
    }
}

fn sid(text: &str) -> Option<VerificationName> {
    text.parse().ok().map(VerificationName::Sid)
}
