//! Users: people of whom is known which phone number is theirs, and by whom that was shown.

use serde::{Deserialize, Serialize};

use super::factor;
use super::phone::PhoneNumber;
use super::refusal::AreaRefusal;
use super::sid::{AccountSid, ServiceSid, VerificationSid};
use super::text::Identity;
use super::time::Timestamp;
use super::verification;

/// A user of a service. Whoever has factors besides is the [`Entity`](super::entity::Entity) of the same identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct User {
    /// The caller's name for it.
    pub identity: Identity,
    /// The account that owns its service. The store's keys do not say it.
    pub account: AccountSid,
    pub service: ServiceSid,
    /// One more with every change, from 1 on.
    pub sequence: u64,
    pub phone: Option<UserPhone>,
    /// Whether codes that are sent to the number are a second factor of the user's.
    pub code_by_sms: bool,
    pub date_created: Timestamp,
    pub date_updated: Timestamp,
}

/// The number of a user.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct UserPhone {
    /// The number, as it was given.
    pub number: PhoneNumber,
    /// Whether the user was shown to receive what is sent there, or somebody who may vouches for it.
    pub verified: bool,
    /// The verification whose code shows it; `None` once it is shown.
    pub verification: Option<VerificationSid>,
}

impl User {
    /// A new one, of whom nothing is known.
    #[must_use]
    pub fn new(account: AccountSid, service: ServiceSid, identity: Identity, now: Timestamp) -> Self {
        Self {
            identity,
            account,
            service,
            sequence: 1,
            phone: None,
            code_by_sms: false,
            date_created: now,
            date_updated: now,
        }
    }

    /// Whether `number` may take the place of the one there is.
    ///
    /// # Errors
    /// [`Refusal::PhoneUnchanged`], [`Refusal::WouldUnverify`] where the one there is is verified and `keeps_verified`.
    pub fn require_replaceable(&self, number: &PhoneNumber, keeps_verified: bool) -> Result<(), Refusal> {
        match &self.phone {
            Some(phone) if phone.number == *number => Err(Refusal::PhoneUnchanged),
            Some(phone) if phone.verified && keeps_verified => Err(Refusal::WouldUnverify),
            Some(_) | None => Ok(()),
        }
    }

    /// The number, while it is still to be shown whose it is.
    ///
    /// # Errors
    /// [`Refusal::PhoneMissing`], [`Refusal::PhoneVerified`].
    pub fn require_unverified(&self) -> Result<&PhoneNumber, Refusal> {
        match &self.phone {
            None => Err(Refusal::PhoneMissing),
            Some(phone) if phone.verified => Err(Refusal::PhoneVerified),
            Some(phone) => Ok(&phone.number),
        }
    }

    /// Gives it a number that somebody vouches for if no `verification` shows whose it is. What was set up with another
    /// number ends.
    pub fn set_phone(&mut self, number: PhoneNumber, verification: Option<VerificationSid>, now: Timestamp) {
        self.code_by_sms &= self.phone.as_ref().is_some_and(|phone| phone.number == number);
        self.phone = Some(UserPhone {
            number,
            verified: verification.is_none(),
            verification,
        });
        self.change(now);
    }

    /// Notes that the number was shown to be the user's.
    ///
    /// # Errors
    /// [`Refusal::PhoneMissing`], [`Refusal::PhoneVerified`].
    pub fn verify_phone(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.require_unverified()?;
        if let Some(phone) = &mut self.phone {
            phone.verified = true;
            phone.verification = None;
        }
        self.change(now);
        Ok(())
    }

    /// Takes the number away, and what was set up with it.
    ///
    /// # Errors
    /// [`Refusal::PhoneMissing`].
    pub fn remove_phone(&mut self, now: Timestamp) -> Result<(), Refusal> {
        self.phone.take().ok_or(Refusal::PhoneMissing)?;
        self.code_by_sms = false;
        self.change(now);
        Ok(())
    }

    /// Makes codes that are sent to the number a second factor, or ends that.
    ///
    /// # Errors
    /// [`Refusal::PhoneUnverified`] without a verified number, [`Refusal::CodeBySmsUnchanged`] if it is so already.
    pub fn set_code_by_sms(&mut self, wanted: bool, now: Timestamp) -> Result<(), Refusal> {
        if wanted && !self.phone.as_ref().is_some_and(|phone| phone.verified) {
            return Err(Refusal::PhoneUnverified);
        }
        if self.code_by_sms == wanted {
            return Err(Refusal::CodeBySmsUnchanged);
        }
        self.code_by_sms = wanted;
        self.change(now);
        Ok(())
    }

    /// Ends what is a factor of the user's besides those of its entity: codes by text message. The number stays.
    pub fn end_factors(&mut self, now: Timestamp) {
        self.code_by_sms = false;
        self.change(now);
    }

    /// Notes that something of the user's changed.
    pub fn change(&mut self, now: Timestamp) {
        self.sequence = self.sequence.saturating_add(1);
        // A clock that was set back does not make what came later earlier.
        self.date_updated = self.date_updated.max(now);
    }
}

