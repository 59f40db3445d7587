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

use super::http::serve_on;
use super::process::Process;

/// The answer to a GET of `/` by a client that trusts `certificate`, and the certificate that it was shown.
async fn get_root(
    address: &str,
    name: &'static str,
    certificate: &Path,
) -> std::io::Result<(String, CertificateDer<'static>)> {
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
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let stream = TcpStream::connect(address).await.unwrap();
    let server = ServerName::try_from(name).unwrap();
    let mut stream = TlsConnector::from(Arc::new(config))
        .connect(server, stream)
        .await?;
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
