//! Whoever is let in, refused or changes something is found in the log; and whoever changes the log is found out.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::integrity::record_forged;
use super::list::{AuditFilter, page};
use super::seal::round;
use super::verify::{ChainPosition, follow};
use super::*;
use crate::app::App;
use crate::crypto::totp::{TotpSecret, code_at};
use crate::domain::audit::{
    AuditAct, AuditDetail, AuditEntry, AuditOutcome, AuditRequest, Author, MOST_SEALED, SETTLED,
};
use crate::domain::entity::EntityName;
use crate::domain::service::ServiceChanges;
use crate::domain::sid::{AccountSid, AuditSid, FactorSid, ServiceSid};
use crate::domain::text::{FriendlyName, Identity, ServiceName};
use crate::doubles::{ManualClock, TestParts};
use crate::flows::factor::{EnrolmentProof, FactorChanges, NewTotpFactor, create_totp, update};
use crate::flows::reading::Foreseen;
use crate::flows::{access, account, service, sweep};
use crate::memory::audit::MOST_REFUSALS;
use crate::store::{Batch, Entry, Order, Scan, Version, keys};

struct AuditWorld {
    app: App,
    clock: Arc<ManualClock>,
    account: AccountSid,
    token: String,
}

impl AuditWorld {
    async fn new(detail: AuditDetail) -> Self {
        let clock = Arc::new(ManualClock::new(crate::domain::time::Timestamp::from_seconds(
            1_800_000_000,
        )));
        let mut parts = TestParts {
            clock: clock.clone(),
            ..TestParts::default()
        };
        parts.policy.audit_detail = detail;
        let app = parts.wire();
        let new = account::create(&app, FriendlyName::parse("Acme").unwrap())
            .await
            .unwrap();
        Self {
            account: new.account.sid,
            token: new.token.reveal().to_owned(),
            app,
            clock,
        }
    }

    /// Does something as a request of the account.
    async fn request<T>(&self, work: impl Future<Output = T>) -> T {
        let request = AuditRequest {
            id: [7; 16],
            dialect: String::new(),
            address: "192.0.2.1".to_owned(),
            agent: None,
        };
        within(AuditScope::of_request(request), async {
            note_dialect("example");
            note_author(self.account, Author::Account);
            work.await
        })
        .await
    }

    async fn all(&self, filter: &AuditFilter) -> Vec<(AuditSid, AuditEntry)> {
        let found = page(&self.app, self.account, filter, Order::Ascending, None, 1000).await;
        found.unwrap().entries
    }

    async fn entries(&self) -> Vec<AuditEntry> {
        let all = self.all(&AuditFilter::default()).await;
        all.into_iter().map(|(_, entry)| entry).collect()
    }

    /// Entries that say nothing of interest.
    async fn fill(&self, count: usize) {
        for number in 0..count {
            self.request(async {
                note_subject(AuditAct::CheckCode, Default::default);
                decide(AuditOutcome::Approved, || Some(number.to_string()));
                // Something has to be committed that they go with.
                let key = keys::service_count(self.account).into_bytes();
                let batch = Batch::new().put(key, vec![1]);
                crate::flows::reading::Reading::new(&self.app)
                    .commit(batch)
                    .await
                    .unwrap();
            })
            .await;
            self.clock.advance(Duration::from_millis(10));
        }
    }

    async fn seal(&self) {
        self.clock.advance(SETTLED + Duration::from_secs(1));
        round(&self.app).await.unwrap();
    }

    /// How many entries are as they were sealed and how many are not sealed, and what is wrong.
    async fn verify(&self) -> (u64, u64, Vec<String>) {
        let (mut position, mut entries, mut unsealed, mut problems) =
            (ChainPosition::default(), 0, 0, Vec::new());
        loop {
            let part = follow(&self.app, self.account, position).await.unwrap();
            entries += part.entries;
            unsealed += part.unsealed;
            problems.extend(part.problems);
            position = part.position;
            if part.is_last {
                return (entries, unsealed, problems);
            }
        }
    }

