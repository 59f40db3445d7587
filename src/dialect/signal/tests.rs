//! The calls, with the default guards against toll fraud, on a clock that is moved.

use std::sync::Arc;
use std::time::Duration;

use tonic::{Code, Request, Status};

use super::auth::Callers;
use super::proto::registration_service_server::RegistrationService as _;
use super::proto::{
    CheckVerificationCodeErrorType as CheckError, CheckVerificationCodeRequest,
    CheckVerificationCodeResponse, CreateRegistrationSessionErrorType as CreateError,
    CreateRegistrationSessionRequest, GetRegistrationSessionMetadataRequest,
    LegacyCheckVerificationCodeResponse, MessageTransport, RegistrationSessionMetadata,
    SendVerificationCodeErrorType as SendError, SendVerificationCodeRequest, SendVerificationCodeResponse,
    create_registration_session_response, get_registration_session_metadata_response,
};
use super::registration::Registration;
use crate::app::App;
use crate::domain::sid::VerificationSid;
use crate::domain::text::{DialectName, FriendlyName};
use crate::domain::time::Timestamp;
use crate::domain::verification::Verification;
use crate::doubles::{ManualClock, TestParts};
use crate::flows::bearer_token::{self, NewBearerToken};
use crate::flows::code::open_code;
use crate::flows::verification::VerificationName;
use crate::flows::{access, account, dialect_service, verification};

const NUMBER: u64 = 32_470_123_456;

struct Registrations {
    registration: Registration,
    clock: Arc<ManualClock>,
}

impl Registrations {
    async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(Timestamp::from_seconds(1_800_000_000)));
        let app = TestParts {
            clock: clock.clone(),
            ..TestParts::default()
        }
        .wire();
        let name = FriendlyName::parse("An account").unwrap();
        account::create(&app, name).await.unwrap();
        let registration = Registration {
            app: Arc::new(app),
            callers: Callers::Anybody(None),
            android_app_hash: None,
        };
        Self { registration, clock }
    }

    fn app(&self) -> &App {
        &self.registration.app
    }

    fn wait(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
    }

    async fn try_create(
        &self,
        number: u64,
        apart: &str,
    ) -> Result<RegistrationSessionMetadata, (CreateError, bool, u64)> {
        use create_registration_session_response::Response as Answer;
        let request = CreateRegistrationSessionRequest {
            e164: number,
            account_exists_with_e164: false,
            rate_limit_collation_key: apart.to_owned(),
        };
        let answer = self
            .registration
            .create_session(Request::new(request))
            .await
            .unwrap();
        match answer.into_inner().response.unwrap() {
            Answer::SessionMetadata(metadata) => Ok(metadata),
            Answer::Error(error) => Err((error.error_type(), error.may_retry, error.retry_after_seconds)),
        }
    }

    async fn create(&self) -> Vec<u8> {
        self.try_create(NUMBER, "").await.unwrap().session_id
    }

    async fn get(&self, session: &[u8]) -> Option<RegistrationSessionMetadata> {
        use get_registration_session_metadata_response::Response as Answer;
        let request = GetRegistrationSessionMetadataRequest {
            session_id: session.to_vec(),
        };
        let answer = self
            .registration
            .get_session_metadata(Request::new(request))
            .await
            .unwrap();
        match answer.into_inner().response.unwrap() {
            Answer::SessionMetadata(metadata) => Some(metadata),
            Answer::Error(_) => None,
        }
    }

    async fn send(&self, session: &[u8], transport: MessageTransport) -> SendVerificationCodeResponse {
        let request = SendVerificationCodeRequest {
            transport: transport.into(),
            session_id: session.to_vec(),
            ..SendVerificationCodeRequest::default()
        };
        let answer = self
            .registration
            .send_verification_code(Request::new(request))
            .await;
        answer.unwrap().into_inner()
    }

    async fn check(&self, session: &[u8], code: &str) -> CheckVerificationCodeResponse {
        let answer = self
            .registration
            .check_verification_code(guess(session, code))
            .await;
        answer.unwrap().into_inner()
    }

    async fn legacy_check(&self, session: &[u8], code: &str) -> LegacyCheckVerificationCodeResponse {
        let answer = self
            .registration
            .legacy_check_verification_code(guess(session, code))
            .await;
        answer.unwrap().into_inner()
    }

    async fn stored(&self, session: &[u8]) -> Verification {
        let account = account::list(self.app()).await.unwrap()[0].sid;
        let (dialect, name) = (
            DialectName::parse("signal").unwrap(),
            crate::domain::text::ServiceName::parse("Signal").unwrap(),
        );
        let service = dialect_service::service_of(self.app(), &mut account.into(), &dialect, &name)
            .await
            .unwrap();
        let sid = VerificationSid::from_bytes(session.try_into().unwrap());
        let which = VerificationName::Sid(sid);
        verification::fetch(self.app(), account, service, &which)
            .await
            .unwrap()
            .1
    }

    /// The code that was sent last.
    async fn code(&self, session: &[u8]) -> String {
        let stored = self.stored(session).await;
        let code = open_code(self.app(), &stored, stored.codes.last().unwrap()).unwrap();
        code.reveal().to_owned()
    }
}

