//! Requests to a provider, as an HTTP server on this machine receives them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::delivery::codes::CodeSender as _;
use countersign::delivery::codes::gateway::{
    AnswerRules, BodySettings, Gateway, GatewaySettings, RequestPlan,
};
use countersign::delivery::codes::secret::SenderSecret;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::{Certified, IMPATIENCE, PATIENCE, assert_delivered, clock, refused, retried, sms};
use crate::support::Receiver;

fn settings(url: String) -> GatewaySettings {
    GatewaySettings {
        url,
        method: "POST".to_owned(),
        headers: Vec::new(),
        body: BodySettings::None,
        constants: BTreeMap::new(),
        from: Some("Owl".to_owned()),
        username: None,
        secret: None,
        authorities: None,
        allow_plaintext: false,
        reading: AnswerRules::default(),
        timeout: PATIENCE,
    }
}

fn gateway(settings: GatewaySettings) -> Gateway {
    Gateway::new(RequestPlan::new(settings).unwrap(), clock())
}

fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = pairs
        .iter()
        .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()));
    owned.collect()
}

fn answer(status: &str, headers: &str, body: &str) -> String {
    let length = body.len();
    format!("HTTP/1.1 {status}\r\n{headers}content-length: {length}\r\nconnection: close\r\n\r\n{body}")
}