    async fn stored(&self, prefix: &[u8]) -> Vec<(Vec<u8>, Entry)> {
        let scan = Scan {
            prefix: prefix.to_vec(),
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        self.app.store.scan(scan).await.unwrap()
    }

    async fn write(&self, batch: Batch) {
        self.app.store.commit(batch).await.unwrap();
    }

    async fn delete(&self, key: &[u8]) {
        self.write(Batch::new().delete(key.to_vec())).await;
    }

    async fn put(&self, key: &[u8], entry: &Entry) {
        self.write(Batch::new().put_until(key.to_vec(), entry.value.clone(), entry.expires_at.unwrap()))
            .await;
    }
}

async fn enrolled(world: &AuditWorld) -> (EntityName, FactorSid, TotpSecret) {
    let app = &world.app;
    let service = world
        .request(Box::pin(service::create(
            app,
            world.account,
            ServiceName::parse("Shop").unwrap(),
            ServiceChanges::default(),
        )))
        .await
        .unwrap();
    let name = EntityName {
        service: service.sid,
        identity: Identity::parse("user-0001").unwrap(),
    };
    let new = NewTotpFactor {
        friendly_name: FriendlyName::parse("Phone").unwrap(),
        secret: None,
        algorithm: None,
        skew: None,
        code_length: None,
        time_step: None,
        metadata: None,
    };
    let enrolled = world
        .request(Box::pin(create_totp(app, world.account, None, &name, new)))
        .await
        .unwrap();
    let secret = TotpSecret::from_base32(&enrolled.secret()).unwrap();
    (name, enrolled.factor.sid, secret)
}

struct NoKey;

impl crate::domain::factor::KeyProof for NoKey {
    fn is_signed(&self, _: FactorSid, _: &crate::domain::opaque::DevicePublicKey) -> bool {
        false
    }
}

async fn give(world: &AuditWorld, name: &EntityName, factor: FactorSid, code: &str) {
    let proof = EnrolmentProof { code, key: &NoKey };
    let actor = access::Actor::Account(world.account);
    let _outcome = world
        .request(Box::pin(update(
            &world.app,
            actor,
            name,
            factor,
            FactorChanges::default(),
            Some(proof),
        )))
        .await;
}

/// The story of a user whose code was refused, as it can be read afterwards.
#[tokio::test]
async fn who_did_what_and_why_it_was_refused_is_told() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let (name, factor, secret) = enrolled(&world).await;
    let step = world.app.clock.now().seconds() / 30;
    let code = |step: u64| {
        code_at(
            &secret,
            crate::domain::totp_algorithm::TotpAlgorithm::Sha1,
            6,
            step,
        )
        .unwrap()
    };
    give(&world, &name, factor, code(step - 5).reveal()).await;
    give(&world, &name, factor, "nonsense").await;
    give(&world, &name, factor, code(step).reveal()).await;
    give(&world, &name, factor, code(step).reveal()).await;
    let entries = world.entries().await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let changes: Vec<_> = entry
                .changes
                .iter()
                .map(|change| format!("{} {}", change.change.name(), change.what))
                .collect();
            let decision = entry.decision.as_ref();
            let reason = decision.and_then(|decision| decision.reason.clone());
            (
                entry.author.to_string(),
                entry.outcome().name(),
                reason.unwrap_or_default(),
                changes,
            )
        })
        .collect();
    let expect = |number: usize, author: &str, outcome: &str, why: &str, change: &str| {
        let (by, ended, reason, changes) = &told[number];
        assert_eq!((by.as_str(), *ended), (author, outcome), "{told:#?}");
        assert!(reason.contains(why), "{told:#?}");
        assert!(change.is_empty() == changes.is_empty(), "{told:#?}");
        assert!(
            changes.iter().any(|what| what.contains(change)) || change.is_empty(),
            "{told:#?}"
        );
    };
    expect(0, "server", "done", "", "created account");
    expect(1, "account", "done", "", "created service");
    expect(2, "account", "done", "", &format!("created factor {factor}"));
    expect(3, "account", "refused", "outside the window by -4 time steps", "");
    expect(4, "account", "refused", "length", "");
    expect(5, "account", "approved", "", "");
    expect(6, "account", "refused", "verified", "");
    assert_eq!(told.len(), 7, "{told:#?}");
    let asked = entries[3].request.as_ref().unwrap();
    assert_eq!(
        (asked.dialect.as_str(), asked.address.as_str(), asked.id),
        ("example", "192.0.2.1", [7; 16])
    );
    let decision = entries[5].decision.as_ref().unwrap();
    assert_eq!(decision.act, AuditAct::CheckCode);
    assert_eq!(decision.subject.factor, Some(factor));
    assert_eq!(decision.subject.service, Some(name.service));

    let found = async |filter: AuditFilter| world.all(&filter).await.len();
    let by_factor = AuditFilter {
        factor: Some(factor),
        ..AuditFilter::default()
    };
    assert_eq!(found(by_factor.clone()).await, 5);
    let refused = AuditFilter {
        outcome: Some(AuditOutcome::Refused),
        ..by_factor
    };
    assert_eq!(found(refused).await, 3);
    let identity = |text: &str| AuditFilter {
        identity: Some(text.to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(
        (
            found(identity("user-0001")).await,
            found(identity("user-0002")).await
        ),
        (5, 0)
    );
    let now = world.app.clock.now();
    let late = AuditFilter {
        since: Some(now + Duration::from_secs(1)),
        ..AuditFilter::default()
    };
    let early = AuditFilter {
        until: Some(now),
        ..AuditFilter::default()
    };
    assert_eq!((found(late).await, found(early).await), (0, 0));
}

#[tokio::test]
async fn nothing_is_written_when_it_is_off_and_every_change_when_all_are_asked_for() {
    let world = AuditWorld::new(AuditDetail::Off).await;
    let _enrolled = enrolled(&world).await;
    assert!(world.entries().await.is_empty());

    let world = AuditWorld::new(AuditDetail::All).await;
    let (name, factor, secret) = enrolled(&world).await;
    let step = world.app.clock.now().seconds() / 30;
    let code = code_at(
        &secret,
        crate::domain::totp_algorithm::TotpAlgorithm::Sha1,
        6,
        step,
    )
    .unwrap();
    give(&world, &name, factor, code.reveal()).await;
    let entries = world.entries().await;
    let last = entries.last().unwrap();
    assert_eq!(last.outcome(), AuditOutcome::Approved);
    assert!(
        last.changes.iter().any(|change| change.what.contains("factor")),
        "{last:?}"
    );
}

/// Whoever is refused must not fill the disk with it, nor learn which accounts there are.
#[tokio::test]
async fn refusals_are_written_up_to_a_bound_and_strangers_once_in_a_while() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let no_service = EntityName {
        service: ServiceSid::from_bytes([9; 16]),
        identity: Identity::parse("user-0001").unwrap(),
    };
    let before = world.entries().await.len();
    for _ in 0..MOST_REFUSALS + 7 {
        give(&world, &no_service, FactorSid::from_bytes([9; 16]), "123456").await;
    }
    assert_eq!(world.entries().await.len(), before + MOST_REFUSALS as usize);
    world.clock.advance(Duration::from_secs(1));
    give(&world, &no_service, FactorSid::from_bytes([9; 16]), "123456").await;
    assert_eq!(world.entries().await.last().unwrap().unwritten, 7);

    let count = world.entries().await.len();
    let (ours, nobodys) = (
        world.account.to_string(),
        AccountSid::from_bytes([9; 16]).to_string(),
    );
    for (user, password) in [
        (&ours, "wrong"),
        (&ours, "wrong again"),
        (&ours, world.token.as_str()),
        (&nobodys, "wrong"),
    ] {
        let request = AuditRequest {
            id: [8; 16],
            dialect: "example".to_owned(),
            address: "192.0.2.9".to_owned(),
            agent: Some("x".to_owned()),
        };
        let asked = access::authenticate(&world.app, user, password, |_| Foreseen::default());
        let _outcome = within(AuditScope::of_request(request), asked).await;
    }
    assert_eq!(
        world.entries().await.len(),
        count,
        "nobody waits for it to be written"
    );
    strangers::record_strangers(&world.app).await;
    strangers::record_strangers(&world.app).await;
    let entries = world.entries().await;
    assert_eq!(entries.len(), count + 1);
    let last = entries.last().unwrap();
    assert_eq!(
        (&last.author, last.unwritten, last.outcome()),
        (&Author::Unknown, 1, AuditOutcome::Refused)
    );
    assert_eq!(last.request.as_ref().unwrap().address, "192.0.2.9");
    // Whoever names an account that there is not is told of beside all accounts.
    let found = page(
        &world.app,
        NOBODY,
        &AuditFilter::default(),
        Order::Ascending,
        None,
        10,
    )
    .await;
    let [(_, entry)] = &*found.unwrap().entries else {
        panic!("one entry");
    };
    assert_eq!((&entry.author, entry.unwritten), (&Author::Unknown, 0));
}

