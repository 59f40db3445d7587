//! `countersign senders test`: one message through a sender, as the server sends.
//!
//! Invariant: no store is opened and no code is made, so nothing that is sent here could pass a check.

use std::ffi::OsString;
use std::sync::Arc;
use std::time::Duration;

use clap::{Args, Subcommand};
use serde_json::json;
use zeroize::Zeroizing;

use super::flags::StoreFlags;
use super::senders::code_senders;
use super::{Failure, logging, output};
use crate::config::{Config, nearest};
use crate::delivery::DeliveryOutcome;
use crate::delivery::codes::{CodeMessage, CodeSenders, ConfiguredSender, Sent};
use crate::domain::channel::Channel;
use crate::domain::destination::{Destination, EmailAddress};
use crate::domain::entropy::SystemEntropy;
use crate::domain::phone::PhoneNumber;
use crate::domain::sid::AttemptSid;
use crate::domain::time::{Clock as _, SystemClock, Timestamp};
use crate::memory::sids::RisingSids;

/// What is done about senders.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Send one message through a sender of the settings, and say what the provider answered.
    ///
    /// It is sent as the server sends codes, and costs what a message costs. There is no code in it: it says that it is a test, and
    /// has 0000 where a provider insists on one. The exit status is 0 if the provider took it, 1 if it did not, 2 if the settings or
    /// the arguments are wrong.
    Test(TestArgs),
}

/// What is sent, and by whom.
#[derive(Debug, Args)]
pub(super) struct TestArgs {
    /// The sender's name in the settings; `log` where they name none.
    name: String,
    /// Who gets it: a number such as +15005550006, or an e-mail address.
    to: String,
    /// sms, call, email, whatsapp or rcs, if not the first that leads there.
    #[arg(long)]
    channel: Option<String>,
    /// Print JSON.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: StoreFlags,
}

pub(super) async fn run(command: Command, environment: Vec<(OsString, OsString)>) -> Result<(), Failure> {
    let Command::Test(args) = command;
    let config = Config::load(args.flags.into_settings(), environment)?;
    logging::start(&config.log);
    let senders = code_senders(config.senders);
    let sender = named(&senders, &args.name)?;
    let to = destination(&args.to)?;
    let channel = channel(sender, args.channel.as_deref(), &to)?;
    let begun = SystemClock.now();
    let message = message(channel, to.on(channel), begun);
    let sent = sender.sender.send(&message).await;
    let millis = SystemClock.now().millis().saturating_sub(begun.millis());
    report(sender, channel, &to, &sent, millis, args.json)
}

fn named<'s>(senders: &'s CodeSenders, name: &str) -> Result<&'s ConfiguredSender, Failure> {
    let found = senders.iter().find(|sender| sender.name.as_str() == name);
    found.map(AsRef::as_ref).ok_or_else(|| {
        let names: Vec<_> = senders.iter().map(|sender| sender.name.to_string()).collect();
        let meant = nearest(name, names.iter().cloned());
        let meant = meant.map_or_else(|| ".".to_owned(), |meant| format!("; did you mean {meant}?"));
        Failure::misused(format!(
            "there is no sender {name:?}{meant} The settings (see --config) have: {}",
            names.join(", ")
        ))
    })
}

fn destination(to: &str) -> Result<Destination, Failure> {
    if to.contains('@') {
        let address = EmailAddress::parse(to);
        return address
            .map(Destination::Email)
            .map_err(|error| Failure::misused(format!("the address {error}")));
    }
    let number = PhoneNumber::parse(to, None);
    number
        .map(Destination::Phone)
        .map_err(|error| Failure::misused(format!("the number {error}")))
}

/// The channel, if the server would take this sender for it.
fn channel(sender: &ConfiguredSender, wanted: Option<&str>, to: &Destination) -> Result<Channel, Failure> {
    let name = sender.name;
    // Silent authentication asks the network about a device that is on line at this moment.
    let leads_there = |channel: &Channel| *channel != Channel::Sna && to.fits(*channel);
    let channel = match wanted {
        None => sender.channels.iter().copied().find(leads_there),
        Some(text) => {
            let channel = Channel::named(text).filter(leads_there);
            channel.filter(|channel| sender.channels.contains(channel))
        }
    };
    let channel = channel.ok_or_else(|| {
        let all: Vec<_> = sender.channels.iter().map(|channel| channel.name()).collect();
        let what = wanted.unwrap_or("no channel");
        Failure::misused(format!(
            "{what} of the sender {name} leads there: it sends by {}, and sna cannot be tried without the user's device",
            all.join(", ")
        ))
    })?;
    let country = to.phone().and_then(|number| number.facts().country);
    if sender.serves(channel, country) {
        return Ok(channel);
    }
    let place = country.map_or_else(|| "what has no country".to_owned(), |country| country.to_string());
    Err(Failure::misused(format!(
        "the server would not take the sender {name} for {place}: see its countries in the settings"
    )))
}

fn message(channel: Channel, to: Destination, now: Timestamp) -> CodeMessage {
    CodeMessage {
        id: AttemptSid::generate(now, &RisingSids::new(Arc::new(SystemEntropy))),
        channel,
        to,
        code: Zeroizing::new(NO_CODE.to_owned()),
        text: Zeroizing::new(TEXT.to_owned()),
        subject: (channel == Channel::Email).then(|| SUBJECT.to_owned()),
        locale: "en".to_owned(),
        from: None,
        from_name: None,
        send_digits: None,
        tags: Vec::new(),
        substitutions: Vec::new(),
        template_id: None,
        device_ip: None,
        expires_at: now + LIFE,
    }
}

fn report(
    sender: &ConfiguredSender,
    channel: Channel,
    to: &Destination,
    sent: &Sent,
    millis: u64,
    as_json: bool,
) -> Result<(), Failure> {
    let (name, channel) = (sender.name.as_str(), channel.name());
    let (outcome, why) = match &sent.outcome {
        DeliveryOutcome::Delivered => ("taken", None),
        DeliveryOutcome::Obsolete => ("obsolete", None),
        DeliveryOutcome::Retry { why, .. } => ("failed", Some(why.as_str())),
        DeliveryOutcome::Refused { why } => ("refused", Some(why.as_str())),
    };
    if as_json {
        let all = json!({
            "sender": name, "kind": sender.kind.name(), "channel": channel, "to": to.masked(), "outcome": outcome, "why": why,
            "reference": sent.reference, "milliseconds": millis,
        });
        output::say(&format!("{all}\n"));
    }
    let explained = match outcome {
        "taken" if as_json => return Ok(()),
        "taken" => {
            let reference = sent.reference.as_deref();
            let reference = reference.map_or_else(String::new, |name| format!(", and calls it {name}"));
            output::say(&format!(
                "{name} took the message by {channel} for {} within {millis} ms{reference}.\n",
                to.masked()
            ));
            return Ok(());
        }
        "failed" => "a server would try again",
        _ => "a server would not try again",
    };
    let why = why.unwrap_or("there was nothing to send");
    Err(Failure::new(format!(
        "{name} did not take the message by {channel} within {millis} ms: {why} ({explained})"
    )))
}

/// What a provider's own template gets that insists on a code. No verification has it: none is made here.
const NO_CODE: &str = "0000";
const TEXT: &str = "This is a test of Countersign's sender. There is no code in it, and nothing to do.";
const SUBJECT: &str = "Test of a Countersign sender";
const LIFE: Duration = Duration::from_mins(10);
