//! What is read before a flow begins, so that the flow need not read it again.
//!
//! Who calls is found out before what is wanted, and much of the same is read for both. So an authentication reads what the
//! flow behind it is going to ask for in the same round trip as the account ([`Foreseen`]), and hands on what it has seen
//! ([`Prior`], with whoever was let in in [`Admitted`]). The first attempt of the flow goes on with that; one after a
//! conflict reads anew.

use super::{Reading, Seen};
use crate::app::App;
use crate::store::keys::Key;

/// What a flow is going to ask the store for, as far as its request says so. Nothing is decided on it: what is missing is
/// read when it is needed, what is too much is read in vain.
#[derive(Debug, Default)]
pub struct Foreseen(Vec<Vec<u8>>);

impl Foreseen {
    /// With what is at `key`, too.
    pub(crate) fn and<T>(mut self, key: Key<T>) -> Self {
        self.0.push(key.into_bytes());
        self
    }

    /// With what is at all of `keys`, too.
    pub(crate) fn and_all(mut self, keys: impl IntoIterator<Item = Vec<u8>>) -> Self {
        self.0.extend(keys);
        self
    }

    /// With what another one foresees, too.
    #[must_use]
    pub fn with(self, other: Self) -> Self {
        self.and_all(other.0)
    }

    /// The keys, for [`Reading::prefetch`].
    pub(crate) fn keys(&self) -> impl Iterator<Item = &[u8]> {
        self.0.iter().map(Vec::as_slice)
    }
}

/// What was read already. The decision of who reads on does not rest on it until that asks for it.
#[derive(Debug, Default)]
pub struct Prior(Vec<Seen>);

impl Prior {
    /// What `reading` has seen.
    pub(crate) fn of(reading: Reading<'_>) -> Self {
        let mut seen = reading.seen;
        for one in &mut seen {
            one.decisive = false;
        }
        Self(seen)
    }

    /// A reading that goes on from here. The next one begins with nothing.
    pub(crate) fn reading<'a>(&mut self, app: &'a App) -> Reading<'a> {
        let mut reading = Reading::new(app);
        reading.seen.append(&mut self.0);
        reading
    }
}

/// Somebody who was let in, with what was read for that. Whoever needs no letting in is one of whom nothing was read.
#[derive(Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Admitted<T> {
    pub who: T,
    pub prior: Prior,
}

impl<T> From<T> for Admitted<T> {
    fn from(who: T) -> Self {
        Self {
            who,
            prior: Prior::default(),
        }
    }
}
