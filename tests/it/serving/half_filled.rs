//! An import or a conversion that is killed, and what becomes of the store that it was to fill.

use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use countersign::domain::destination::{Destination, EmailAddress};
use countersign::domain::sid::AccountSid;
use countersign::domain::time::Timestamp;
use countersign::domain::wrong_codes::WrongCodes;
use countersign::store::sled::{Options, SledStore};
use countersign::store::{Batch, Store, keys};
use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, command, complaint, lasting, program, run, stdout_of};
use crate::server_kill::server::within;

#[test]
fn half_an_import_is_not_served_and_the_same_import_completes_it() {
    let directory = TempDir::new().unwrap();
    let (old, file, other) = (
        directory.path().join("old"),
        directory.path().join("export"),
        directory.path().join("other"),
    );
    let (file, other) = (file.to_str().unwrap(), other.to_str().unwrap());
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    stdout_of(&old, &["store", "export", "--to", other]);
    fill(&old);
    stdout_of(&old, &["store", "export", "--to", file]);
    let import = ["store", "import", "--from", file];
    let by_import = format!(
        "`countersign store import` of the export whose last line says {}",
        checksum(file)
    );
    let whole = Target::new(directory.path(), "whole", &old);
    let empty = whole.size();
    let said = stdout_of(&whole.0, &import);
    let grown = whole.size() - empty;

    // A kill at each of these shares of what an import writes, the last target being killed again and again.
    for (number, shares) in [&[1][..], &[3], &[5], &[2, 4, 6]].into_iter().enumerate() {
        let target = Target::new(directory.path(), &format!("killed{number}"), &old);
        for share in shares {
            target.fill_and_kill(command(&target.0, &import), empty + grown * share / 7);
            target.is_refused(&["serve", "--listen", "127.0.0.1:0"], &by_import);
        }
        let nowhere = directory.path().join(format!("nowhere{number}"));
        let commands: [&[&str]; 4] = [
            &["account", "list"],
            &["account", "create"],
            &["store", "check"],
            &["store", "export", "--to", nowhere.to_str().unwrap()],
        ];
        target.is_refused(commands[number], &by_import);
        assert!(!nowhere.exists());
        let line = complaint(&run(&target.0, &["store", "import", "--from", other]), 1);
        assert!(
            line.starts_with("the store takes nothing else yet: ") && line.contains(&checksum(file)),
            "{line}"
        );

        assert_eq!(stdout_of(&target.0, &import), said);
        let checked = stdout_of(&target.0, &["store", "check"]);
        assert!(checked.ends_with(" all sound\n"), "{checked}");
        let again = directory.path().join(format!("again{number}"));
        stdout_of(&target.0, &["store", "export", "--to", again.to_str().unwrap()]);
        let (again, file) = (
            fs::read_to_string(&again).unwrap(),
            fs::read_to_string(file).unwrap(),
        );
        assert!(lasting(&again) == lasting(&file));
        assert_eq!(Process::start(&target.0).rest_after_sigterm(), "");
    }
}

#[test]
fn half_a_conversion_is_not_served_and_the_same_conversion_completes_it() {
    let directory = TempDir::new().unwrap();
    let old = directory.path().join("old");
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    fill(&old);
    let convert = |target: &Target| {
        let (from, to) = (old.to_str().unwrap(), target.0.to_str().unwrap());
        program(&["store", "convert", "--from", from, "--to", to])
    };
    let whole = Target::new(directory.path(), "whole", &old);
    let empty = whole.size();
    assert!(convert(&whole).output().unwrap().status.success());
    let grown = whole.size() - empty;

    let target = Target::new(directory.path(), "killed", &old);
    for share in [1, 3, 5] {
        target.fill_and_kill(convert(&target), empty + grown * share / 7);
        target.is_refused(
            &["serve", "--listen", "127.0.0.1:0"],
            "`countersign store convert` from the store ",
        );
        // The source goes on as if nothing had happened, and what happens there is not lost.
        stdout_of(&old, &["account", "create", "--name", "Another"]);
    }
    assert!(convert(&target).output().unwrap().status.success());
    assert!(lasting(&exported(&target.0)) == lasting(&exported(&old)));
    assert_eq!(stdout_of(&target.0, &["account", "list"]).lines().count(), 5);
    assert_eq!(Process::start(&target.0).rest_after_sigterm(), "");
}

fn exported(data: &Path) -> String {
    stdout_of(data, &["store", "export", "--to", "-"])
}

/// Many long entries that make no difference to anybody.
fn fill(data: &Path) {
    within(data, async |app| write_many(app.store.as_ref()).await);
}

async fn write_many(store: &dyn Store) {
    let account = AccountSid::from_bytes([7; 16]);
    let domain = ["d".repeat(60), "e".repeat(60), "f".repeat(60)].join(".");
    let numbers: Vec<u32> = (0..ENTRIES).collect();
    for some in numbers.chunks(1000) {
        let mut batch = Batch::new();
        for number in some {
            let address = EmailAddress::parse(&format!("{number:060}@{domain}")).unwrap();
            let key = keys::wrong_codes(account, &Destination::Email(address));
            let end = Timestamp::from_seconds(4_000_000_000);
            batch = batch.put_record_until(key, &WrongCodes::default(), end).unwrap();
        }
        store.commit(batch).await.unwrap();
    }
}

/// A data directory that is to be filled.
struct Target(PathBuf);

impl Target {
    /// Nothing but a new store and the master key of `old`.
    fn new(directory: &Path, name: &str, old: &Path) -> Self {
        let target = Self(directory.join(name));
        fs::create_dir(&target.0).unwrap();
        fs::copy(old.join("master.key"), target.0.join("master.key")).unwrap();
        target.make_store();
        target
    }

    #[tokio::main(flavor = "current_thread")]
    async fn make_store(&self) {
        let store = SledStore::open(&Options::new(self.0.join("store"))).unwrap();
        store.close().await.unwrap();
    }

    /// How many bytes the store occupies.
    fn size(&self) -> u64 {
        let Ok(files) = fs::read_dir(self.0.join("store")) else {
            return 0;
        };
        let lengths = files.filter_map(|file| Some(file.ok()?.metadata().ok()?.len()));
        lengths.sum()
    }

    /// Fills the store until it occupies more than so many bytes, and kills whoever does it then.
    fn fill_and_kill(&self, mut filler: Command, bytes: u64) {
        let mut filler = filler.stdout(Stdio::null()).spawn().unwrap();
        while self.size() <= bytes {
            assert_eq!(filler.try_wait().unwrap(), None, "it came to its end first");
            std::thread::yield_now();
        }
        filler.kill().unwrap();
        assert_eq!(
            filler.wait().unwrap().signal(),
            Some(9),
            "it came to its end first"
        );
    }

    /// The command does not use the store, and says what to do.
    fn is_refused(&self, command: &[&str], half_filled_by: &str) {
        let line = complaint(&run(&self.0, command), 1);
        let store = self.0.join("store").canonicalize().unwrap();
        for part in [
            &format!("it is not whole: {half_filled_by}"),
            "run it again, and it goes on where it stopped, or remove ",
            &format!("{} to begin anew", store.display()),
        ] {
            assert!(line.contains(part), "{command:?}: {line}");
        }
    }
}

/// What the last line of an export says.
fn checksum(file: &str) -> String {
    let text = fs::read_to_string(file).unwrap();
    let last: Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    last["sha256"].as_str().unwrap().to_owned()
}

/// So many that they are imported in about twenty batches.
const ENTRIES: u32 = 20_000;
