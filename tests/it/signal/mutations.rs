//! A recorded session, broken at random: whatever comes, the answer is a status of the protocol, what is refused changes
//! nothing, the memory stays where it was, and other calls of the connection go on.
//!
//! `COUNTERSIGN_MUTATION_SEED` breaks it in other places.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::dialect::signal::proto::{
    CheckVerificationCodeRequest, ClientType, CreateRegistrationSessionRequest,
    CreateRegistrationSessionResponse, GetRegistrationSessionMetadataRequest,
    GetRegistrationSessionMetadataResponse, MessageTransport, SendVerificationCodeRequest,
    create_registration_session_response as created, get_registration_session_metadata_response as got,
};
use countersign::dialect::signal::{self, Callers};
use countersign::domain::verification::{Verification, VerificationStatus};
use countersign::flows::check_store::check_store;
use countersign::flows::store_format;
use countersign::store::counting::CountingStore;
use countersign::store::memory::MemoryStore;
use countersign::store::records::decode;
use tempfile::TempDir;
use tonic::Code;

use crate::server_kill::random::Random;
use crate::serving::process::{Process, stdout_of};
use crate::support::called::serve_beside_twilio;
use crate::support::rpc::{Answered, REGISTRATION, RawAnswer, RpcConnection, answered, framed, new_token};
use crate::support::{TestApp, number_from};

const MUTATIONS: u64 = 10_000;

/// In which form a call is made.
const FORMS: [&str; 3] = [
    "application/grpc",
    "application/grpc-web+proto",
    "application/grpc-web-text+proto",
];

