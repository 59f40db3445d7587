//! Everything that the store holds.

use countersign::domain::challenge::Challenge;
use countersign::domain::entity::Entity;
use countersign::domain::events::OutboxRow;
use countersign::domain::factor::Factor;
use countersign::store::records::{Record, decode};
use countersign::store::{Entry, Order, Scan, keys};

use super::TestApp;

/// Keys and entries, versions included: a write that changes nothing shows, too.
pub(crate) type Dump = Vec<(Vec<u8>, Entry)>;

impl TestApp {
    /// Everything that the store holds.
    pub(crate) async fn dump(&self) -> Dump {
        self.scan(Vec::new()).await
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