fn guess(session: &[u8], code: &str) -> Request<CheckVerificationCodeRequest> {
    Request::new(CheckVerificationCodeRequest {
        session_id: session.to_vec(),
        verification_code: code.to_owned(),
    })
}

/// What is wrong and for how long, and whether the session is shown beside it.
fn send_error(answer: &SendVerificationCodeResponse) -> Option<(SendError, bool, u64, bool)> {
    let error = answer.error.as_ref()?;
    let shown = answer.session_metadata.is_some();
    Some((
        error.error_type(),
        error.may_retry,
        error.retry_after_seconds,
        shown,
    ))
}

fn check_error(answer: &CheckVerificationCodeResponse) -> Option<(CheckError, bool, u64, bool)> {
    let error = answer.error.as_ref()?;
    let shown = answer.session_metadata.is_some();
    Some((
        error.error_type(),
        error.may_retry,
        error.retry_after_seconds,
        shown,
    ))
}

fn other(code: &str) -> String {
    let first = if code.starts_with('0') { "1" } else { "0" };
    format!("{first}{}", &code[1..])
}

#[tokio::test]
async fn a_session_is_begun_without_a_sending_and_says_what_may_be_done() {
    let world = Registrations::new().await;
    let begun = world.try_create(NUMBER, "").await.unwrap();
    let expected = RegistrationSessionMetadata {
        session_id: begun.session_id.clone(),
        e164: NUMBER,
        may_request_sms: true,
        expiration_seconds: 600,
        ..RegistrationSessionMetadata::default()
    };
    assert_eq!(begun, expected);
    assert_eq!(begun.session_id.len(), 16);
    assert_eq!(world.get(&begun.session_id).await, Some(begun.clone()));
    world.wait(599);
    assert_eq!(world.get(&begun.session_id).await.unwrap().expiration_seconds, 1);
    world.wait(1);
    assert_eq!(world.get(&begun.session_id).await, None);
    assert_eq!(world.get(&[7; 16]).await, None);
}

#[tokio::test]
async fn five_text_messages_in_eighteen_minutes_with_their_exact_waits() {
    let world = Registrations::new().await;
    let session = world.create().await;
    for wait in [60, 120, 300, 600] {
        let sent = world.send(&session, MessageTransport::Sms).await;
        assert_eq!(send_error(&sent), None);
        let metadata = sent.session_metadata.unwrap();
        assert!(metadata.may_request_sms && metadata.may_check_code);
        assert_eq!(
            (metadata.next_sms_seconds, metadata.next_code_check_seconds),
            (wait, 0)
        );
        world.wait(wait - 1);
        let early = world.send(&session, MessageTransport::Sms).await;
        assert_eq!(send_error(&early), Some((SendError::RateLimited, true, 1, true)));
        world.wait(1);
    }
    let last = world.send(&session, MessageTransport::Sms).await;
    let metadata = last.session_metadata.unwrap();
    assert_eq!((metadata.may_request_sms, metadata.next_sms_seconds), (false, 0));
    let sixth = world.send(&session, MessageTransport::Sms).await;
    assert_eq!(send_error(&sixth), Some((SendError::RateLimited, false, 0, true)));
}