/// Each way to change what was written, and each is found.
#[tokio::test]
async fn deleting_editing_and_reordering_are_found() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.fill(MOST_SEALED + 50).await;
    assert_eq!(world.verify().await, (0, MOST_SEALED as u64 + 51, vec![]));
    world.seal().await;
    world.fill(30).await;
    world.seal().await;
    world.fill(5).await;
    let whole = (MOST_SEALED as u64 + 81, 5, vec![]);
    assert_eq!(world.verify().await, whole);

    let entries = world.stored(keys::audit_entries(world.account).bytes()).await;
    let seals = world.stored(keys::audit_seals(world.account).bytes()).await;
    let head = keys::audit_head(world.account).into_bytes();
    assert_eq!((entries.len(), seals.len()), (MOST_SEALED + 86, 3));
    let mut found = BTreeSet::new();
    for number in [0, 1, MOST_SEALED - 1, MOST_SEALED, MOST_SEALED + 80] {
        let (key, entry) = &entries[number];
        world.delete(key).await;
        found.insert(world.verify().await.2.join("; "));
        let (other_key, other) = &entries[(number + 7) % MOST_SEALED];
        // Another one in its place, and the two the other way round.
        world.put(key, other).await;
        found.insert(world.verify().await.2.join("; "));
        world.put(other_key, entry).await;
        found.insert(world.verify().await.2.join("; "));
        world.put(other_key, other).await;
        world.put(key, entry).await;
        // One more between them.
        let mut between = key.clone();
        let last = between.len() - 8;
        let before = u64::from_be_bytes(between[last..].try_into().unwrap()) - 1;
        between[last..].copy_from_slice(&before.to_be_bytes());
        world.put(&between, entry).await;
        found.insert(world.verify().await.2.join("; "));
        world.delete(&between).await;
        assert_eq!(world.verify().await, whole);
    }
    assert!(!found.contains(""), "{found:#?}");
    for number in 0..seals.len() {
        let (key, seal) = &seals[number];
        world.delete(key).await;
        assert!(!world.verify().await.2.is_empty(), "seal {number} is missing");
        world.put(key, &seals[(number + 1) % seals.len()].1).await;
        assert!(!world.verify().await.2.is_empty(), "seal {number} is another");
        world.put(key, seal).await;
    }
    // The end of the chain cut off: the last seal with its entries and all behind it.
    let (key, seal) = &seals[2];
    world.delete(key).await;
    for (key, _) in &entries[MOST_SEALED + 51..] {
        world.delete(key).await;
    }
    assert!(!world.verify().await.2.is_empty());
    for (key, entry) in &entries {
        world.put(key, entry).await;
    }
    world.put(key, seal).await;
    assert_eq!(world.verify().await, whole);
    let kept = world.app.store.get(&head).await.unwrap().unwrap();
    world.delete(&head).await;
    assert!(!world.verify().await.2.is_empty());
    world.write(Batch::new().put(head, kept.value)).await;
    assert_eq!(world.verify().await, whole);
}

