//! Who sends codes: the tables `[[senders]]` of the configuration file, in order of preference.
//!
//! Passwords and keys stand in files of their own or in the environment, never in the configuration file.

pub(super) mod keys;
mod kinds;
mod table;

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use self::keys::SenderKey;
use self::kinds::{http, smpp, smtp};
use self::table::SenderTable;
use super::ConfigError;
use super::faults::Faults;
use super::sources::GivenSettings;
use crate::delivery::codes::secret::SenderSecret;
use crate::delivery::codes::smpp::SmppSettings;
use crate::delivery::codes::smtp::SmtpSettings;
use crate::delivery::codes::{SenderKind, gateway};
use crate::domain::channel::Channel;
use crate::domain::country::Country;
use crate::domain::price::{Currency, Price};
use crate::domain::sender_name::SenderName;
use crate::domain::sid::MessagingServiceSid;

/// The name of the tables in the configuration file.
pub(super) const SENDERS: &str = "senders";

/// What variables with a sender's secret begin and end with; between them stands the sender's name in upper case, `_` for
/// each dash.
pub(super) const VARIABLE: (&str, &str) = ("COUNTERSIGN_SENDER_", "_SECRET");

/// A sender of codes, as its table in the configuration file says.
#[derive(Debug)]
pub(crate) struct Sender {
    /// What the operator calls it.
    pub name: SenderName,
    /// What it can send by.
    pub channels: Vec<Channel>,
    /// The countries that it sends to; `None` for all.
    pub countries: Option<Vec<Country>>,
    /// The messaging service that stands for it.
    pub messaging_service: Option<MessagingServiceSid>,
    /// What one message costs.
    pub price: Option<Price>,
    pub kind: SenderProtocol,
}

#[derive(Debug)]
pub(crate) enum SenderProtocol {
    /// By requests to a provider.
    Http(Box<gateway::RequestPlan>),
    /// To the server's log.
    Log,
    /// Over a message centre.
    Smpp(Box<SmppSettings>),
    /// Over a mail server.
    Smtp(Box<SmtpSettings>),
}

/// What the file and the environment say of senders.
#[derive(Debug, Default)]
pub(super) struct SenderTables {
    /// The tables, and the file that they stand in.
    pub(super) tables: Option<(toml::Value, PathBuf)>,
    /// The secrets, each under the name of its variable.
    pub(super) secrets: BTreeMap<String, SenderSecret>,
}

/// The senders that can be made; what is wrong with the others goes into `faults`.
pub(super) fn read(given: &mut GivenSettings, faults: &mut Faults) -> Vec<Sender> {
    let SenderTables { tables, mut secrets } = given.take_senders();
    let mut senders: Vec<Sender> = Vec::new();
    let mut all_made = true;
    if let Some((value, file)) = tables {
        let tables = faults.unless(tables_of(value, &file));
        all_made = tables.is_some();
        for (at, table) in tables.unwrap_or_default().into_iter().enumerate() {
            let table = SenderTable::new(format!("{SENDERS}[{at}]"), table, &file);
            let Some(sender) = faults.unless(sender(table, &mut secrets)) else {
                all_made = false;
                continue;
            };
            if senders.iter().any(|other| other.name == sender.name) {
                faults.add(ConfigError::new(format!(
                    "{SENDERS}.{} (in {}) must not be there twice",
                    sender.name,
                    file.display()
                )));
            }
            senders.push(sender);
        }
    }
    // A sender that could not be made may not have come to its secret.
    for variable in secrets.keys().filter(|_| all_made) {
        faults.add(ConfigError::new(format!(
            "{variable} is a secret of a sender that is not in the configuration file, or needs none"
        )));
    }
    senders
}

fn tables_of(value: toml::Value, file: &Path) -> Result<Vec<toml::Table>, ConfigError> {
    let expected = || {
        let file = file.display();
        ConfigError::new(format!(
            "{SENDERS} (in {file}) must be tables, each under a line [[{SENDERS}]]"
        ))
    };
    let toml::Value::Array(values) = value else {
        return Err(expected());
    };
    values
        .into_iter()
        .map(|value| match value {
            toml::Value::Table(table) => Ok(table),
            _ => Err(expected()),
        })
        .collect()
}

fn sender(
    mut table: SenderTable<'_>,
    secrets: &mut BTreeMap<String, SenderSecret>,
) -> Result<Sender, ConfigError> {
    let name = table.parsed(
        &keys::NAME,
        "1 to 16 lower-case letters, digits and dashes",
        |text| SenderName::parse(text).ok(),
    )?;
    let name = table.required(&keys::NAME, name)?;
    table.call(name.as_str());
    let kind = table.parsed(&keys::KIND, "http, log, smpp or smtp", SenderKind::named)?;
    let kind = table.required(&keys::KIND, kind)?;
    let channels = channels(&mut table, kind)?;
    let countries = table.list(
        &keys::COUNTRIES,
        "country codes of two letters (ISO 3166-1: GB, not UK)",
        |value| Country::parse(value.as_str()?).ok(),
    )?;
    let messaging_service = table.parsed(
        &keys::MESSAGING_SERVICE_SID,
        "MG and 32 hexadecimal digits",
        |text| text.parse().ok(),
    )?;
    let price = price(&mut table)?;
    let secret = |table: &mut SenderTable<'_>, key| secret(table, key, name, secrets);
    let kind = match kind {
        SenderKind::Http => SenderProtocol::Http(Box::new(http(&mut table, secret, &channels)?)),
        SenderKind::Log => SenderProtocol::Log,
        SenderKind::Smpp => SenderProtocol::Smpp(Box::new(smpp(&mut table, secret)?)),
        SenderKind::Smtp => SenderProtocol::Smtp(Box::new(smtp(&mut table, secret)?)),
    };
    table.finish()?;
    Ok(Sender {
        name,
        channels,
        countries,
        messaging_service,
        price,
        kind,
    })
}

