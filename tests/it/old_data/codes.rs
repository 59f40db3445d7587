//! The part of the store that is about codes by message: verifications with all that they leave behind, and what a service
//! and an account chose.

use std::time::Duration;

use super::code_samples::{planned_policy, usual_policy};
use countersign::app::App;
use countersign::crypto::plain_code::PlainCode;
use countersign::domain::attempt::{Attempt, AttemptStatus};
use countersign::domain::channel::Channel;
use countersign::domain::country::Country;
use countersign::domain::destination::{Destination, EmailAddress};
use countersign::domain::entity::EntityName;
use countersign::domain::fraud::prefix::DestinationPrefix;
use countersign::domain::fraud::{BlockReason, Blocked, PrefixBlock};
use countersign::domain::limits::PermitRule;
use countersign::domain::messaging_configuration::Region;
use countersign::domain::phone::PhoneNumber;
use countersign::domain::rate_limit::{self as limits, BucketInterval, BucketMax};
use countersign::domain::service::Service;
use countersign::domain::sid::{AccountSid, MessagingServiceSid, ServiceSid, VerificationSid};
use countersign::domain::text::{
    Amount, Attributes, Description, DialectName, Identity, ProviderName, ServiceName, UniqueName,
};
use countersign::domain::verification::{
    Alphabet, CodePolicy, Content, Payment, Refusal, Verification, VerificationStatus,
};
use countersign::flows::rate_limit::{self, NewRateLimit, bucket};
use countersign::flows::reading::Foreseen;
use countersign::flows::user::{Issuing, NewPhone, PhoneProof};
use countersign::flows::verification::{
    self, AgreedPayment, Guess, NewVerification, SessionDraft, SessionPermits, Settlement, VerificationName,
};
use countersign::flows::{Error, dialect_service, messaging_configuration, safe_list, user};
use countersign::store::{Batch, Order, Scan, keys, records};

/// Writes everything that codes by message leave in a store: a verification that waits after a wrong code, one whose plan
/// goes on, one that was approved, one that was refused; rate limits, messaging configurations, a safe number, a prefix
/// that is blocked.
pub(super) async fn write(app: &App, service: &Service) {
    choose(app, service).await;
    let waits = NewVerification {
        custom_code: PlainCode::parse(CODE, Alphabet::Digits),
        ..to_ada()
    };
    start(app, service, &waits).await.unwrap();
    assert_eq!(
        check(app, service.account, service.sid, "000000").await.unwrap(),
        VerificationStatus::Pending
    );
    let planned = planned_policy(&[Channel::Sms, Channel::Call], 300);
    let goes_on = start(app, service, &wanted(phone(PLANNED), Channel::Sms, planned))
        .await
        .unwrap();
    assert!(goes_on.next_step_at.is_some());
    let address = EmailAddress::parse("ada@mail.example.com").unwrap();
    let by_mail = wanted(Destination::Email(address), Channel::Email, usual_policy());
    let approved = VerificationName::Sid(start(app, service, &by_mail).await.unwrap().sid);
    verification::settle(app, service.account, service.sid, &approved, Settlement::Approve)
        .await
        .unwrap();

    let premium = wanted(phone("+44 9012 345678"), Channel::Sms, usual_policy());
    assert!(matches!(
        start(app, service, &premium).await,
        Err(Error::Refused(Refusal::Blocked(Blocked {
            why: BlockReason::NumberKind,
            ..
        })))
    ));
    block_prefix(app, service.account).await;
}

/// Goes on where [`write`] left off, and finds everything as it was.
pub(super) async fn go_on(app: &App, account: AccountSid) {
    let (service, planned) = planned(app, account).await;
    let of_blocked_prefix = wanted(phone(BLOCKED), Channel::Sms, usual_policy());
    assert!(matches!(
        verification::start(app, account, service, &of_blocked_prefix).await,
        Err(Error::Refused(Refusal::Blocked(Blocked {
            why: BlockReason::LowConversion,
            ..
        })))
    ));
    assert!(matches!(
        verification::start(app, account, service, &to_ada()).await,
        Err(Error::Refused(Refusal::RateLimit(
            limits::Refusal::Reached { .. }
        )))
    ));
    verification::advance(app, account, service, planned)
        .await
        .unwrap();
    // Four are left of five wrong codes.
    for wrong in ["000001", "000002", "000003"] {
        assert_eq!(
            check(app, account, service, wrong).await.unwrap(),
            VerificationStatus::Pending
        );
    }
    assert_eq!(
        check(app, account, service, CODE).await.unwrap(),
        VerificationStatus::Approved
    );
    assert!(matches!(
        check(app, account, service, CODE).await,
        Err(Error::Refused(Refusal::NotFound))
    ));
}

/// The verification whose plan goes on, and the service that it belongs to.
async fn planned(app: &App, account: AccountSid) -> (ServiceSid, VerificationSid) {
    let attempts = keys::attempts(account);
    let scan = Scan {
        prefix: attempts.bytes().to_vec(),
        after: None,
        order: Order::Ascending,
        limit: usize::MAX,
    };
    let entries = app.store.scan(scan).await.unwrap();
    let attempts: Vec<Attempt> = entries
        .iter()
        .map(|(_, entry)| records::decode(&entry.value).unwrap())
        .collect();
    assert_eq!(attempts.len(), 3);
    assert!(
        attempts
            .iter()
            .all(|attempt| attempt.status == AttemptStatus::Queued)
    );
    let planned = attempts
        .iter()
        .find(|attempt| attempt.destination == phone(PLANNED))
        .unwrap();
    (planned.service, planned.verification)
}

