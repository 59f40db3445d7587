//! Kills a writing process again and again, and checks after each kill that the store holds exactly what it must.
//!
//! The writer is this very test, started anew as a process that is told where to write. Several tasks in it each write a chain: batch `i` puts entry `i` and
//! deletes entry `i - 1`, except every fourth, which stays. So after a kill each task's entries follow from a single
//! number, its last batch, and that is either the last one it reported or the one behind it. An acknowledged batch that
//! is gone, half a batch, a deleted entry that is back, a row missing in the index of expiries: all of these show.
//!
//! `COUNTERSIGN_KILL_ROUNDS` sets how often (20 unless told), `COUNTERSIGN_KILL_SEED` the moments.

use std::collections::BTreeSet;
use std::env;
use std::io::{self, BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use countersign::domain::time::Timestamp;
use countersign::store::sled::{Options, SledStore};
use countersign::store::{Batch, Order, Scan, Store, Version};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn acknowledged_commits_survive_kills() {
    if let Some(directory) = env::var_os(DIRECTORY) {
        return write(Path::new(&directory)).await;
    }
    let rounds = number_from("COUNTERSIGN_KILL_ROUNDS", 20);
    let seed = number_from("COUNTERSIGN_KILL_SEED", 0x5eed);
    let mut random = Random(seed);
    let directory = tempfile::tempdir().unwrap();
    let mut reported = [0; TASKS];
    let mut last_version = Version(0);
    for round in 0..rounds {
        let before: u64 = reported.iter().sum();
        run_and_kill(directory.path(), &mut random, &mut reported);
        let context = format!("round {round}, seed {seed}");

        let store = open(directory.path());
        let (tips, newest) = check(&store, &reported, &context).await;
        reported = tips;
        // A version must be new even if the entry that carried the last one is gone.
        store
            .commit(Batch::new().put(b"probe".to_vec(), vec![]))
            .await
            .unwrap();
        let probe = store.get(b"probe").await.unwrap().unwrap().version;
        assert!(probe > newest && probe > last_version, "{context}: {probe:?}");
        last_version = probe;
        store
            .commit(Batch::new().delete(b"probe".to_vec()))
            .await
            .unwrap();
        store.close().await.unwrap();
        assert!(reported.iter().sum::<u64>() >= before);
    }
    assert!(
        reported.iter().all(|tip| *tip > 0),
        "no task got far enough to prove anything: {reported:?}"
    );
}

/// What the process does that is killed.
async fn write(directory: &Path) {
    report("opening");
    let store = Arc::new(open(directory));
    let mut chains = Vec::new();
    for task in 0..TASKS {
        let store = Arc::clone(&store);
        chains.push(tokio::spawn(async move {
            let mut number = tip(&store, task).await;
            // The end is for a writer whose killer is gone.
            while number < 1_000_000 {
                number += 1;
                store.commit(link(task, number)).await.unwrap();
                report(&format!("acknowledged {task} {number}"));
            }
        }));
    }
    for chain in chains {
        chain.await.unwrap();
    }
}

/// Starts a writer, kills it at a moment that `random` chooses, and notes what it reported.
fn run_and_kill(directory: &Path, random: &mut Random, reported: &mut [u64; TASKS]) {
    let mut writer = Killed(start(directory));
    let mut lines = BufReader::new(writer.0.stdout.take().unwrap())
        .lines()
        .map(Result::unwrap);
    assert!(
        lines.any(|line| line.ends_with("opening")),
        "the writer did not start"
    );
    // One in four is killed while it opens the store.
    let reports = if random.below(4) == 0 {
        0
    } else {
        random.below(400)
    };
    let mut note = |line: String| {
        let mut words = line
            .split(' ')
            .skip_while(|word| !word.ends_with("acknowledged"))
            .skip(1);
        if let (Some(task), Some(number)) = (words.next(), words.next()) {
            let task: usize = task.parse().unwrap();
            reported[task] = reported[task].max(number.parse().unwrap());
        }
    };
    for _ in 0..reports {
        note(lines.next().expect("the writer stopped by itself"));
    }
    for _ in 0..random.below(2_000_000) {
        std::hint::spin_loop();
    }
    writer.0.kill().unwrap();
    writer.0.wait().unwrap();
    // What it had reported before it died.
    lines.for_each(note);
}

fn start(directory: &Path) -> Child {
    let (_, module) = module_path!().split_once("::").unwrap();
    Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            &format!("{module}::acknowledged_commits_survive_kills"),
            "--nocapture",
        ])
        .env(DIRECTORY, directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Compares all entries with what the reports allow; returns each task's last batch, and the newest version.
async fn check(store: &SledStore, reported: &[u64; TASKS], context: &str) -> ([u64; TASKS], Version) {
    let mut tips = *reported;
    let mut newest = Version(0);
    let mut due = BTreeSet::new();
    for (task, tip) in tips.iter_mut().enumerate() {
        let entries = store
            .scan(of_task(task, usize::MAX, Order::Ascending))
            .await
            .unwrap();
        let numbers: Vec<u64> = entries.iter().map(|(key, _)| number_in(key)).collect();
        let found = numbers.last().copied().unwrap_or(0);
        let acknowledged = *tip;
        assert!(
            found == acknowledged || found == acknowledged + 1,
            "{context}: task {task} has {found}, acknowledged was {acknowledged}"
        );
        let expected: Vec<u64> = (1..=found)
            .filter(|number| number % 4 == 0 || *number == found)
            .collect();
        assert_eq!(numbers, expected, "{context}: task {task}");
        for (key, entry) in entries {
            newest = newest.max(entry.version);
            if entry.expires_at.is_some() {
                due.insert(key);
            }
        }
        *tip = found;
    }
    let indexed = store.expired(Timestamp::MAX, None, usize::MAX).await.unwrap();
    let indexed: BTreeSet<Vec<u8>> = indexed.entries.into_iter().map(|(key, _)| key).collect();
    assert_eq!(indexed, due, "{context}");
    (tips, newest)
}

/// Batch `number` of a task's chain.
fn link(task: usize, number: u64) -> Batch {
    let payload = vec![7; 300];
    let batch = Batch::new().assert_absent(key(task, number));
    let batch = match number % 8 {
        0 | 5 => batch.put_until(key(task, number), payload, Timestamp::from_millis(number)),
        _ => batch.put(key(task, number), payload),
    };
    match number - 1 {
        stays if stays % 4 == 0 => batch,
        previous => batch.delete(key(task, previous)),
    }
}

async fn tip(store: &SledStore, task: usize) -> u64 {
    let last = store.scan(of_task(task, 1, Order::Descending)).await.unwrap();
    last.first().map_or(0, |(key, _)| number_in(key))
}

fn of_task(task: usize, limit: usize, order: Order) -> Scan {
    Scan {
        prefix: format!("task/{task}/").into_bytes(),
        after: None,
        order,
        limit,
    }
}

fn key(task: usize, number: u64) -> Vec<u8> {
    format!("task/{task}/{number:012}").into_bytes()
}

fn number_in(key: &[u8]) -> u64 {
    let text = std::str::from_utf8(key).unwrap();
    text.rsplit('/').next().unwrap().parse().unwrap()
}

fn open(directory: &Path) -> SledStore {
    SledStore::open(&Options::new(directory)).unwrap()
}

/// One line to the parent, in one piece.
fn report(line: &str) {
    let mut output = io::stdout().lock();
    output.write_all(format!("{line}\n").as_bytes()).unwrap();
    output.flush().unwrap();
}

fn number_from(variable: &str, otherwise: u64) -> u64 {
    env::var(variable).map_or(otherwise, |text| text.parse().unwrap())
}

/// A writer that does not outlive a failed test.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        // Both fail if it is dead already, which is what is wanted.
        let _dead = self.0.kill();
        let _dead = self.0.wait();
    }
}

/// Marsaglia's xorshift: the same moments for the same seed.
struct Random(u64);

impl Random {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % end
    }
}

const DIRECTORY: &str = "COUNTERSIGN_KILL_DIRECTORY";
const TASKS: usize = 8;
