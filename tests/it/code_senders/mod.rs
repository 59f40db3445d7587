//! Senders of codes against what others built: a mail server, a message centre, an HTTP server.

mod gateway;
mod log;
mod smpp;
mod smtp;

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::Arc;
use std::time::Duration;

use countersign::delivery::DeliveryOutcome;
use countersign::delivery::codes::{CodeMessage, Sent};
use countersign::delivery::trust::Authorities;
use countersign::domain::channel::Channel;
use countersign::domain::destination::{Destination, EmailAddress};
use countersign::domain::phone::PhoneNumber;
use countersign::domain::sid::AttemptSid;
use countersign::domain::time::{Clock, SystemClock, Timestamp};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::sync::mpsc;
use zeroize::Zeroizing;

use crate::foreign::python;

/// A server in Python that prints one JSON value for everything that comes; it is killed when this is dropped.
struct Peer {
    process: Child,
    said: mpsc::UnboundedReceiver<Value>,
    port: u16,
}

impl Peer {
    async fn start(script: &str, module: &str, settings: &Value) -> Self {
        let mut process = python(script, &[module])
            .arg(settings.to_string())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let (say, said) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                // The test may be over.
                let _ = say.send(serde_json::from_str(&line).unwrap());
            }
        });
        let mut peer = Self {
            process,
            said,
            port: 0,
        };
        peer.port = peer.next().await["port"].as_u64().unwrap().try_into().unwrap();
        peer
    }

    /// The next that came.
    async fn next(&mut self) -> Value {
        self.said.recv().await.expect("the server is still there")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // A server that is gone already is what is wanted.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A certificate for `localhost`, and the authority that signed it.
struct Certified {
    authorities: Authorities,
    directory: TempDir,
}

impl Certified {
    fn new() -> Self {
        Self::named("localhost")
    }

    fn named(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().unwrap();
        let authority = params.self_signed(&key).unwrap().pem();
        let issuer = Issuer::new(params, key);
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new([name.to_owned()]).unwrap();
        let certificate = params.signed_by(&key, &issuer).unwrap();
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("cert.pem"), certificate.pem()).unwrap();
        std::fs::write(directory.path().join("key.pem"), key.serialize_pem()).unwrap();
        Self {
            authorities: Authorities::from_pem(authority.as_bytes()).unwrap(),
            directory,
        }
    }

    /// `settings` with the paths of certificate and key.
    fn in_settings(&self, mut settings: Value) -> Value {
        settings["certificate"] = json!(self.directory.path().join("cert.pem"));
        settings["key"] = json!(self.directory.path().join("key.pem"));
        settings
    }
}

fn clock() -> Arc<dyn Clock> {
    Arc::new(SystemClock)
}

/// A text message.
pub(crate) fn sms(text: &str) -> CodeMessage {
    let number = PhoneNumber::try_from("+15005550006".to_owned()).unwrap();
    message(Channel::Sms, Destination::Phone(number), text)
}

/// An e-mail.
pub(crate) fn email(to: &str, text: &str) -> CodeMessage {
    let to = EmailAddress::parse(to).unwrap();
    message(Channel::Email, Destination::Email(to), text)
}

fn message(channel: Channel, to: Destination, text: &str) -> CodeMessage {
    CodeMessage {
        id: AttemptSid::from_bytes([0x4d; 16]),
        channel,
        to,
        code: Zeroizing::new("471142".to_owned()),
        text: Zeroizing::new(text.to_owned()),
        subject: None,
        locale: "en".to_owned(),
        from: None,
        from_name: None,
        send_digits: None,
        tags: Vec::new(),
        substitutions: Vec::new(),
        template_id: None,
        device_ip: None,
        expires_at: Timestamp::MAX,
    }
}

#[track_caller]
fn assert_delivered(sent: &Sent) {
    assert_eq!(sent.outcome, DeliveryOutcome::Delivered);
}

/// It may work later; what was said of it.
#[track_caller]
fn retried(sent: Sent) -> String {
    match sent.outcome {
        DeliveryOutcome::Retry { why, .. } => why,
        other => panic!("{other:?}"),
    }
}

/// It will never work; what was said of it.
#[track_caller]
fn refused(sent: Sent) -> String {
    match sent.outcome {
        DeliveryOutcome::Refused { why } => why,
        other => panic!("{other:?}"),
    }
}

/// Longer than any machine takes to answer.
const PATIENCE: Duration = Duration::from_secs(20);
/// Short enough to be waited for.
const IMPATIENCE: Duration = Duration::from_millis(300);