#[tokio::test]
async fn a_call_waits_for_a_text_message_and_three_are_made() {
    let world = Registrations::new().await;
    let session = world.create().await;
    let early = world.send(&session, MessageTransport::Voice).await;
    assert_eq!(send_error(&early), Some((SendError::RateLimited, false, 0, true)));
    let sent = world
        .send(&session, MessageTransport::Sms)
        .await
        .session_metadata
        .unwrap();
    assert_eq!(
        (sent.may_request_voice_call, sent.next_voice_call_seconds),
        (true, 60)
    );
    for wait in [60, 60, 300] {
        let early = world.send(&session, MessageTransport::Voice).await;
        assert_eq!(
            send_error(&early),
            Some((SendError::RateLimited, true, wait, true))
        );
        world.wait(wait);
        assert_eq!(
            send_error(&world.send(&session, MessageTransport::Voice).await),
            None
        );
    }
    let fourth = world.send(&session, MessageTransport::Voice).await;
    assert_eq!(
        send_error(&fourth),
        Some((SendError::RateLimited, false, 0, true))
    );
}

#[tokio::test]
async fn five_guesses_for_each_code_with_their_exact_waits() {
    let world = Registrations::new().await;
    let session = world.create().await;
    let nothing_sent = world.check(&session, "123456").await;
    assert_eq!(
        check_error(&nothing_sent),
        Some((CheckError::NoCodeSent, false, 0, true))
    );
    world.send(&session, MessageTransport::Sms).await;
    let wrong = other(&world.code(&session).await);
    for (guess, wait) in [(&*wrong, 0), ("incorrect", 0), (&*wrong, 60), ("", 120)] {
        let checked = world.check(&session, guess).await;
        assert_eq!(check_error(&checked), None);
        let metadata = checked.session_metadata.unwrap();
        assert_eq!((metadata.verified, metadata.may_check_code), (false, true));
        assert_eq!(metadata.next_code_check_seconds, wait);
        if wait > 0 {
            let early = world.check(&session, guess).await;
            assert_eq!(
                check_error(&early),
                Some((CheckError::RateLimited, true, wait, true))
            );
            world.wait(wait);
        }
    }
    let fifth = world.check(&session, &wrong).await.session_metadata.unwrap();
    assert_eq!((fifth.may_check_code, fifth.next_code_check_seconds), (false, 0));
    let right = world.code(&session).await;
    let sixth = world.check(&session, &right).await;
    assert_eq!(
        check_error(&sixth),
        Some((CheckError::RateLimited, false, 0, true))
    );
    // The limit comes first, also when the code's time is over.
    world.wait(600 - 180);
    let late = world.check(&session, &right).await;
    assert_eq!(
        check_error(&late),
        Some((CheckError::RateLimited, false, 0, true))
    );
    // Another code has guesses of its own.
    world.send(&session, MessageTransport::Sms).await;
    let right = world.code(&session).await;
    assert!(
        world
            .check(&session, &right)
            .await
            .session_metadata
            .unwrap()
            .verified
    );
}

