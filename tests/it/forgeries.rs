//! Whoever can write the store, without its master key, is noticed whatever is written: every edit, move, splice and cut of
//! every kind of entry, as the table of kinds has them.

use std::collections::BTreeSet;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use crate::doubles::SeededEntropy;
use crate::old_data::store::{master_key, newest};
use crate::support::scripted::Receivers;
use crate::support::world::answer;
use crate::support::{Credentials, Service, TestApp, User};
use countersign::app::App;
use countersign::crypto::key_ring::KeyRing;
use countersign::crypto::master_key::MasterKey;
use countersign::crypto::vault::Vault;
use countersign::domain::account::ApiKey;
use countersign::domain::factor::{Factor, FactorKind};
use countersign::domain::opaque::DevicePublicKey;
use countersign::domain::sealing::SealedField;
use countersign::domain::sid::EventSid;
use countersign::domain::time::Timestamp;
use countersign::flows::check_store::{StoreReport, check_store};
use countersign::flows::store_format::{self, UnusableStore};
use countersign::flows::{challenge, epoch, relearn, sweep};
use countersign::store::authentic::{AuthenticStore, MAC_BYTES, record_of, verified};
use countersign::store::keys::{self, KeyParts};
use countersign::store::kinds::KINDS;
use countersign::store::memory::MemoryStore;
use countersign::store::records::{DeviceRecord, Record, encode};
use countersign::store::{Batch, Entry, Order, Scan, Store, StoreError};