#[tokio::test]
async fn a_form_arrives_with_what_the_operator_and_the_message_say() {
    let provider = Receiver::answering(answer("201 Created", "", r#"{"sid":"SM17"}"#)).await;
    let mut settings = settings(provider.url("/v1/{{account}}/{{to_digits}}?c={{channel}}"));
    settings.constants = BTreeMap::from([("account".to_owned(), "AC1".to_owned())]);
    settings.headers = pairs(&[("X-Key", "Key {{secret}}"), ("X-Digits", "{{send_digits}}")]);
    settings.secret = Some(SenderSecret::new("hunter2".to_owned()));
    settings.body = BodySettings::Form(pairs(&[
        ("To", "{{to}}"),
        ("From", "{{from}}"),
        ("Body", "{{text}}"),
        ("Ref", "{{id}}"),
        ("SendDigits", "{{send_digits}}"),
    ]));
    settings.reading.reference_json = Some("/sid".to_owned());
    let gateway = gateway(settings);
    let message = sms("Your code is 471142 & that's it");
    let sent = gateway.send(&message).await;
    assert_delivered(&sent);
    assert_eq!(sent.reference.as_deref(), Some("SM17"));
    let requests = provider.requests();
    let [request] = &requests[..] else {
        panic!("{requests:?}");
    };
    assert_eq!(
        (request.method.as_str(), request.target.as_str()),
        ("POST", "/v1/AC1/15005550006?c=sms")
    );
    assert_eq!(request.header("x-key"), "Key hunter2");
    assert_eq!(
        request.header("content-type"),
        "application/x-www-form-urlencoded"
    );
    assert!(!request.headers.iter().any(|(name, _)| name == "x-digits"));
    let form: Vec<_> = form_urlencoded::parse(&request.body).into_owned().collect();
    let id = message.id.to_string();
    let expected = [
        ("To", "+15005550006"),
        ("From", "Owl"),
        ("Body", "Your code is 471142 & that's it"),
        ("Ref", &id),
    ];
    assert_eq!(form, pairs(&expected));
}

#[tokio::test]
async fn json_and_a_login_arrive() {
    let provider =
        Receiver::answering(answer("200 OK", "", r#"{"messages":[{"status":"0","id":"a"}]}"#)).await;
    let mut settings = settings(provider.url("/sms"));
    settings.body = BodySettings::Json(json!({"to": ["{{to}}"], "code": "{{code}}", "ttl": 600}));
    settings.username = Some("owl".to_owned());
    settings.secret = Some(SenderSecret::new("hunter2".to_owned()));
    settings.reading = AnswerRules {
        success_json: Some("/messages/0/status".to_owned()),
        success_values: vec!["0".to_owned()],
        reference_json: Some("/messages/0/id".to_owned()),
        ..AnswerRules::default()
    };
    let sent = gateway(settings).send(&sms("x")).await;
    assert_delivered(&sent);
    assert_eq!(sent.reference.as_deref(), Some("a"));
    let request = provider.requests().remove(0);
    assert_eq!(request.header("authorization"), "Basic b3dsOmh1bnRlcjI=");
    assert_eq!(request.header("content-type"), "application/json");
    let body: Value = serde_json::from_slice(&request.body).unwrap();
    assert_eq!(
        body,
        json!({"to": ["+15005550006"], "code": "471142", "ttl": 600})
    );
}

#[tokio::test]
async fn answers_tell_what_may_work_later_and_when() {
    let answered = async |status: &str, headers: &str, body: &str| {
        let provider = Receiver::answering(answer(status, headers, body)).await;
        gateway(settings(provider.url("/"))).send(&sms("x")).await
    };
    let sent = answered("429 Too Many Requests", "retry-after: 30\r\n", "").await;
    let DeliveryOutcome::Retry { after, .. } = sent.outcome else {
        panic!("{sent:?}");
    };
    assert_eq!(after, Some(Duration::from_secs(30)));
    retried(answered("503 Service Unavailable", "", "").await);
    let why = refused(
        answered(
            "400 Bad Request",
            "",
            r#"{"error":"no route to +15005550006 for 471142"}"#,
        )
        .await,
    );
    assert_eq!(
        why,
        r#"the provider answered 400: {"error":"no route to +*** for ***"}"#
    );
    let why = refused(answered("302 Found", "location: http://127.0.0.1:1/\r\n", "").await);
    assert!(why.contains("redirects are not followed"), "{why}");
}

#[tokio::test]
async fn providers_that_are_mute_absent_or_no_http_can_be_mended() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/?key=hunter2", listener.local_addr().unwrap());
    let mut mute = settings(url);
    mute.timeout = IMPATIENCE;
    let why = retried(gateway(mute.clone()).send(&sms("x")).await);
    assert!(why.contains("in time") || why.contains("too long"), "{why}");
    drop(listener);
    mute.timeout = PATIENCE;
    let why = retried(gateway(mute).send(&sms("x")).await);
    assert!(!why.contains("hunter2"), "{why}");
    let garbage = Receiver::answering("220 mail.example.com ESMTP\r\n").await;
    retried(gateway(settings(garbage.url("/"))).send(&sms("x")).await);
}

#[tokio::test]
async fn a_message_that_the_provider_took_counts_as_sent_though_the_rest_of_its_answer_never_comes() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(format!("http://{}/", listener.local_addr().unwrap()));
    settings.timeout = IMPATIENCE;
    let provider = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = Vec::new();
        while !request.ends_with(b"\r\n\r\n") {
            assert!(stream.read_buf(&mut request).await.unwrap() > 0);
        }
        let head = b"HTTP/1.1 202 Accepted\r\ncontent-length: 100\r\n\r\n{";
        stream.write_all(head).await.unwrap();
        // Until the other side has enough of it.
        stream.read_to_end(&mut Vec::new()).await
    };
    let gateway = gateway(settings);
    let message = sms("x");
    let (sent, _) = tokio::join!(gateway.send(&message), provider);
    assert_delivered(&sent);
}

#[tokio::test]
async fn an_authority_of_the_operators_own_is_trusted_and_no_other() {
    let certified = Certified::new();
    let chain = CertificateDer::from_pem_file(certified.directory.path().join("cert.pem")).unwrap();
    let key = PrivateKeyDer::from_pem_file(certified.directory.path().join("key.pem")).unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![chain], key)
        .unwrap();
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("https://localhost:{}/", listener.local_addr().unwrap().port());
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            // Who does not trust the certificate leaves here.
            if let Ok(mut stream) = acceptor.accept(stream).await {
                let _head = stream.read(&mut [0; 4096]).await;
                let _gone = stream.write_all(answer("200 OK", "", "").as_bytes()).await;
                let _gone = stream.shutdown().await;
            }
        }
    });
    let mut settings = settings(url);
    settings.authorities = Some(certified.authorities.clone());
    assert_delivered(&gateway(settings.clone()).send(&sms("x")).await);
    settings.authorities = Some(Certified::new().authorities);
    let why = retried(gateway(settings).send(&sms("x")).await);
    assert!(why.contains("certificate"), "{why}");
}