/// What ends by age is no gap, and what is taken away before is one.
#[tokio::test]
async fn what_was_kept_long_enough_goes_without_a_gap() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    for _ in 0..3 {
        world.fill(40).await;
        world.seal().await;
        world.clock.advance(Duration::from_hours(24));
    }
    let retention = world.app.policy.audit_retention;
    world
        .clock
        .advance(retention.checked_sub(Duration::from_hours(60)).unwrap());
    while sweep::round(&world.app).await.unwrap() > 0 {}
    let (entries, unsealed, problems) = world.verify().await;
    assert_eq!((entries, unsealed, problems), (80, 0, vec![]));
    let seals = world.stored(keys::audit_seals(world.account).bytes()).await;
    assert_eq!(seals.len(), 2);
    world.delete(&seals[0].0).await;
    for (key, _) in &world.stored(keys::audit_entries(world.account).bytes()).await[..40] {
        world.delete(key).await;
    }
    let (_, _, problems) = world.verify().await;
    assert!(problems[0].contains("not to be reclaimed yet"), "{problems:?}");
    world.clock.advance(retention);
    while sweep::round(&world.app).await.unwrap() > 0 {}
    assert_eq!(world.verify().await, (0, 0, vec![]));
}

/// A clock that was ahead and was set right makes entries that come before those that are sealed: they are put behind them.
#[tokio::test]
async fn entries_after_a_clock_was_set_back_stand_behind_what_is_sealed() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.clock.advance(Duration::from_hours(5));
    world.fill(10).await;
    world.seal().await;
    let back = world.app.clock.now().before(Duration::from_hours(5));
    let parts = TestParts {
        clock: Arc::new(ManualClock::new(back)),
        ..TestParts::of(&world.app)
    };
    let after = AuditWorld {
        app: parts.wire(),
        clock: Arc::new(ManualClock::new(back)),
        account: world.account,
        token: world.token.clone(),
    };
    seal::note_all(&after.app).await.unwrap();
    after.fill(3).await;
    assert_eq!(after.verify().await, (11, 3, vec![]));
}

