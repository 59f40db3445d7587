//! Whoever is let in, refused or changes something is found in the log; and whoever changes the log is found out.

mod chain;
mod integrity;
mod refusals;
mod sealing;
mod told;

use std::sync::Arc;
use std::time::Duration;

use super::list::{AuditFilter, WantedEntries, latest, page};
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
use crate::domain::sid::{AccountSid, AuditSid, FactorSid};
use crate::domain::text::{FriendlyName, Identity, ServiceName};
use crate::domain::time::Timestamp;
use crate::doubles::{ManualClock, TestParts};
use crate::flows::factor::{EnrolmentProof, FactorChanges, NewTotpFactor, create_totp, update};
use crate::flows::reading::{AuditParts, Reading};
use crate::flows::{access, account, service};
use crate::store::{Batch, Entry, Order, Scan, keys};

struct AuditWorld {
    app: App,
    clock: Arc<ManualClock>,
    account: AccountSid,
    token: String,
}

impl AuditWorld {
    async fn new(detail: AuditDetail) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let mut parts = TestParts {
            clock: clock.clone(),
            ..TestParts::default()
        };
        parts.policy.audit_detail = detail;
        Self::on(parts.wire(), clock).await
    }

    /// Another account of the same server.
    async fn another(&self) -> Self {
        Self::on(self.app.clone(), Arc::clone(&self.clock)).await
    }

    async fn on(app: App, clock: Arc<ManualClock>) -> Self {
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
        let (mut all, mut after) = (Vec::new(), None);
        loop {
            let found = page(&self.app, self.account, filter, Order::Ascending, after, 1000).await;
            let found = found.unwrap();
            all.extend(found.entries);
            after = found.next;
            if after.is_none() {
                return all;
            }
        }
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
                decide(AuditOutcome::Approved, || {
                    ("right_code", Some(number.to_string()))
                });
                // Something has to be committed that they go with.
                let key = keys::service_count(self.account).into_bytes();
                let batch = Batch::new().put(key, vec![1]);
                Reading::new(&self.app).commit(batch).await.unwrap();
            })
            .await;
            self.clock.advance(Duration::from_millis(10));
        }
    }

    /// Many entries at once that say nothing of interest.
    async fn flood(&self, count: usize) {
        let entry = AuditEntry {
            author: Author::Account,
            request: None,
            decision: None,
            changes: Vec::new(),
            unwritten: 0,
        };
        let parts = AuditParts::of(&self.app);
        let put = |batch: Batch, _| parts.put_entry(batch, self.account, &entry).unwrap();
        self.write((0..count).fold(Batch::new(), put)).await;
    }

    async fn seal(&self) {
        self.clock.advance(SETTLED + Duration::from_secs(1));
        while round(&self.app).await.unwrap() == seal::Round::HasMore {}
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
