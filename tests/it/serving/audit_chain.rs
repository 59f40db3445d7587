//! A long audit log is verified, and goes when it is old, in as much memory as a short one.

use std::io::Read as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;
use tempfile::TempDir;

use super::process::{Process, command, stdout_of};
use crate::doubles::TestParts;
use crate::support::number_from;
use crate::support::stores::sled_in;
use countersign::crypto::key_ring::KeyRing;
use countersign::crypto::master_key::MasterKey;
use countersign::crypto::vault::Vault;
use countersign::domain::audit::{
    AuditAct, AuditDecision, AuditEntry, AuditOutcome, AuditRequest, AuditSubject, Author,
};
use countersign::domain::sid::{AccountSid, ApiKeySid, AuditSid, FactorSid, ServiceSid};
use countersign::domain::text::Identity;
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::flows::audit::seal::{Round, note_all, round};
use countersign::store::authentic::read_unverified;
use countersign::store::{Batch, keys};

/// What a server of long ago has written and sealed, of which the time to be kept is over, in a store that a command has made.
async fn fill(data: &Path, count: usize) -> String {
    let account = stdout_of(data, &["account", "create", "--name", "Shop", "--json"]);
    let account: Value = serde_json::from_str(&account).unwrap();
    let account = account["sid"].as_str().unwrap().to_owned();
    let engine = sled_in(&data.join("store"));
    let key = std::fs::read_to_string(data.join("master.key")).unwrap();
    let ring = read_unverified(engine.as_ref(), &keys::key_ring()).await.unwrap();
    let ring = KeyRing::open(ring.unwrap(), &MasterKey::parse(key.trim()).unwrap()).unwrap();
    let app = TestParts {
        store: engine,
        clock: Arc::new(SystemClock),
        vault: Arc::new(Vault::new(&ring)),
        ..TestParts::default()
    }
    .wire();
    let (day, owner) = (Duration::from_hours(24), account.parse::<AccountSid>().unwrap());
    let begun = SystemClock.now().before(100 * day);
    for first in (0..count).step_by(TOGETHER) {
        let mut batch = Batch::new();
        for number in first..count.min(first + TOGETHER) {
            let moment = begun + Duration::from_millis(number as u64);
            let mut sid = [7; 16];
            sid[..6].copy_from_slice(&moment.millis().to_be_bytes()[2..]);
            let key = keys::audit_entry(owner, AuditSid::from_bytes(sid));
            let put = batch.put_new_record_until(key, &entry(number), moment + 90 * day);
            batch = put.unwrap();
        }
        app.store.commit(batch).await.unwrap();
    }
    note_all(&app).await.unwrap();
    while round(&app).await.unwrap() == Round::HasMore {}
    app.store.close().await.unwrap();
    account
}

fn entry(number: usize) -> AuditEntry {
    AuditEntry {
        author: Author::ApiKey(ApiKeySid::from_bytes([1; 16])),
        request: Some(AuditRequest {
            id: (number as u128).to_be_bytes(),
            dialect: "twilio".to_owned(),
            address: "192.0.2.1".to_owned(),
            agent: Some("twilio-python/9.4.1 (Linux x86_64) Python/3.11.2".to_owned()),
        }),
        decision: Some(AuditDecision {
            act: AuditAct::CheckCode,
            subject: AuditSubject {
                service: Some(ServiceSid::from_bytes([2; 16])),
                identity: Some(Identity::parse(&format!("user-{number:08}")).unwrap()),
                factor: Some(FactorSid::from_bytes([3; 16])),
                ..AuditSubject::default()
            },
            outcome: AuditOutcome::Approved,
            reason: None,
        }),
        changes: Vec::new(),
        unwritten: 0,
    }
}

const TOGETHER: usize = 1000;

/// What a command shows while no server runs, and the most memory that it has had, in bytes.
fn run_alone(data: &Path, arguments: &[&str]) -> (Vec<u8>, u64) {
    let mut running = command(data, arguments)
        .env("COUNTERSIGN_CACHE_BYTES", CACHE)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdout = running.stdout.take().unwrap();
    let shown = std::thread::spawn(move || {
        let mut shown = Vec::new();
        stdout.read_to_end(&mut shown).unwrap();
        shown
    });
    let mut most = 0;
    let status = loop {
        if let Some(status) = running.try_wait().unwrap() {
            break status;
        }
        // There is none once it has ended.
        let status = std::fs::read_to_string(format!("/proc/{}/status", running.id())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        most = most.max(1024 * kilobytes.unwrap_or_default());
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(status.success(), "{arguments:?}: {status}");
    (shown.join().unwrap(), most)
}

/// Has a server reclaim what is old, and verifies meanwhile, until all is gone; the most memory that it has had, in bytes.
fn rotate(data: &Path, account: &str) -> u64 {
    let variables = [("COUNTERSIGN_LOG", "warn"), ("COUNTERSIGN_CACHE_BYTES", CACHE)];
    let server = Process::start_with(data, &[], &variables);
    loop {
        let found = stdout_of(data, &["audit", "verify", "--json", "--account", account]);
        let found: Value = serde_json::from_str(&found).unwrap();
        assert_eq!(
            found["problems"],
            Value::Array(vec![]),
            "what goes by age is no gap"
        );
        // That the account was created is not old.
        if found["sealed"].as_u64().unwrap() + found["unsealed"].as_u64().unwrap() == 1 {
            break;
        }
    }
    let most = server.most_memory();
    assert_eq!(server.rest_after_sigterm(), "");
    most
}

const CACHE: &str = "4194304";

/// SECURITY.md, row 35: the log is rotated in constant memory. `COUNTERSIGN_TEST_AUDIT` says how long it is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[expect(clippy::print_stdout, reason = "the figures of a run by hand (`--nocapture`)")]
async fn a_long_log_takes_no_more_memory_than_a_short_one() {
    let long = number_from("COUNTERSIGN_TEST_AUDIT", 100_000);
    let short = long / 10;
    let mut most = Vec::new();
    for count in [short, long] {
        let directory = TempDir::new().unwrap();
        let data = directory.path();
        let account = fill(data, count).await;
        // The engine has a cache, and takes more memory for more pages: an export reads as many, and holds none of them.
        let (_, exported) = run_alone(data, &["store", "export", "--to", "-"]);
        let (found, verified) = run_alone(data, &["audit", "verify", "--json", "--account", &account]);
        let found: Value = serde_json::from_slice(&found).unwrap();
        // One tells that the account was created, and has settled if the machine is slow.
        let all = found["sealed"].as_u64().unwrap() + found["unsealed"].as_u64().unwrap();
        assert_eq!(all, count as u64 + 1, "{found}");
        assert_eq!(found["problems"], Value::Array(vec![]), "{found}");
        let rotated = rotate(data, &account);
        println!(
            "{count} entries: {verified} bytes to verify and {rotated} to reclaim, {exported} to export"
        );
        most.push([verified, rotated].map(|bytes| bytes.saturating_sub(exported)));
    }
    // Each entry has 300 bytes where it is stored, and more in memory.
    let room = (long - short) as u64 * 100;
    for (short, long) in most[0].into_iter().zip(most[1]) {
        assert!(long < short + room, "{most:?}");
    }
}
