//! What a sender keeps for each key: the key that was read, and the token that was made with it. Whoever has the same key has
//! the same token, however many credentials hold it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use aws_lc_rs::digest::{Context, SHA256};

/// The most keys that something is kept for; then what was not used for the longest time is forgotten.
const MOST: usize = 4096;

/// What was made with each key.
#[derive(Debug)]
pub(super) struct Kept<T>(Mutex<Shelf<T>>);

#[derive(Debug)]
struct Shelf<T> {
    items: HashMap<Digest, (Arc<T>, u64)>,
    /// How often something was taken.
    taken: u64,
}

/// Tells one key, with all that belongs to it, from another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
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
        Self(Mutex::new(Shelf {
            items: HashMap::new(),
            taken: 0,
        }))
    }
}

impl<T> Kept<T> {
    /// What is kept for this key; `create` makes it if there is none.
    pub(super) fn get<E>(&self, digest: Digest, create: impl FnOnce() -> Result<T, E>) -> Result<Arc<T>, E> {
        if let Some(item) = self.lock().take(digest) {
            return Ok(item);
        }
        // Reading a key takes a while, so nobody is made to wait for it. Of two who read it at once, the first one's stays.
        let made = Arc::new(create()?);
        let mut kept = self.lock();
        if let Some(item) = kept.take(digest) {
            return Ok(item);
        }
        if kept.items.len() >= MOST {
            let oldest = kept.items.iter().min_by_key(|(_, (_, taken))| *taken);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                kept.items.remove(&oldest);
            }
        }
        let taken = kept.taken;
        kept.items.insert(digest, (Arc::clone(&made), taken));
        Ok(made)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> Shelf<T> {
    fn take(&mut self, digest: Digest) -> Option<Arc<T>> {
        self.taken += 1;
        let (item, taken) = self.items.get_mut(&digest)?;
        *taken = self.taken;
        Some(Arc::clone(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_changed_key_is_read_anew() {
        let kept = Kept::default();
        let get = |part: &str, value| {
            kept.get(Digest::of(&[part]), || Ok::<_, ()>(value))
                .map(|item| *item)
        };
        assert_eq!(get("a", 1), Ok(1));
        assert_eq!(get("a", 2), Ok(1));
        assert_eq!(get("b", 3), Ok(3));
        assert_eq!(get("a", 4), Ok(1), "another key does not displace it");
        assert_eq!(kept.get(Digest::of(&[]), || Err("broken")), Err("broken"));
        assert_ne!(Digest::of(&["ab", "c"]), Digest::of(&["a", "bc"]));
    }

    #[test]
    fn what_is_kept_is_bounded_and_what_is_in_use_stays() {
        let kept = Kept::default();
        let used = Digest::of(&["used"]);
        for number in 0..10_000_u64 {
            let digest = Digest::of(&[&number.to_string()]);
            kept.get(digest, || Ok::<_, ()>(number)).unwrap();
            let first = kept.get(used, || Ok::<_, ()>(number)).unwrap();
            assert_eq!(*first, 0);
            assert!(kept.lock().items.len() <= MOST);
        }
    }
}
