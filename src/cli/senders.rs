//! The senders of codes that the settings describe.

use std::sync::Arc;

use crate::config::senders::{Sender, SenderProtocol};
use crate::delivery::codes::gateway::Gateway;
use crate::delivery::codes::log::LogSender;
use crate::delivery::codes::smpp::Smpp;
use crate::delivery::codes::smtp::Smtp;
use crate::delivery::codes::{CodeSender, CodeSenders, ConfiguredSender, SenderKind};
use crate::domain::time::{Clock, SystemClock};

/// The senders, the log alone if none is described.
pub(super) fn code_senders(senders: Vec<Sender>) -> CodeSenders {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    CodeSenders::new(
        senders
            .into_iter()
            .map(|sender| configured(sender, &clock))
            .collect(),
    )
}

fn configured(sender: Sender, clock: &Arc<dyn Clock>) -> ConfiguredSender {
    let clock = Arc::clone(clock);
    let (kind, sends): (_, Arc<dyn CodeSender>) = match sender.kind {
        SenderProtocol::Http(plan) => (SenderKind::Http, Arc::new(Gateway::new(*plan, clock))),
        SenderProtocol::Log => (SenderKind::Log, Arc::new(LogSender)),
        SenderProtocol::Smpp(settings) => (SenderKind::Smpp, Arc::new(Smpp::new(*settings, clock))),
        SenderProtocol::Smtp(settings) => (SenderKind::Smtp, Arc::new(Smtp::new(*settings, clock))),
    };
    ConfiguredSender {
        name: sender.name,
        kind,
        channels: sender.channels,
        countries: sender.countries,
        messaging_service: sender.messaging_service,
        price: sender.price,
        sender: sends,
    }
}
