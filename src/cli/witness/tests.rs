//! What is promised of a witness wherever it is, shown of one in a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::file::WitnessFile;
use super::*;
use crate::doubles::TestParts;
use crate::store::Batch;

/// A witness in a directory, of a store elsewhere.
struct Bench {
    place: TempDir,
    app: App,
}

impl Bench {
    fn new() -> Self {
        Self {
            place: tempfile::tempdir().unwrap(),
            app: TestParts::default().wire(),
        }
    }

    fn path(&self) -> PathBuf {
        self.place.path().join("witness")
    }

    fn held(&self) -> HeldWitness {
        let file = WitnessFile::take(&self.path(), Path::new("/nowhere")).unwrap();
        HeldWitness {
            place: WitnessPlace::File(file),
            written: None,
            is_told: false,
        }
    }

    fn witness(&self) -> Witness {
        Witness {
            held: Arc::new(Mutex::new(self.held())),
        }
    }

    fn testimony(&self, count: u64) -> Testimony {
        Testimony {
            identity: self.app.vault.store_identity(),
            progress: StoreProgress { epoch: 0, count },
            at: self.app.clock.now(),
        }
    }

    /// What the file says how often the store was raised.
    fn count(&self) -> u64 {
        let text = fs::read_to_string(self.path()).unwrap();
        match witness::heard(&self.app.vault, &text) {
            WitnessWord::Said(said) => said.progress.count,
            other => panic!("{other:?}"),
        }
    }

    /// Puts a pipe in the place of the file: whoever reads it hangs.
    fn hang(&self) {
        let pipe = self.place.path().join("pipe");
        assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        fs::rename(&pipe, self.path()).unwrap();
    }

    /// Lets one reader of the pipe read its end. It returns once somebody has it open.
    async fn release_one(&self) {
        let path = self.path();
        let opened = tokio::task::spawn_blocking(move || fs::File::options().write(true).open(path));
        drop(opened.await.unwrap().unwrap());
    }

    async fn commit(&self, key: &str) {
        let batch = Batch::new().put(key.into(), "value".into());
        self.app.engine.commit(batch).await.unwrap();
    }
}

/// What failed may have taken effect: that is not taken for a machine that was rolled back.
#[tokio::test]
async fn what_may_have_been_written_is_not_ahead_and_anything_further_is() {
    let bench = Bench::new();
    let (mut held, vault) = (bench.held(), &bench.app.vault);
    held.raise(&bench.testimony(1), vault).await.unwrap();
    // Nothing can take its name.
    fs::create_dir(bench.place.path().join("witness.new")).unwrap();
    let failed = held.raise(&bench.testimony(2), vault).await;
    assert!(matches!(failed, Err(NotRaised::Unwritten(..))), "{failed:?}");
    for (count, is_ahead) in [(2, false), (3, true)] {
        fs::write(bench.path(), witness::signed(vault, &bench.testimony(count))).unwrap();
        let found = held.look(vault).await;
        assert_eq!(matches!(found, Err(NotRaised::IsAhead(_))), is_ahead, "{count}");
    }
}

#[tokio::test]
async fn one_that_is_not_as_it_was_left_is_told_of_once_and_one_that_cannot_be_read_is_not_gone() {
    let bench = Bench::new();
    let (mut held, vault, path) = (bench.held(), &bench.app.vault, bench.path());
    assert!(
        !held.look(vault).await.unwrap().is_ours && !held.is_told,
        "there was none"
    );
    held.raise(&bench.testimony(1), vault).await.unwrap();
    assert!(held.look(vault).await.unwrap().is_ours && !held.is_told);
    for damaged in [true, false] {
        if damaged {
            fs::write(&path, "damaged").unwrap();
        } else {
            fs::remove_file(&path).unwrap();
        }
        assert!(!held.look(vault).await.unwrap().is_ours && held.is_told);
        held.raise(&bench.testimony(2), vault).await.unwrap();
        assert!(held.look(vault).await.unwrap().is_ours && !held.is_told);
    }
    fs::remove_file(&path).unwrap();
    fs::create_dir(&path).unwrap();
    let found = held.look(vault).await;
    assert!(matches!(found, Err(NotRaised::Unreadable(..))));
    assert!(first_word(&mut held.place, vault).await.is_err());
}

/// What is committed while the witness is being raised is not in what it says: it has to be raised again, though nothing more is
/// committed.
#[tokio::test]
async fn what_is_committed_during_a_slow_raise_is_witnessed_by_the_next() {
    let bench = Bench::new();
    let witness = bench.witness();
    let before = bench.app.store.statistics().commits;
    let mut rounds = WitnessRounds {
        is_failing: false,
        seen: before,
    };
    bench.commit("one").await;
    bench.hang();
    let (done, ()) = tokio::join!(rounds.go_round(&witness, &bench.app), async {
        // It has counted when it hangs: nothing but the pipe is between the two.
        while bench.app.store.statistics().commits < before + 2 {
            tokio::task::yield_now().await;
        }
        bench.commit("two").await;
        bench.release_one().await;
    });
    done.unwrap();
    assert_eq!(bench.count(), 1);
    for (expected, why) in [(2, "what came meanwhile"), (2, "nothing since")] {
        rounds.go_round(&witness, &bench.app).await.unwrap();
        assert_eq!(bench.count(), expected, "{why}");
    }
}

/// Whoever ends does not wait behind something that hangs, and leaves nothing that would be done once it does not hang any more.
#[tokio::test]
async fn the_end_leaves_nothing_behind_something_that_hangs() {
    let bench = Bench::new();
    let witness = bench.witness();
    bench.hang();
    let hanging = witness.clone();
    let vault = Arc::clone(&bench.app.vault);
    let look = tokio::spawn(async move {
        hanging
            .with_held(async move |mut held| held.look(&vault).await.map(|found| found.is_ours))
            .await
    });
    while witness.held.try_lock().is_ok() {
        tokio::task::yield_now().await;
    }
    // As the server's tasks are when it stops.
    look.abort();
    let held = Arc::clone(&witness.held);
    witness.end_within(Duration::from_millis(50), &bench.app).await;
    bench.release_one().await;
    // Whoever waited for it would have it before this does.
    let held = tokio::time::timeout(Duration::from_secs(30), held.lock_owned()).await;
    let held = held.expect("the end has begun something that hangs");
    assert_eq!(held.written, None, "the end has written after it gave up");
    assert!(!fs::metadata(bench.path()).unwrap().is_file());
}
