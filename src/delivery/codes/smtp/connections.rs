//! Connections to one mail server, kept while they are of use.
//!
//! Invariant: only a connection whose last exchange came to its end is kept. One that was left in the middle of a mail
//! would take the next one for the rest of it.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lettre::transport::smtp::Error;
use lettre::transport::smtp::authentication::{Credentials, DEFAULT_MECHANISMS};
use lettre::transport::smtp::client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters};
use lettre::transport::smtp::extension::ClientId;
use tokio::time::{Instant, timeout};

use super::{Security, SmtpSettings};

/// The most connections that wait for the next mail.
const MOST_IDLE: usize = 4;

/// How long a connection waits for the next mail. Servers may close them after five minutes (RFC 5321, 4.5.3.2.7), and
/// many do so earlier.
const IDLE: Duration = Duration::from_secs(30);

/// How long a connection that waited may take to say that it is still there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Connections that wait for the next mail, the latest last.
#[derive(Default)]
pub(super) struct Connections(Mutex<VecDeque<(Instant, AsyncSmtpConnection)>>);

impl Connections {
    /// One that waits and still answers, or a new one.
    pub(super) async fn get(&self, settings: &SmtpSettings) -> Result<AsyncSmtpConnection, Error> {
        while let Some(mut connection) = self.take() {
            // One whose other end has silently gone must not cost the mail its whole time.
            if let Ok(true) = timeout(PATIENCE, connection.test_connected()).await {
                return Ok(connection);
            }
        }
        connect(settings).await
    }

    /// Takes back a connection after its exchange.
    pub(super) fn keep(&self, connection: AsyncSmtpConnection) {
        if connection.has_broken() {
            return;
        }
        let mut waiting = self.lock();
        waiting.push_back((Instant::now(), connection));
        while waiting.len() > MOST_IDLE {
            waiting.pop_front();
        }
    }

    fn take(&self) -> Option<AsyncSmtpConnection> {
        let mut waiting = self.lock();
        waiting.retain(|(since, _)| since.elapsed() < IDLE);
        waiting.pop_back().map(|(_, connection)| connection)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<(Instant, AsyncSmtpConnection)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn connect(settings: &SmtpSettings) -> Result<AsyncSmtpConnection, Error> {
    // The provider that lettre takes; a second installation in one process changes nothing.
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let hello = match &settings.hello_name {
        Some(name) => ClientId::Domain(name.clone()),
        None => ClientId::default(),
    };
    let implicit = match settings.security {
        Security::Tls => Some(tls(settings)?),
        Security::None | Security::StartTls => None,
    };
    let server = (settings.host.as_str(), settings.port);
    let connecting =
        AsyncSmtpConnection::connect_tokio1(server, Some(settings.timeout), &hello, implicit, None);
    let mut connection = connecting.await?;
    if settings.security == Security::StartTls {
        // Fails if the server does not offer it: nothing is sent in plain text instead.
        connection.starttls(tls(settings)?, &hello).await?;
    }
    if let Some(login) = &settings.login {
        let credentials = Credentials::new(login.username.clone(), login.password.expose().to_owned());
        connection.auth(DEFAULT_MECHANISMS, &credentials).await?;
    }
    Ok(connection)
}

fn tls(settings: &SmtpSettings) -> Result<TlsParameters, Error> {
    let mut builder = TlsParameters::builder(settings.host.clone());
    if let Some(authorities) = &settings.authorities {
        builder = builder.certificate_store(CertificateStore::None);
        for certificate in authorities.certificates() {
            builder = builder.add_root_certificate(Certificate::from_der(certificate.to_vec())?);
        }
    }
    builder.build()
}