#[tokio::test]
async fn a_code_is_over_after_ten_minutes_and_the_session_later() {
    let world = Registrations::new().await;
    let session = world.create().await;
    world.send(&session, MessageTransport::Sms).await;
    let code = world.code(&session).await;
    world.wait(600);
    let late = world.check(&session, &code).await;
    assert_eq!(
        check_error(&late),
        Some((CheckError::AttemptExpired, false, 0, false))
    );
    // The next text message could have been asked for a minute after the first.
    world.wait(59);
    assert_eq!(world.get(&session).await.unwrap().expiration_seconds, 1);
    world.wait(1);
    assert_eq!(world.get(&session).await, None);
    let gone = world.check(&session, &code).await;
    assert_eq!(
        check_error(&gone),
        Some((CheckError::SessionNotFound, false, 0, false))
    );
    let gone = world.send(&session, MessageTransport::Sms).await;
    assert_eq!(
        send_error(&gone),
        Some((SendError::SessionNotFound, false, 0, false))
    );
}

#[tokio::test]
async fn a_verified_session_stays_so_for_ten_minutes() {
    let world = Registrations::new().await;
    let session = world.create().await;
    world.send(&session, MessageTransport::Sms).await;
    let code = world.code(&session).await;
    let verified = world.check(&session, &code).await.session_metadata.unwrap();
    let expected = RegistrationSessionMetadata {
        session_id: session.clone(),
        verified: true,
        e164: NUMBER,
        expiration_seconds: 600,
        ..RegistrationSessionMetadata::default()
    };
    assert_eq!(verified, expected);
    let again = world.check(&session, "any code").await;
    assert_eq!((again.error, again.session_metadata), (None, Some(expected)));
    let sent = world.send(&session, MessageTransport::Sms).await;
    assert_eq!(
        send_error(&sent),
        Some((SendError::SessionAlreadyVerified, false, 0, true))
    );
    // Older clients learn whether it is the same code.
    assert!(world.legacy_check(&session, &code).await.verified);
    let another = world.legacy_check(&session, &other(&code)).await;
    assert_eq!((another.verified, another.error), (false, None));
    world.wait(600);
    assert_eq!(world.get(&session).await, None);
}

#[tokio::test]
async fn the_older_check_says_the_same_without_the_session() {
    let world = Registrations::new().await;
    let session = world.create().await;
    let error = |answer: LegacyCheckVerificationCodeResponse| answer.error.map(|error| error.error_type());
    let nothing_sent = world.legacy_check(&session, "123456").await;
    assert_eq!(error(nothing_sent), Some(CheckError::NoCodeSent));
    world.send(&session, MessageTransport::Sms).await;
    let code = world.code(&session).await;
    let wrong = world.legacy_check(&session, &other(&code)).await;
    assert_eq!((wrong.verified, error(wrong)), (false, None));
    assert!(world.legacy_check(&session, &code).await.verified);
    let unknown = world.legacy_check(&[0; 16], &code).await;
    assert_eq!(
        (unknown.verified, error(unknown)),
        (false, Some(CheckError::SessionNotFound))
    );
}

#[tokio::test]
async fn five_sessions_of_a_number_a_minute_apart_counted_apart_by_their_key() {
    let world = Registrations::new().await;
    for round in 0..5 {
        world.try_create(NUMBER, "a").await.unwrap();
        if round < 4 {
            let early = world.try_create(NUMBER, "a").await;
            assert_eq!(early, Err((CreateError::RateLimited, true, 60)));
            world.wait(60);
        }
    }
    world.wait(60);
    let wait = 288 * 60 - 5 * 60;
    assert_eq!(
        world.try_create(NUMBER, "a").await,
        Err((CreateError::RateLimited, true, wait))
    );
    world.try_create(NUMBER, "b").await.unwrap();
    world.try_create(NUMBER + 1, "a").await.unwrap();
    world.wait(wait);
    world.try_create(NUMBER, "a").await.unwrap();
}

#[tokio::test]
async fn what_is_no_number_is_refused() {
    let world = Registrations::new().await;
    for number in [0, 1, 999, u64::MAX] {
        let refused = world.try_create(number, "").await;
        assert_eq!(
            refused,
            Err((CreateError::IllegalPhoneNumber, false, 0)),
            "{number}"
        );
    }
}

