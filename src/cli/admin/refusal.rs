//! Why something that an operator asked for was not done.

use super::Reply;

/// Why it was not done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AdminRefusal {
    /// The command line says nothing that could be done.
    Misused(String),
    /// It could not be done, or what it is about is not there.
    NotDone(String),
}

impl AdminRefusal {
    /// The same with more behind it.
    pub(super) fn and(self, more: &str) -> Self {
        match self {
            Self::Misused(why) => Self::Misused(why + more),
            Self::NotDone(why) => Self::NotDone(why + more),
        }
    }
}

impl From<String> for AdminRefusal {
    fn from(why: String) -> Self {
        Self::NotDone(why)
    }
}

impl From<&str> for AdminRefusal {
    fn from(why: &str) -> Self {
        Self::NotDone(why.to_owned())
    }
}

impl From<AdminRefusal> for Reply {
    fn from(refusal: AdminRefusal) -> Self {
        match refusal {
            AdminRefusal::Misused(why) => Self::Misused(why),
            AdminRefusal::NotDone(why) => Self::Refused(why),
        }
    }
}
