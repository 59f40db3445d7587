//! What the tests are written with: the real router over a store of the test's choice, spoken to in HTTP, with fakes only
//! at the world's edge: the clock, the random bytes, the device.

pub(crate) mod answer;
pub(crate) mod app;
pub(crate) mod called;
pub(crate) mod client;
pub(crate) mod codes;
pub(crate) mod connection;
pub(crate) mod contract;
pub(crate) mod credentials;
pub(crate) mod device;
pub(crate) mod dump;
pub(crate) mod events;
pub(crate) mod interleaved;
pub(crate) mod messages;
pub(crate) mod operations;
pub(crate) mod push_provider;
pub(crate) mod receiver;
pub(crate) mod rpc;
pub(crate) mod scripted;
pub(crate) mod stores;
pub(crate) mod terminal;
pub(crate) mod world;

use std::path::Path;
use std::sync::Arc;

use tokio::sync::Barrier;

use crate::doubles::watch;

pub(crate) use answer::Answer;
pub(crate) use app::TestApp;
pub(crate) use client::{Client, Credentials};
pub(crate) use codes::{Authenticator, wrong_code};
pub(crate) use device::Device;
pub(crate) use events::Events;
pub(crate) use interleaved::Interleaved;
pub(crate) use receiver::Receiver;
pub(crate) use world::{Service, User};

/// Runs all of them at the same moment; returns what they gave, in their order.
pub(crate) async fn all_at_once<T, F>(tasks: impl IntoIterator<Item = F>) -> Vec<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    let tasks: Vec<_> = tasks.into_iter().collect();
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let spawn = |task: F| {
        let barrier = barrier.clone();
        tokio::spawn(async move {
            barrier.wait().await;
            task.await
        })
    };
    let tasks: Vec<_> = tasks.into_iter().map(spawn).collect();
    let mut results = Vec::with_capacity(tasks.len());
    for task in tasks {
        results.push(task.await.unwrap());
    }
    results
}

/// Looks for secrets in the log that a binary wrote to a file; see [`watch`].
pub(crate) fn look_through(log: &Path) {
    let text = std::fs::read(log).unwrap_or_default();
    for line in String::from_utf8_lossy(&text).lines() {
        watch::look("the log of the binary", line);
    }
}

/// A number from the environment, for those who want to look longer than the suite does.
pub(crate) fn number_from(variable: &str, default: usize) -> usize {
    std::env::var(variable).map_or(default, |text| text.parse().unwrap())
}
