//! Codes on their way to providers over HTTP: they arrive, another provider gets what one does not take, and they are seen
//! nowhere else.

mod arriving;
mod canary;
mod plans;
mod silent;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign::app::Policy;
use countersign::crypto::plain_code::PlainCode;
use countersign::delivery::Senders;
use countersign::delivery::codes::gateway::{
    AnswerRules, BodySettings, Gateway, GatewaySettings, RequestPlan,
};
use countersign::delivery::codes::{CodeSenders, ConfiguredSender, SenderKind};
use countersign::domain::attempt::{Attempt, AttemptStatus};
use countersign::domain::channel::Channel;
use countersign::domain::destination::Destination;
use countersign::domain::phone::PhoneNumber;
use countersign::domain::sender_name::SenderName;
use countersign::domain::sid::{AccountSid, ServiceSid};
use countersign::domain::text::{Attributes, ServiceName};
use countersign::domain::time::SystemClock;
use countersign::domain::verification::{
    Alphabet, CheckScope, CodePolicy, CodeReuse, Content, Exhaustion, Refusal, SentCodeLength, SessionLife,
    Uniqueness, Verification,
};
use countersign::flows::Error;
use countersign::flows::deliveries::Deliveries;
use countersign::flows::outbox::worker::{Limits, Worker};
use countersign::flows::verification::{self, NewVerification, StartedVerification};
use countersign::store::memory::MemoryStore;
use countersign::store::records::{self, Record};
use countersign::store::{Order, Scan, Store, keys};

use crate::support::{Receiver, Service, TestApp};

/// Somebody's number, for all tests.
const NUMBER: &str = "+32470012345";

/// A server whose codes leave by these, in this order.
struct World {
    server: TestApp,
    account: AccountSid,
    service: ServiceSid,
}

/// A sender that posts everything it knows to a provider.
fn sender(name: &str, url: String, channels: &[Channel]) -> ConfiguredSender {
    let fields = ["to", "text", "code", "device_ip", "id"];
    let fields = fields.map(|name| (name.to_owned(), format!("{{{{{name}}}}}")));
    let settings = GatewaySettings {
        url,
        method: "POST".to_owned(),
        headers: Vec::new(),
        body: BodySettings::Form(fields.to_vec()),
        constants: BTreeMap::new(),
        from: None,
        username: None,
        secret: None,
        authorities: None,
        allow_plaintext: false,
        reading: AnswerRules::default(),
        timeout: Duration::from_secs(10),
    };
    ConfiguredSender {
        name: SenderName::parse(name).unwrap(),
        kind: SenderKind::Http,
        channels: channels.to_vec(),
        countries: None,
        messaging_service: None,
        price: None,
        sender: Arc::new(Gateway::new(
            RequestPlan::new(settings).unwrap(),
            Arc::new(SystemClock),
        )),
    }
}

fn senders(senders: Vec<ConfiguredSender>) -> Senders {
    Senders {
        codes: CodeSenders::new(senders),
        ..Senders::default()
    }
}

