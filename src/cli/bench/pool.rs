//! The threads and connections that set up and load a server.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tokio::task::JoinSet;

/// How many connections, on how many threads. Each thread runs an event loop of its own, as wrk does: nothing is handed
/// from one thread to another.
#[derive(Clone, Copy, Debug)]
pub(super) struct ClientPool {
    pub(super) connections: usize,
    pub(super) threads: usize,
}

impl ClientPool {
    /// Runs `job` once per connection and collects what they return. The first error ends them all: `stop` is set, and
    /// a job that looks at it returns early.
    pub(super) fn work<T, F>(
        self,
        stop: &Arc<AtomicBool>,
        job: impl Fn(usize) -> F + Sync,
    ) -> Result<Vec<T>, String>
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
        T: Send + 'static,
    {
        thread::scope(|scope| {
            let threads: Vec<_> = (0..self.threads)
                .map(|thread| {
                    let job = &job;
                    scope.spawn(move || self.work_of_one_thread(thread, stop, job))
                })
                .collect();
            let mut results = Vec::with_capacity(self.connections);
            for thread in threads {
                results.extend(
                    thread
                        .join()
                        .map_err(|_| "a worker thread panicked".to_owned())??,
                );
            }
            Ok(results)
        })
    }

    fn work_of_one_thread<T, F>(
        self,
        thread: usize,
        stop: &AtomicBool,
        job: &(impl Fn(usize) -> F + Sync),
    ) -> Result<Vec<T>, String>
    where
        F: Future<Output = Result<T, String>> + Send + 'static,
        T: Send + 'static,
    {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|error| format!("cannot start a worker thread: {error}"))?;
        runtime.block_on(async {
            let mut jobs = JoinSet::new();
            for connection in (thread..self.connections).step_by(self.threads) {
                jobs.spawn(job(connection));
            }
            let mut results = Vec::new();
            while let Some(joined) = jobs.join_next().await {
                match joined.map_err(|error| error.to_string()).flatten() {
                    Ok(result) => results.push(result),
                    Err(error) => {
                        stop.store(true, Ordering::Relaxed);
                        return Err(error);
                    }
                }
            }
            Ok(results)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_connection_works_once() {
        let pool = ClientPool {
            connections: 7,
            threads: 2,
        };
        let stop = Arc::new(AtomicBool::new(false));
        let mut indexes = pool.work(&stop, |index| async move { Ok(index) }).unwrap();
        indexes.sort_unstable();
        assert_eq!(indexes, [0, 1, 2, 3, 4, 5, 6]);
        let failed = pool.work(&stop, |index| async move {
            if index == 3 {
                Err("three".to_owned())
            } else {
                Ok(())
            }
        });
        assert_eq!(failed, Err("three".to_owned()));
        assert!(stop.load(Ordering::Relaxed));
    }
}