/// All entries as the engine has them.
async fn raw_entries(engine: &dyn Store) -> Vec<(Vec<u8>, Entry)> {
    let everything = Scan {
        prefix: Vec::new(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    engine.scan(everything).await.unwrap()
}

/// Writes past everything that vouches.
async fn write(engine: &dyn Store, key: &[u8], value: Vec<u8>, expires_at: Option<Timestamp>) {
    let batch = match expires_at {
        Some(end) => Batch::new().put_until(key.to_vec(), value, end),
        None => Batch::new().put(key.to_vec(), value),
    };
    engine.commit(batch).await.unwrap();
}

/// That a read is refused, a scan goes past, and the report names it.
async fn is_noticed(app: &App, key: &[u8], report: &StoreReport) {
    let parts = KeyParts::parse(key).unwrap();
    let read = app.store.get(key).await;
    assert!(matches!(read, Err(StoreError::Forged(_))), "{parts}: {read:?}");
    let scan = Scan {
        prefix: key.to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 1,
    };
    let found = app.store.scan(scan).await.unwrap();
    assert!(found.iter().all(|(found, _)| found != key), "{parts}");
    let (line, problems) = (format!("{parts}: it"), report.problems());
    let named = |problem: &&String| problem.starts_with(&line) && problem.contains("MAC");
    assert!(
        problems.iter().any(|problem| named(&problem)),
        "{parts} is not in:\n{report}"
    );
}

/// The store to attack has a sample of every kind but the mark of one that is not whole.
#[tokio::test]
async fn the_attacked_store_has_every_kind() {
    let (app, _) = newest().await;
    let entries = raw_entries(app.engine.as_ref()).await;
    let kinds: BTreeSet<u8> = entries
        .iter()
        .map(|(key, _)| KeyParts::parse(key).unwrap().kind().letter)
        .collect();
    assert_eq!(kinds.len(), KINDS.len() - 1);
    assert!(check_store(&app).await.unwrap().is_healthy());
}

#[tokio::test]
async fn every_edit_of_every_field_of_every_record_is_noticed() {
    let (app, _) = newest().await;
    let entries = raw_entries(app.engine.as_ref()).await;
    let edits: Vec<Vec<Vec<u8>>> = entries.iter().map(|(_, entry)| edits_of(&entry.value)).collect();
    let most = edits.iter().map(Vec::len).max().unwrap();
    let mut count = 0;
    for nth in 0..most {
        let mut edited = Vec::new();
        for ((key, entry), edits) in entries.iter().zip(&edits) {
            if let Some(value) = edits.get(nth) {
                write(app.engine.as_ref(), key, value.clone(), entry.expires_at).await;
                edited.push(key);
            }
        }
        let report = check_store(&app).await.unwrap();
        for key in &edited {
            is_noticed(&app, key, &report).await;
        }
        count += edited.len();
        for (key, entry) in &entries {
            write(app.engine.as_ref(), key, entry.value.clone(), entry.expires_at).await;
        }
    }
    assert!(count > 500, "only {count} edits were tried");
    assert!(check_store(&app).await.unwrap().is_healthy());
}

#[tokio::test]
async fn every_change_of_an_end_is_noticed() {
    let (app, _) = newest().await;
    for (key, entry) in raw_entries(app.engine.as_ref()).await {
        let end = match entry.expires_at {
            None => Some(Timestamp::MAX),
            Some(_) => None,
        };
        write(app.engine.as_ref(), &key, entry.value, end).await;
        let report = check_store(&app).await.unwrap();
        is_noticed(&app, &key, &report).await;
    }
}

#[tokio::test]
async fn every_entry_that_was_moved_to_another_key_is_noticed() {
    let (app, _) = newest().await;
    let entries = raw_entries(app.engine.as_ref()).await;
    for (key, entry) in &entries {
        for (other, _) in entries.iter().filter(|(other, _)| other != key) {
            let moved = verified(&app.vault, other, entry.clone());
            assert!(
                moved.is_err(),
                "{:?} at {:?}",
                KeyParts::parse(key),
                KeyParts::parse(other)
            );
        }
        // One of its kind that was never there.
        let mut unused = key.clone();
        *unused.last_mut().unwrap() ^= 1;
        assert!(verified(&app.vault, &unused, entry.clone()).is_err());
        assert!(verified(&app.vault, key, entry.clone()).is_ok());
    }
    // And in the store itself, each with what was behind it.
    for ((key, entry), (_, next)) in entries.iter().zip(entries.iter().cycle().skip(1)) {
        write(app.engine.as_ref(), key, next.value.clone(), entry.expires_at).await;
    }
    let report = check_store(&app).await.unwrap();
    for (key, _) in &entries {
        is_noticed(&app, key, &report).await;
    }
}

/// Two stores of one operator have the same master key, and nothing else in common.
#[tokio::test]
async fn every_entry_of_another_store_under_the_same_master_key_is_noticed() {
    let (app, _) = newest().await;
    let ring = KeyRing::generate(&master_key(), &SeededEntropy::new(7), Timestamp::from_seconds(1));
    let theirs = Arc::new(Vault::new(&ring));
    let engine = Arc::new(MemoryStore::new());
    let store = AuthenticStore::new(engine.clone(), Arc::clone(&theirs));
    let ours = raw_entries(app.engine.as_ref()).await;
    for (key, entry) in &ours {
        let Entry {
            value, expires_at, ..
        } = verified(&app.vault, key, entry.clone()).unwrap();
        let value = if *key == keys::key_ring().into_bytes() {
            encode(&theirs.sealed_ring()).unwrap()
        } else {
            value
        };
        write(&store, key, value, expires_at).await;
    }
    for (key, entry) in raw_entries(engine.as_ref()).await {
        verified(&theirs, &key, entry.clone()).unwrap();
        write(app.engine.as_ref(), &key, entry.value, entry.expires_at).await;
        let report = check_store(&app).await.unwrap();
        is_noticed(&app, &key, &report).await;
    }
    let checked = store_format::check(&app).await;
    assert!(matches!(checked, Err(UnusableStore::Fault(_))), "{checked:?}");
}

#[tokio::test]
async fn every_cut_of_every_entry_is_noticed() {
    let (app, _) = newest().await;
    for (key, entry) in raw_entries(app.engine.as_ref()).await {
        for length in 0..entry.value.len() {
            let cut = Entry {
                value: entry.value[..length].to_vec(),
                ..entry.clone()
            };
            assert!(verified(&app.vault, &key, cut).is_err());
        }
        let longer = Entry {
            value: [&entry.value[..], &[0]].concat(),
            ..entry.clone()
        };
        assert!(verified(&app.vault, &key, longer).is_err());
    }
}

/// SECURITY.md, row 26: whoever has all of the store, but another master key or none, has no seed; with the right one it is there.
#[tokio::test]
async fn a_stolen_store_yields_no_seed() {
    let server = TestApp::new().await;
    store_format::check(&server.app).await.unwrap();
    let client = server.client();
    let user = User::create(&client).await;
    let totp = user.totp(&server, &client).await;
    let entries = raw_entries(server.app.engine.as_ref()).await;
    let written_as = |bytes: &[u8]| {
        [
            bytes.to_vec(),
            STANDARD.encode(bytes).into_bytes(),
            totp.app.base32().into_bytes(),
        ]
    };
    for (key, entry) in &entries {
        for seed in written_as(&totp.app.secret) {
            let is_in = |bytes: &[u8]| bytes.windows(seed.len()).any(|part| part == seed);
            assert!(!is_in(&entry.value) && !is_in(key), "{:?}", KeyParts::parse(key));
        }
    }
    // The same bytes behind a vault of another key, and behind that of the store.
    let opens = |vault: &Vault| {
        let sealed = |(key, entry): &(Vec<u8>, Entry)| {
            let Some(KeyParts::Factor(..)) = KeyParts::parse(key) else {
                return false;
            };
            let factor: Factor = record_of(&entry.value).unwrap();
            let FactorKind::Totp(totp) = factor.kind else {
                return false;
            };
            vault.open(key, SealedField::TotpSecret, &totp.secret).is_ok()
        };
        entries.iter().any(sealed)
    };
    let (master, entropy) = (MasterKey::generate(&SeededEntropy::new(7)), SeededEntropy::new(8));
    let other = Vault::new(&KeyRing::generate(&master, &entropy, Timestamp::from_seconds(1)));
    assert!(opens(&server.app.vault) && !opens(&other));
    let opened = store_format::open_keys(
        server.app.engine.as_ref(),
        &master,
        &entropy,
        Timestamp::from_seconds(1),
    )
    .await;
    let why = opened.unwrap_err().to_string();
    assert!(
        why.contains("start with the key file that belongs to it"),
        "{why}"
    );
}

/// SECURITY.md, row 26. The layer below: with a MAC that is right, as if the first one were broken, a sealed value still opens in its place only.
#[tokio::test]
async fn every_swap_of_sealed_values_is_noticed_though_the_macs_are_right() {
    let (app, _) = newest().await;
    let mut places = Vec::new();
    for (key, entry) in raw_entries(app.engine.as_ref()).await {
        // The ring itself vouches for its own.
        if key == keys::key_ring().into_bytes() {
            continue;
        }
        let value = verified(&app.vault, &key, entry).unwrap().value;
        for sealed in sealed_in(&value) {
            places.push((key.clone(), sealed));
        }
    }
    let mut count = 0;
    for (nth, (key, sealed)) in places.iter().enumerate() {
        for (_, other) in places[nth + 1..].iter().filter(|(other, _)| other != key) {
            let before = app.store.get(key).await.unwrap().unwrap();
            let value = with_sealed(&before.value, sealed, other);
            write(app.store.as_ref(), key, value, before.expires_at).await;
            let report = check_store(&app).await.unwrap();
            assert!(!report.is_healthy(), "{:?}", KeyParts::parse(key));
            write(app.store.as_ref(), key, before.value, before.expires_at).await;
            count += 1;
        }
    }
    assert!(
        places.len() >= 7 && count >= 20,
        "{} places, {count} swaps",
        places.len()
    );
}

/// The first attack that was found: with the thief's key in the place of the device's, the thief approved.
#[tokio::test]
async fn a_device_whose_public_key_was_exchanged_approves_nothing() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let thief = device.imitated();
    let theirs = DevicePublicKey::from_spki_base64(&thief.public_key()).unwrap();
    let mut edited = 0;
    for (key, entry) in raw_entries(server.app.engine.as_ref()).await {
        match KeyParts::parse(&key) {
            Some(KeyParts::Device(_)) => {
                edit::<DeviceRecord>(&server, &key, &entry, |device| device.public_key = theirs).await;
            }
            Some(KeyParts::Factor(..)) => {
                edit::<Factor>(&server, &key, &entry, |factor| {
                    if let FactorKind::Push(push) = &mut factor.kind {
                        push.public_key = theirs;
                    }
                })
                .await;
            }
            _ => continue,
        }
        edited += 1;
    }
    assert_eq!(edited, 2);
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
    ];
    let created = client.post(format!("{}/Challenges", user.path), &form).await;
    assert!(created.status >= 500, "{}", created.status);
    for phone in [&device, &thief] {
        let read = phone.on(&server).get(user.path.clone()).await;
        assert!(read.status >= 500, "{}", read.status);
    }
    assert!(server.app.store.statistics().forged > 0);
    let report = check_store(&server.app).await.unwrap();
    assert!(report.to_string().contains("its MAC is wrong"), "{report}");
}