/// A provider that answers so.
async fn provider(status: &str, body: &str) -> Receiver {
    let length = body.len();
    Receiver::answering(format!(
        "HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    ))
    .await
}

/// What the provider was told of one thing, request by request.
fn told(provider: &Receiver, field: &str) -> Vec<String> {
    let values = provider.requests().into_iter().map(|request| {
        let mut form = form_urlencoded::parse(&request.body).into_owned();
        form.find(|(name, _)| name == field).unwrap_or_default().1
    });
    values.collect()
}

fn new_verification(channel: Channel, code: Option<&str>) -> NewVerification {
    NewVerification {
        destination: Destination::Phone(PhoneNumber::parse(NUMBER, None).unwrap()),
        channel: channel.into(),
        rules: policy().into(),
        content: Content {
            friendly_name: Some(ServiceName::parse("Owl Bank").unwrap()),
            ..Content::default()
        },
        templates: Vec::new(),
        custom_code: code.map(|code| PlainCode::parse(code, Alphabet::Digits).unwrap()),
        rate_limits: Attributes::default(),
        risk_check: true,
        wants_sna_client_token: Some(true),
    }
}

impl World {
    async fn with(codes: Vec<ConfiguredSender>) -> Self {
        Self::with_policy(codes, crate::doubles::policy()).await
    }

    async fn with_policy(codes: Vec<ConfiguredSender>, policy: Policy) -> Self {
        Self::on(Arc::new(MemoryStore::new()), codes, policy).await
    }

    async fn on(store: Arc<dyn Store>, codes: Vec<ConfiguredSender>, policy: Policy) -> Self {
        let server = TestApp::with(store, policy).await;
        let server = server.with_senders(senders(codes));
        let service = Service::create_with(&server.client(), &[("CustomCodeEnabled", "true")]).await;
        Self {
            account: server.account.user.parse().unwrap(),
            service: service.sid.parse().unwrap(),
            server,
        }
    }

    /// The same server as another account sees it.
    async fn of_another_account(&self) -> Self {
        let account = self.server.another_account().await;
        let client = self.server.client_of(&account);
        let service = Service::create(&client).await;
        Self {
            account: account.user.parse().unwrap(),
            service: service.sid.parse().unwrap(),
            server: self.server.clone(),
        }
    }

    async fn start(&self, channel: Channel, code: Option<&str>) -> StartedVerification {
        self.try_start_with(channel, code).await.unwrap()
    }

    async fn try_start(&self, channel: Channel) -> Result<StartedVerification, Error<Refusal>> {
        self.try_start_with(channel, None).await
    }

    /// Starts a silent authentication whose caller says this of the token.
    async fn start_silently(&self, wants_client_token: Option<bool>) -> StartedVerification {
        let new = NewVerification {
            wants_sna_client_token: wants_client_token,
            ..new_verification(Channel::Sna, None)
        };
        let app = &self.server.app;
        verification::start(app, self.account, self.service, &new)
            .await
            .unwrap()
    }

    async fn try_start_with(
        &self,
        channel: Channel,
        code: Option<&str>,
    ) -> Result<StartedVerification, Error<Refusal>> {
        let new = new_verification(channel, code);
        verification::start(&self.server.app, self.account, self.service, &new).await
    }

    /// Delivers what is due now; who does not answer soon has failed.
    async fn deliver(&self) {
        let limits = Limits {
            delivery: Duration::from_millis(500),
            ..Limits::default()
        };
        let mut worker = Worker::new(self.server.app.clone(), Arc::new(Deliveries), limits);
        worker.run_due().await;
    }

    /// All attempts in the order of the tries: identifiers of one millisecond are in no order.
    async fn attempts(&self) -> Vec<Attempt> {
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

    async fn all<T: Record>(&self, prefix: &[u8]) -> Vec<T> {
        let scan = Scan {
            prefix: prefix.to_vec(),
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        let found = self.server.app.store.scan(scan).await.unwrap();
        let decode = |(_, entry): &(_, countersign::store::Entry)| records::decode(&entry.value).unwrap();
        found.iter().map(decode).collect()
    }

    /// By which sender each was tried, and whether it took it.
    async fn tries(&self) -> Vec<(String, bool)> {
        let attempts = self.attempts().await.into_iter();
        attempts
            .map(|attempt| (attempt.sender.to_string(), attempt.status == AttemptStatus::Sent))
            .collect()
    }
}

/// The rules of Twilio Verify.
fn policy() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::Digits,
        code_length: SentCodeLength::default(),
        code_life: 600,
        reuse: CodeReuse::KeepWhileValid,
        session_life: SessionLife::Fixed(600),
        plan: Vec::new(),
        send_waits: Vec::new(),
        call_after_sms: None,
        max_sends: 5,
        check_waits: Vec::new(),
        max_checks: 5,
        check_scope: CheckScope::PerSession,
        min_cancel_age: 0,
        uniqueness: Uniqueness::ReturnExisting,
        single_use: true,
        keeps_submitted: false,
        retention: 86_400,
        exhaustion: Exhaustion::Blocks,
        cancel_needs_step: false,
        calls_tell_payments: false,
        counts_malformed: false,
    }
}
