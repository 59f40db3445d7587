//! What all servers of one store must have alike.
//!
//! These are all settings but those that a server has for itself, as their rows say, and what only the configuration file has:
//! the senders, each by itself and in their order, the templates and the programs that log in. Secrets and files are left out:
//! each server may be told at another moment that one was replaced, and each has its files in another place.

use std::fmt::{self, Write as _};

use toml::Value;
use zeroize::Zeroizing;

use super::SECTIONS;
use super::senders::{SENDERS, keys};
use super::sources::GivenSettings;

/// What all servers of one store must have alike.
#[derive(Debug, Default)]
pub(crate) struct AlikeSettings(Vec<AlikeSetting>);

/// A setting, and what tells two values of it apart.
pub(crate) struct AlikeSetting {
    pub name: String,
    /// Something may be told in it that is told to few.
    pub text: Zeroizing<String>,
}

impl AlikeSettings {
    /// Those of what was given; where nothing was, the default counts.
    pub(super) fn of(given: &GivenSettings) -> Self {
        let mut all = Self::default();
        for setting in SECTIONS.iter().flat_map(|section| section.settings) {
            if !setting.is_own {
                all.add(setting.name, given.spelled(setting));
            }
        }
        all.add_senders(given.sender_tables());
        for (name, value) in given.other_tables() {
            all.add(name, value.map(spelled).unwrap_or_default());
        }
        all
    }

    /// Adds what is known only once a file was read.
    pub(crate) fn add(&mut self, name: impl Into<String>, text: impl Into<String>) {
        self.0.push(AlikeSetting {
            name: name.into(),
            text: Zeroizing::new(text.into()),
        });
    }

    pub(crate) fn into_iter(self) -> impl Iterator<Item = AlikeSetting> {
        self.0.into_iter()
    }

    /// The order of senders says who is asked first. A table that is none is refused where senders are made of it.
    fn add_senders(&mut self, tables: Option<&Value>) {
        let tables = tables.and_then(Value::as_array).map(Vec::as_slice);
        let mut order = String::new();
        for table in tables.unwrap_or_default().iter().filter_map(Value::as_table) {
            let name = table.get(keys::NAME.name).and_then(Value::as_str);
            let name = name.unwrap_or_default();
            order = order + name + ",";
            let mut shared = table.clone();
            for key in keys::KEYS.iter().filter(|key| key.is_own) {
                shared.remove(key.name);
            }
            self.add(format!("{SENDERS}.{name}"), spelled(&Value::Table(shared)));
        }
        self.add(SENDERS, order);
    }
}

/// The value in the one spelling that all equal ones have.
fn spelled(value: &Value) -> String {
    match value {
        Value::Array(values) => {
            let all = values
                .iter()
                .fold(String::new(), |all, value| all + &spelled(value) + ",");
            format!("[{all}]")
        }
        Value::Boolean(choice) => choice.to_string(),
        Value::Datetime(moment) => moment.to_string(),
        Value::Float(number) => format!("{number:?}"),
        Value::Integer(number) => number.to_string(),
        Value::String(text) => format!("{text:?}"),
        Value::Table(table) => {
            let mut names: Vec<&String> = table.keys().collect();
            names.sort_unstable();
            let mut all = String::new();
            for name in names {
                // Writing to a text does not fail.
                let _ = write!(all, "{name:?}={},", spelled(&table[name]));
            }
            format!("{{{all}}}")
        }
    }
}

