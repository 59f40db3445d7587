//! What changed for those who wait in other processes, until somebody tells them.
//!
//! Nothing is noted unless there are such processes. What is noted is bounded: beyond that it says that anything may have
//! changed.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::sid::{AccountSid, EntitySid, ServiceSid};

/// What may have changed. Whoever hears it looks at the store.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum NewsItem {
    /// Something of an entity.
    Entity(EntitySid),
    /// A service is gone.
    Service(ServiceSid),
    /// An account or its credentials.
    Account(AccountSid),
    /// Anything.
    Everything,
}

/// What is noted for other processes.
#[derive(Debug, Default)]
pub struct ChangeNews {
    wanted: AtomicBool,
    items: Mutex<BTreeSet<NewsItem>>,
    noted: Notify,
}

impl NewsItem {
    /// How many bytes one is, when it is told.
    pub const BYTES: usize = 17;

    /// How it is told: a byte for its kind, and the identifier.
    #[must_use]
    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let (kind, sid) = match self {
            Self::Entity(sid) => (b'e', *sid.as_bytes()),
            Self::Service(sid) => (b's', *sid.as_bytes()),
            Self::Account(sid) => (b'a', *sid.as_bytes()),
            Self::Everything => (b'*', [0; 16]),
        };
        let mut bytes = [kind; Self::BYTES];
        bytes[1..].copy_from_slice(&sid);
        bytes
    }

    /// Reads what was told. What a later release tells and this one does not know may be anything.
    #[must_use]
    pub fn from_bytes(bytes: [u8; Self::BYTES]) -> Self {
        let [kind, sid @ ..] = bytes;
        match kind {
            b'e' => Self::Entity(EntitySid::from_bytes(sid)),
            b's' => Self::Service(ServiceSid::from_bytes(sid)),
            b'a' => Self::Account(AccountSid::from_bytes(sid)),
            _ => Self::Everything,
        }
    }
}

impl ChangeNews {
    /// How many items are noted at the most.
    pub const MOST: usize = 4096;

    /// From now on there is somebody who tells others.
    pub fn want(&self) {
        self.wanted.store(true, Ordering::Release);
    }

    /// Notes that something changed, and that is committed.
    pub fn note(&self, item: NewsItem) {
        if !self.wanted.load(Ordering::Acquire) {
            return;
        }
        let mut items = self.items();
        if items.len() >= Self::MOST {
            items.clear();
            items.insert(NewsItem::Everything);
        } else if !items.contains(&NewsItem::Everything) {
            items.insert(item);
        }
        drop(items);
        self.noted.notify_one();
    }

    /// Waits until something is noted.
    pub async fn noted(&self) {
        self.noted.notified().await;
    }

    /// Takes what is noted.
    pub fn take(&self) -> BTreeSet<NewsItem> {
        std::mem::take(&mut *self.items())
    }

    fn items(&self) -> MutexGuard<'_, BTreeSet<NewsItem>> {
        self.items.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entity(number: u16) -> NewsItem {
        let mut sid = [0; 16];
        sid[..2].copy_from_slice(&number.to_be_bytes());
        NewsItem::Entity(EntitySid::from_bytes(sid))
    }

    #[test]
    fn items_are_told_byte_for_byte() {
        let account = NewsItem::Account(AccountSid::from_bytes([2; 16]));
        let service = NewsItem::Service(ServiceSid::from_bytes([3; 16]));
        for item in [entity(7), account, service, NewsItem::Everything] {
            assert_eq!(NewsItem::from_bytes(item.to_bytes()), item);
        }
        assert_eq!(entity(258).to_bytes()[..4], [b'e', 1, 2, 0]);
        assert_eq!(NewsItem::from_bytes([b'?'; 17]), NewsItem::Everything);
    }

    #[test]
    fn nothing_is_noted_that_nobody_tells() {
        let news = ChangeNews::default();
        news.note(entity(1));
        assert!(news.take().is_empty());
    }

    #[test]
    fn too_much_becomes_anything() {
        let news = ChangeNews::default();
        news.want();
        for number in 0..=4096 {
            news.note(entity(number));
        }
        news.note(entity(9));
        assert_eq!(news.take(), BTreeSet::from([NewsItem::Everything]));
        news.note(entity(1));
        assert_eq!(news.take(), BTreeSet::from([entity(1)]));
    }
}