/// What the service and the account chose.
async fn choose(app: &App, service: &Service) {
    let (account, sid) = (service.account, service.sid);
    let new = NewRateLimit {
        unique_name: UniqueName::parse(LIMIT).unwrap(),
        description: Some(Description::parse("Where they come from").unwrap()),
    };
    let limit = rate_limit::create(app, account, sid, new).await.unwrap().sid;
    for (max, interval) in [(1, 60), (100, 86_400)] {
        let (max, interval) = (
            BucketMax::parse(max).unwrap(),
            BucketInterval::parse(interval).unwrap(),
        );
        bucket::create(app, account, sid, limit, max, interval)
            .await
            .unwrap();
    }
    let canada = Region::Country(Country::parse("CA").unwrap());
    for (region, byte) in [(Region::All, 1), (canada, 2)] {
        let messaging_service = MessagingServiceSid::from_bytes([byte; 16]);
        messaging_configuration::create(app, account, sid, region, messaging_service)
            .await
            .unwrap();
    }
    let number = PhoneNumber::parse("+1 512 555 0123", None).unwrap();
    safe_list::add(app, account, &number).await.unwrap();
}

/// A block that no sending brought about: that would take dozens.
async fn block_prefix(app: &App, account: AccountSid) {
    let now = app.clock.now();
    let block = PrefixBlock {
        reason: BlockReason::LowConversion,
        since: now,
        until: now + Duration::from_hours(6),
        sends: 31,
        converted: 2,
        lifted: false,
    };
    let prefix = DestinationPrefix::of_number(phone(BLOCKED).phone().unwrap());
    let key = keys::prefix_block(account, &prefix);
    let batch = Batch::new().put_record_until(key, &block, block.until);
    app.store.commit(batch.unwrap()).await.unwrap();
}

async fn start(app: &App, service: &Service, new: &NewVerification) -> Result<Verification, Error<Refusal>> {
    let started = verification::start(app, service.account, service.sid, new).await?;
    Ok(started.verification)
}

/// Checks a code of the one who waits.
async fn check(
    app: &App,
    account: AccountSid,
    service: ServiceSid,
    code: &str,
) -> Result<VerificationStatus, Error<Refusal>> {
    let guess = Guess {
        code: Some(code),
        payment: AgreedPayment::Named(Some(payment())),
        ..Guess::default()
    };
    let checked = verification::check(app, account, service, &VerificationName::To(ada()), &guess).await?;
    Ok(checked.verification.status(app.clock.now()))
}

fn wanted(destination: Destination, channel: Channel, policy: CodePolicy) -> NewVerification {
    NewVerification {
        destination,
        channel: channel.into(),
        rules: policy.into(),
        content: Content {
            friendly_name: Some(ServiceName::parse("Owl Bank").unwrap()),
            ..Content::default()
        },
        templates: Vec::new(),
        custom_code: None,
        rate_limits: Attributes::default(),
        risk_check: true,
        wants_sna_client_token: Some(false),
    }
}

/// A verification that is begun without a sending, in the service of a protocol that knows no services, and one that shows
/// whose the number of a user is.
pub(super) async fn begin_session(app: &App, account: AccountSid) {
    let dialect = DialectName::parse("example").unwrap();
    let named = ServiceName::parse("Example").unwrap();
    let service = dialect_service::service_of(app, &mut account.into(), &dialect, &named, |_| {
        Foreseen::default()
    })
    .await
    .unwrap();
    let rule = PermitRule {
        capacity: 5,
        regeneration: Duration::from_mins(288),
        pause: Duration::from_mins(1),
    };
    let draft = SessionDraft {
        destination: ada(),
        policy: usual_policy(),
        permits: vec![SessionPermits { rule, apart: None }],
    };
    verification::create(app, account, service, &draft).await.unwrap();
    let name = EntityName {
        service,
        identity: Identity::parse("user-0001").unwrap(),
    };
    user::ensure(app, account, &name).await.unwrap();
    let Destination::Phone(number) = phone(PLANNED) else {
        unreachable!("it is a number");
    };
    let new = NewPhone {
        number,
        keeps_verified: true,
        proof: PhoneProof::Code(Box::new(Issuing {
            policy: usual_policy(),
            content: Content::default(),
            returned: true,
        })),
    };
    user::set_phone(app, account, &name, &new).await.unwrap();
}

/// A text message to the one who waits, for a payment.
fn to_ada() -> NewVerification {
    let mut new = wanted(ada(), Channel::Sms, usual_policy());
    new.content.payment = Some(payment());
    new.rate_limits = Attributes::new(vec![(LIMIT.to_owned(), "192.0.2.1".to_owned())]).unwrap();
    new
}

fn payment() -> Payment {
    Payment {
        amount: Amount::parse("12,50 EUR").unwrap(),
        payee: ProviderName::parse("Owl Food").unwrap(),
    }
}

/// The one who waits.
fn ada() -> Destination {
    phone("+32 470 12 34 56")
}

fn phone(text: &str) -> Destination {
    Destination::Phone(PhoneNumber::parse(text, None).unwrap())
}

const CODE: &str = "314159";
const LIMIT: &str = "end_user_ip";
const PLANNED: &str = "+32 470 99 34 56";
const BLOCKED: &str = "+32 471 00 00 00";
