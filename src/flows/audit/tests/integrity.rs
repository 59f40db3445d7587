//! What no server of the store wrote is told of.

use super::super::integrity::record_forged;
use super::*;

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

impl AuditWorld {
    /// All that is stored of the account's log, as it is now.
    async fn log(&self) -> Vec<(Vec<u8>, Entry)> {
        let mut all = Vec::new();
        for prefix in [
            keys::audit_entries(self.account).bytes(),
            keys::audit_seals(self.account).bytes(),
            keys::audit_head(self.account).bytes(),
        ] {
            let scan = Scan {
                prefix: prefix.to_vec(),
                after: None,
                order: Order::Ascending,
                limit: usize::MAX,
            };
            all.extend(self.app.engine.scan(scan).await.unwrap());
        }
        all
    }

    /// What the account is told of its log's integrity.
    async fn told_of_integrity(&self) -> Vec<String> {
        let entries = self.entries().await.into_iter();
        let decisions = entries.filter_map(|entry| entry.decision);
        let of_integrity = decisions.filter(|decision| decision.act == AuditAct::Integrity);
        of_integrity.filter_map(|decision| decision.reason).collect()
    }
}

/// Somebody has a copy of an account's log, valid MACs and all, and puts it back over a later one while a server runs; or takes the
/// whole log away. Other accounts go on.
#[tokio::test]
async fn a_log_that_is_put_back_or_taken_away_under_a_running_server_is_noticed() {
    for keeps in [true, false] {
        let world = AuditWorld::new(AuditDetail::Decisions).await;
        let other = world.another().await;
        world.fill(20).await;
        world.seal().await;
        let copy = if keeps { world.log().await } else { Vec::new() };
        world.fill(20).await;
        other.fill(20).await;
        world.seal().await;
        assert_eq!(world.verify().await.2, [""; 0]);

        let now = world.log().await;
        let emptied = now
            .into_iter()
            .fold(Batch::new(), |batch, (key, _)| batch.delete(key));
        world.app.engine.commit(emptied).await.unwrap();
        let put = |batch: Batch,
                   (
            key,
            Entry {
                value, expires_at, ..
            },
        )| match expires_at {
            Some(end) => batch.put_until(key, value, end),
            None => batch.put(key, value),
        };
        let put_back = copy.into_iter().fold(Batch::new(), put);
        world.app.engine.commit(put_back).await.unwrap();
        for _ in 0..3 {
            world.fill(3).await;
            other.fill(3).await;
            world.clock.advance(SETTLED + Duration::from_secs(1));
            assert!(round(&world.app).await.is_err());
            record_forged(&world.app).await;
        }
        let (_, unsealed, problems) = world.verify().await;
        assert!(unsealed >= 9 && !problems.is_empty(), "{unsealed}, {problems:?}");
        let told = world.told_of_integrity().await;
        assert!(
            matches!(&*told, [one] if one.contains("head of the audit log")),
            "{told:?}"
        );
        assert_eq!(other.verify().await, (30, 0, vec![]));
    }
}