/// A challenge was waiting when the key was exchanged.
#[tokio::test]
async fn a_thief_does_not_answer_a_challenge_that_waits() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let challenge = user.push_challenge(&client, &device).await;
    let thief = device.imitated();
    let theirs = DevicePublicKey::from_spki_base64(&thief.public_key()).unwrap();
    let payload = device.payload(&server, &challenge, "approved").await;
    let signed = thief.jws(&json!({"typ": "JWT", "alg": "ES256"}), &payload.into());
    for (key, entry) in raw_entries(server.app.engine.as_ref()).await {
        if let Some(KeyParts::Factor(..)) = KeyParts::parse(&key) {
            edit::<Factor>(&server, &key, &entry, |factor| {
                if let FactorKind::Push(push) = &mut factor.kind {
                    push.public_key = theirs;
                }
            })
            .await;
        }
    }
    let answered = answer(&client, &challenge, &signed).await;
    assert!(answered.status >= 500, "{}", answered.status);
    assert_eq!(client.get(&challenge).await.ok()["status"], "pending");
}

/// The second one: with another account in an API key's record, its holder spoke for that account.
#[tokio::test]
async fn an_api_key_whose_account_was_exchanged_lets_nobody_in() {
    let server = TestApp::new().await;
    let service = Service::create(&server.client()).await;
    let stranger = server.another_account().await;
    let key = server.api_key().await;
    let path = service.path.clone();
    assert_eq!(server.client_of(&key).get(path.clone()).await.status, 200);
    exchange_account(&server, &key, &stranger).await;
    let answer = server.client_of(&key).get(path).await;
    assert!(answer.status >= 500, "{}", answer.status);
    // Nobody else's business.
    assert_eq!(server.client().get(service.path.clone()).await.status, 200);
}

