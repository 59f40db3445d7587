//! What a sender keeps for each credential: the key that was read, and the token that was made with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

use crate::domain::sid::CredentialSid;

/// The most credentials that something is kept for; then everything is forgotten and made anew.
const MOST: usize = 4096;

/// What was made with each credential, and from which version of it.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<HashMap<CredentialSid, (Digest, Arc<T>)>>);

/// Tells one version of a credential from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Digest([u8; 32]);

impl Digest {
    /// The digest of all parts of a credential.
    pub(super) fn of(parts: &[&str]) -> Self {
        let mut context = Context::new(&SHA256);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part.as_bytes());
        }
        let mut bytes = [0; 32];
        bytes.copy_from_slice(context.finish().as_ref());
        Self(bytes)
    }
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::default())
    }
}

impl<T> Kept<T> {
    /// What is kept for this version of the credential; `create` makes it if there is none.
    pub(super) fn get<E>(
        &self,
        credential: CredentialSid,
        digest: Digest,
        create: impl FnOnce() -> Result<T, E>,
    ) -> Result<Arc<T>, E> {
        if let Some((kept, item)) = self.lock().get(&credential)
            && *kept == digest
        {
            return Ok(Arc::clone(item));
        }
        // Reading a key takes a while, so nobody is made to wait for it. Of two who read it at once, the first one's stays.
        let made = Arc::new(create()?);
        let mut all = self.lock();
        if all.len() >= MOST {
            all.clear();
        }
        match all.get(&credential) {
            Some((kept, item)) if *kept == digest => Ok(Arc::clone(item)),
            _ => {
                all.insert(credential, (digest, Arc::clone(&made)));
                Ok(made)
            }
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<CredentialSid, (Digest, Arc<T>)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_credential_is_read_anew() {
        let kept = Kept::default();
        let sid = CredentialSid::from_bytes([1; 16]);
        let get = |part: &str, value| {
            kept.get(sid, Digest::of(&[part]), || Ok::<_, ()>(value))
                .map(|item| *item)
        };
        assert_eq!(get("a", 1), Ok(1));
        assert_eq!(get("a", 2), Ok(1));
        assert_eq!(get("b", 3), Ok(3));
        assert_eq!(get("a", 4), Ok(4));
        assert_eq!(kept.get(sid, Digest::of(&[]), || Err("broken")), Err("broken"));
        assert_ne!(Digest::of(&["ab", "c"]), Digest::of(&["a", "bc"]));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let kept = Kept::default();
        for nth in 0..10_000_u64 {
            let mut bytes = [0; 16];
            bytes[..8].copy_from_slice(&nth.to_be_bytes());
            kept.get(CredentialSid::from_bytes(bytes), Digest::of(&[]), || {
                Ok::<_, ()>(nth)
            })
            .unwrap();
            assert!(kept.lock().len() <= MOST);
        }
    }
}
