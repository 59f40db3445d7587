//! The audit log beside what clients were answered: every change once, and a chain that holds.

use std::collections::{BTreeMap, BTreeSet};

use countersign::app::App;
use countersign::domain::audit::{AuditEntry, AuditOutcome, ChangeKind};
use countersign::domain::challenge::{Challenge, Outcome};
use countersign::domain::factor::Factor;
use countersign::domain::sid::AccountSid;
use countersign::flows::audit::verify::{ChainPosition, follow};
use countersign::store::keys::{self, KeyParts};
use countersign::store::records::decode;
use countersign::store::{Entry, Order, Scan};

/// Checks that what is in the store and what was `answered` (by the identifiers of requests) has one entry each, and no challenge's
/// end has one that it did not have.
pub(super) async fn check_audit(app: &App, answered: &BTreeMap<String, String>) {
    let mut requests: BTreeMap<String, usize> = BTreeMap::new();
    let mut ends: BTreeMap<(String, AuditOutcome), usize> = BTreeMap::new();
    let mut created: BTreeMap<String, usize> = BTreeMap::new();
    let mut accounts: BTreeSet<AccountSid> = BTreeSet::new();
    for (key, entry) in stored(app, b"A").await {
        let Some(KeyParts::AuditEntry(account, _)) = KeyParts::parse(&key) else {
            panic!("{key:?} is no key of an audit entry");
        };
        accounts.insert(account);
        let entry: AuditEntry = decode(&entry.value).unwrap();
        if let Some(request) = &entry.request {
            let id = format!("RQ{:032x}", u128::from_be_bytes(request.id));
            *requests.entry(id).or_default() += 1;
        }
        let challenge = entry
            .decision
            .as_ref()
            .and_then(|decision| decision.subject.challenge);
        if let (Some(challenge), outcome @ (AuditOutcome::Approved | AuditOutcome::Denied)) =
            (challenge, entry.outcome())
        {
            *ends.entry((challenge.to_string(), outcome)).or_default() += 1;
        }
        for change in entry.changes {
            if change.change == ChangeKind::Created {
                *created.entry(change.what).or_default() += 1;
            }
        }
    }
    let twice: Vec<_> = requests.iter().filter(|(_, count)| **count != 1).collect();
    assert!(twice.is_empty(), "told of more than once: {twice:?}");
    let missing: Vec<_> = answered
        .iter()
        .filter(|(id, _)| !requests.contains_key(*id))
        .collect();
    assert!(missing.is_empty(), "answered and never told of: {missing:?}");

    let mut ended = BTreeMap::new();
    for (key, entry) in stored(app, b"e").await {
        match KeyParts::parse(&key) {
            Some(KeyParts::Challenge(_, sid)) => {
                let challenge: Challenge = decode(&entry.value).unwrap();
                let outcome = match challenge.outcome {
                    Outcome::Approved(_) => AuditOutcome::Approved,
                    Outcome::Denied(_) => AuditOutcome::Denied,
                    Outcome::Expired | Outcome::Pending => continue,
                };
                ended.insert((sid.to_string(), outcome), 1);
            }
            Some(parts @ KeyParts::Factor(..)) => {
                let _factor: Factor = decode(&entry.value).unwrap();
                assert_eq!(created.get(&parts.to_string()), Some(&1), "{parts}");
            }
            _ => {}
        }
    }
    assert_eq!(
        ends, ended,
        "ends of challenges as they are told of, and as they are"
    );
    let mut entries = 0;
    for account in accounts {
        let mut position = ChainPosition::default();
        loop {
            let part = follow(app, account, position).await.unwrap();
            assert!(part.problems.is_empty(), "{:?}", part.problems);
            entries += part.entries;
            position = part.position;
            if part.is_last {
                break;
            }
        }
        let head = app.store.get(keys::audit_head(account).bytes()).await.unwrap();
        assert!(head.is_some() || entries == 0);
    }
    eprintln!(
        "{} requests are in the audit log, {} of those that were answered; {entries} entries are sealed",
        requests.len(),
        answered.len()
    );
}

async fn stored(app: &App, prefix: &[u8]) -> Vec<(Vec<u8>, Entry)> {
    let scan = Scan {
        prefix: prefix.to_vec(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    app.store.scan(scan).await.unwrap()
}
