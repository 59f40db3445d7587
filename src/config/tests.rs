//! Settings as operators write them.

mod names;

use std::ffi::OsString;
use std::fs;
use std::time::Duration;

use tempfile::TempDir;

use super::*;

const BOOTSTRAP_TEXT: &str = "AC0123456789abcdef0123456789abcdef:a-token-of-our-own";

fn load(flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    let flags = flags
        .iter()
        .map(|(key, text)| (*key, (*text).to_owned()))
        .collect();
    let variables: Vec<_> = variables
        .iter()
        .map(|(n, v)| (OsString::from(n), OsString::from(v)))
        .collect();
    Config::load(flags, variables)
}

fn line(flags: &[(&'static str, &str)], variables: &[(&str, &str)]) -> String {
    let line = load(flags, variables).unwrap_err().to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    line
}

fn file(text: &str) -> (TempDir, String) {
    let directory = TempDir::new().unwrap();
    let path = directory.path().join("countersign.toml");
    fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (directory, path)
}

#[test]
fn nothing_given_means_the_defaults() {
    let config = load(&[], &[("PATH", "/bin"), ("COUNTERSIGN_TEST_URL", "1")]).unwrap();
    assert_eq!(config.network.listen, "127.0.0.1:8080".parse().ok());
    assert_eq!(config.storage.directory.to_str(), Some("countersign-data"));
    assert!(matches!(config.storage.master_key, KeySource::InDirectory));
    assert!(config.tls.is_none() && config.bootstrap.is_none() && config.network.ops_listen.is_none());
    assert_eq!(Some(config.log), LogDirectives::parse("info"));
    let policy = Policy {
        // Three quarters of the connections.
        max_waiters: 6144,
        outbox_rows_per_account: 100_000,
        ..crate::doubles::policy()
    };
    assert_eq!(format!("{:?}", config.policy), format!("{policy:?}"));
}

#[test]
fn the_command_line_precedes_the_environment_and_that_the_file() {
    let (_directory, path) =
        file("listen = '127.0.0.1:3'\ndata = 'file'\nlog = 'warn'\n[devices]\nclock_skew_seconds = 7");
    let config = load(
        &[("config", &path), ("listen", "127.0.0.1:1")],
        &[
            ("COUNTERSIGN_LISTEN", "127.0.0.1:2"),
            ("COUNTERSIGN_DATA", "environment"),
        ],
    )
    .unwrap();
    assert_eq!(config.network.listen, "127.0.0.1:1".parse().ok());
    assert_eq!(config.storage.directory.to_str(), Some("environment"));
    assert_eq!(Some(config.log), LogDirectives::parse("warn"));
    assert_eq!(config.policy.device_clock_skew, Duration::from_secs(7));
}

#[test]
fn every_setting_of_the_file_has_a_variable() {
    let config = load(&[], &[("COUNTERSIGN_LIMITS_ENTITY_CREATIONS_PER_SECOND", "40")]).unwrap();
    assert_eq!(config.policy.entity_creations_per_second, Some(40));
}

#[test]
fn secrets_of_older_systems_are_refused_unless_allowed() {
    let name = "COUNTERSIGN_TOTP_LEGACY_SECRETS";
    assert!(!load(&[], &[]).unwrap().policy.legacy_totp_secrets);
    for (text, allowed) in [("allow", true), ("refuse", false)] {
        assert_eq!(
            load(&[], &[(name, text)]).unwrap().policy.legacy_totp_secrets,
            allowed
        );
    }
    let refused = line(&[], &[(name, "yes")]);
    assert!(refused.contains("must be allow or refuse"), "{refused}");
}

#[test]
fn limits_of_pushes_have_defaults_and_ranges() {
    let names = [
        "COUNTERSIGN_LIMITS_MAX_PENDING_CHALLENGES",
        "COUNTERSIGN_LIMITS_MAX_PUSHES_SINCE_SUCCESS",
        "COUNTERSIGN_LIMITS_PUSH_PAUSE_SECONDS",
    ];
    let read = |values: [&str; 3]| {
        let given: Vec<_> = names.into_iter().zip(values).collect();
        let limits = load(&[], &given).unwrap().policy.push;
        (
            limits.max_pending,
            limits.max_since_success,
            limits.pause.as_secs(),
        )
    };
    let defaults = load(&[], &[]).unwrap().policy.push;
    assert_eq!(defaults, PushLimits::default());
    assert_eq!(read(["5", "10", "3600"]), (5, 10, 3600));
    assert_eq!(read(["1", "100", "60"]), (1, 100, 60));
    for (name, values) in names
        .iter()
        .zip([["0", "101", "-1"], ["0", "101", "x"], ["59", "604801", "1h"]])
    {
        for bad in values {
            let refused = line(&[], &[(name, bad)]);
            assert!(refused.contains("must be a number"), "{name} {bad}: {refused}");
        }
    }
}

#[test]
fn guards_against_toll_fraud_have_defaults_and_ranges() {
    use crate::domain::fraud::settings::{ConversionRule, Countries, Settings as TollFraud};
    use crate::domain::price::{Currency, Price};
    let read = |given: &[(&str, &str)]| load(&[], given).unwrap().policy.toll_fraud;
    assert_eq!(read(&[]), TollFraud::default());
    let (_directory, path) = file(
        "[codes]\ncountries = ['be', 'LV']\nblocked_countries = 'FR, DE'\npremium_numbers = 'allow'\n\
         unknown_numbers = 'allow'\n\
         risk_check_may_be_disabled = false\nsends_per_prefix_per_day = 7\nspend_per_day = '12.50 EUR'\n\
         conversion_min_sends = 40\nconversion_min_percent = 5\nconversion_block_minutes = 60",
    );
    let chosen = load(&[("config", &path)], &[]).unwrap().policy.toll_fraud;
    let country = |text: &str| crate::domain::country::Country::parse(text).unwrap();
    assert_eq!(
        chosen,
        TollFraud {
            countries: Countries::Only(vec![country("BE"), country("LV")]),
            blocked_countries: vec![country("FR"), country("DE")],
            premium_numbers: true,
            unknown_numbers: true,
            risk_check_may_be_disabled: false,
            prefix_per_day: Some(7),
            spend_per_day: Some(Price {
                micros: 12_500_000,
                currency: Currency::parse("eur").unwrap(),
            }),
            conversion: Some(ConversionRule {
                min_sends: 40,
                min_percent: 5,
                block: Duration::from_hours(1),
            }),
            ..TollFraud::default()
        }
    );
    let off = read(&[
        ("COUNTERSIGN_CODES_SENDS_PER_NUMBER_PER_DAY", "none"),
        ("COUNTERSIGN_CODES_CONVERSION_MIN_SENDS", "none"),
    ]);
    assert_eq!((off.number_per_day, off.conversion), (None, None));
    for (name, bad) in [
        ("COUNTRIES", "none"),
        ("COUNTRIES", "BEL"),
        ("BLOCKED_COUNTRIES", "BE;LV"),
        ("PREMIUM_NUMBERS", "true"),
        ("SENDS_PER_NUMBER_PER_DAY", "0"),
        ("SENDS_PER_SERVICE_PER_DAY", "-1"),
        ("SPEND_PER_DAY", "100"),
        ("CONVERSION_MIN_SENDS", "4"),
        ("CONVERSION_MIN_PERCENT", "101"),
        ("CONVERSION_BLOCK_MINUTES", "59"),
    ] {
        let refused = line(&[], &[(&format!("COUNTERSIGN_CODES_{name}"), bad)]);
        assert!(refused.contains("must be"), "{name} {bad}: {refused}");
    }
}

#[test]
fn bad_values_are_refused_by_name() {
    for (name, key, bad) in [
        ("COUNTERSIGN_LISTEN", "listen", "8080"),
        ("COUNTERSIGN_OPS_LISTEN", "ops_listen", "example.com:80"),
        ("COUNTERSIGN_PUBLIC_URL", "public_url", "verify.example.com"),
        (
            "COUNTERSIGN_PUBLIC_URL",
            "public_url",
            "https://user@verify.example.com",
        ),
        ("COUNTERSIGN_LOG", "log", "loud"),
        ("COUNTERSIGN_CACHE_BYTES", "cache_bytes", "12"),
        ("COUNTERSIGN_MAX_CONNECTIONS", "max_connections", "0"),
        ("COUNTERSIGN_TLS_SELF_SIGNED", "tls_self_signed", "yes"),
        (
            "COUNTERSIGN_DEVICES_CLOCK_SKEW_SECONDS",
            "devices.clock_skew_seconds",
            "301",
        ),
        (
            "COUNTERSIGN_RETENTION_CHALLENGES_DAYS",
            "retention.challenges_days",
            "-1",
        ),
        ("COUNTERSIGN_DATA", "data", ""),
        ("COUNTERSIGN_MASTER_KEY", "master_key", "hunter2"),
        (
            "COUNTERSIGN_BOOTSTRAP",
            "bootstrap",
            "AC0123456789abcdef0123456789abcdef:short",
        ),
    ] {
        let refused = line(&[], &[(name, bad)]);
        assert!(refused.starts_with(&format!("{key} ({name}) must ")), "{refused}");
    }
    assert!(line(&[("listen", "x\ny")], &[]).starts_with("listen (--listen) must be an IP address"));
}

#[test]
fn https_alone_is_enough() {
    let flags = [
        ("listen", "none"),
        ("tls_listen", "127.0.0.1:0"),
        ("tls_self_signed", "true"),
    ];
    let config = load(&flags, &[]).unwrap();
    assert!(config.network.listen.is_none() && config.tls.is_some());
}

#[test]
fn a_broken_file_is_refused_with_its_line() {
    let (_directory, path) = file("listen = '127.0.0.1:3'\ndata = \n");
    let refused = line(&[("config", &path)], &[]);
    assert!(refused.contains("line 2: "), "{refused}");
    assert!(line(&[("config", "/nowhere/at/all")], &[]).starts_with("config: cannot read /nowhere/at/all"));
}

#[test]
fn secrets_stay_out_of_files_and_messages() {
    let (_directory, path) = file(&format!("bootstrap = '{BOOTSTRAP_TEXT}'"));
    let refused = line(&[("config", &path)], &[]);
    assert!(
        refused.ends_with("set COUNTERSIGN_BOOTSTRAP instead"),
        "{refused}"
    );
    for (name, text) in [
        ("COUNTERSIGN_BOOTSTRAP", "AC12:hunter2hunter2hunter2"),
        ("COUNTERSIGN_MASTER_KEY", "hunter2"),
    ] {
        assert!(!line(&[], &[(name, text)]).contains("hunter2"));
    }
    let config = load(&[], &[("COUNTERSIGN_BOOTSTRAP", BOOTSTRAP_TEXT)]).unwrap();
    assert!(!format!("{config:?}").contains("a-token-of-our-own"));
}

#[test]
fn a_bootstrap_account_is_an_account_and_a_token() {
    let bootstrap = load(&[], &[("COUNTERSIGN_BOOTSTRAP", BOOTSTRAP_TEXT)])
        .unwrap()
        .bootstrap
        .unwrap();
    assert_eq!(bootstrap.sid.to_string(), &BOOTSTRAP_TEXT[..34]);
    assert_eq!(bootstrap.token.as_str(), &BOOTSTRAP_TEXT[35..]);
    for bad in [
        "with blank inside it",
        "with:colon:inside-it",
        "with-\u{e9}-inside-it-all",
        "tab\tinside-the-token",
    ] {
        let text = format!("{}:{bad}", &BOOTSTRAP_TEXT[..34]);
        assert!(load(&[], &[("COUNTERSIGN_BOOTSTRAP", &text)]).is_err(), "{bad}");
    }
}

#[test]
fn settings_that_need_each_other_are_asked_for() {
    let cases: &[(&[(&'static str, &str)], &str)] = &[
        (&[("tls_listen", "127.0.0.1:0")], "tls_listen must"),
        (
            &[("tls_cert", "c"), ("tls_listen", "127.0.0.1:0")],
            "tls_key must",
        ),
        (
            &[("tls_key", "k"), ("tls_listen", "127.0.0.1:0")],
            "tls_cert must",
        ),
        (&[("tls_self_signed", "true")], "tls_listen must"),
        (&[("listen", "none")], "listen must not be none"),
        (
            &[("tls_self_signed", "true"), ("tls_cert", "c")],
            "tls_self_signed must not",
        ),
    ];
    for (flags, beginning) in cases {
        let refused = line(flags, &[]);
        assert!(refused.starts_with(beginning), "{refused}");
    }
    let key = "00".repeat(32);
    let refused = line(&[("master_key_file", "k")], &[("COUNTERSIGN_MASTER_KEY", &key)]);
    assert!(refused.starts_with("master_key_file must not"), "{refused}");
    let command = ("master_key_command", "cat key");
    let refused = line(&[command, ("master_key_file", "k")], &[]);
    assert!(
        refused.starts_with("master_key_command must not") && refused.contains("with master_key_file:"),
        "{refused}"
    );
    let refused = line(&[command], &[("COUNTERSIGN_MASTER_KEY", &key)]);
    assert!(refused.contains("with COUNTERSIGN_MASTER_KEY:"), "{refused}");
    for (name, value, other) in [
        ("COUNTERSIGN_BACKUP_EVERY_MINUTES", "60", "backup.directory must"),
        ("COUNTERSIGN_BACKUP_DIRECTORY", "d", "backup.every_minutes must"),
        (
            "COUNTERSIGN_BACKUP_COMMAND",
            "cat",
            "backup.directory and backup.every_minutes must",
        ),
    ] {
        let refused = line(&[], &[(name, value)]);
        assert!(refused.starts_with(other), "{refused}");
    }
    let refused = line(&[("witness", "w"), ("store", "postgres://u@h/d")], &[]);
    assert!(refused.starts_with("witness must not"), "{refused}");
    let same = "postgres://u:hush@h/d";
    let refused = line(&[("witness", same), ("store", same)], &[]);
    assert!(
        refused.contains("would be put back along with it") && !refused.contains("hush"),
        "{refused}"
    );
    let refused = line(&[("master_key_command", "cat key | base64 -d")], &[]);
    assert!(
        refused.contains("(--master-key-command) must be") && refused.contains("sh -c"),
        "{refused}"
    );
}

#[test]
fn push_services_are_told_the_contact_or_else_the_public_url() {
    let contact = |variables: &[(&str, &str)]| load(&[], variables).unwrap().policy.webpush_contact;
    let (url, given) = ("COUNTERSIGN_PUBLIC_URL", "COUNTERSIGN_WEBPUSH_CONTACT");
    assert_eq!(contact(&[]), None);
    assert_eq!(
        contact(&[(url, "http://127.0.0.1:8080")]),
        None,
        "no push service takes it"
    );
    let https = (url, "https://verify.example.com");
    assert_eq!(contact(&[https]).as_deref(), Some("https://verify.example.com/"));
    for text in ["mailto:ops@example.com", "https://example.com/contact"] {
        assert_eq!(contact(&[https, (given, text)]).as_deref(), Some(text));
    }
    let own = (url, "https://localhost:8443");
    assert_eq!(contact(&[own]), None, "nobody else can look it up");
    for bad in [
        "ops@example.com",
        "mailto:ops",
        "mailto: ops@example.com",
        "mailto:ops@example.com ",
        "mailto:ops@localhost",
        "mailto:ops@push.localhost",
        "mailto:ops@127.0.0.1",
        "mailto:ops@example.com?subject=x",
        "mailto:ops%40example.com",
        "mailto:ops@example.com,eve@example.com",
        "http://example.com",
        "https://localhost/contact",
        "https://127.0.0.1/contact",
        "https://intranet/contact",
        "",
    ] {
        assert!(line(&[], &[(given, bad)]).contains("webpush_contact"), "{bad}");
    }
}

#[test]
fn networks_that_may_be_reached_are_a_list_or_separated_by_commas() {
    let allowed = |flags: &[(&'static str, &str)], variables: &[(&str, &str)]| {
        let networks = load(flags, variables)
            .unwrap()
            .outbound
            .outbound_allow
            .unwrap_or_default();
        networks.iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    let expected = ["10.1.0.0/16", "fd00:1::/32", "127.0.0.1/32", "::1/128"];
    let text = "10.1.0.0/16, fd00:1::/32,127.0.0.1,::1";
    assert_eq!(allowed(&[("outbound_allow", text)], &[]), expected);
    assert_eq!(allowed(&[], &[("COUNTERSIGN_OUTBOUND_ALLOW", text)]), expected);
    let (_directory, path) = file("outbound_allow = ['10.1.0.0/16', 'fd00:1::/32', '127.0.0.1', '::1']");
    assert_eq!(allowed(&[("config", &path)], &[]), expected);
    for nothing in ["", "outbound_allow = []"] {
        let (_directory, path) = file(nothing);
        assert!(allowed(&[("config", &path)], &[]).is_empty());
    }
}

#[test]
fn networks_that_are_none_are_refused() {
    for bad in [
        "10.0.0.0/33",
        "10.0.0.1/8",
        "10.0.0",
        "intranet",
        "*",
        "10.0.0.0/8,",
        ",",
        "::1/129",
        "fe80::1%lo",
    ] {
        let refused = line(&[], &[("COUNTERSIGN_OUTBOUND_ALLOW", bad)]);
        let beginning = "outbound_allow (COUNTERSIGN_OUTBOUND_ALLOW) must be networks such as 10.1.0.0/16";
        assert!(
            refused.starts_with(beginning) && refused.ends_with(&format!("not {bad:?}")),
            "{refused}"
        );
    }
    for (text, problem) in [
        ("outbound_allow = [1]", "must be a list of texts"),
        (
            "outbound_allow = 10.5",
            "must be a text, a whole number or a boolean, not float",
        ),
        (
            "listen = ['127.0.0.1:0']",
            "must be a text, a whole number or a boolean, not array",
        ),
    ] {
        let (_directory, path) = file(text);
        let refused = line(&[("config", &path)], &[]);
        assert!(refused.contains(problem), "{refused}");
    }
}

#[test]
fn how_far_clocks_of_devices_are_followed_is_as_the_file_says() {
    let followed = |text: &str| {
        let (_directory, path) = file(text);
        load(&[("config", &path)], &[]).map(|config| config.policy.totp_drift)
    };
    assert_eq!(followed("").unwrap(), DriftLimit::OFF);
    assert_eq!(
        followed("[totp]\ndrift_steps = 6").unwrap(),
        DriftLimit::of_steps(6)
    );
    assert_eq!(
        followed("[totp]\ndrift_steps = 10").unwrap(),
        DriftLimit::of_steps(10)
    );
    assert!(followed("[totp]\ndrift_steps = 11").is_err());
}
