//! Mail servers: codes as e-mails (RFC 5321), over TLS from the first byte or after `STARTTLS`.

mod connections;
mod mail;

use std::error::Error as _;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lettre::transport::smtp::Error;

use self::connections::Connections;
use super::secret::SenderSecret;
use super::{CodeMessage, CodeSender, Sent, words};
use crate::delivery::trust::Authorities;
use crate::domain::destination::EmailAddress;
use crate::domain::time::Clock;

/// A mail server, and how mails are handed to it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct SmtpSettings {
    /// Its name or address; its certificate must name it.
    pub host: String,
    pub port: u16,
    /// How what is sent is protected.
    pub security: Security,
    /// The authorities that are trusted instead of the system's.
    pub authorities: Option<Authorities>,
    /// Whom the server knows this one as.
    pub login: Option<Login>,
    /// The address that mails come from that do not say so.
    pub from: EmailAddress,
    pub from_name: Option<String>,
    /// What this server calls itself in its greeting; the machine's name by default.
    pub hello_name: Option<String>,
    /// How long a mail takes at most, connection included.
    pub timeout: Duration,
}

/// How what is sent to a mail server is protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Security {
    /// Not at all.
    None,
    /// TLS after `STARTTLS`, without which nothing is sent (RFC 3207).
    StartTls,
    /// TLS from the first byte (RFC 8314).
    Tls,
}

/// A user name and a password.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct Login {
    pub username: String,
    pub password: SenderSecret,
}

/// Sends to one mail server.
pub struct Smtp {
    settings: SmtpSettings,
    clock: Arc<dyn Clock>,
    connections: Connections,
}

impl Smtp {
    /// A sender with these settings. Mails bear the date of `clock`.
    #[must_use]
    pub fn new(settings: SmtpSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            settings,
            clock,
            connections: Connections::default(),
        }
    }

    /// Hands it over; `let_in` is set once the server has let this one in.
    async fn exchange(&self, message: &CodeMessage, let_in: &AtomicBool) -> Sent {
        let mail = match mail::compose(&self.settings, message, self.clock.now()) {
            Ok(mail) => mail,
            Err(why) => return Sent::refused(why),
        };
        let mut connection = match self.connections.get(&self.settings).await {
            Ok(connection) => connection,
            // A wrong password, too, is the operator's to mend, and then the mail can go.
            Err(error) => return Sent::retry(self.told(&error, message), None),
        };
        let_in.store(true, Ordering::Relaxed);
        match connection.send(mail.envelope(), &mail.formatted()).await {
            Ok(answer) => {
                self.connections.keep(connection);
                Sent::delivered(answer.first_line())
            }
            Err(error) if error.is_permanent() || error.is_client() => {
                Sent::refused(self.told(&error, message))
            }
            // Whatever else the server answers behind the greeting is about this mail: grey lists and full mailboxes are
            // one recipient's.
            Err(error) if error.is_transient() => match status(&error) {
                status if status == GOOD_BYE || is_about_the_system(&error) => {
                    Sent::overloaded(self.told(&error, message), None)
                }
                status => Sent::retry_recipient(status, self.told(&error, message), None),
            },
            Err(error) => Sent::retry(self.told(&error, message), None),
        }
    }

    /// What went wrong, without what the message holds.
    fn told(&self, error: &Error, message: &CodeMessage) -> String {
        let mut text = error.to_string();
        if error.status().is_none()
            && let Some(cause) = innermost(error)
            && !text.contains(&cause)
        {
            text = format!("{text}: {cause}");
        }
        let secret = self.settings.login.as_ref().map(|login| login.password.expose());
        let words = words::of_provider(&text, message, secret);
        format!("the mail server {}: {words}", self.settings.host)
    }
}

#[async_trait]
impl CodeSender for Smtp {
    async fn send(&self, message: &CodeMessage) -> Sent {
        // A connection that is given up here is closed, not kept.
        let let_in = AtomicBool::new(false);
        let exchange = tokio::time::timeout(self.settings.timeout, self.exchange(message, &let_in));
        exchange.await.unwrap_or_else(|_| {
            let why = format!("the mail server {} did not answer in time", self.settings.host);
            if let_in.load(Ordering::Relaxed) {
                // Some look up the recipient's domain before they answer.
                Sent::retry_recipient(0, why, None)
            } else {
                Sent::retry(why, None)
            }
        })
    }
}

impl fmt::Debug for Smtp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smtp")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// The server closes its service (RFC 5321, 3.8).
const GOOD_BYE: u32 = 421;

fn status(error: &Error) -> u32 {
    let code = error.status().and_then(|code| code.to_string().parse().ok());
    code.unwrap_or_default()
}

/// Whether the server says that it is its own state, which is everybody's (RFC 3463, 3.4: `4.3.x`). That stands where its
/// text begins (RFC 2034, 3): further on it may quote what the recipient's own server said.
fn is_about_the_system(error: &Error) -> bool {
    let text = error.source().map(ToString::to_string);
    text.is_some_and(|text| text.starts_with("4.3."))
}

fn innermost(error: &Error) -> Option<String> {
    let mut cause = error.source()?;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    Some(cause.to_string())
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(super) fn settings() -> SmtpSettings {
        SmtpSettings {
            host: "mail.example.com".to_owned(),
            port: 465,
            security: Security::Tls,
            authorities: None,
            login: Some(Login {
                username: "owl".to_owned(),
                password: SenderSecret::new("hunter2".to_owned()),
            }),
            from: EmailAddress::parse("owl@example.com").unwrap(),
            from_name: Some("Owl".to_owned()),
            hello_name: None,
            timeout: Duration::from_secs(10),
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        assert!(!format!("{:?}", settings()).contains("hunter2"));
    }
}
