//! One record of every kind and form of what is kept of codes that are sent: verifications and their attempts, what counts
//! for destinations, and what a service and an account chose.

use std::time::Duration;

use countersign::domain::attempt::{Attempt, AttemptStatus};
use countersign::domain::channel::Channel;
use countersign::domain::country::Country;
use countersign::domain::destination::{Destination, EmailAddress};
use countersign::domain::destination_record::DestinationRecord;
use countersign::domain::events::{OutboxMessage, OutboxRow, QueuedCode};
use countersign::domain::fraud::budget::Taken;
use countersign::domain::fraud::{BlockEvent, BlockReason, PrefixBlock};
use countersign::domain::limits::{PermitRule, Permits};
use countersign::domain::message::custom::CustomMessage;
use countersign::domain::message::locale::Locale;
use countersign::domain::messaging_configuration::{MessagingConfiguration, Region};
use countersign::domain::opaque::Sealed;
use countersign::domain::outbox::Reason;
use countersign::domain::phone::PhoneNumber;
use countersign::domain::price::{Currency, Price};
use countersign::domain::rate_limit::{
    Bucket, BucketInterval, BucketMax, BucketUse, RateLimit, RateLimitUses,
};
use countersign::domain::safe_list::SafeNumber;
use countersign::domain::sender_name::SenderName;
use countersign::domain::sid::{
    AccountSid, AttemptSid, BucketSid, EventSid, MessagingServiceSid, RateLimitSid, SafeListSid, ServiceSid,
    TemplateSid, VerificationSid, WebhookSid,
};
use countersign::domain::text::{
    Amount, AppHash, Description, ProviderName, SendDigits, ServiceName, Substitutions, Tags, UniqueName,
};
use countersign::domain::verification::{
    Alphabet, ChannelWaits, Check, CheckScope, CodePolicy, CodeReuse, Content, Draft, EmailOptions, End,
    Ending, Exhaustion, IssuedCode, Payment, PlanStep, Sending, SendingOutcome, SentCodeLength, SessionLife,
    SilentAuthentication, SilentError, SilentFailure, Try, Uniqueness, Verification,
};
use countersign::domain::wrong_codes::WrongCodes;
use countersign::store::records::VerificationTimer;

use super::samples::{Sample, moment, pairs, sample, vault};

/// Every sample.
pub(super) fn all() -> impl Iterator<Item = Sample> {
    [
        verifications(),
        destinations(),
        attempts(),
        queued_codes(),
        limits(),
        choices(),
        toll_fraud(),
    ]
    .into_iter()
    .flatten()
}

