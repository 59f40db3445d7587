//! Everything that the store holds.

use countersign::domain::audit::{AuditEntry, Author};
use countersign::domain::challenge::Challenge;
use countersign::domain::entity::Entity;
use countersign::domain::events::OutboxRow;
use countersign::domain::factor::Factor;
use countersign::store::keys::{self, KeyParts};
use countersign::store::records::{Record, decode};
use countersign::store::{Entry, Order, Scan};

use super::TestApp;

/// Keys and entries, versions included: a write that changes nothing shows, too.
pub(crate) type Dump = Vec<(Vec<u8>, Entry)>;

impl TestApp {
    /// Everything that the store holds.
    pub(crate) async fn dump(&self) -> Dump {
        self.scan(Vec::new()).await
    }

    /// Everything but the entries of the audit log, which stay when what they tell of is gone.
    pub(crate) async fn dump_unaudited(&self) -> Dump {
        let mut dump = self.dump().await;
        dump.retain(|(key, _)| !matches!(KeyParts::parse(key), Some(KeyParts::AuditEntry(..))));
        dump
    }

    /// Finds that something was decided, each time in a request of `dialect` by somebody who is known.
    pub(crate) async fn assert_audited(&self, dialect: &str) {
        let entries = self.scan(b"A".to_vec()).await;
        let entries = entries
            .iter()
            .map(|(_, entry)| decode::<AuditEntry>(&entry.value).unwrap());
        let decided: Vec<_> = entries.filter(|entry| entry.decision.is_some()).collect();
        assert!(!decided.is_empty(), "nothing was told of");
        for entry in decided {
            let request = entry.request.as_ref().map(|request| request.dialect.as_str());
            assert_eq!(request, Some(dialect), "{entry:?}");
            assert!(
                !matches!(entry.author, Author::Server | Author::Unknown),
                "{entry:?}"
            );
        }
    }

    /// Everything whose key begins with `prefix`.
    pub(crate) async fn scan(&self, prefix: Vec<u8>) -> Dump {
        let scan = Scan {
            prefix,
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        self.app.store.scan(scan).await.unwrap()
    }

    /// The factor's record.
    pub(crate) async fn factor(&self, sid: &str) -> Factor {
        let records = self.records_below_entities().await;
        records
            .into_iter()
            .find(|factor: &Factor| factor.sid.to_string() == sid)
            .unwrap()
    }

    /// The challenge's record.
    pub(crate) async fn challenge(&self, sid: &str) -> Challenge {
        let records = self.records_below_entities().await;
        records
            .into_iter()
            .find(|challenge: &Challenge| challenge.sid.to_string() == sid)
            .unwrap()
    }

    /// The entity's record.
    pub(crate) async fn entity(&self, sid: &str) -> Entity {
        let records = self.records_below_entities().await;
        records
            .into_iter()
            .find(|entity: &Entity| entity.sid.to_string() == sid)
            .unwrap()
    }

    /// The rows that wait to be sent.
    pub(crate) async fn outbox(&self) -> Vec<OutboxRow> {
        let rows = self.scan(keys::lanes()).await;
        rows.iter()
            .map(|(_, entry)| decode(&entry.value).unwrap())
            .collect()
    }

    async fn records_below_entities<T: Record>(&self) -> Vec<T> {
        let entries = self.scan(b"e".to_vec()).await;
        entries
            .iter()
            .filter_map(|(_, entry)| decode(&entry.value).ok())
            .collect()
    }
}
