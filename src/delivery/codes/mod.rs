//! Senders of one-time codes: each knows one way to a provider, and the operator orders them by preference.
//!
//! Invariant: a sender reports failures without the code, the text, the destination and its own secrets.

pub mod gateway;
pub mod log;
mod message;
#[cfg(test)]
mod samples;
pub mod secret;
pub mod smpp;
pub mod smtp;
mod words;

use std::sync::Arc;

use self::log::LogSender;
pub use self::message::{CodeMessage, CodeSender, Sent};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::price::Price;
use crate::domain::sender_name::SenderName;
use crate::domain::sid::MessagingServiceSid;

/// What a sender speaks: the `kind` of its table in the settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SenderKind {
    /// A provider with an HTTP interface.
    Http,
    /// The server's log.
    Log,
    /// A message centre that speaks SMPP.
    Smpp,
    /// A mail server.
    Smtp,
}

impl SenderKind {
    pub(crate) const ALL: [Self; 4] = [Self::Http, Self::Log, Self::Smpp, Self::Smtp];

    /// The name in settings, such as `smtp`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Log => "log",
            Self::Smpp => "smpp",
            Self::Smtp => "smtp",
        }
    }

    /// The kind with this name; `None` if there is none.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }
}

/// A sender, and what the operator said of it.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the fields say what they are")]
pub struct ConfiguredSender {
    /// What the operator calls it.
    pub name: SenderName,
    pub kind: SenderKind,
    /// What it can send by.
    pub channels: Vec<Channel>,
    /// The countries that it sends to; `None` for all, and for what has no country.
    pub countries: Option<Vec<Country>>,
    /// The messaging service that stands for it.
    pub messaging_service: Option<MessagingServiceSid>,
    /// What one message costs.
    pub price: Option<Price>,
    pub sender: Arc<dyn CodeSender>,
}

impl ConfiguredSender {
    /// Whether it sends by `channel` to `country`; `None` is what has no country, such as an e-mail.
    #[must_use]
    pub fn serves(&self, channel: Channel, country: Option<Country>) -> bool {
        let there = match (&self.countries, country) {
            (None, _) => true,
            (Some(countries), Some(country)) => countries.contains(&country),
            (Some(_), None) => false,
        };
        there && self.channels.contains(&channel)
    }
}

/// All senders, in the operator's order of preference.
#[derive(Clone, Debug)]
pub struct CodeSenders(Vec<Arc<ConfiguredSender>>);

impl CodeSenders {
    /// These senders, the preferred one first; the log alone if there are none. Of two with one name only the first is
    /// found by it.
    #[must_use]
    pub fn new(senders: Vec<ConfiguredSender>) -> Self {
        if senders.is_empty() {
            return Self::default();
        }
        Self(senders.into_iter().map(Arc::new).collect())
    }

    /// `None` if the settings name no such sender, or not any more.
    #[must_use]
    pub fn by_name(&self, name: SenderName) -> Option<&Arc<ConfiguredSender>> {
        self.0.iter().find(|sender| sender.name == name)
    }

    /// Who can send by `channel` to `country`, the preferred one first. Those of `service` come before all others.
    pub fn candidates(
        &self,
        channel: Channel,
        country: Option<Country>,
        service: Option<MessagingServiceSid>,
    ) -> impl Iterator<Item = &Arc<ConfiguredSender>> {
        let of_service =
            move |sender: &ConfiguredSender| service.is_some() && sender.messaging_service == service;
        let all = move || {
            self.0
                .iter()
                .filter(move |sender| sender.serves(channel, country))
        };
        let first = all().filter(move |sender| of_service(sender));
        first.chain(all().filter(move |sender| !of_service(sender)))
    }

    /// The channels that have any sender, in the order of `Channel::ALL`.
    #[must_use]
    pub fn channels(&self) -> Vec<Channel> {
        let has_any = |channel: &Channel| self.0.iter().any(|sender| sender.channels.contains(channel));
        Channel::ALL.into_iter().filter(has_any).collect()
    }

