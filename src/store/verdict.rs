//! What is known of bytes for as long as an engine keeps them.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether bytes that an engine keeps in memory are known for what a server of this store wrote: verified once, they are not verified
/// again for as long as they are kept. It says nothing of bytes that are read anew.
#[derive(Clone, Debug, Default)]
pub struct KeptVerdict(Soundness);

#[derive(Clone, Debug, Default)]
enum Soundness {
    /// They are not kept.
    #[default]
    Nothing,
    /// They come from here.
    Sound,
    /// Set once they were verified.
    Asked(Arc<AtomicBool>),
}

impl KeptVerdict {
    /// Of bytes that are kept from now on, which this process has vouched for itself, or not.
    pub(crate) fn of_kept(vouched: bool) -> Self {
        Self(if vouched {
            Soundness::Sound
        } else {
            Soundness::Asked(Arc::default())
        })
    }

    pub(crate) fn is_sound(&self) -> bool {
        match &self.0 {
            Soundness::Nothing => false,
            Soundness::Sound => true,
            Soundness::Asked(sound) => sound.load(Ordering::Relaxed),
        }
    }

    /// They were verified.
    pub(crate) fn note_sound(&self) {
        if let Soundness::Asked(sound) = &self.0 {
            sound.store(true, Ordering::Relaxed);
        }
    }
}

/// Entries with the same bytes are the same, whatever is known of them.
impl PartialEq for KeptVerdict {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for KeptVerdict {}