/// Two servers that seal the same entries make one chain.
#[tokio::test]
async fn two_servers_seal_one_chain() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.fill(MOST_SEALED + 20).await;
    let other = TestParts::of(&world.app).wire();
    seal::note_all(&other).await.unwrap();
    world.clock.advance(SETTLED * 2);
    let (one, two) = tokio::join!(round(&world.app), round(&other));
    one.and(two).unwrap();
    assert_eq!(world.verify().await, (MOST_SEALED as u64 + 21, 0, vec![]));
    let _versions: Version = world.stored(keys::audit_seals(world.account).bytes()).await[0]
        .1
        .version;
}

#[tokio::test]
async fn an_entry_that_somebody_else_wrote_is_told_of_once() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let key = keys::account(world.account).into_bytes();
    let there = world.app.engine.get(&key).await.unwrap().unwrap();
    let mut value = there.value;
    *value.last_mut().unwrap() ^= 1;
    world
        .app
        .engine
        .commit(Batch::new().put(key.clone(), value))
        .await
        .unwrap();
    record_forged(&world.app).await;
    let told = async || {
        let all = world.entries().await.into_iter();
        let decided = all.filter_map(|entry| Some((entry.author, entry.decision?)));
        decided.collect::<Vec<_>>()
    };
    assert_eq!(told().await, []);
    for _ in 0..3 {
        assert!(world.app.store.get(&key).await.is_err());
        record_forged(&world.app).await;
    }
    let [(author, decision)] = &*told().await else {
        panic!("one entry: {:?}", told().await);
    };
    assert_eq!(
        (author, decision.act, decision.outcome),
        (&Author::Server, AuditAct::Integrity, AuditOutcome::Refused)
    );
    let reason = decision.reason.as_deref().unwrap();
    assert!(
        reason.starts_with(&format!("account {}: its MAC is wrong", world.account)),
        "{reason}"
    );
}
