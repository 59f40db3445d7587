//! gRPC and gRPC-Web over TLS: the real listener, which agrees on a version of HTTP in the handshake.

use std::path::PathBuf;

use axum::http::{Request, Version};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use countersign::dialect::signal::proto::{
    CreateRegistrationSessionRequest, CreateRegistrationSessionResponse,
};
use countersign::dialect::zitadel::proto::zitadel::auth::v1::{
    GetMyPhoneRequest, GetMyPhoneResponse, SetMyPhoneRequest, SetMyPhoneResponse,
};
use prost::Message;
use tempfile::TempDir;

use crate::doubles::watch;
use crate::foreign::python;
use crate::serving::process::{Process, stdout_of};
use crate::serving::tls;
use crate::support::rpc::{Answered, OWN_USER, REGISTRATION, RpcConnection, framed};

/// A server that speaks TLS, with a certificate that it made itself.
struct Secured {
    _process: Process,
    _data: TempDir,
    address: String,
    certificate: PathBuf,
    backend: String,
    user: String,
}

impl Secured {
    fn start() -> Self {
        let data = TempDir::new().unwrap();
        let arguments = ["--tls-listen", "127.0.0.1:0", "--tls-self-signed"];
        let bootstrap = "AC0123456789abcdef0123456789abcdef:a-token-of-our-own";
        let variables = [("COUNTERSIGN_BOOTSTRAP", bootstrap)];
        let mut process = Process::start_with(data.path(), &arguments, &variables);
        let second = process.read_lines_until(|_| true).remove(0);
        let address = second.strip_prefix("listening on https://").unwrap().to_owned();
        let token = |whose: &[&str]| {
            let token = stdout_of(data.path(), &[&["token", "create"], whose].concat());
            watch::secret(token.trim_end());
            token.trim_end().to_owned()
        };
        Self {
            address,
            certificate: data.path().join("tls/cert.pem"),
            backend: token(&["--signal"]),
            user: token(&["--user", "user-ada-01"]),
            _process: process,
            _data: data,
        }
    }

    /// A connection by the version that the handshake agrees on.
    async fn connect(&self, protocols: &[&[u8]]) -> RpcConnection {
        let stream = tls::connect(&self.address, "localhost", &self.certificate, protocols);
        let stream = stream.await.unwrap();
        let version = if stream.get_ref().1.alpn_protocol() == Some(b"h2") {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        let wanted = if protocols[0] == b"h2" {
            Version::HTTP_2
        } else {
            Version::HTTP_11
        };
        assert_eq!(version, wanted);
        RpcConnection::on(stream, &format!("https://{}", self.address), version).await
    }
}

fn set(phone: &str) -> SetMyPhoneRequest {
    SetMyPhoneRequest {
        phone: phone.to_owned(),
    }
}

#[tokio::test]
async fn both_services_are_called_over_tls() {
    let server = Secured::start();
    let connection = server.connect(&[b"h2", b"http/1.1"]).await;
    let path = format!("{REGISTRATION}/CreateSession");
    let asked = CreateRegistrationSessionRequest {
        e164: 12_015_550_100,
        ..CreateRegistrationSessionRequest::default()
    };
    let begun: Answered<CreateRegistrationSessionResponse> =
        connection.call(&path, Some(&server.backend), &asked).await;
    assert!(begun.unwrap().response.is_some());
    let (set_phone, get_phone) = (format!("{OWN_USER}/SetMyPhone"), format!("{OWN_USER}/GetMyPhone"));
    let user = Some(server.user.as_str());
    let phone = "+12015550101";
    let done: Answered<SetMyPhoneResponse> = connection.call(&set_phone, user, &set(phone)).await;
    done.unwrap();
    let found: Answered<GetMyPhoneResponse> = connection.call(&get_phone, user, &GetMyPhoneRequest {}).await;
    assert_eq!(found.unwrap().phone.unwrap().phone, phone);
}

/// As pages make calls: over HTTP/1.1 and over HTTP/2, in either form, each answered in its form.
#[tokio::test]
async fn web_pages_call_both_services_over_tls() {
    let server = Secured::start();
    let mut begun = 0;
    for protocols in [&[&b"http/1.1"[..]][..], &[&b"h2"[..], &b"http/1.1"[..]][..]] {
        let connection = server.connect(protocols).await;
        for is_text in [false, true] {
            begun += 1;
            let asked = CreateRegistrationSessionRequest {
                e164: 12_015_550_100 + begun,
                ..CreateRegistrationSessionRequest::default()
            };
            let path = format!("{REGISTRATION}/CreateSession");
            let answer: CreateRegistrationSessionResponse =
                web_call(&connection, is_text, &path, &server.backend, &asked).await;
            assert!(answer.response.is_some());
            let path = format!("{OWN_USER}/GetMyPhone");
            let answer: GetMyPhoneResponse =
                web_call(&connection, is_text, &path, &server.user, &GetMyPhoneRequest {}).await;
            assert_eq!(
                answer.details.unwrap().resource_owner,
                "AC0123456789abcdef0123456789abcdef"
            );
        }
    }
}

/// The message that a call of gRPC-Web is answered with, in front of the trailers that say that it went well.
async fn web_call<Asked: Message, Answer: Message + Default>(
    connection: &RpcConnection,
    is_text: bool,
    path: &str,
    token: &str,
    asked: &Asked,
) -> Answer {
    let (kind, body) = if is_text {
        (
            "application/grpc-web-text",
            STANDARD.encode(framed(asked)).into_bytes(),
        )
    } else {
        ("application/grpc-web+proto", framed(asked))
    };
    let request = Request::post(path)
        .header("authorization", format!("Bearer {token}"))
        .header("content-type", kind)
        .header("accept", kind)
        .body(body.into());
    let answer = connection.ask(request.unwrap()).await;
    let said = answer.headers["content-type"].to_str().unwrap();
    let base = kind.trim_end_matches("+proto");
    assert!(
        (answer.status, said.trim_end_matches("+proto")) == (200, base),
        "{answer:?}"
    );
    let bytes = if is_text {
        // Pieces are encoded each for itself.
        let pieces = answer.body.chunks(4);
        pieces.flat_map(|four| STANDARD.decode(four).unwrap()).collect()
    } else {
        answer.body
    };
    let ([flag, length @ ..], rest) = bytes.split_first_chunk::<5>().unwrap();
    assert_eq!(*flag, 0, "a message comes first");
    let length = usize::try_from(u32::from_be_bytes(*length)).unwrap();
    let (message, trailers) = rest.split_at(length);
    assert_eq!(trailers[0], 0x80);
    let trailers = String::from_utf8(trailers[5..].to_vec()).unwrap();
    assert!(
        trailers
            .lines()
            .any(|line| line.replace(' ', "") == "grpc-status:0"),
        "{trailers}"
    );
    Answer::decode(message).unwrap()
}

#[test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
fn grpcio_calls_both_services_over_tls() {
    let server = Secured::start();
    let port = server.address.rsplit(':').next().unwrap();
    let output = python("over_tls.py", &["grpc", "grpc_reflection"])
        .arg(format!("localhost:{port}"))
        .arg(&server.certificate)
        .args([&server.backend, &server.user])
        .output()
        .unwrap();
    let complaint = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaint}");
}