#[tokio::test]
async fn malformed_requests_are_invalid_arguments_without_a_word() {
    fn is_invalid(status: &Status) -> bool {
        status.code() == Code::InvalidArgument && status.message().is_empty()
    }
    let world = Registrations::new().await;
    let session = world.create().await;
    for length in [0, 15, 17] {
        let session_id = vec![0; length];
        let get = GetRegistrationSessionMetadataRequest {
            session_id: session_id.clone(),
        };
        let got = world.registration.get_session_metadata(Request::new(get)).await;
        assert!(is_invalid(&got.unwrap_err()));
        let checked = world
            .registration
            .check_verification_code(guess(&session_id, "1"))
            .await;
        assert!(is_invalid(&checked.unwrap_err()));
        let checked = world
            .registration
            .legacy_check_verification_code(guess(&session_id, "1"))
            .await;
        assert!(is_invalid(&checked.unwrap_err()));
        let send = SendVerificationCodeRequest {
            transport: MessageTransport::Sms.into(),
            session_id,
            ..SendVerificationCodeRequest::default()
        };
        let sent = world
            .registration
            .send_verification_code(Request::new(send))
            .await;
        assert!(is_invalid(&sent.unwrap_err()));
    }
    for transport in [0, 3, -1] {
        let send = SendVerificationCodeRequest {
            transport,
            session_id: session.clone(),
            ..SendVerificationCodeRequest::default()
        };
        let sent = world
            .registration
            .send_verification_code(Request::new(send))
            .await;
        assert!(is_invalid(&sent.unwrap_err()));
    }
}

#[tokio::test]
async fn whoever_has_to_show_a_token_is_known_by_it() {
    let mut world = Registrations::new().await;
    world.registration.callers = Callers::Tokens;
    let account = account::list(world.app()).await.unwrap()[0].sid;
    let new = |dialect: &str, life| NewBearerToken {
        dialect: DialectName::parse(dialect).unwrap(),
        user: None,
        friendly_name: FriendlyName::parse("backend").unwrap(),
        life,
    };
    let hour = Some(Duration::from_hours(1));
    let (token, secret) = bearer_token::create(world.app(), account, new("signal", hour))
        .await
        .unwrap();
    let (strange, strange_secret) = bearer_token::create(world.app(), account, new("zitadel", None))
        .await
        .unwrap();
    let right = access::presented(token.sid, &secret).to_string();
    let create = async |header: &'static str, value: String| {
        let mut request = Request::new(CreateRegistrationSessionRequest {
            e164: NUMBER,
            ..CreateRegistrationSessionRequest::default()
        });
        request.metadata_mut().insert(header, value.parse().unwrap());
        let created = world.registration.create_session(request).await;
        world.wait(60);
        created.map(|_| ()).map_err(|status| status.code())
    };
    assert_eq!(create("authorization", format!("Bearer {right}")).await, Ok(()));
    assert_eq!(create("authorization", format!("bearer {right}")).await, Ok(()));
    assert_eq!(create("x-signal-api-key", right.clone()).await, Ok(()));
    let refused = Err(Code::Unauthenticated);
    for wrong in [
        format!("Basic {right}"),
        "Bearer ".to_owned(),
        format!("Bearer {right}x"),
        format!(
            "Bearer {}",
            access::presented(strange.sid, &strange_secret).as_str()
        ),
        format!("Bearer {}", access::presented(strange.sid, &secret).as_str()),
        format!(
            "Bearer {}",
            access::presented(token.sid, &strange_secret).as_str()
        ),
    ] {
        assert_eq!(create("authorization", wrong.clone()).await, refused, "{wrong}");
    }
    assert_eq!(create("unrelated", right.clone()).await, refused);
    world.wait(3600);
    assert_eq!(create("x-signal-api-key", right.clone()).await, refused);
    bearer_token::revoke(world.app(), token.sid).await.unwrap();
    assert_eq!(create("x-signal-api-key", right).await, refused);
}
