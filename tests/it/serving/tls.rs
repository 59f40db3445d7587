//! HTTPS.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use countersign::server::tls::Certificates;
use countersign::server::{ClientLimits, Listener, self_signed};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::http::serve_on;
use super::http2::Client;
use super::process::Process;

/// A connection of a client that trusts `certificate` and speaks `protocols`, the best first.
pub(crate) async fn connect(
    address: &str,
    name: &'static str,
    certificate: &Path,
    protocols: &[&[u8]],
) -> std::io::Result<TlsStream<TcpStream>> {
    let mut roots = RootCertStore::empty();
    roots
        .add(CertificateDer::from_pem_file(certificate).unwrap())
        .unwrap();
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.to_vec()).collect();
    let stream = TcpStream::connect(address).await.unwrap();
    let server = ServerName::try_from(name).unwrap();
    TlsConnector::from(Arc::new(config)).connect(server, stream).await
}

/// The answer to a GET of `/` by a client of HTTP/1.1, and the certificate that it was shown.
async fn get_root(
    address: &str,
    name: &'static str,
    certificate: &Path,
) -> std::io::Result<(String, CertificateDer<'static>)> {
    let mut stream = connect(address, name, certificate, &[b"http/1.1"]).await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"http/1.1".as_slice()));
    let shown = stream.get_ref().1.peer_certificates().unwrap()[0]
        .clone()
        .into_owned();
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await?;
    Ok((answer, shown))
}

/// Whoever speaks HTTP/2 gets it, and whoever does not say so gets HTTP/1.1, whatever it sends.
#[tokio::test]
async fn clients_choose_http_2_in_the_handshake() {
    let directory = TempDir::new().unwrap();
    let files = self_signed::ensure(directory.path(), None).unwrap();
    let certificates = Arc::new(Certificates::load(files.certificate.clone(), files.key).unwrap());
    let listener = Listener::tls(
        "127.0.0.1:0".parse().unwrap(),
        certificates.server_config().unwrap(),
    );
    let router = Router::new().route("/", get(async || "fine"));
    let server = serve_on(listener.unwrap(), router, ClientLimits::default());
    let address = server.address.to_string();
    let connect = async |protocols: &[&[u8]]| {
        let stream = connect(&address, "localhost", &files.certificate, protocols)
            .await
            .unwrap();
        let chosen = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        (stream, chosen)
    };

    let (stream, chosen) = connect(&[b"h2", b"http/1.1"]).await;
    assert_eq!(chosen.as_deref(), Some(b"h2".as_slice()));
    let client = Client::on(stream).await;
    let answer = client.get("/").await;
    assert_eq!((answer.status, answer.text.as_str()), (200, "fine"));

    let (mut stream, chosen) = connect(&[]).await;
    assert_eq!(chosen, None);
    stream
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")
        .await
        .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert!(
        answer.starts_with("HTTP/1.1 200 ") && answer.ends_with("fine"),
        "{answer}"
    );

    let (mut stream, _) = connect(&[]).await;
    stream
        .write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")
        .await
        .unwrap();
    let mut answer = Vec::new();
    let _broken_off = stream.read_to_end(&mut answer).await;
    assert!(
        answer.is_empty() || answer.starts_with(b"HTTP/1.1 4"),
        "{answer:?}"
    );
}

#[tokio::test]
async fn new_connections_get_the_certificate_of_the_changed_files() {
    let directory = TempDir::new().unwrap();
    let (one, two) = (directory.path().join("one"), directory.path().join("two"));
    let (one, two) = (
        self_signed::ensure(&one, None).unwrap(),
        self_signed::ensure(&two, None).unwrap(),
    );
    let certificates = Arc::new(Certificates::load(one.certificate.clone(), one.key.clone()).unwrap());
    let settings = certificates.server_config().unwrap();
    let listener = Listener::tls("127.0.0.1:0".parse().unwrap(), settings).unwrap();
    let server = serve_on(
        listener,
        Router::new().route("/", get(async || "fine")),
        ClientLimits::default(),
    );
    let address = server.address.to_string();

    let (answer, first) = get_root(&address, "localhost", &one.certificate).await.unwrap();
    assert!(answer.ends_with("fine"), "{answer}");
    fs::copy(&two.certificate, &one.certificate).unwrap();
    fs::copy(&two.key, &one.key).unwrap();
    assert!(certificates.refresh().unwrap());
    let (_, second) = get_root(&address, "localhost", &two.certificate).await.unwrap();
    assert_ne!(first, second);
}

#[tokio::test]
async fn a_self_signed_certificate_names_this_machine_and_the_public_host_and_is_kept() {
    let directory = TempDir::new().unwrap();
    let certificate = directory.path().join("tls/cert.pem");
    let mut kept = None;
    for _ in 0..2 {
        let arguments = [
            "--tls-listen",
            "127.0.0.1:0",
            "--tls-self-signed",
            "--public-url",
            "https://verify.example.com/api",
        ];
        let variables = [(
            "COUNTERSIGN_BOOTSTRAP",
            "AC0123456789abcdef0123456789abcdef:a-token-of-our-own",
        )];
        let mut server = Process::start_with(directory.path(), &arguments, &variables);
        let second = server.read_lines_until(|_| true).remove(0);
        let address = second.strip_prefix("listening on https://").unwrap();
        for name in ["localhost", "127.0.0.1", "::1", "verify.example.com"] {
            let (answer, shown) = get_root(address, name, &certificate).await.unwrap();
            assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
            assert_eq!(kept.get_or_insert_with(|| shown.clone()), &shown);
        }
        assert!(
            get_root(address, "other.example.com", &certificate)
                .await
                .is_err()
        );
    }
}

/// A mistyped `http://` is told what to type, whichever HTTP it is; what is neither is not answered.
#[tokio::test]
async fn whoever_speaks_http_to_the_port_of_tls_is_told_so() {
    let directory = TempDir::new().unwrap();
    let files = self_signed::ensure(directory.path(), None).unwrap();
    let certificates = Arc::new(Certificates::load(files.certificate.clone(), files.key).unwrap());
    let listener = Listener::tls(
        "127.0.0.1:0".parse().unwrap(),
        certificates.server_config().unwrap(),
    );
    let router = Router::new().route("/", get(async || "fine"));
    let server = serve_on(listener.unwrap(), router, ClientLimits::default());
    let address = server.address.to_string();
    let answer = async |request: &[u8]| {
        let mut stream = TcpStream::connect(&address).await.unwrap();
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.map(|_| answer)
    };
    let long = [
        b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 60000\r\n\r\n".as_slice(),
        &vec![b'x'; 60_000],
    ]
    .concat();
    for request in [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".as_slice(),
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        &long,
    ] {
        let answer = String::from_utf8(answer(request).await.unwrap()).unwrap();
        assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
        assert!(
            answer.ends_with("\r\n\r\nThis port speaks HTTPS: begin with https://.\n"),
            "{answer}"
        );
    }
    let answer = answer(b"\x16\x03\x01\x00\x05hello").await.unwrap_or_default();
    assert!(!answer.starts_with(b"HTTP"), "{answer:?}");
    let (answer, _) = get_root(&address, "localhost", &files.certificate).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200 OK"), "{answer}");
}
