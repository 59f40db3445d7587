//! What the flows promise, on a store in memory and on worse ones.

mod clocks;
mod failures;
mod guessing;
mod histories;
mod key_change;
mod model;
mod plans;
mod round_trips;
mod sending;
mod sessions;
mod spellings;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Barrier;
use tokio::task::{JoinSet, yield_now};

use super::{Guess, NewVerification, Settlement, StartedVerification, VerificationName};
use crate::app::{App, Policy};
use crate::domain::attempt::Attempt;
use crate::domain::channel::Channel;
use crate::domain::destination::Destination;
use crate::domain::destination_record::DestinationRecord;
use crate::domain::fraud::settings::Settings;
use crate::domain::phone::PhoneNumber;
use crate::domain::service::ServiceChanges;
use crate::domain::sid::{AccountSid, AttemptSid, ServiceSid};
use crate::domain::text::{Attributes, FriendlyName, ServiceName};
use crate::domain::time::Timestamp;
use crate::domain::verification::tests::samples::same_code;
use crate::domain::verification::{CodePolicy, Content, Refusal, Verification, VerificationStatus};
use crate::domain::wrong_codes::WrongCodes;
use crate::doubles::{ManualClock, SeededEntropy, TestParts};
use crate::flows::code::open_code;
use crate::flows::{Error, account, service, verification};
use crate::store::memory::MemoryStore;
use crate::store::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store, StoreError,
    keys, records,
};

/// An account with a service.
#[derive(Clone)]
struct World {
    app: App,
    clock: Arc<ManualClock>,
    account: AccountSid,
    service: ServiceSid,
}

impl World {
    async fn new() -> Self {
        Self::on(Arc::new(MemoryStore::new())).await
    }

    async fn on(store: Arc<dyn Store>) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let app = TestParts {
            store,
            clock: clock.clone(),
            // What guards against toll fraud has tests of its own; an attacker who pays gets past it.
            policy: Policy {
                toll_fraud: Settings::off(),
                ..crate::doubles::policy()
            },
            ..TestParts::default()
        }
        .wire();
        let name = FriendlyName::parse("An account").unwrap();
        let account = account::create(&app, name).await.unwrap().account.sid;
        let mut world = Self {
            app,
            clock,
            account,
            service: ServiceSid::from_bytes([0; 16]),
        };
        world.service = world.another_service(ServiceChanges::default()).await;
        world
    }

    async fn another_service(&self, changes: ServiceChanges) -> ServiceSid {
        let name = ServiceName::parse("Owl Bank").unwrap();
        let service = service::create(&self.app, self.account, name, changes).await;
        service.unwrap().sid
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn start(&self, new: &NewVerification) -> Result<Verification, Error<Refusal>> {
        let started: StartedVerification =
            verification::start(&self.app, self.account, self.service, new).await?;
        Ok(started.verification)
    }

    async fn check(&self, which: &VerificationName, code: &str) -> Result<Verification, Error<Refusal>> {
        let guess = Guess {
            code: Some(code),
            ..Guess::default()
        };
        let checked = verification::check(&self.app, self.account, self.service, which, &guess).await?;
        Ok(checked.verification)
    }

    async fn fetch(&self, which: &VerificationName) -> Result<Verification, Error<Refusal>> {
        verification::fetch(&self.app, self.account, self.service, which)
            .await
            .map(|(_, verification)| verification)
    }

    async fn settle(
        &self,
        which: &VerificationName,
        settlement: Settlement,
    ) -> Result<Verification, Error<Refusal>> {
        verification::settle(&self.app, self.account, self.service, which, settlement)
            .await
            .map(|(_, verification)| verification)
    }

    /// The code that counts.
    fn code(&self, verification: &Verification) -> String {
        let last = verification.codes.last().unwrap();
        let code = open_code(&self.app, verification, last).unwrap();
        code.reveal().to_owned()
    }

    async fn remembered(&self, destination: &Destination) -> DestinationRecord {
        let key = keys::destination(self.service, destination);
        let found = records::read(self.app.store.as_ref(), &key).await.unwrap();
        found.map(|found| found.record).unwrap_or_default()
    }

    async fn wrong_codes(&self, destination: &Destination) -> WrongCodes {
        let key = keys::wrong_codes(self.account, destination);
        let found = records::read(self.app.store.as_ref(), &key).await.unwrap();
        found.map(|found| found.record).unwrap_or_default()
    }

    async fn attempt(&self, sid: AttemptSid) -> Attempt {
        let key = keys::attempt(self.account, sid);
        let found = records::read(self.app.store.as_ref(), &key).await.unwrap();
        found.unwrap().record
    }
}

/// How many guesses a verification's checks count that were evaluated.
fn failures(verification: &Verification) -> u32 {
    verification.codes.iter().map(|code| code.failures).sum()
}

fn phone(text: &str) -> Destination {
    Destination::Phone(PhoneNumber::parse(text, None).unwrap())
}

fn ada() -> Destination {
    phone("+32 470 12 34 56")
}

/// A text message to `destination` by `policy`.
fn wanted(destination: Destination, policy: CodePolicy) -> NewVerification {
    NewVerification {
        destination,
        channel: Channel::Sms.into(),
        rules: policy.into(),
        content: Content::default(),
        templates: Vec::new(),
        custom_code: None,
        rate_limits: Attributes::default(),
        risk_check: true,
        wants_sna_client_token: Some(false),
    }
}

fn to_ada() -> NewVerification {
    wanted(ada(), same_code())
}

/// A code that is not `right`; another one for each `nth` below 999,999.
fn wrong(right: &str, nth: u32) -> String {
    let number: u32 = right.parse().unwrap();
    format!("{:06}", (number + 1 + nth) % 1_000_000)
}

fn refused<T: std::fmt::Debug>(result: Result<T, Error<Refusal>>) -> Refusal {
    match result {
        Err(Error::Refused(refusal)) => refusal,
        other => panic!("{other:?}"),
    }
}

/// Lets them all go at the same moment.
async fn all_at_once<T, F>(tasks: impl ExactSizeIterator<Item = F>) -> Vec<T>
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let barrier = Arc::new(Barrier::new(tasks.len()));
    let mut set = JoinSet::new();
    for task in tasks {
        let barrier = barrier.clone();
        set.spawn(async move {
            barrier.wait().await;
            task.await
        });
    }
    set.join_all().await
}

/// A store in memory that lets everybody else go first before every operation, so that all read before any writes.
#[derive(Debug, Default)]
struct Interleaved(MemoryStore);

#[async_trait]
impl Store for Interleaved {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        yield_now().await;
        self.0.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        yield_now().await;
        self.0.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        yield_now().await;
        self.0.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        yield_now().await;
        self.0.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.0.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.0.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.0.close().await
    }

    fn statistics(&self) -> Statistics {
        self.0.statistics()
    }
}

const PENDING: VerificationStatus = VerificationStatus::Pending;
const APPROVED: VerificationStatus = VerificationStatus::Approved;