async fn exchange_account(server: &TestApp, key: &Credentials, to: &Credentials) {
    let key = keys::api_key(key.user.parse().unwrap()).into_bytes();
    let entry = server.app.engine.get(&key).await.unwrap().unwrap();
    let account = to.user.parse().unwrap();
    edit::<ApiKey>(server, &key, &entry, |record| record.account = account).await;
}

/// One forged row stops neither a lane of the outbox, nor timers, nor the sweeper, nor a start.
#[tokio::test]
async fn a_forged_entry_stops_nothing_that_walks() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let form = [
        ("FriendlyName", "x"),
        ("WebhookUrl", "https://x.example"),
        ("EventTypes", "*"),
    ];
    client
        .post(format!("{}/Webhooks", user.service.path), &form)
        .await
        .ok();
    let device = user.device(&server, &client).await;
    for _ in 0..3 {
        user.push_challenge(&client, &device).await;
    }
    let gone = Service::create(&client).await;
    client.delete(&gone.path).await;
    let second = Service::create(&client).await;
    client.delete(&second.path).await;
    // The first of the lane, of the timers and of the deleted services, and whatever else is first of its kind.
    let engine = server.app.engine.as_ref();
    let mut forged = 0;
    for letter in [b"o", b"z", b"g"] {
        let found = raw_entries(engine).await;
        let mut of_kind = found.into_iter().filter(|(key, _)| key[0] == letter[0]);
        let (key, entry) = of_kind.next().unwrap();
        assert!(of_kind.next().is_some(), "only one of {letter:?}");
        write(engine, &key, [entry.value, vec![0]].concat(), entry.expires_at).await;
        forged += 1;
    }
    assert_eq!(forged, 3);

    let report = check_store(&server.app).await.unwrap();
    let named = report.problems().iter().filter(|problem| problem.contains("MAC"));
    assert_eq!(named.count(), 3, "{report}");

    let waiting = server.outbox().await.len();
    let receivers = Receivers::good();
    let mut worker = receivers.worker(&server.app);
    for _ in 0..100 {
        worker.run_due().await;
    }
    assert_eq!(
        (receivers.delivered().len(), server.outbox().await.len()),
        (waiting, 0)
    );
    server.wait(400);
    assert_eq!(challenge::expire_due(&server.app).await.unwrap(), None);
    assert_eq!(server.scan(b"z".to_vec()).await.len(), 0);
    while sweep::round(&server.app).await.unwrap() > 0 {}
    assert_eq!(server.scan(b"g".to_vec()).await.len(), 0);
    let again = server.restarted(Arc::clone(&server.app.engine));
    store_format::check(&again.app).await.unwrap();
    epoch::learn(&again.app).await.unwrap();
    relearn::relearn(&again.app).await.unwrap();
}

