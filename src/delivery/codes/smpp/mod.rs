//! Message centres that speak SMPP 3.4, over TLS unless the operator says otherwise: text messages.
//!
//! The protocol is written here, not taken from a library: what a sender needs of it is small, and the library at hand
//! brings a DNS resolver with known weaknesses and queues without bounds.

pub mod alphabet;
mod link;
pub mod pdu;
mod session;
mod status;
mod window;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::time::timeout;

use self::alphabet::{Encoded, SmppAlphabet};
use self::pdu::{Address, PduContent, Submit, command};
use self::session::SmppSession;
use self::window::Window;
use super::secret::SenderSecret;
use super::{CodeMessage, CodeSender, Sent, words};
use crate::delivery::http::asker;
use crate::delivery::trust::Authorities;
use crate::domain::time::Clock;

/// A message centre, and how messages are handed to it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct SmppSettings {
    /// Its name or address; its certificate must name it.
    pub host: String,
    pub port: u16,
    pub tls: bool,
    /// The authorities that are trusted instead of the system's.
    pub authorities: Option<Authorities>,
    /// Whom it knows this server as; at most 15 characters.
    pub system_id: String,
    /// The password; at most 8 characters by the specification, more by common use.
    pub password: Option<SenderSecret>,
    /// What kind of system this is, if it wants to know; at most 12 characters.
    pub system_type: String,
    /// Whether it insists on a session that could receive as well.
    pub receives: bool,
    /// Whom messages come from that do not say so; its own choice by default.
    pub from: Option<Originator>,
    /// The type of number and the numbering plan of all senders, instead of those that their form suggests.
    pub from_type: Option<(u8, u8)>,
    pub alphabet: SmppAlphabet,
    pub long_text: LongText,
    /// How many messages are under way at the same time.
    pub window: usize,
    /// After which silence it is asked whether it is still there.
    pub enquire_link: Duration,
    /// How long a connection, and how long an answer may take.
    pub timeout: Duration,
}

/// Whom messages come from, as phones show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Originator {
    /// A phone number of at most 20 digits, without its plus sign.
    Number(String),
    /// A network's short number: at most 8 digits.
    Short(String),
    /// At most 11 characters of ASCII that the GSM alphabet has, too (3GPP TS 23.040, 9.1.2.5).
    Word(String),
}

impl Originator {
    /// Reads `text`; `None` if it can be no sender.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.strip_prefix('+').unwrap_or(text);
        let is_number = !digits.is_empty() && digits.bytes().all(|digit| digit.is_ascii_digit());
        match digits.len() {
            1..=8 if is_number && digits.len() == text.len() => Some(Self::Short(digits.to_owned())),
            1..=20 if is_number => Some(Self::Number(digits.to_owned())),
            _ if is_number => None,
            _ => {
                let fits = (1..=11).contains(&text.len()) && text.trim() == text;
                let written = |byte: u8| byte == b' ' || byte.is_ascii_graphic();
                (fits && text.bytes().all(written) && alphabet::is_gsm7(text))
                    .then(|| Self::Word(text.to_owned()))
            }
        }
    }

    /// What stands in a message; with no sender, its own is left to the message centre. `kind` is the operator's type of
    /// number and numbering plan, instead of those that the form suggests.
    fn address(from: Option<&Self>, kind: Option<(u8, u8)>) -> Address {
        let (suggested, text) = match from {
            None => ((0, 0), ""),
            Some(Self::Short(digits)) => ((3, 0), digits.as_str()),
            Some(Self::Number(digits)) => ((1, 1), digits.as_str()),
            Some(Self::Word(word)) => ((5, 0), word.as_str()),
        };
        let (ton, npi) = kind.unwrap_or(suggested);
        Address {
            ton,
            npi,
            text: text.to_owned(),
        }
    }
}

/// How a text travels that one short message cannot hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LongText {
    /// In parts, which phones put together.
    Parts,
    /// In one, which the message centre takes apart.
    Payload,
}

/// Sends to one message centre, over one session.
pub struct Smpp {
    settings: SmppSettings,
    clock: Arc<dyn Clock>,
    session: Mutex<Option<Arc<SmppSession>>>,
    window: Window,
}

impl Smpp {
    /// A sender with these settings. It binds when there is something to send. Of `clock` it needs how long a code is still
    /// of use.
    #[must_use]
    pub fn new(settings: SmppSettings, clock: Arc<dyn Clock>) -> Self {
        Self {
            clock,
            window: Window::new(settings.window),
            settings,
            session: Mutex::default(),
        }
    }

