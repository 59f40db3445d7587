//! The guards over a real store, with sendings as the core writes them.

mod budgets;
mod events;
mod histories;
mod mail;
mod permissions;
mod pumping;

use std::sync::Arc;
use std::time::Duration;

use super::{Admittance, SendPermit, admit, converted};
use crate::app::{App, Policy};
use crate::domain::attached::Attached;
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::events::{EventTypes, OutboxMessage, OutboxRow};
use crate::domain::fraud::settings::Settings;
use crate::domain::fraud::{BlockEvent, BlockReason};
use crate::domain::phone::{LineKind, NumberFacts, PhoneNumber};
use crate::domain::price::{Currency, Price};
use crate::domain::safe_list::SafeNumber;
use crate::domain::sender_name::SenderName;
use crate::domain::service::{Service, ServiceSettings, Subscription};
use crate::domain::sid::{AccountSid, AttemptSid, SafeListSid, ServiceSid, VerificationSid, WebhookSid};
use crate::domain::text::{FriendlyName, ServiceName};
use crate::domain::time::{Clock, Timestamp};
use crate::domain::verification::tests::samples::same_code;
use crate::domain::verification::{
    Content, End, Ending, Refusal, Sending, SendingOutcome, Try, Verification,
};
use crate::doubles::{ManualClock, TestParts};
use crate::flows::reading::Reading;
use crate::flows::{Error, account, retry_on_conflict};
use crate::store::memory::MemoryStore;
use crate::store::{Batch, Order, Scan, Store, keys, records};

/// A process that sends codes of one service.
struct Node {
    app: App,
    clock: Arc<ManualClock>,
    service: Service,
}

/// How a code is asked for.
#[derive(Clone, Copy)]
struct AskedSend<'a> {
    kind: LineKind,
    country: &'a str,
    channel: Channel,
    device_ip: Option<&'a str>,
    risk_check: bool,
    price: Option<Price>,
}

impl Default for AskedSend<'_> {
    fn default() -> Self {
        Self {
            kind: LineKind::Mobile,
            country: "BE",
            channel: Channel::Sms,
            device_ip: None,
            risk_check: true,
            price: None,
        }
    }
}

impl Node {
    async fn new(settings: Settings) -> Self {
        Self::on(Arc::new(MemoryStore::new()), settings).await
    }

    /// The first process on `store`.
    async fn on(store: Arc<dyn Store>, settings: Settings) -> Self {
        let clock = Arc::new(ManualClock::new(beginning()));
        let app = TestParts {
            store,
            clock: clock.clone(),
            policy: Policy {
                toll_fraud: settings,
                ..crate::doubles::policy()
            },
            ..TestParts::default()
        }
        .wire();
        let account = account::create(&app, FriendlyName::parse("Shop").unwrap())
            .await
            .unwrap();
        let service = Service {
            sid: ServiceSid::generate(clock.now(), app.sids.as_ref()),
            account: account.account.sid,
            settings: ServiceSettings::named(ServiceName::parse("Owl Bank").unwrap()),
            attached: Attached::default(),
            subscriptions: vec![Subscription {
                webhook: WebhookSid::from_bytes([9; 16]),
                events: EventTypes::All,
            }],
            date_created: clock.now(),
            date_updated: clock.now(),
        };
        Self { app, clock, service }
    }

    /// Another process on the same store, or the same one after a restart.
    fn another(&self) -> Self {
        Self {
            app: TestParts::of(&self.app).wire(),
            clock: self.clock.clone(),
            service: self.service.clone(),
        }
    }

    fn account(&self) -> AccountSid {
        self.service.account
    }