/// The usual rules: nothing that may be empty is filled.
pub(super) fn usual_policy() -> CodePolicy {
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

/// Rules by which the next channel has its turn `wait` seconds after the one before.
pub(super) fn planned_policy(channels: &[Channel], wait: u32) -> CodePolicy {
    let step = |channel: &Channel| PlanStep {
        channel: *channel,
        wait,
    };
    CodePolicy {
        session_life: SessionLife::PlanEnd,
        plan: channels.iter().map(step).collect(),
        max_checks: 3,
        check_scope: CheckScope::PerCode,
        min_cancel_age: 30,
        uniqueness: Uniqueness::RejectWithExisting,
        keeps_submitted: true,
        exhaustion: Exhaustion::Ends,
        cancel_needs_step: true,
        calls_tell_payments: false,
        counts_malformed: false,
        ..usual_policy()
    }
}

/// Rules with everything that may be empty filled.
fn filled_policy() -> CodePolicy {
    let waits = |channel, waits: &[u32]| ChannelWaits {
        channel,
        waits: waits.to_vec(),
    };
    CodePolicy {
        reuse: CodeReuse::NewEachSend,
        session_life: SessionLife::AfterLastPossibleAction(600),
        send_waits: vec![waits(Channel::Sms, &[60, 100_000]), waits(Channel::Call, &[])],
        call_after_sms: Some(60),
        max_sends: 100,
        check_waits: vec![0, 60, 120],
        uniqueness: Uniqueness::None,
        single_use: false,
        exhaustion: Exhaustion::AwaitsCode,
        ..planned_policy(&[Channel::Sms, Channel::Call], 125)
    }
}

/// Rules by which a verification never ends by itself.
fn endless_policy() -> CodePolicy {
    CodePolicy {
        alphabet: Alphabet::UpperAlphanumeric,
        session_life: SessionLife::Endless,
        uniqueness: Uniqueness::Replace,
        ..usual_policy()
    }
}

fn filled_content() -> Content {
    let texts = || Substitutions::new(vec![("name".to_owned(), "Ann \u{1F989}".to_owned())]).unwrap();
    let name = |text| ProviderName::parse(text).unwrap();
    Content {
        friendly_name: Some(ServiceName::parse("Owl Bank").unwrap()),
        locale: Some(Locale::parse("pt-BR").unwrap()),
        custom_message: Some(CustomMessage::parse("Hello from the owls").unwrap()),
        app_hash: Some(AppHash::parse("FA+9qCX9VSu").unwrap()),
        template: Some(TemplateSid::from_bytes([7; 16])),
        substitutions: texts(),
        payment: Some(Payment {
            amount: Amount::parse("12,50 EUR").unwrap(),
            payee: name("M\u{fc}ller & Co."),
        }),
        warning: true,
        send_digits: Some(SendDigits::parse("ww1234#").unwrap()),
        tags: Tags::new(pairs()).unwrap(),
        email: Some(EmailOptions {
            from: Some(EmailAddress::parse("codes@owlbank.example").unwrap()),
            from_name: Some(name("Owl Bank")),
            template_id: Some(name("d-0123")),
            substitutions: texts(),
        }),
        device_ip: Some("2001:db8::1".parse().unwrap()),
    }
}

fn begun(destination: Destination, policy: CodePolicy, content: Content) -> Verification {
    let draft = Draft {
        sid: verification(),
        account: account(),
        service: service(),
        destination,
        policy,
        content,
    };
    Verification::begin(draft, moment(40))
}

/// A verification with everything that may be empty filled.
fn filled_verification() -> Verification {
    let code = |length, issued, failures| IssuedCode {
        sealed: sealed(),
        length,
        issued_at: moment(issued),
        expires_at: moment(issued + 600),
        failures,
    };
    let try_at = |byte, name, at| Try {
        attempt: AttemptSid::from_bytes([byte; 16]),
        sender: sender(name),
        at: moment(at),
    };
    let sending = |channel, at, code, tries, outcome| Sending {
        channel,
        at: moment(at),
        code,
        tries,
        outcome,
    };
    let (counts, refused, unavailable) = (
        SendingOutcome::Counts,
        SendingOutcome::ChannelRefused,
        SendingOutcome::Unavailable,
    );
    let both = vec![try_at(42, "sms-gateway-0001", 40), try_at(43, "log", 41)];
    let mut silent = SilentAuthentication::new(vault().token_hash(&[41; 16], "token"), true);
    silent.client_token = Some(vault().token_hash(&[41; 16], "client"));
    silent.confirmed = true;
    silent.calls = 2;
    silent.errors = vec![SilentError {
        attempt: AttemptSid::from_bytes([42; 16]),
        why: SilentFailure::Mismatch,
    }];
    Verification {
        codes: vec![code(4, 40, 3), code(10, 100, 0)],
        sends: vec![
            sending(Channel::Sms, 40, 0, both, counts),
            sending(Channel::Call, 50, 0, vec![try_at(44, "log", 50)], refused),
            sending(Channel::Whatsapp, 60, 1, Vec::new(), unavailable),
            sending(Channel::Rcs, 70, 1, vec![try_at(45, "log", 70)], counts),
            sending(Channel::Sna, 80, 1, vec![try_at(46, "log", 80)], counts),
        ],
        checks: vec![
            Check {
                at: moment(90),
                right: false,
                submitted: Some(sealed()),
                ip: Some("192.0.2.1".to_owned()),
            },
            Check {
                at: moment(91),
                right: true,
                submitted: None,
                ip: None,
            },
        ],
        silent: Some(silent),
        date_updated: moment(91),
        next_step_at: Some(moment(165)),
        ..begun(phone(), filled_policy(), filled_content())
    }
}

fn verifications() -> Vec<Sample> {
    let ended = |policy, how, at| Verification {
        end: Some(End { how, at: moment(at) }),
        ..begun(phone(), policy, Content::default())
    };
    let timer = VerificationTimer {
        account: account(),
        service: service(),
        verification: verification(),
        wait: 125,
    };
    vec![
        sample(
            "verification, not sent",
            &begun(email(), usual_policy(), Content::default()),
        ),
        sample("verification, everything set", &filled_verification()),
        sample(
            "verification, endless",
            &begun(phone(), endless_policy(), filled_content()),
        ),
        sample(
            "verification, approved",
            &ended(usual_policy(), Ending::Approved, 50),
        ),
        sample(
            "verification, canceled",
            &ended(filled_policy(), Ending::Canceled, 51),
        ),
        sample(
            "verification, replaced",
            &ended(endless_policy(), Ending::Replaced, 52),
        ),
        sample(
            "verification, too many wrong codes",
            &ended(planned_policy(&[], 0), Ending::MaxAttemptsReached, 53),
        ),
        sample("timer of a verification", &timer),
    ]
}

fn destinations() -> Vec<Sample> {
    let mut kept = DestinationRecord::default();
    kept.name_last(verification(), Some(moment(640)));
    let mut failed = WrongCodes::default();
    for at in 90..93 {
        failed.count_failure(moment(at));
    }
    let mut after_right = failed.clone();
    after_right.end_row();
    let mut endless = kept.clone();
    endless.name_last(VerificationSid::from_bytes([40; 16]), None);
    vec![
        sample("destination, nothing remembered", &DestinationRecord::default()),
        sample("destination, a verification", &kept),
        sample("wrong codes, in a row", &failed),
        sample("wrong codes, before a right one", &after_right),
        sample("destination, an endless verification", &endless),
    ]
}

fn attempts() -> Vec<Sample> {
    let queued = Attempt {
        sid: AttemptSid::from_bytes([42; 16]),
        account: account(),
        service: service(),
        verification: verification(),
        channel: Channel::Email,
        destination: email(),
        country: None,
        locale: None,
        code_length: 6,
        sender: sender("log"),
        status: AttemptStatus::Queued,
        converted_at: None,
        expires_at: moment(640),
        price: None,
        reference: None,
        date_created: moment(40),
        date_updated: moment(40),
    };
    let sent = Attempt {
        channel: Channel::Sms,
        destination: phone(),
        country: Country::parse("BE").ok(),
        locale: Some("pt-BR".to_owned()),
        sender: sender("sms-gateway-0001"),
        status: AttemptStatus::Sent,
        converted_at: Some(moment(91)),
        price: Some(Price {
            micros: 75_000,
            currency: Currency::parse("eur").unwrap(),
        }),
        reference: Some("SM-0001".to_owned()),
        date_updated: moment(91),
        ..queued.clone()
    };
    let failed = Attempt {
        status: AttemptStatus::Failed {
            why: Reason::new("status 410, \u{2026}"),
        },
        ..sent.clone()
    };
    let canceled = Attempt {
        status: AttemptStatus::Canceled,
        ..queued.clone()
    };
    vec![
        sample("attempt, queued", &queued),
        sample("attempt, sent and converted", &sent),
        sample("attempt, failed", &failed),
        sample("attempt, canceled", &canceled),
    ]
}

fn queued_codes() -> Vec<Sample> {
    let row = |message| OutboxRow::new(EventSid::from_bytes([17; 16]), moment(40), message);
    let code = |refused| {
        row(OutboxMessage::Code(QueuedCode {
            account: account(),
            service: service(),
            verification: verification(),
            send: 4,
            attempt: AttemptSid::from_bytes([42; 16]),
            sender: sender("log"),
            expires_at: moment(640),
            refused,
        }))
    };
    let tried = OutboxRow {
        attempts: 3,
        next_at: moment(60),
        lease: Some(moment(45)),
        last_error: Some(Reason::new("status 503")),
        ..code(vec![sender("sms-gateway-0001"), sender("a")])
    };
    vec![
        sample("outbox row, code", &code(Vec::new())),
        sample("outbox row, code, refused by two and leased", &tried),
    ]
}

fn limits() -> Vec<Sample> {
    let bucket = |byte, max, interval| Bucket {
        sid: BucketSid::from_bytes([byte; 16]),
        max: BucketMax::parse(max).unwrap(),
        interval: BucketInterval::parse(interval).unwrap(),
        date_created: moment(30),
        date_updated: moment(31),
    };
    let rule = PermitRule {
        capacity: 5,
        regeneration: Duration::from_mins(288),
        pause: Duration::from_mins(1),
    };
    let begun = Permits::take(None, &rule, moment(30)).unwrap();
    let limit = RateLimit {
        sid: RateLimitSid::from_bytes([20; 16]),
        unique_name: UniqueName::parse("end_user.ip-4").unwrap(),
        description: Some(Description::parse("Where they come from").unwrap()),
        buckets: vec![bucket(21, 5, 60), bucket(22, 1_000_000, 2_592_000)],
        date_created: moment(29),
        date_updated: moment(31),
    };
    let empty = RateLimit {
        description: None,
        buckets: Vec::new(),
        ..limit.clone()
    };
    let uses = RateLimitUses {
        buckets: vec![BucketUse {
            bucket: BucketSid::from_bytes([21; 16]),
            since: moment(32),
            count: 5,
        }],
    };
    vec![
        sample("rate limit", &limit),
        sample("rate limit, without description and buckets", &empty),
        sample("uses of a rate limit's value", &uses),
        sample("uses of a rate limit's value, none", &RateLimitUses::default()),
        sample("permits of a bucket, one taken", &begun),
    ]
}

fn choices() -> Vec<Sample> {
    let configuration = |region| MessagingConfiguration {
        region,
        messaging_service: MessagingServiceSid::from_bytes([23; 16]),
        date_created: moment(33),
        date_updated: moment(34),
    };
    let canada = Region::Country(Country::parse("CA").unwrap());
    let safe = SafeNumber {
        sid: SafeListSid::from_bytes([24; 16]),
        number: PhoneNumber::try_from("+15125550123".to_owned()).unwrap(),
        date_created: moment(35),
    };
    vec![
        sample("messaging configuration, everywhere", &configuration(Region::All)),
        sample("messaging configuration, of a country", &configuration(canada)),
        sample("safe number", &safe),
    ]
}

fn toll_fraud() -> Vec<Sample> {
    let block = PrefixBlock {
        reason: BlockReason::LowConversion,
        since: moment(20),
        until: moment(90),
        sends: 31,
        converted: 2,
        lifted: false,
    };
    let taken = |told| Taken { units: 64, told };
    let mut samples = vec![
        sample("budget", &taken(false)),
        sample("budget, told that it is spent", &taken(true)),
        sample("blocked prefix", &block),
    ];
    let row = |reason, country, until| {
        let message = OutboxMessage::Blocked {
            webhook: WebhookSid::from_bytes([9; 16]),
            event: BlockEvent {
                reason,
                at: moment(22),
                account: account(),
                service: service(),
                subject: "+3247012****".to_owned(),
                country,
                until,
                lifted: false,
            },
        };
        OutboxRow::new(EventSid::from_bytes([17; 16]), moment(21), message)
    };
    let belgium = || Country::parse("BE").ok();
    samples.push(sample(
        "outbox row, block for good, in no country",
        &row(BlockReason::NumberKind, None, None),
    ));
    samples.extend(BlockReason::GUARDS.map(|reason| {
        let name = format!("outbox row, block, {}", reason.name());
        sample(&name, &row(reason, belgium(), Some(moment(90))))
    }));
    samples
}

fn account() -> AccountSid {
    AccountSid::from_bytes([1; 16])
}

fn service() -> ServiceSid {
    ServiceSid::from_bytes([3; 16])
}

fn verification() -> VerificationSid {
    VerificationSid::from_bytes([41; 16])
}

fn phone() -> Destination {
    Destination::Phone(PhoneNumber::try_from("+32470123456".to_owned()).unwrap())
}

fn email() -> Destination {
    Destination::Email(EmailAddress::parse("Ada@mail.example.com").unwrap())
}

fn sender(name: &str) -> SenderName {
    SenderName::parse(name).unwrap()
}

fn sealed() -> Sealed {
    Sealed::from_bytes((0..39).collect())
}