/// What can be left out where there is no choice.
fn channels(table: &mut SenderTable<'_>, kind: SenderKind) -> Result<Vec<Channel>, ConfigError> {
    let can: &[Channel] = match kind {
        SenderKind::Http => &Channel::ALL,
        SenderKind::Log => &[
            Channel::Sms,
            Channel::Call,
            Channel::Email,
            Channel::Whatsapp,
            Channel::Rcs,
        ],
        SenderKind::Smpp => &[Channel::Sms],
        SenderKind::Smtp => &[Channel::Email],
    };
    let names: Vec<_> = can.iter().map(|channel| channel.name()).collect();
    let expected = format!("channels ({} for this kind)", names.join(", "));
    let given = table.list(&keys::CHANNELS, &expected, |value| {
        Channel::named(value.as_str()?).filter(|channel| can.contains(channel))
    })?;
    match (given, kind) {
        (Some(mut channels), _) => {
            channels.sort_unstable();
            channels.dedup();
            Ok(channels)
        }
        (None, SenderKind::Http) => Err(table.wrong(&keys::CHANNELS, "must be given, such as [\"sms\"]")),
        (None, _) => Ok(can.to_vec()),
    }
}

fn price(table: &mut SenderTable<'_>) -> Result<Option<Price>, ConfigError> {
    let micros = table.parsed(
        &keys::PRICE,
        "an amount such as \"0.0075\", at most 6 digits behind the point",
        micros,
    )?;
    let currency = table.parsed(&keys::CURRENCY, "three letters such as usd", Currency::parse)?;
    match (micros, currency) {
        (Some(micros), Some(currency)) => Ok(Some(Price { micros, currency })),
        (None, None) => Ok(None),
        (Some(_), None) => Err(table.wrong(&keys::CURRENCY, "must be given together with price")),
        (None, Some(_)) => Err(table.wrong(&keys::PRICE, "must be given together with currency")),
    }
}

/// Millionths: decimal digits only, so that no rounding is anywhere.
fn micros(text: &str) -> Option<u64> {
    let (whole, part) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|digit| digit.is_ascii_digit());
    if !digits(whole) || !digits(part) || whole.len() > 6 || part.len() > 6 {
        return None;
    }
    let whole: u64 = whole.parse().ok()?;
    let part: u64 = format!("{part:0<6}").parse().ok()?;
    Some(whole * 1_000_000 + part)
}

/// The secret of the variable or of the file that `key` names.
fn secret(
    table: &mut SenderTable<'_>,
    key: &'static SenderKey,
    name: SenderName,
    secrets: &mut BTreeMap<String, SenderSecret>,
) -> Result<Option<SenderSecret>, ConfigError> {
    let (beginning, end) = VARIABLE;
    let variable = name.as_str().replace('-', "_").to_uppercase();
    let variable = format!("{beginning}{variable}{end}");
    let given = secrets.remove(&variable);
    match (table.text(key)?.map(PathBuf::from), given) {
        (Some(_), Some(_)) => Err(table.wrong(
            key,
            &format!("must not be given together with {variable}; leave one of them out"),
        )),
        (None, given) => Ok(given),
        (Some(path), None) => {
            let text = secret_in(&path).map_err(|error| table.unreadable(key, &path, &error))?;
            // The end of the line that every editor adds.
            let line = text.strip_suffix('\n').unwrap_or(&text);
            let line = line.strip_suffix('\r').unwrap_or(line);
            if line.is_empty() || line.contains(char::is_control) {
                return Err(table.wrong(key, "must be a file with the secret alone, on one line"));
            }
            Ok(Some(SenderSecret::new(line.to_owned())))
        }
    }
}

/// What is in a file that only its owner and its group can read. The file that is looked at is the one that is read.
///
/// Groups may: that is how a file of root's is given to the server, and how Kubernetes (`fsGroup`) and systemd (whose access list
/// shows as the group's bits) hand over secrets.
fn secret_in(path: &Path) -> io::Result<zeroize::Zeroizing<String>> {
    let file = fs::File::open(path)?;
    if file.metadata()?.permissions().mode() & 0o007 != 0 {
        return Err(io::Error::other(format!(
            "everybody can read it, or write to it; change that with: chmod o= {}, or where the mode is not yours to change, \
             use a variable of the environment instead",
            path.display()
        )));
    }
    let mut text = zeroize::Zeroizing::new(String::new());
    file.take(MOST_SECRET_BYTES).read_to_string(&mut text)?;
    Ok(text)
}

/// Far more than any secret has.
const MOST_SECRET_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