    async fn admit(
        &self,
        reading: &mut Reading<'_>,
        destination: &Destination,
        asked: AskedSend<'_>,
    ) -> Result<SendPermit<'_>, Error<Refusal>> {
        let facts = NumberFacts {
            country: Country::parse(asked.country).ok(),
            kind: asked.kind,
        };
        let asked = Admittance {
            account: self.service.account,
            service: &self.service,
            destination,
            facts: destination.phone().map(|_| facts),
            channel: asked.channel,
            device_ip: asked.device_ip.map(|address| address.parse().unwrap()),
            risk_check: asked.risk_check,
            price: asked.price,
            now: self.clock.now(),
        };
        admit(&self.app, reading, &asked).await
    }

    /// Asks, and lets the code go no further.
    async fn ask(&self, destination: &Destination, asked: AskedSend<'_>) -> Result<(), Error<Refusal>> {
        let mut reading = Reading::new(&self.app);
        self.admit(&mut reading, destination, asked).await.map(drop)
    }

    /// Admits and keeps, without a verification in the store.
    async fn pass(&self, destination: &Destination, asked: AskedSend<'_>) -> Result<(), Error<Refusal>> {
        retry_on_conflict(&self.app, || async {
            let mut reading = Reading::new(&self.app);
            let permit = self.admit(&mut reading, destination, asked).await?;
            reading.commit(permit.put(Batch::new())?).await?;
            permit.commit(VerificationSid::generate(
                self.clock.now(),
                self.app.sids.as_ref(),
            ));
            Ok(())
        })
        .await
    }

    /// Sends a code as the core does: admits, writes the verification and its attempt, and says so.
    async fn send(&self, destination: &Destination) -> Result<Verification, Error<Refusal>> {
        self.send_as(destination, AttemptStatus::Sent).await
    }

    async fn send_as(
        &self,
        destination: &Destination,
        status: AttemptStatus,
    ) -> Result<Verification, Error<Refusal>> {
        let mut reading = Reading::new(&self.app);
        let permit = self
            .admit(&mut reading, destination, AskedSend::default())
            .await?;
        let (verification, attempt) = self.verification(destination, status);
        let batch = Batch::new()
            .put_record(
                keys::verification(self.service.sid, verification.sid),
                &verification,
            )?
            .put_record_until(
                keys::attempt(self.account(), attempt.sid),
                &attempt,
                Timestamp::MAX,
            )?;
        reading.commit(permit.put(batch)?).await?;
        permit.commit(verification.sid);
        Ok(verification)
    }

    /// The code was typed, at a process that may be another one than `told`.
    async fn approve(&self, mut verification: Verification, told: bool) {
        verification.end = Some(End {
            how: Ending::Approved,
            at: self.clock.now(),
        });
        let key = keys::verification(self.service.sid, verification.sid);
        let mut batch = Batch::new().put_record(key, &verification).unwrap();
        for tried in verification.sends.iter().flat_map(|sending| &sending.tries) {
            let key = keys::attempt(self.account(), tried.attempt);
            let mut attempt: Attempt = records::read(self.app.store.as_ref(), &key)
                .await
                .unwrap()
                .unwrap()
                .record;
            attempt.converted_at = Some(self.clock.now());
            batch = batch.put_record_until(key, &attempt, Timestamp::MAX).unwrap();
        }
        self.app.store.commit(batch).await.unwrap();
        if told {
            converted(&self.app, &verification);
        }
    }

    fn verification(&self, destination: &Destination, status: AttemptStatus) -> (Verification, Attempt) {
        let (now, sids) = (self.clock.now(), self.app.sids.as_ref());
        let attempt = Attempt {
            sid: AttemptSid::generate(now, sids),
            account: self.service.account,
            service: self.service.sid,
            verification: VerificationSid::generate(now, sids),
            channel: Channel::Sms,
            destination: destination.clone(),
            country: None,
            locale: None,
            code_length: 6,
            sender: SenderName::parse("log").unwrap(),
            status,
            converted_at: None,
            expires_at: now + Duration::from_mins(10),
            price: None,
            reference: None,
            date_created: now,
            date_updated: now,
        };
        let verification = Verification {
            sid: attempt.verification,
            account: attempt.account,
            service: attempt.service,
            destination: destination.clone(),
            policy: same_code(),
            content: Content::default(),
            end: None,
            codes: Vec::new(),
            sends: vec![Sending {
                channel: Channel::Sms,
                at: now,
                code: 0,
                tries: vec![Try {
                    attempt: attempt.sid,
                    sender: attempt.sender,
                    at: now,
                }],
                outcome: SendingOutcome::Counts,
            }],
            checks: Vec::new(),
            silent: None,
            date_created: now,
            date_updated: now,
            expires_at: now + Duration::from_mins(10),
            next_step_at: None,
        };
        (verification, attempt)
    }

    async fn make_safe(&self, destination: &Destination) {
        let number = destination.phone().unwrap();
        let safe = SafeNumber {
            sid: SafeListSid::generate(self.clock.now(), self.app.sids.as_ref()),
            number: number.clone(),
            date_created: self.clock.now(),
        };
        let key = keys::safe_number(self.account(), number);
        let batch = Batch::new().put_record(key, &safe).unwrap();
        self.app.store.commit(batch).await.unwrap();
    }

    /// What was told to webhooks.
    async fn told(&self) -> Vec<BlockEvent> {
        let scan = Scan {
            prefix: keys::lanes(),
            after: None,
            order: Order::Ascending,
            limit: 1_000_000,
        };
        let rows = self.app.store.scan(scan).await.unwrap();
        let event = |bytes: &[u8]| match records::decode::<OutboxRow>(bytes).unwrap().message {
            OutboxMessage::Blocked { event, .. } => event,
            other => panic!("{}", other.name()),
        };
        rows.iter().map(|(_, entry)| event(&entry.value)).collect()
    }

    fn refusals(&self, reason: BlockReason) -> u64 {
        let mut counts = self.app.memory.fraud.refused.by_reason();
        counts.find(|(counted, _)| *counted == reason).unwrap().1
    }
}

/// Midnight, UTC.
fn beginning() -> Timestamp {
    Timestamp::from_seconds(1_800_000_000 / 86_400 * 86_400)
}

fn phone(number: u64) -> Destination {
    Destination::Phone(PhoneNumber::try_from(format!("+{number}")).unwrap())
}

fn email(address: &str) -> Destination {
    Destination::Email(EmailAddress::parse(address).unwrap())
}

/// Why it was refused; `None` if it was not.
#[track_caller]
fn why<T>(result: &Result<T, Error<Refusal>>) -> Option<BlockReason> {
    match result {
        Ok(_) => None,
        Err(Error::Refused(Refusal::Blocked(blocked))) => Some(blocked.why),
        Err(other) => panic!("{other}"),
    }
}

/// For how long.
#[track_caller]
fn retry_after<T>(result: &Result<T, Error<Refusal>>) -> Option<Duration> {
    match result {
        Err(Error::Refused(Refusal::Blocked(blocked))) => blocked.retry_after,
        _ => panic!("it was not blocked"),
    }
}