/// Why nothing became of what somebody wanted of a user. Nothing was changed.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
pub enum Refusal {
    /// Codes by text message are a second factor already, or are none.
    #[error("codes by text message are set up already, or not at all")]
    CodeBySmsUnchanged,
    /// The factor could not be enrolled, or its code not checked.
    #[error(transparent)]
    Factor(#[from] factor::Refusal),
    /// There is no verification that waits for a code.
    #[error("no code was issued for the number")]
    NoCode,
    /// The user or its service does not exist.
    #[error("there is no such user")]
    NotFound,
    /// The user has no number.
    #[error("the user has no phone number")]
    PhoneMissing,
    /// The user has this number already.
    #[error("the user has this phone number already")]
    PhoneUnchanged,
    /// It needs a number that is verified.
    #[error("the user has no verified phone number")]
    PhoneUnverified,
    /// There is nothing left to show.
    #[error("the phone number is verified already")]
    PhoneVerified,
    /// There is no app that makes codes.
    #[error("the user has no app that makes codes")]
    TotpMissing,
    /// There is an app that makes codes already.
    #[error("the user has an app that makes codes already")]
    TotpReady,
    /// The code could not be issued or checked.
    #[error(transparent)]
    Verification(#[from] verification::Refusal),
    /// A number that is verified is not replaced by one that is not.
    #[error("the phone number is verified, and is not replaced by one that is not")]
    WouldUnverify,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        match self {
            Self::Factor(refusal) => refusal.code(),
            Self::Verification(refusal) => refusal.code(),
            other => other.into(),
        }
    }

    fn retry_after(&self) -> Option<std::time::Duration> {
        match self {
            Self::Factor(refusal) => refusal.retry_after(),
            Self::Verification(refusal) => refusal.retry_after(),
            Self::CodeBySmsUnchanged
            | Self::NoCode
            | Self::NotFound
            | Self::PhoneMissing
            | Self::PhoneUnchanged
            | Self::PhoneUnverified
            | Self::PhoneVerified
            | Self::TotpMissing
            | Self::TotpReady
            | Self::WouldUnverify => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> PhoneNumber {
        PhoneNumber::try_from(text.to_owned()).unwrap()
    }

    fn user() -> User {
        let identity = Identity::parse("user-0001").unwrap();
        User::new(
            AccountSid::from_bytes([1; 16]),
            ServiceSid::from_bytes([2; 16]),
            identity,
            at(0),
        )
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from_seconds(1_800_000_000 + seconds)
    }

    #[test]
    fn every_change_has_a_number_of_its_own_and_a_date_that_never_goes_back() {
        let mut user = user();
        let waits = VerificationSid::from_bytes([3; 16]);
        user.set_phone(number("+3247012345"), Some(waits), at(10));
        assert_eq!((user.sequence, user.date_updated), (2, at(10)));
        user.verify_phone(at(5)).unwrap();
        assert_eq!((user.sequence, user.date_updated), (3, at(10)));
        user.set_code_by_sms(true, at(20)).unwrap();
        user.remove_phone(at(30)).unwrap();
        assert_eq!((user.sequence, user.date_updated), (5, at(30)));
        assert_eq!(user.date_created, at(0));
    }

    #[test]
    fn what_is_refused_changes_nothing() {
        let mut user = user();
        let before = user.clone();
        assert_eq!(user.verify_phone(at(1)), Err(Refusal::PhoneMissing));
        assert_eq!(user.remove_phone(at(1)), Err(Refusal::PhoneMissing));
        assert_eq!(user.set_code_by_sms(true, at(1)), Err(Refusal::PhoneUnverified));
        assert_eq!(
            user.set_code_by_sms(false, at(1)),
            Err(Refusal::CodeBySmsUnchanged)
        );
        assert_eq!(user, before);
        user.set_phone(number("+3247012345"), None, at(1));
        let before = user.clone();
        assert_eq!(user.verify_phone(at(2)), Err(Refusal::PhoneVerified));
        assert_eq!(
            user.require_replaceable(&number("+3247012345"), false),
            Err(Refusal::PhoneUnchanged)
        );
        let other = number("+3247054321");
        assert_eq!(
            user.require_replaceable(&other, true),
            Err(Refusal::WouldUnverify)
        );
        assert_eq!(user.require_replaceable(&other, false), Ok(()));
        assert_eq!(user, before);
    }

    #[test]
    fn another_number_ends_what_was_set_up_with_the_one_before() {
        let mut user = user();
        user.set_phone(number("+3247012345"), None, at(1));
        user.set_code_by_sms(true, at(2)).unwrap();
        let mut reset = user.clone();
        reset.end_factors(at(3));
        assert_eq!((reset.code_by_sms, &reset.phone), (false, &user.phone));
        let mut removed = user.clone();
        removed.remove_phone(at(3)).unwrap();
        assert!(!removed.code_by_sms);
        user.set_phone(number("+3247054321"), None, at(3));
        assert!(!user.code_by_sms);
    }
}
