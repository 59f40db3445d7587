//! Whose turn it is to have powers raised, where each takes a thread for some milliseconds.
//!
//! The networks that wait take turns, however many of each wait, so one that begins hundreds of handshakes makes others wait
//! for one of them and not for all.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use super::networks::Network;

/// The threads, and who waits for one.
#[derive(Debug)]
pub struct Turns(Mutex<TurnsState>);

#[derive(Debug)]
struct TurnsState {
    free: usize,
    /// The networks of which somebody waits, in the order of their turns.
    networks: VecDeque<Network>,
    /// Who waits of each, the first one first. Some may be gone.
    waiting: HashMap<Network, VecDeque<oneshot::Sender<()>>>,
}

/// A thread, until dropped.
#[derive(Debug)]
pub struct PowersTurn<'a>(&'a Turns);

impl Turns {
    /// Turns for so many at the same time.
    #[must_use]
    pub fn new(threads: usize) -> Self {
        Self(Mutex::new(TurnsState {
            free: threads,
            networks: VecDeque::new(),
            waiting: HashMap::new(),
        }))
    }

    /// Waits for a turn of `network`.
    pub async fn turn(&self, network: Network) -> PowersTurn<'_> {
        let told = {
            let mut state = self.lock();
            if state.free > 0 {
                state.free -= 1;
                None
            } else {
                Some(state.wait(network))
            }
        };
        if let Some(told) = told {
            let mut waiting = WaitsForTurn { turns: self, told };
            // Whoever gives turns outlives those who wait for them.
            let _given = (&mut waiting.told).await;
            // It is taken: there is nothing to hand on.
            waiting.told.close();
        }
        PowersTurn(self)
    }

    /// Gives a turn that is over to whoever is next.
    fn hand_on(&self) {
        let mut state = self.lock();
        while let Some(next) = state.next() {
            // One that is gone needs none.
            if next.send(()).is_ok() {
                return;
            }
        }
        state.free += 1;
    }

    fn lock(&self) -> MutexGuard<'_, TurnsState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl TurnsState {
    fn wait(&mut self, network: Network) -> oneshot::Receiver<()> {
        let (tell, told) = oneshot::channel();
        let of_network = self.waiting.entry(network).or_default();
        if of_network.is_empty() {
            self.networks.push_back(network);
        }
        of_network.push_back(tell);
        told
    }

    /// Whoever is first of the network whose turn it is; the network's next turn comes behind those of all others.
    fn next(&mut self) -> Option<oneshot::Sender<()>> {
        let network = self.networks.pop_front()?;
        let of_network = self.waiting.get_mut(&network)?;
        let next = of_network.pop_front();
        if of_network.is_empty() {
            self.waiting.remove(&network);
        } else {
            self.networks.push_back(network);
        }
        next
    }
}

impl Drop for PowersTurn<'_> {
    fn drop(&mut self) {
        self.0.hand_on();
    }
}

/// Somebody who waits. One that goes at the moment at which it is given a turn hands that on.
struct WaitsForTurn<'a> {
    turns: &'a Turns,
    told: oneshot::Receiver<()>,
}

impl Drop for WaitsForTurn<'_> {
    fn drop(&mut self) {
        self.told.close();
        if self.told.try_recv().is_ok() {
            self.turns.hand_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::{Pin, pin};
    use std::task::{Context, Poll, Waker};

    use super::*;

    type Waits<'a> = Pin<Box<dyn Future<Output = PowersTurn<'a>> + 'a>>;

    fn is_told<'a>(waits: &mut Waits<'a>) -> Option<PowersTurn<'a>> {
        match waits.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => Some(turn),
            Poll::Pending => None,
        }
    }

    /// Goes through all turns, and says in which order those who wait had theirs.
    fn order<'a>(held: PowersTurn<'a>, mut waiting: Vec<(usize, Waits<'a>)>) -> Vec<usize> {
        let mut order = Vec::new();
        drop(held);
        while !waiting.is_empty() {
            let told = waiting.iter_mut().enumerate().find_map(|(place, (who, waits))| {
                let turn = is_told(waits)?;
                Some((place, *who, turn))
            });
            let (place, who, turn) = told.expect("somebody is next");
            drop(waiting.remove(place));
            order.push(who);
            drop(turn);
        }
        order
    }

    fn one<'a>(turns: &'a Turns) -> PowersTurn<'a> {
        let mut first: Waits<'a> = Box::pin(turns.turn(Network::Address(0)));
        is_told(&mut first).expect("a thread is free")
    }

    #[test]
    fn one_of_another_network_does_not_wait_for_hundreds_of_one() {
        let turns = Turns::new(1);
        let held = one(&turns);
        let mut waiting: Vec<(usize, Waits<'_>)> = Vec::new();
        for nth in 0..203 {
            let network = match nth {
                200 | 202 => 8,
                201 => 9,
                _ => 7,
            };
            let mut waits: Waits<'_> = Box::pin(turns.turn(Network::Address(network)));
            assert!(is_told(&mut waits).is_none());
            waiting.push((nth, waits));
        }
        let order = order(held, waiting);
        assert_eq!(order[..6], [0, 200, 201, 1, 202, 2]);
        assert!(order[6..].is_sorted() && order.len() == 203);
        assert_eq!(turns.lock().free, 1);
    }

    #[test]
    fn who_goes_leaves_its_turn_to_others_at_every_moment() {
        let turns = Turns::new(1);
        let held = one(&turns);
        let network = Network::Address(7);
        let mut waiting: Vec<Waits<'_>> = (0..4)
            .map(|_| Box::pin(turns.turn(network)) as Waits<'_>)
            .collect();
        for waits in &mut waiting {
            assert!(is_told(waits).is_none());
        }
        // One that was not told yet, and one that was and had no time to see it.
        drop(waiting.remove(0));
        drop(held);
        drop(waiting.remove(0));
        let turn = is_told(&mut waiting[0]).expect("it is next");
        assert!(is_told(&mut waiting[1]).is_none());
        drop(waiting.pop());
        drop(turn);
        assert_eq!(turns.lock().free, 1);
        assert!(turns.lock().waiting.is_empty() && turns.lock().networks.is_empty());
        let mut never = pin!(turns.turn(network));
        assert!(
            never
                .as_mut()
                .poll(&mut Context::from_waker(Waker::noop()))
                .is_ready()
        );
    }
}