/// A call of the session: what it is called, and its body.
type Recorded = (&'static str, Vec<u8>);

/// Whoever makes the calls, good ones and broken ones.
struct Breaker {
    connection: RpcConnection,
    token: String,
    random: Random,
    recorded: Vec<Recorded>,
    begun: u64,
}

impl Breaker {
    async fn of(url: &str, token: String) -> Self {
        let seed = u64::try_from(number_from("COUNTERSIGN_MUTATION_SEED", 0x5161)).unwrap();
        let mut breaker = Self {
            connection: RpcConnection::to(url).await,
            token,
            random: Random::new(seed),
            recorded: Vec::new(),
            begun: 0,
        };
        breaker.record().await;
        breaker
    }

    /// Begins a session, and notes all that may be asked of it.
    async fn record(&mut self) -> Vec<u8> {
        let create = CreateRegistrationSessionRequest {
            e164: 12_015_550_100 + self.begun % 100 + 10_000_000 * (1 + self.begun / 100 % 3),
            account_exists_with_e164: true,
            rate_limit_collation_key: format!("key {}", self.begun),
        };
        self.begun += 1;
        let answer: CreateRegistrationSessionResponse = self.ask("CreateSession", &create).await.unwrap();
        let Some(created::Response::SessionMetadata(session)) = answer.response else {
            panic!("{answer:?}");
        };
        let session_id = session.session_id;
        let get = GetRegistrationSessionMetadataRequest {
            session_id: session_id.clone(),
        };
        let send = SendVerificationCodeRequest {
            session_id: session_id.clone(),
            transport: MessageTransport::Sms.into(),
            accept_language: "pt-BR, de;q=0.8".to_owned(),
            client_type: ClientType::AndroidWithFcm.into(),
            sender_name: "log".to_owned(),
        };
        let guess = CheckVerificationCodeRequest {
            session_id: session_id.clone(),
            // Letters: no mutation of a few bytes makes the right code of it.
            verification_code: "incorrect code".to_owned(),
        };
        self.recorded = vec![
            ("CreateSession", framed(&create)),
            ("GetSessionMetadata", framed(&get)),
            ("SendVerificationCode", framed(&send)),
            ("CheckVerificationCode", framed(&guess)),
            ("LegacyCheckVerificationCode", framed(&guess)),
        ];
        session_id
    }

    async fn ask<Asked: prost::Message, Answer: prost::Message + Default>(
        &self,
        name: &str,
        asked: &Asked,
    ) -> Answered<Answer> {
        let path = format!("{REGISTRATION}/{name}");
        self.connection.call(&path, Some(&self.token), asked).await
    }

    /// Whether a good call on the connection is answered as it should be.
    async fn finds(&self, session: &[u8]) -> bool {
        let asked = GetRegistrationSessionMetadataRequest {
            session_id: session.to_vec(),
        };
        let answer: GetRegistrationSessionMetadataResponse =
            self.ask("GetSessionMetadata", &asked).await.unwrap();
        matches!(answer.response, Some(got::Response::SessionMetadata(_)))
    }

    /// Makes a call whose body is broken; its name, and the status that came of it.
    async fn call_broken(&mut self) -> (&'static str, Code) {
        let index = self.random.below(self.recorded.len() as u64);
        let (name, whole) = self.recorded[usize::try_from(index).unwrap()].clone();
        let body = self.broken(whole);
        let form = FORMS[usize::try_from(self.random.below(3)).unwrap()];
        let sent = match form {
            "application/grpc-web-text+proto" if self.random.below(8) > 0 => {
                STANDARD.encode(&body).into_bytes()
            }
            _ => body.clone(),
        };
        let path = format!("{REGISTRATION}/{name}");
        let call = self.connection.begin(&path, form, Some(&self.token)).await;
        let answer = call.end(sent).await;
        let (code, text) = status(&answer);
        let told = format!("{name} as {form} {body:02x?}: {code:?} {text:?}");
        assert_eq!(answer.status, 200, "{told}");
        // That is what mistakes of ours are answered with, and panics.
        assert!(!text.contains("an internal error occurred"), "{told}");
        assert!(
            !matches!(code, Code::Unknown | Code::DataLoss | Code::Unauthenticated),
            "{told}"
        );
        (name, code)
    }

    /// Half of the calls are broken in their frame, the others in the message of a good one.
    fn broken(&mut self, whole: Vec<u8>) -> Vec<u8> {
        if self.random.below(2) == 0 {
            return self.changed(whole, 9);
        }
        // The small changes, which leave most of it what it is.
        let message = self.changed(whole[5..].to_vec(), 2);
        let length = u32::try_from(message.len()).unwrap();
        [&[0][..], &length.to_be_bytes(), &message].concat()
    }

    /// One to four changes: a bit, a byte, bytes more or less, the end cut off, a length, a piece of another call.
    fn changed(&mut self, mut body: Vec<u8>, kinds: u64) -> Vec<u8> {
        for _ in 0..=self.random.below(4) {
            let length = body.len() as u64;
            let at = usize::try_from(self.random.below(length + 1)).unwrap();
            let kind = self.random.below(kinds);
            let [byte, more @ ..]: [u8; 9] = self.random.bytes();
            match kind {
                0 if at < body.len() => body[at] ^= 1 << (byte % 8),
                1 if at < body.len() => body[at] = byte,
                2 => drop(body.splice(at..at, more)),
                3 if at < body.len() => drop(body.remove(at)),
                4 => body.truncate(at),
                // What the call says of its own length, or whether it is compressed.
                5 if body.len() >= 5 => body[1..5].copy_from_slice(&more[..4]),
                6 if !body.is_empty() => body[0] = byte,
                7 => body.extend_from_within(at..),
                _ => {
                    let other = self.random.below(self.recorded.len() as u64);
                    let other = &self.recorded[usize::try_from(other).unwrap()].1;
                    let from = at.min(other.len());
                    body.extend_from_slice(&other[from..]);
                }
            }
        }
        body
    }
}

/// The status of an answer in any form: in its head, behind it, or in the last frame of its body.
fn status(answer: &RawAnswer) -> (Code, String) {
    let in_head = answer.headers.contains_key("grpc-status") || answer.trailers.contains_key("grpc-status");
    if in_head {
        let answered: Answered<()> = answered(&answer.headers, &answer.trailers, &framed(&()));
        return answered.err().unwrap_or((Code::Ok, String::new()));
    }
    let kind = answer.headers["content-type"].to_str().unwrap();
    assert!(kind.starts_with("application/grpc-web"), "{answer:?}");
    let body = if kind.starts_with("application/grpc-web-text") {
        // Pieces are encoded each for itself.
        answer
            .body
            .chunks(4)
            .flat_map(|four| STANDARD.decode(four).unwrap())
            .collect()
    } else {
        answer.body.clone()
    };
    let mut rest = &*body;
    while let Some(([flag, length @ ..], behind)) = rest.split_first_chunk::<5>() {
        let (frame, behind) = behind.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
        if *flag == 0x80 {
            let text = std::str::from_utf8(frame).unwrap().to_lowercase();
            let of = |name| text.lines().find_map(|line| line.strip_prefix(name));
            let code = of("grpc-status:").expect("a status").trim();
            let message = of("grpc-message:").unwrap_or_default().trim();
            return (Code::from_bytes(code.as_bytes()), message.replace("%20", " "));
        }
        rest = behind;
    }
    panic!("no status in {answer:?}");
}

#[tokio::test]
async fn ten_thousand_broken_calls_are_answered_and_change_nothing_that_they_may_not() {
    let store = Arc::new(CountingStore::new(MemoryStore::new()));
    let server = TestApp::on(store.clone()).await;
    store_format::check(&server.app).await.unwrap();
    let token = new_token(&server.app, &server.account, "signal").await;
    let registration = signal::http(server.app.clone(), Callers::Tokens, None);
    let listening = serve_beside_twilio(&server, vec![(signal::claims, registration)]);
    let mut breaker = Breaker::of(&format!("http://{}", listening.address), token.clone()).await;
    let (mut answered_well, mut refused) = (0, 0);
    for nth in 0..MUTATIONS / 500 {
        let session = breaker.record().await;
        // A call that was begun before all of these, and ends behind them.
        let path = format!("{REGISTRATION}/GetSessionMetadata");
        let bystander = breaker.connection.begin(&path, FORMS[0], Some(&token)).await;
        for _ in 0..500 {
            store.take();
            let (name, code) = breaker.call_broken().await;
            if code != Code::Ok || name == "GetSessionMetadata" {
                assert_eq!(store.take().commit, 0, "{name}: {code:?} is no change");
            }
            if code == Code::Ok {
                answered_well += 1;
            } else {
                refused += 1;
            }
        }
        let asked = GetRegistrationSessionMetadataRequest {
            session_id: session.clone(),
        };
        let answer = bystander.end(framed(&asked)).await;
        assert_eq!(status(&answer), (Code::Ok, String::new()));
        assert!(
            breaker.finds(&session).await,
            "the connection goes on, round {nth}"
        );
        server.wait(61);
    }
    assert!(
        answered_well > 1000 && refused > 4000,
        "{answered_well}, {refused}"
    );
    for (_, entry) in server.scan(b"v".to_vec()).await {
        let verification: Verification = decode(&entry.value).unwrap();
        assert_eq!(verification.account.to_string(), server.account.user);
        assert_ne!(
            verification.status(server.app.clock.now()),
            VerificationStatus::Approved
        );
    }
    let report = check_store(&server.app).await.unwrap();
    assert!(report.is_healthy(), "{report}");
}

/// The same against the real binary, which does not grow.
#[tokio::test]
async fn broken_calls_cost_no_memory() {
    let directory = TempDir::new().unwrap();
    let server = Process::start(directory.path());
    let token = stdout_of(directory.path(), &["token", "create", "--signal"]);
    let mut breaker = Breaker::of(&server.url, token.trim().to_owned()).await;
    for _ in 0..500 {
        breaker.call_broken().await;
    }
    let before = server.most_memory();
    for _ in 0..1500 {
        breaker.call_broken().await;
    }
    let grown = server.most_memory().saturating_sub(before);
    assert!(grown < 16 * 1024 * 1024, "{grown} bytes");
}
