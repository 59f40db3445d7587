//! A server with senders that do as a test says.

use crate::domain::sealing::SealedField;
use std::collections::HashSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;

use crate::app::{App, Policy};
use crate::delivery::Senders;
use crate::delivery::codes::{CodeMessage, CodeSender, CodeSenders, ConfiguredSender, SenderKind, Sent};
use crate::domain::attempt::{Attempt, AttemptStatus};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::events::OutboxRow;
use crate::domain::fraud::settings::Settings;
use crate::domain::outbox::DeadLetter;
use crate::domain::phone::PhoneNumber;
use crate::domain::price::{Currency, Price};
use crate::domain::sender_name::SenderName;
use crate::domain::service::ServiceChanges;
use crate::domain::sid::{AccountSid, ServiceSid, VerificationSid};
use crate::domain::text::{FriendlyName, ServiceName};
use crate::domain::time::{Clock as _, Timestamp};
use crate::domain::verification::tests::samples::same_code;
use crate::domain::verification::{
    Content, Draft, End, Ending, IssuedCode, Sending, SendingOutcome, Try, Verification,
};
use crate::doubles::{ManualClock, TestParts};
use crate::flows::code::send::enqueue;
use crate::flows::code::{SendingAt, Way, put_verification, route};
use crate::flows::deliveries::Deliveries;
use crate::flows::outbox::worker::{Limits, Worker};
use crate::flows::reading::Reading;
use crate::flows::{account, service};
use crate::store::memory::MemoryStore;
use crate::store::records::{self, Record};
use crate::store::{Batch, Order, Scan, Store, keys};

/// What a sender does with a message; `None` is to never answer.
type Reaction = Box<dyn Fn(&CodeMessage) -> Option<Sent> + Send + Sync>;

/// A sender that does as a test says, and remembers what it was given.
pub(super) struct Fake {
    react: Mutex<Reaction>,
    seen: Mutex<Vec<CodeMessage>>,
}

impl std::fmt::Debug for Fake {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Fake")
    }
}

#[async_trait]
impl CodeSender for Fake {
    async fn send(&self, message: &CodeMessage) -> Sent {
        self.seen.lock().unwrap().push(message.clone());
        let reaction = (self.react.lock().unwrap())(message);
        match reaction {
            Some(sent) => sent,
            None => std::future::pending().await,
        }
    }
}

impl Fake {
    pub(super) fn now(&self, react: impl Fn(&CodeMessage) -> Option<Sent> + Send + Sync + 'static) {
        *self.react.lock().unwrap() = Box::new(react);
    }

