//! What somebody else wrote into a store is named when it is looked at, and left out of its copies: an export that is needed is one
//! that can be imported.

use std::fs::{self, File};
use std::path::Path;
use std::process::Output;

use tempfile::TempDir;

use super::process::{Process, complaint, program, run, stdout_of};
use countersign::domain::sid::EventSid;
use countersign::store::sled::{Options, SledStore};
use countersign::store::{Batch, Store as _, keys, transfer};

/// Writes into a store that nobody has open.
pub(super) async fn forge(data: &Path, keys: &[Vec<u8>]) {
    let engine = SledStore::open(&Options::new(data.join("store"))).unwrap();
    let garbage = |batch: Batch, key: &Vec<u8>| batch.put(key.clone(), b"garbage".to_vec());
    engine
        .commit(keys.iter().fold(Batch::new(), garbage))
        .await
        .unwrap();
    engine.close().await.unwrap();
}

/// That the command did what it was asked to, but for what it names on standard error.
fn left_out(output: &Output, names: &[&str]) {
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let said = str::from_utf8(&output.stderr).unwrap();
    for name in names {
        let line = format!("left out: {name}");
        assert!(
            said.lines().any(|said| said.contains(&line)),
            "{name} is not in: {said}"
        );
    }
    let last = said.lines().last().unwrap();
    let count = format!("{} entries were left out", names.len());
    assert!(last.contains(&count), "{said}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_forged_is_left_out_of_copies_and_named() {
    let directory = TempDir::new().unwrap();
    let place = |name: &str| directory.path().join(name);
    let (old, shown) = (place("old"), |name: &str| {
        place(name).to_str().unwrap().to_owned()
    });
    stdout_of(&old, &["account", "create", "--name", "Shop"]);
    let accounts = stdout_of(&old, &["account", "list"]);
    let letter = keys::dead_letter(EventSid::from_bytes([7; 16])).into_bytes();
    let epoch = keys::store_epoch().into_bytes();

    // A running server exports it.
    forge(&old, std::slice::from_ref(&letter)).await;
    let server = Process::start(&old);
    left_out(
        &run(&old, &["store", "export", "--to", &shown("served")]),
        &["dead letter"],
    );
    drop(server);

    // And the command, which needs no more than the keys.
    forge(&old, &[epoch.clone(), b"~~~".to_vec()]).await;
    let refused = run(&old, &["account", "list"]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    let checked = run(&old, &["store", "check"]);
    assert_eq!(checked.status.code(), Some(1));
    let checked = String::from_utf8(checked.stdout).unwrap();
    assert!(
        checked.contains("dead letter") && checked.contains("epoch of the store: it has no MAC"),
        "{checked}"
    );
    let names = ["dead letter", "epoch of the store", "key ~~~"];
    left_out(
        &run(&old, &["store", "export", "--to", &shown("exported")]),
        &names,
    );

    for export in ["served", "exported"] {
        let new = place(&format!("{export}-new"));
        fs::create_dir(&new).unwrap();
        fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
        stdout_of(&new, &["store", "import", "--from", &shown(export)]);
        let checked = stdout_of(&new, &["store", "check"]);
        assert!(checked.ends_with("all sound\n"), "{checked}");
        assert_eq!(stdout_of(&new, &["account", "list"]), accounts);
    }

    // What was exported with all that is in it is imported without.
    let engine = SledStore::open(&Options::new(old.join("store"))).unwrap();
    let mut file = File::create(place("raw")).unwrap();
    transfer::export(&engine, None, &mut file).await.unwrap();
    engine.close().await.unwrap();
    let new = place("new");
    fs::create_dir(&new).unwrap();
    fs::copy(old.join("master.key"), new.join("master.key")).unwrap();
    let import = ["store", "import", "--from", &shown("raw")];
    let refused = complaint(&run(&new, &import), 1);
    assert!(
        refused.contains("3 entries") && refused.contains("--leave-out-forged"),
        "{refused}"
    );
    let import = ["store", "import", "--leave-out-forged", "--from", &shown("raw")];
    left_out(&run(&new, &import), &names);
    assert!(stdout_of(&new, &["store", "check"]).ends_with("all sound\n"));
    assert_eq!(stdout_of(&new, &["account", "list"]), accounts);

    // So is what is converted.
    let (from, to) = (shown("old"), shown("converted"));
    let convert = ["store", "convert", "--from", &from, "--to", &to];
    let refused = complaint(&program(&convert).output().unwrap(), 1);
    assert!(refused.contains("--leave-out-forged"), "{refused}");
    let convert = [&convert[..], &["--leave-out-forged"]].concat();
    left_out(&program(&convert).output().unwrap(), &names);
    let converted = place("converted");
    assert!(stdout_of(&converted, &["store", "check"]).ends_with("all sound\n"));
    assert_eq!(stdout_of(&converted, &["account", "list"]), accounts);
    // Nothing waits there of which it is not known whether it was void.
    let engine = SledStore::open(&Options::new(converted.join("store"))).unwrap();
    let stored = engine.get(&epoch).await.unwrap().unwrap();
    let began: countersign::domain::store_epoch::StoreEpoch =
        countersign::store::authentic::record_of(&stored.value).unwrap();
    assert!(began.voids());
    engine.close().await.unwrap();
    // Without the master key nobody can tell.
    fs::rename(old.join("master.key"), place("key")).unwrap();
    let to = shown("unverified");
    let convert = [
        "store",
        "convert",
        "--leave-out-forged",
        "--from",
        &from,
        "--to",
        &to,
    ];
    let refused = complaint(&program(&convert).output().unwrap(), 2);
    assert!(refused.contains("needs the master key"), "{refused}");
}
