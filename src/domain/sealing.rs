//! Which records hold sealed values, and where: whoever changes a store's keys seals them anew.

use super::account::Account;
use super::client_key::ClientKey;
use super::credential::{Credential, CredentialKey};
use super::factor::{Factor, FactorKind};
use super::opaque::Sealed;
use super::verification::Verification;

/// Which field of its record a sealed value is: none opens in another's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum SealedField {
    ClientKey = 1,
    Code = 2,
    CredentialKey = 3,
    SubmittedCode = 4,
    TotpSecret = 5,
    VapidKey = 6,
    WebhookSecret = 7,
}

/// A record that holds sealed values. Both see the same ones.
pub trait HoldsSealed {
    /// Has each of them looked at.
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed));

    /// Has each of them replaced, or left.
    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed));
}

impl HoldsSealed for Account {
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        self.webhook_secrets.all().for_each(look);
    }

    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        for secret in self.webhook_secrets.all_mut() {
            change(SealedField::WebhookSecret, secret);
        }
    }
}

impl HoldsSealed for ClientKey {
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        look(&self.key);
    }

    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        change(SealedField::ClientKey, &mut self.key);
    }
}

impl HoldsSealed for Credential {
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        look(match &self.key {
            CredentialKey::Apn(apn) => &apn.private_key,
            CredentialKey::Fcm { service_account } => service_account,
        });
    }

    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        let sealed = match &mut self.key {
            CredentialKey::Apn(apn) => &mut apn.private_key,
            CredentialKey::Fcm { service_account } => service_account,
        };
        change(SealedField::CredentialKey, sealed);
    }
}

impl HoldsSealed for Factor {
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        if let FactorKind::Totp(totp) = &self.kind {
            look(&totp.secret);
        }
    }

    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        if let FactorKind::Totp(totp) = &mut self.kind {
            change(SealedField::TotpSecret, &mut totp.secret);
        }
    }
}

impl HoldsSealed for Verification {
    fn look_at_sealed(&self, look: &mut dyn FnMut(&Sealed)) {
        self.codes.iter().for_each(|code| look(&code.sealed));
        self.checks
            .iter()
            .filter_map(|check| check.submitted.as_ref())
            .for_each(look);
    }

    fn change_sealed(&mut self, change: &mut dyn FnMut(SealedField, &mut Sealed)) {
        for code in &mut self.codes {
            change(SealedField::Code, &mut code.sealed);
        }
        for submitted in self
            .checks
            .iter_mut()
            .filter_map(|check| check.submitted.as_mut())
        {
            change(SealedField::SubmittedCode, submitted);
        }
    }
}