    /// All of them, in order of preference.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ConfiguredSender>> {
        self.0.iter()
    }

    /// Whether codes go to the server's log.
    #[must_use]
    pub fn writes_to_log(&self) -> bool {
        self.0.iter().any(|sender| sender.kind == SenderKind::Log)
    }
}

/// The log alone, so that everything can be tried before anything is configured. Silent network authentication has
/// nothing to write there.
impl Default for CodeSenders {
    fn default() -> Self {
        let name = SenderName::parse("log").expect("it is a name");
        let channels = Channel::ALL
            .into_iter()
            .filter(|channel| *channel != Channel::Sna);
        Self(vec![Arc::new(ConfiguredSender {
            name,
            kind: SenderKind::Log,
            channels: channels.collect(),
            countries: None,
            messaging_service: None,
            price: None,
            sender: Arc::new(LogSender),
        })])
    }
}

/// A setting of a sender that does not fit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{setting} {problem}")]
pub struct SettingError {
    /// Its key in the sender's table.
    pub setting: &'static str,
    /// What it must be, or what is wrong with it.
    pub problem: String,
}

impl SettingError {
    pub(crate) fn new(setting: &'static str, problem: impl Into<String>) -> Self {
        let problem = problem.into();
        Self { setting, problem }
    }
}

/// Whether this host of a URL is this machine: what is sent there crosses no network.
#[must_use]
pub fn is_loopback(host: &str) -> bool {
    let address = host.trim_matches(['[', ']']).parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sender(name: &str, countries: Option<&[&str]>, service: Option<u8>) -> ConfiguredSender {
        let countries = countries.map(|all| all.iter().map(|text| Country::parse(text).unwrap()).collect());
        ConfiguredSender {
            name: SenderName::parse(name).unwrap(),
            kind: SenderKind::Http,
            channels: vec![Channel::Sms, Channel::Call],
            countries,
            messaging_service: service.map(|byte| MessagingServiceSid::from_bytes([byte; 16])),
            price: None,
            sender: Arc::new(LogSender),
        }
    }

    fn names(
        senders: &CodeSenders,
        channel: Channel,
        country: Option<&str>,
        service: Option<u8>,
    ) -> Vec<String> {
        let country = country.map(|text| Country::parse(text).unwrap());
        let service = service.map(|byte| MessagingServiceSid::from_bytes([byte; 16]));
        let found = senders.candidates(channel, country, service);
        found.map(|sender| sender.name.to_string()).collect()
    }

    #[test]
    fn candidates_keep_the_order_and_those_of_the_messaging_service_come_first() {
        let senders = CodeSenders::new(vec![
            sender("swiss", Some(&["CH"]), None),
            sender("world", None, None),
            sender("chosen", None, Some(1)),
            sender("chosen-ch", Some(&["CH"]), Some(1)),
        ]);
        let found = |country, service| names(&senders, Channel::Sms, country, service);
        assert_eq!(found(Some("CH"), None), ["swiss", "world", "chosen", "chosen-ch"]);
        assert_eq!(found(Some("DE"), None), ["world", "chosen"]);
        assert_eq!(found(None, None), ["world", "chosen"]);
        assert_eq!(
            found(Some("CH"), Some(1)),
            ["chosen", "chosen-ch", "swiss", "world"]
        );
        assert_eq!(found(Some("DE"), Some(1)), ["chosen", "world"]);
        assert_eq!(found(Some("DE"), Some(2)), ["world", "chosen"]);
        assert!(names(&senders, Channel::Email, Some("CH"), None).is_empty());
        assert_eq!(senders.channels(), [Channel::Sms, Channel::Call]);
        let name = SenderName::parse("world").unwrap();
        assert_eq!(senders.by_name(name).unwrap().name, name);
        assert!(senders.by_name(SenderName::parse("log").unwrap()).is_none());
    }

    #[test]
    fn without_any_sender_codes_go_to_the_log() {
        for senders in [CodeSenders::default(), CodeSenders::new(Vec::new())] {
            assert_eq!(names(&senders, Channel::Email, None, None), ["log"]);
            assert!(names(&senders, Channel::Sna, None, None).is_empty());
            assert!(senders.writes_to_log());
        }
        assert!(!CodeSenders::new(vec![sender("world", None, None)]).writes_to_log());
    }
}