/// Ends that somebody else gave to entries, of kinds that have none as well, or to garbage: more of them than the sweeper takes at
/// once, and before all that is over.
#[tokio::test]
async fn forged_ends_neither_stop_the_sweeper_nor_have_it_delete() {
    let (app, _) = newest().await;
    let engine = app.engine.as_ref();
    let over = Timestamp::from_seconds(1);
    let mut forged = BTreeSet::new();
    for (key, entry) in raw_entries(engine).await {
        // Every commit rests on these.
        if ![keys::store_epoch().bytes(), keys::key_ring().bytes()].contains(&key.as_slice()) {
            write(engine, &key, entry.value, Some(over)).await;
        }
        forged.insert(key);
    }
    let mut batch = Batch::new();
    for number in 0..8_100_u32 {
        let bytes: Vec<u8> = number.to_be_bytes().repeat(4);
        let key = keys::dead_letter(EventSid::from_bytes(bytes.try_into().unwrap())).into_bytes();
        batch = batch.put_until(key.clone(), vec![7; 30], over);
        forged.insert(key);
    }
    engine.commit(batch).await.unwrap();
    let honest = keys::dead_letter(EventSid::from_bytes([0xee; 16])).into_bytes();
    let batch = Batch::new().put_until(honest.clone(), Vec::new(), Timestamp::from_seconds(2));
    app.store.commit(batch).await.unwrap();

    assert_eq!(sweep::round(&app).await.unwrap(), 1);
    assert!(engine.get(&honest).await.unwrap().is_none());
    let left: BTreeSet<_> = raw_entries(engine)
        .await
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    assert_eq!(left, forged);
    assert!(app.store.statistics().forged > 8_000);
}

/// Changes a record and leaves its MAC as it was.
async fn edit<T: Record>(server: &TestApp, key: &[u8], entry: &Entry, change: impl FnOnce(&mut T)) {
    let mut record: T = record_of(&entry.value).unwrap();
    change(&mut record);
    let value = [&entry.value[..MAC_BYTES], &encode(&record).unwrap()].concat();
    write(server.app.engine.as_ref(), key, value, entry.expires_at).await;
}

