//! What a dialect keeps with a record for itself: settings that only its protocol has.
//!
//! Invariant: the core stores it and never looks into it; a dialect sees no part but its own.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What the dialects keep with a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Attached(Vec<(String, Attachment)>);

/// What one dialect keeps with a record.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attachment {
    /// The version of the form that the bytes have.
    version: u8,
    #[serde(with = "serde_bytes")]
    bytes: Vec<u8>,
}

/// How a dialect changes what it keeps with a record. It may be asked several times, each time with what is kept then.
pub trait AttachedChange: fmt::Debug + Send + Sync {
    /// What names the dialect among those that keep something with the same record.
    fn dialect(&self) -> &'static str;

    /// What is to be kept in the place of `kept`; `None` for nothing.
    ///
    /// # Errors
    /// [`AttachedError`].
    fn apply(&self, kept: Option<&Attachment>) -> Result<Option<Attachment>, AttachedError>;
}

/// Why a dialect cannot change, or read, what it keeps with a record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AttachedError {
    /// It is more than [`Attachment::MOST_BYTES`].
    #[error("a dialect wants to keep {0} bytes with a record; it may keep {most}", most = Attachment::MOST_BYTES)]
    TooLarge(usize),
    /// What is kept is nothing that the dialect has written.
    #[error("what a dialect keeps with a record cannot be read: {0}")]
    Unreadable(String),
}

impl Attached {
    /// What this dialect keeps.
    #[must_use]
    pub fn of(&self, dialect: &str) -> Option<&Attachment> {
        let kept = self.0.iter().find(|(name, _)| name == dialect);
        kept.map(|(_, attachment)| attachment)
    }

    /// Makes the change.
    ///
    /// # Errors
    /// As of the change; nothing is changed then.
    pub fn change(&mut self, change: &dyn AttachedChange) -> Result<(), AttachedError> {
        let dialect = change.dialect();
        let kept = change.apply(self.of(dialect))?;
        self.0.retain(|(name, _)| name != dialect);
        self.0.extend(kept.map(|kept| (dialect.to_owned(), kept)));
        Ok(())
    }
}

impl Attachment {
    /// The most that one dialect may keep with one record: it is read with each use of the record.
    pub const MOST_BYTES: usize = 4096;

    /// What a dialect wants to keep.
    ///
    /// # Errors
    /// [`AttachedError::TooLarge`].
    pub fn new(version: u8, bytes: Vec<u8>) -> Result<Self, AttachedError> {
        if bytes.len() > Self::MOST_BYTES {
            return Err(AttachedError::TooLarge(bytes.len()));
        }
        Ok(Self { version, bytes })
    }

    /// The version of the form that the bytes have.
    #[must_use]
    pub fn version(&self) -> u8 {
        self.version
    }

    /// At most [`Attachment::MOST_BYTES`], in a form that only the dialect knows.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// What it says is the dialect's business.
impl fmt::Debug for Attachment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attachment({} bytes)", self.bytes.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Appends a byte, or forgets everything.
    #[derive(Debug)]
    struct Append(&'static str, Option<u8>);

    impl AttachedChange for Append {
        fn dialect(&self) -> &'static str {
            self.0
        }

        fn apply(&self, kept: Option<&Attachment>) -> Result<Option<Attachment>, AttachedError> {
            let Some(byte) = self.1 else {
                return Ok(None);
            };
            let mut bytes = kept.map_or_else(Vec::new, |kept| kept.bytes().to_vec());
            bytes.push(byte);
            Attachment::new(1, bytes).map(Some)
        }
    }

    #[test]
    fn each_dialect_has_its_own() {
        let mut attached = Attached::default();
        for change in [Append("a", Some(1)), Append("b", Some(2)), Append("a", Some(3))] {
            attached.change(&change).unwrap();
        }
        let kept = |attached: &Attached, dialect| attached.of(dialect).map(|kept| kept.bytes().to_vec());
        assert_eq!(kept(&attached, "a"), Some(vec![1, 3]));
        assert_eq!(kept(&attached, "b"), Some(vec![2]));
        assert_eq!(kept(&attached, "c"), None);
        attached.change(&Append("a", None)).unwrap();
        assert_eq!(kept(&attached, "a"), None);
        assert_eq!(kept(&attached, "b"), Some(vec![2]));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_too_large_changes_nothing() {
        let mut attached = Attached::default();
        for _ in 0..Attachment::MOST_BYTES {
            attached.change(&Append("a", Some(7))).unwrap();
        }
        let before = attached.clone();
        assert_eq!(
            attached.change(&Append("a", Some(7))),
            Err(AttachedError::TooLarge(4097))
        );
        assert_eq!(attached, before);
    }
}