    async fn exchange(&self, message: &CodeMessage) -> Sent {
        let Some(number) = message.to.phone() else {
            return Sent::refused("the destination is no phone number");
        };
        let to = Address {
            ton: 1,
            npi: 1,
            text: number.digits().to_owned(),
        };
        let from = Originator::address(self.settings.from.as_ref(), self.settings.from_type);
        let text = Encoded::of(&message.text, self.settings.alphabet);
        let mut sent = Sent::refused("there is no text");
        let mut reference = None;
        let _place = self.window.place(asker()).await;
        for body in self.bodies(message, &text, &from, &to) {
            sent = self.submit(body, message).await;
            if reference.is_none() {
                reference.clone_from(&sent.reference);
            }
            if sent.outcome != crate::delivery::DeliveryOutcome::Delivered {
                return sent;
            }
        }
        Sent { reference, ..sent }
    }

    fn bodies(&self, message: &CodeMessage, text: &Encoded, from: &Address, to: &Address) -> Vec<Vec<u8>> {
        let life = message.expires_at.since(self.clock.now());
        let body = |content: PduContent<'_>| {
            let submit = Submit {
                from,
                to,
                data_coding: text.data_coding,
                life,
                content,
            };
            submit.body()
        };
        if text.is_short() {
            return vec![body(PduContent::Short(&text.whole()))];
        }
        if self.settings.long_text == LongText::Payload {
            return vec![body(PduContent::Payload(&text.whole()))];
        }
        let parts = text.parts();
        let all = u8::try_from(parts.len()).unwrap_or(u8::MAX);
        // Which message the parts belong to: a byte that differs from one try to the next.
        let which = message.id.as_bytes()[15];
        let numbered = (1..=all).zip(&parts);
        numbered
            .map(|(nth, part)| {
                // 3GPP TS 23.040, 9.2.3.24.1.
                let header = [5, 0, 3, which, all, nth];
                body(PduContent::WithHeader(&[&header, part.as_slice()].concat()))
            })
            .collect()
    }

    async fn submit(&self, body: Vec<u8>, message: &CodeMessage) -> Sent {
        let session = match timeout(self.settings.timeout, self.session()).await {
            Ok(Ok(session)) => session,
            Ok(Err(why)) => {
                let secret = self.settings.password.as_ref().map(SenderSecret::expose);
                return self.retry(&words::of_provider(&why, message, secret));
            }
            Err(_) => return self.retry("no session in time"),
        };
        let Ok(answer) = timeout(self.settings.timeout, session.submit(body)).await else {
            // The number may be why.
            let why = format!("the message centre {}: no answer in time", self.settings.host);
            return Sent::retry_recipient(0, why, None);
        };
        match answer {
            None => self.retry("the session ended before the answer"),
            Some(answer) if answer.command == command::SUBMIT_SM | command::RESPONSE => {
                status::judge(answer.status, &answer.name())
            }
            // Success is what only the right answer can tell.
            Some(nack) if nack.command == command::GENERIC_NACK && nack.status != 0 => {
                status::judge(nack.status, "")
            }
            Some(_) => self.retry("the answer is none to this request"),
        }
    }

    /// The open session, or a new one; whoever else needs one meanwhile waits for the same.
    async fn session(&self) -> Result<Arc<SmppSession>, String> {
        let mut place = self.session.lock().await;
        match place.as_ref() {
            Some(session) if session.is_open() => Ok(Arc::clone(session)),
            _ => {
                let session = Arc::new(SmppSession::open(&self.settings).await?);
                *place = Some(Arc::clone(&session));
                Ok(session)
            }
        }
    }

    fn retry(&self, why: &str) -> Sent {
        Sent::retry(format!("the message centre {}: {why}", self.settings.host), None)
    }
}

#[async_trait]
impl CodeSender for Smpp {
    async fn send(&self, message: &CodeMessage) -> Sent {
        timeout(LONGEST, self.exchange(message))
            .await
            .unwrap_or_else(|_| self.retry("it took too long"))
    }
}

impl fmt::Debug for Smpp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Smpp")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

/// How long one message may take, all its parts together.
const LONGEST: Duration = Duration::from_secs(30);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_of_a_sender_tells_what_it_is() {
        let parts = |address: Address| (address.ton, address.npi, address.text);
        let address =
            |text: &str| Originator::parse(text).map(|from| parts(Originator::address(Some(&from), None)));
        let is = |ton, npi, text: &str| Some((ton, npi, text.to_owned()));
        assert_eq!(address("+15005550006"), is(1, 1, "15005550006"));
        assert_eq!(address("15005550006"), is(1, 1, "15005550006"));
        assert_eq!(address("12345"), is(3, 0, "12345"));
        assert_eq!(address("+12345"), is(1, 1, "12345"));
        assert_eq!(address("Owl & Co"), is(5, 0, "Owl & Co"));
        assert_eq!(parts(Originator::address(None, None)), (0, 0, String::new()));
        for none in [
            "",
            " Owl",
            "Owl\n",
            "O`Reilly",
            "Owl and Company",
            "Owl\0",
            "\u{20ac}",
            "123456789012345678901",
        ] {
            assert_eq!(address(none), None, "{none}");
        }
        let short = Originator::parse("12345");
        let forced = Originator::address(short.as_ref(), Some((0, 1)));
        assert_eq!((forced.ton, forced.npi), (0, 1));
    }
}
