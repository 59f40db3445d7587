//! The safe list of an account: numbers that no guard against fraud holds up.

use serde::{Deserialize, Serialize};

use super::phone::PhoneNumber;
use super::refusal::AreaRefusal;
use super::sid::SafeListSid;
use super::time::Timestamp;

/// A number that no guard against fraud holds up.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct SafeNumber {
    pub sid: SafeListSid,
    pub number: PhoneNumber,
    pub date_created: Timestamp,
}

/// Why nothing became of what somebody wanted of the safe list.
#[derive(Clone, Debug, PartialEq, Eq, strum::IntoStaticStr, thiserror::Error)]
#[strum(serialize_all = "snake_case")]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum Refusal {
    #[error("the number is on the safe list already")]
    Listed,
    #[error("the number is not on the safe list")]
    NotFound,
}

impl AreaRefusal for Refusal {
    const NOT_FOUND: Self = Self::NotFound;

    fn code(&self) -> &'static str {
        self.into()
    }
}