    pub(super) fn seen(&self) -> Vec<CodeMessage> {
        self.seen.lock().unwrap().clone()
    }
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of several reactions")]
pub(super) fn good(_: &CodeMessage) -> Option<Sent> {
    Some(Sent::delivered(Some("ref-1")))
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of several reactions")]
pub(super) fn dead(_: &CodeMessage) -> Option<Sent> {
    Some(Sent::retry("status 500", None))
}

#[expect(clippy::unnecessary_wraps, reason = "it is one of several reactions")]
pub(super) fn refusing(_: &CodeMessage) -> Option<Sent> {
    Some(Sent::refused("status 400"))
}

pub(super) fn silent(_: &CodeMessage) -> Option<Sent> {
    None
}

/// A server, its account and service, and its senders.
pub(super) struct CodeWorld {
    pub(super) app: Arc<App>,
    pub(super) clock: Arc<ManualClock>,
    pub(super) account: AccountSid,
    pub(super) service: ServiceSid,
    pub(super) senders: Vec<Arc<Fake>>,
}

pub(super) fn name(text: &str) -> SenderName {
    SenderName::parse(text).unwrap()
}

pub(super) fn belgium() -> Country {
    Country::parse("BE").unwrap()
}

/// So many millionths of a euro.
pub(super) fn euros(micros: u64) -> Price {
    Price {
        micros,
        currency: Currency::parse("eur").unwrap(),
    }
}

impl CodeWorld {
    /// With senders of these names, in this order, which take everything.
    pub(super) async fn new(names: &[&str]) -> Self {
        Self::of(names, &[Channel::Sms, Channel::Call, Channel::Sna]).await
    }

    pub(super) async fn of(names: &[&str], channels: &[Channel]) -> Self {
        Self::with(names, channels, Arc::new(MemoryStore::new()), None).await
    }

    /// On `store`; each message costs the first of `cost`, in millionths of a euro, and a day's no more than the second.
    pub(super) async fn with(
        names: &[&str],
        channels: &[Channel],
        store: Arc<dyn Store>,
        cost: Option<(u64, u64)>,
    ) -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let fake = |_: &&str| {
            Arc::new(Fake {
                react: Mutex::new(Box::new(good)),
                seen: Mutex::default(),
            })
        };
        let fakes: Vec<_> = names.iter().map(fake).collect();
        let configured = names.iter().zip(&fakes).map(|(text, fake)| ConfiguredSender {
            name: name(text),
            kind: SenderKind::Http,
            channels: channels.to_vec(),
            countries: None,
            messaging_service: None,
            price: cost.map(|(micros, _)| Price {
                micros,
                currency: Currency::parse("eur").unwrap(),
            }),
            sender: Arc::clone(fake) as Arc<dyn CodeSender>,
        });
        let senders = Senders {
            codes: CodeSenders::new(configured.collect()),
            ..Senders::default()
        };
        let app = Arc::new(
            TestParts {
                store,
                clock: clock.clone(),
                senders: Arc::new(senders),
                policy: Policy {
                    toll_fraud: Settings {
                        spend_per_day: cost.map(|(_, cap)| euros(cap)),
                        ..Settings::off()
                    },
                    ..crate::doubles::policy()
                },
                ..TestParts::default()
            }
            .wire(),
        );
        let new = account::create(&app, FriendlyName::parse("An account").unwrap());
        let account = new.await.unwrap().account.sid;
        let bank = ServiceName::parse("Owl Bank").unwrap();
        let service = service::create(&app, account, bank, ServiceChanges::default())
            .await
            .unwrap();
        Self {
            app,
            clock,
            account,
            service: service.sid,
            senders: fakes,
        }
    }

    pub(super) fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    /// A worker that gives up a delivery soon.
    pub(super) fn worker(&self) -> Worker {
        let limits = Limits {
            delivery: Duration::from_millis(100),
            ..Limits::default()
        };
        Worker::new(Arc::clone(&self.app), Arc::new(Deliveries), limits)
    }

    /// Delivers all that is due now.
    pub(super) async fn deliver(&self) {
        self.worker().run_due().await;
    }

    /// The same server with another account of its own.
    pub(super) async fn another_account(&self) -> Self {
        let name = FriendlyName::parse("Another account").unwrap();
        let account = account::create(&self.app, name).await.unwrap().account.sid;
        let bank = ServiceName::parse("Another Bank").unwrap();
        let service = service::create(&self.app, account, bank, ServiceChanges::default())
            .await
            .unwrap();
        Self {
            app: Arc::clone(&self.app),
            clock: Arc::clone(&self.clock),
            account,
            service: service.sid,
            senders: self.senders.clone(),
        }
    }

    /// A verification that waits, as nobody has sent anything of it yet. Each code is for a number of its own.
    pub(super) fn verification(&self, code: &str) -> Verification {
        let number = PhoneNumber::try_from(format!("+32470{code}")).unwrap();
        self.verification_of(code, Destination::Phone(number))
    }

    /// The same for this number or address.
    pub(super) fn verification_of(&self, code: &str, destination: Destination) -> Verification {
        let (app, now) = (&self.app, self.clock.now());
        let sid = VerificationSid::generate(now, app.sids.as_ref());
        let key = keys::verification(self.service, sid);
        let draft = Draft {
            sid,
            account: self.account,
            service: self.service,
            destination,
            policy: same_code(),
            content: Content {
                friendly_name: Some(ServiceName::parse("Owl Bank").unwrap()),
                ..Content::default()
            },
        };
        let mut verification = Verification::begin(draft, now);
        verification.codes.push(IssuedCode {
            sealed: app.vault.seal(
                app.entropy.as_ref(),
                key.bytes(),
                SealedField::Code,
                code.as_bytes(),
            ),
            length: 6,
            issued_at: now,
            expires_at: now + Duration::from_mins(10),
            failures: 0,
        });
        verification
    }

    /// Who gets a code to Belgium.
    pub(super) async fn route(
        &self,
        channel: Channel,
        tried: &[SenderName],
        now: Timestamp,
    ) -> Option<Arc<ConfiguredSender>> {
        let way = Way {
            account: self.account,
            service: self.service,
            channel,
            country: Some(belgium()),
        };
        let mut reading = Reading::new(&self.app);
        route(&self.app, &mut reading, way, tried, now).await.unwrap()
    }

    /// Sends `verification` over `channel`, as a flow does that starts it; the sender that was chosen.
    pub(super) async fn start(&self, mut verification: Verification, channel: Channel) -> Option<SenderName> {
        let (app, now) = (&self.app, self.clock.now());
        let sender = self.route(channel, &[], now).await?;
        verification.sends.push(Sending {
            channel,
            at: now,
            code: 0,
            tries: Vec::new(),
            outcome: SendingOutcome::Counts,
        });
        let batch = Batch::new();
        let of = SendingAt::last(&verification);
        let queued = enqueue(app, of, &sender, Some(belgium()), now, batch);
        let (batch, attempt) = queued.unwrap();
        verification.sends.last_mut().unwrap().tries.push(Try {
            attempt,
            sender: sender.name,
            at: now,
        });
        let batch = put_verification(batch, None, &verification).unwrap();
        Reading::new(app).commit(batch).await.unwrap();
        Some(sender.name)
    }

    /// Sends a new verification with this code as a text message; its SID.
    pub(super) async fn text(&self, code: &str) -> VerificationSid {
        let verification = self.verification(code);
        let sid = verification.sid;
        self.start(verification, Channel::Sms).await.unwrap();
        sid
    }

    /// Sends a new verification with this code to this address.
    pub(super) async fn mail(&self, code: &str, address: &str) {
        let to = Destination::Email(EmailAddress::parse(address).unwrap());
        let verification = self.verification_of(code, to);
        self.start(verification, Channel::Email).await.unwrap();
    }

    pub(super) async fn read(&self, sid: VerificationSid) -> Verification {
        let key = keys::verification(self.service, sid);
        let found = records::read(self.app.store.as_ref(), &key).await.unwrap();
        found.unwrap().record
    }

    /// Ends it as a right code does.
    pub(super) async fn approve(&self, sid: VerificationSid) {
        let mut verification = self.read(sid).await;
        let before = verification.clone();
        verification.end = Some(End {
            how: Ending::Approved,
            at: self.clock.now(),
        });
        let batch = put_verification(Batch::new(), Some(&before), &verification).unwrap();
        self.app.store.commit(batch).await.unwrap();
    }

    /// All attempts, each verification's in the order of its tries: identifiers of one millisecond are in no order.
    pub(super) async fn attempts(&self) -> Vec<Attempt> {
        let verifications: Vec<Verification> = self.all(keys::verifications(self.service).bytes()).await;
        let sends = verifications.iter().flat_map(|verification| &verification.sends);
        let order: Vec<_> = sends
            .flat_map(|send| &send.tries)
            .map(|each| each.attempt)
            .collect();
        let mut attempts: Vec<Attempt> = self.all(keys::attempts(self.account).bytes()).await;
        assert_eq!(attempts.len(), order.len(), "every try is an attempt");
        attempts.sort_by_key(|attempt| order.iter().position(|sid| *sid == attempt.sid));
        attempts
    }

    /// By which sender each was tried, and what became of it.
    pub(super) async fn tries(&self) -> Vec<(String, &'static str)> {
        let told = |attempt: Attempt| {
            let status = match attempt.status {
                AttemptStatus::Queued => "queued",
                AttemptStatus::Sent => "sent",
                AttemptStatus::Failed { .. } => "failed",
                AttemptStatus::Canceled => "canceled",
            };
            (attempt.sender.to_string(), status)
        };
        self.attempts().await.into_iter().map(told).collect()
    }

    pub(super) async fn rows(&self) -> Vec<OutboxRow> {
        self.all(&keys::lanes()).await
    }

    pub(super) async fn dead_letters(&self) -> Vec<DeadLetter> {
        self.all(keys::dead_letters().bytes()).await
    }

    async fn all<T: Record>(&self, prefix: &[u8]) -> Vec<T> {
        let scan = Scan {
            prefix: prefix.to_vec(),
            after: None,
            order: Order::Ascending,
            limit: 100_000,
        };
        let found = Reading::new(&self.app).scan_past(scan).await.unwrap();
        let decode = |(_, entry): &(_, crate::store::Entry)| records::decode(&entry.value).unwrap();
        found.iter().map(decode).collect()
    }
}

/// The codes that a sender was given, each once.
pub(super) fn codes(sender: &Fake) -> HashSet<String> {
    sender
        .seen()
        .iter()
        .map(|message| message.code.to_string())
        .collect()
}