/// The value as the engine has it, with one field changed each time: the letter, the version, and whatever `MessagePack` has.
fn edits_of(value: &[u8]) -> Vec<Vec<u8>> {
    let (Some(record), mut edits) = (value.get(MAC_BYTES..), Vec::new()) else {
        return Vec::new();
    };
    if record.is_empty() {
        // A mark has no fields; with one it is none.
        return vec![[value, &[0xc0]].concat()];
    }
    let mut edit = |position: usize, change: &dyn Fn(u8) -> u8| {
        let mut edited = value.to_vec();
        edited[MAC_BYTES + position] = change(edited[MAC_BYTES + position]);
        edits.push(edited);
    };
    let flip = |byte| byte ^ 1;
    edit(0, &flip);
    edit(1, &flip);
    for field in fields_of(record) {
        match record[field.start] {
            // Nil becomes a yes, a yes a no.
            0xc0 => edit(field.start, &|_| 0xc3),
            0xc2 | 0xc3 => edit(field.start, &flip),
            _ if field.content == field.end => edit(field.start, &|_| 0xc0),
            _ => {
                edit(field.content, &flip);
                edit(field.end - 1, &flip);
            }
        }
    }
    edits
}

/// The sealed values in a record.
fn sealed_in(record: &[u8]) -> Vec<Vec<u8>> {
    if record.is_empty() {
        return Vec::new();
    }
    let contents = fields_of(record)
        .into_iter()
        .map(|field| &record[field.content..field.end]);
    // The format, and the number of the one key that there is.
    let sealed = contents.filter(|content| content.len() >= 31 && content[..3] == [1, 0, 1]);
    sealed.map(<[u8]>::to_vec).collect()
}

/// The record with another sealed value in the place of one.
fn with_sealed(record: &[u8], sealed: &[u8], other: &[u8]) -> Vec<u8> {
    let fields = fields_of(record);
    let mut places = fields
        .iter()
        .filter(|field| record[field.content..field.end] == *sealed);
    let place = places.next().unwrap();
    let length = u16::try_from(other.len()).unwrap().to_be_bytes();
    [
        &record[..place.start],
        &[0xc5],
        &length,
        other,
        &record[place.end..],
    ]
    .concat()
}

/// Where a value of a record is that is no list and no map.
struct Field {
    start: usize,
    content: usize,
    end: usize,
}

/// All such values: `MessagePack` says of each what it is and how long.
fn fields_of(record: &[u8]) -> Vec<Field> {
    let (mut fields, mut start) = (Vec::new(), 2);
    let number = |from: usize, bytes: usize| {
        let digits = record[from..from + bytes].iter();
        digits.fold(0, |number, byte| number * 256 + usize::from(*byte))
    };
    while start < record.len() {
        let (head, length) = match record[start] {
            // What lists and maps hold comes behind them.
            0x80..=0x9f => (1, None),
            0xdc | 0xde => (3, None),
            0xdd | 0xdf => (5, None),
            0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => (0, Some(1)),
            first @ 0xa0..=0xbf => (1, Some(usize::from(first & 0x1f))),
            0xc4 | 0xd9 => (2, Some(number(start + 1, 1))),
            0xc5 | 0xda => (3, Some(number(start + 1, 2))),
            0xcc | 0xd0 => (1, Some(1)),
            0xcd | 0xd1 => (1, Some(2)),
            0xca | 0xce | 0xd2 => (1, Some(4)),
            0xcb | 0xcf | 0xd3 => (1, Some(8)),
            other => panic!("{other:#x} at {start}"),
        };
        let content = start + head;
        let end = content + length.unwrap_or(0);
        if length.is_some() {
            fields.push(Field { start, content, end });
        }
        start = end;
    }
    assert_eq!(start, record.len());
    fields
}
