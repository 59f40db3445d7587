//! The window: how many messages may be under way at the same time, shared among accounts. The next place goes to the
//! account that has the fewest, and of those to the one that has waited longest; whoever is alone may have them all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::domain::sid::AccountSid;

/// Places for messages that are under way.
#[derive(Clone, Debug)]
pub(super) struct Window(Arc<Mutex<WindowPlaces>>);

#[derive(Debug)]
struct WindowPlaces {
    free: usize,
    held: HashMap<Option<AccountSid>, usize>,
    waiting: VecDeque<(Option<AccountSid>, oneshot::Sender<WindowPlace>)>,
}

/// A place for a message, until dropped.
#[derive(Debug)]
pub(super) struct WindowPlace {
    window: Window,
    account: Option<AccountSid>,
}

impl Window {
    pub(super) fn new(places: usize) -> Self {
        Self(Arc::new(Mutex::new(WindowPlaces {
            free: places.max(1),
            held: HashMap::new(),
            waiting: VecDeque::new(),
        })))
    }

    /// A place for a message of `account`, once there is one.
    pub(super) async fn place(&self, account: Option<AccountSid>) -> WindowPlace {
        let turn = {
            let mut places = self.lock();
            if places.free > 0 {
                places.free -= 1;
                return self.taken(&mut places, account);
            }
            let (give, turn) = oneshot::channel();
            places.waiting.push_back((account, give));
            turn
        };
        match turn.await {
            Ok(place) => place,
            // Whoever waits is answered as long as there is a window, which this is one of.
            Err(_) => std::future::pending().await,
        }
    }

    fn taken(&self, places: &mut WindowPlaces, account: Option<AccountSid>) -> WindowPlace {
        *places.held.entry(account).or_default() += 1;
        WindowPlace {
            window: self.clone(),
            account,
        }
    }

    fn lock(&self) -> MutexGuard<'_, WindowPlaces> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl WindowPlaces {
    /// Who gets the next place, if somebody still waits.
    fn next(&mut self) -> Option<(Option<AccountSid>, oneshot::Sender<WindowPlace>)> {
        self.waiting.retain(|(_, give)| !give.is_closed());
        let held = |account: &Option<AccountSid>| self.held.get(account).copied().unwrap_or_default();
        let places = self.waiting.iter().enumerate();
        let (next, _) = places.min_by_key(|(_, (account, _))| held(account))?;
        self.waiting.remove(next)
    }
}

impl Drop for WindowPlace {
    fn drop(&mut self) {
        let mut places = self.window.lock();
        if let Some(held) = places.held.get_mut(&self.account) {
            *held -= 1;
            if *held == 0 {
                places.held.remove(&self.account);
            }
        }
        let Some((account, give)) = places.next() else {
            places.free += 1;
            return;
        };
        let place = self.window.taken(&mut places, account);
        drop(places);
        // If nobody takes it any more, it comes back by its own drop.
        drop(give.send(place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(number: u8) -> AccountSid {
        AccountSid::from_bytes([number; 16])
    }

    #[tokio::test]
    async fn a_hundred_messages_of_one_account_keep_no_other_one_waiting_for_more_than_one() {
        let window = Window::new(4);
        let mut under_way = Vec::new();
        for _ in 0..4 {
            under_way.push(window.place(Some(account(1))).await);
        }
        let waiting: Vec<_> = (0..100)
            .map(|_| {
                let window = window.clone();
                tokio::spawn(async move { window.place(Some(account(1))).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let other = tokio::spawn({
            let window = window.clone();
            async move { window.place(Some(account(2))).await }
        });
        while window.lock().waiting.len() < 101 {
            tokio::task::yield_now().await;
        }
        drop(under_way.pop());
        let place = other.await.unwrap();
        assert_eq!(place.account, Some(account(2)));
        // What was given up meanwhile takes no place with it.
        waiting.iter().for_each(tokio::task::JoinHandle::abort);
        for task in waiting {
            drop(task.await);
        }
        drop((place, under_way));
        assert_eq!(window.lock().free, 4);
        assert!(window.lock().held.is_empty());
    }

    #[tokio::test]
    async fn whoever_is_alone_may_have_all_places() {
        let window = Window::new(3);
        let places = [
            window.place(None).await,
            window.place(None).await,
            window.place(None).await,
        ];
        assert_eq!(window.lock().free, 0);
        drop(places);
        assert_eq!(window.lock().free, 3);
    }
}