impl fmt::Debug for AlikeSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::super::Config;
    use super::*;

    /// What is compared, by name.
    fn alike(file: &str, flags: &[(&'static str, &str)]) -> BTreeMap<String, String> {
        let directory = tempfile::TempDir::new().unwrap();
        let path = directory.path().join("countersign.toml");
        fs::write(&path, file).unwrap();
        let own = [("config", path.to_str().unwrap())];
        let flags = own
            .iter()
            .chain(flags)
            .map(|(name, text)| (*name, (*text).to_owned()));
        let config = Config::load(flags.collect(), Vec::new()).unwrap();
        let pair = |setting: AlikeSetting| (setting.name, setting.text.to_string());
        config.alike.into_iter().map(pair).collect()
    }

    fn differing(one: &BTreeMap<String, String>, other: &BTreeMap<String, String>) -> Vec<String> {
        let names = one.iter().filter(|(name, text)| other.get(*name) != Some(text));
        names.map(|(name, _)| name.clone()).collect()
    }

    const SENDERS_FILE: &str = "
        [[senders]]
        name = 'first'
        kind = 'log'
        channels = ['sms']
        [[senders]]
        name = 'mail'
        kind = 'smtp'
        url = 'smtp://localhost'
        tls = 'none'
        from = 'codes@example.com'
    ";

    #[test]
    fn what_a_server_has_for_itself_is_not_compared() {
        let one = alike("", &[]);
        let own = [
            ("listen", "127.0.0.1:0"),
            ("data", "elsewhere"),
            ("log", "debug"),
            ("max_connections", "100"),
            ("rolling", "true"),
        ];
        let other = alike("max_waiters = 7\ntrusted_proxies = '10.0.0.0/8'", &own);
        assert_eq!(one, other);
        for name in ["master_key", "bootstrap", "store", "tls_key"] {
            assert!(!one.contains_key(name), "{name}");
        }
    }

    #[test]
    fn a_default_that_is_given_is_no_difference_and_another_value_is() {
        let one = alike("", &[]);
        let same = alike("[codes]\nsends_per_number_per_day = 30\ncountries = 'all'", &[]);
        assert_eq!(differing(&one, &same), Vec::<String>::new());
        let other = alike(
            "signal_app_hash = 'FA+9qCX9VSu'\n[codes]\nsends_per_number_per_day = 31",
            &[],
        );
        assert_eq!(
            differing(&one, &other),
            ["codes.sends_per_number_per_day", "signal_app_hash"]
        );
        let listed = alike("[codes]\nblocked_countries = ['CH', 'LI']", &[]);
        let separated = alike("[codes]\nblocked_countries = 'CH, LI'", &[]);
        assert_eq!(listed, separated);
    }

    #[test]
    fn senders_are_compared_each_and_in_their_order() {
        let one = alike(SENDERS_FILE, &[]);
        let spaced = SENDERS_FILE.replace("channels = ['sms']", "channels = [ 'sms' ] # one");
        assert_eq!(one, alike(&spaced, &[]));
        // A machine's own name, and where it has its files.
        let own = SENDERS_FILE.to_owned() + "hello_name = 'one.example'";
        assert_eq!(one, alike(&own, &[]));
        let other = alike(&SENDERS_FILE.replace("codes@", "code@"), &[]);
        assert_eq!(differing(&one, &other), ["senders.mail"]);
        let (first, mail) = SENDERS_FILE.split_at(SENDERS_FILE.rfind("[[senders]]").unwrap());
        let turned = alike(&(mail.to_owned() + first), &[]);
        assert_eq!(differing(&one, &turned), ["senders"]);
        assert_eq!(
            differing(&one, &alike("", &[])),
            ["senders", "senders.first", "senders.mail"]
        );
    }

    #[test]
    fn templates_and_programs_are_compared() {
        let file = "
            [[telegram_apps]]
            api_id = 1
            api_hash = 'x'
            [[templates]]
            name = 'Order'
            channels = ['sms']
            [[templates.translations]]
            locale = 'en'
            text = '{{code}} is it.'
        ";
        let one = alike(file, &[]);
        let other = file
            .replace("api_hash = 'x'", "api_hash = 'y'")
            .replace("is it", "it is");
        assert_eq!(
            differing(&one, &alike(&other, &[])),
            ["telegram_apps", "templates"]
        );
        let names = format!(
            "{:?}",
            AlikeSetting {
                name: "templates".into(),
                text: Zeroizing::new("hush".into())
            }
        );
        assert_eq!(names, "templates");
    }
}
