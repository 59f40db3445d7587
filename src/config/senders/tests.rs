//! Senders as operators write them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use tempfile::TempDir;

use super::*;
use crate::config::Config;
use crate::delivery::codes::smpp::LongText;
use crate::delivery::codes::smpp::alphabet::SmppAlphabet;
use crate::delivery::codes::smtp::Security;

fn load(text: &str, variables: &[(&str, &str)]) -> Result<Vec<Sender>, ConfigError> {
    let directory = TempDir::new().unwrap();
    let secret = directory.path().join("secret");
    fs::write(&secret, "hunter2\n").unwrap();
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    for mode in [0o440, 0o640, 0o644, 0o604, 0o602, 0o601] {
        let file = directory.path().join(format!("mode-{mode:o}"));
        fs::write(&file, "hunter2\n").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    fs::write(directory.path().join("ca.pem"), made.cert.pem()).unwrap();
    let text = text.replace("DIR", directory.path().to_str().unwrap());
    let path = directory.path().join("countersign.toml");
    fs::write(&path, text).unwrap();
    let variables = variables
        .iter()
        .map(|(n, v)| (OsString::from(n), OsString::from(v)));
    let flags = vec![("config", path.to_str().unwrap().to_owned())];
    Config::load(flags, variables).map(|config| config.senders)
}

fn line(text: &str, variables: &[(&str, &str)]) -> String {
    let line = load(text, variables).unwrap_err().to_string();
    assert_eq!(line.lines().count(), 1, "{line}");
    assert!(!line.contains("hunter2"), "{line}");
    line
}

const SMTP: &str = "
[[senders]]
name = 'mail'
kind = 'smtp'
url = 'smtps://mail.example.com'
from = 'codes@example.com'
";

const HTTP: &str = "
[[senders]]
name = 'sms-gw'
kind = 'http'
channels = ['sms']
url = 'https://gateway.example/{{to}}'
";

const SMPP: &str = "
[[senders]]
name = 'smsc'
kind = 'smpp'
url = 'smpps://smsc.example.com'
system_id = 'owl'
";

#[test]
fn no_sender_is_none() {
    for text in ["", "senders = []"] {
        assert!(load(text, &[]).unwrap().is_empty());
    }
}

#[test]
fn senders_keep_their_order_and_what_all_of_them_have() {
    let text = format!(
        "{HTTP}countries = ['ch', 'LI']\nmessaging_service_sid = 'MG0123456789abcdef0123456789abcdef'\n\
         price = '0.0075'\ncurrency = 'USD'\n{SMTP}{SMPP}[[senders]]\nname = 'log'\nkind = 'log'\nchannels = ['email', 'sms']"
    );
    let senders = load(&text, &[]).unwrap();
    let names: Vec<_> = senders.iter().map(|sender| sender.name.as_str()).collect();
    assert_eq!(names, ["sms-gw", "mail", "smsc", "log"]);
    let [gateway, mail, smsc, log] = &senders[..] else {
        panic!("{senders:?}");
    };
    assert_eq!(gateway.channels, [Channel::Sms]);
    let countries = gateway.countries.as_ref().unwrap().iter().map(Country::as_str);
    assert_eq!(countries.collect::<Vec<_>>(), ["CH", "LI"]);
    assert!(gateway.messaging_service.is_some() && mail.messaging_service.is_none());
    let price = gateway.price.unwrap();
    assert_eq!((price.micros, price.currency.as_str()), (7500, "usd"));
    assert_eq!(mail.channels, [Channel::Email]);
    assert_eq!(smsc.channels, [Channel::Sms]);
    assert_eq!(log.channels, [Channel::Email, Channel::Sms]);
    assert!(matches!(
        (&gateway.kind, &mail.kind, &smsc.kind, &log.kind),
        (
            SenderProtocol::Http(_),
            SenderProtocol::Smtp(_),
            SenderProtocol::Smpp(_),
            SenderProtocol::Log
        )
    ));
}

fn smtp_of(text: &str) -> SmtpSettings {
    let SenderProtocol::Smtp(settings) = load(text, &[]).unwrap().remove(0).kind else {
        panic!("{text}");
    };
    *settings
}

#[test]
fn mail_is_protected_unless_the_operator_says_otherwise() {
    let with = |url: &str, more: &str| {
        let settings = smtp_of(
            &SMTP
                .replace("smtps://mail.example.com", url)
                .replace("from =", &format!("{more}\nfrom =")),
        );
        (settings.port, settings.security)
    };
    assert_eq!(with("smtps://mail.example.com", ""), (465, Security::Tls));
    assert_eq!(with("smtp://mail.example.com", ""), (587, Security::StartTls));
    assert_eq!(
        with("smtp://mail.example.com:25", "tls = 'required'"),
        (25, Security::StartTls)
    );
    assert_eq!(with("smtp://[::1]:25", "tls = 'none'"), (25, Security::None));
    let allowed = "tls = 'none'\nallow_plaintext = true";
    assert_eq!(with("smtp://mail.example.com:25", allowed), (25, Security::None));
}

#[test]
fn secrets_come_from_files_or_the_environment() {
    let variable = ("COUNTERSIGN_SENDER_SMS_GW_SECRET", "hunter2");
    let text = format!("{HTTP}username = 'owl'\n");
    assert!(load(&text, &[variable]).is_ok());
    assert!(load(&format!("{text}secret_file = 'DIR/secret'"), &[]).is_ok());
    // As a file of root's that the server's group can read, and as Kubernetes and systemd hand over secrets.
    for mode in ["640", "440"] {
        let given = load(&format!("{text}secret_file = 'DIR/mode-{mode}'"), &[]);
        assert!(given.is_ok(), "{mode}: {:?}", given.err());
    }
    for mode in ["644", "604", "602", "601"] {
        let open = line(&format!("{text}secret_file = 'DIR/mode-{mode}'"), &[]);
        assert!(
            open.contains("senders.sms-gw.secret_file") && open.contains("chmod o= "),
            "{mode}: {open}"
        );
    }
    let both = line(&format!("{text}secret_file = 'DIR/secret'"), &[variable]);
    assert!(
        both.contains("senders.sms-gw.secret_file") && both.contains("must not be given together"),
        "{both}"
    );
    assert!(line(&text, &[]).contains("senders.sms-gw.secret_file (in "));
    assert!(
        line(HTTP, &[("COUNTERSIGN_SENDER_MAIL_SECRET", "hunter2")])
            .starts_with("COUNTERSIGN_SENDER_MAIL_SECRET is")
    );
    assert!(
        line(HTTP, &[variable]).contains("must not be given"),
        "nobody needs it"
    );
    assert!(line(HTTP, &[(variable.0, "hunter2\nx")]).contains("on one line"));
    let smtp = smtp_of(&format!(
        "{SMTP}username = 'owl'\npassword_file = 'DIR/secret'\nca_file = 'DIR/ca.pem'"
    ));
    assert!(smtp.login.is_some() && smtp.authorities.is_some());
    assert!(!format!("{smtp:?}").contains("hunter2"));
    for key in ["secret", "password", "token", "api_key"] {
        let told = line(&format!("{SMTP}{key} = 'hunter2'"), &[]);
        assert!(
            told.contains("must not stand in the file; give password_file"),
            "{told}"
        );
    }
}

#[test]
fn a_message_centre_has_defaults() {
    let text = format!(
        "{SMPP}[[senders]]\nname = 'b'\nkind = 'smpp'\nurl = 'smpp://127.0.0.1'\nsystem_id = 'o'\nsystem_type = 'x'\n\
         bind = 'transceiver'\nalphabet = 'latin1'\nlong_text = 'payload'\nfrom_ton = 5\nfrom_npi = 0\nwindow = 1\n\
         enquire_link_seconds = 5\ntimeout_seconds = 3\npassword_file = 'DIR/secret'"
    );
    let settings: Vec<_> = load(&text, &[])
        .unwrap()
        .into_iter()
        .map(|sender| match sender.kind {
            SenderProtocol::Smpp(settings) => settings,
            other => panic!("{other:?}"),
        })
        .collect();
    let (a, b) = (&settings[0], &settings[1]);
    assert_eq!((a.port, a.tls, a.receives, a.window), (3550, true, false, 10));
    assert_eq!(
        (a.alphabet, a.long_text, a.from_type),
        (SmppAlphabet::Gsm7, LongText::Parts, None)
    );
    assert_eq!((a.enquire_link.as_secs(), a.timeout.as_secs()), (30, 10));
    assert_eq!((b.port, b.tls, b.receives, b.window), (2775, false, true, 1));
    assert_eq!(
        (b.alphabet, b.long_text, b.from_type),
        (SmppAlphabet::Latin1, LongText::Payload, Some((5, 0)))
    );
    assert!(b.password.is_some());
}

#[test]
fn bodies_are_forms_json_or_texts() {
    for body in [
        "form = { To = '{{to}}' }",
        "json = '{\"to\": \"{{to}}\"}'",
        "json = { to = '{{to}}', n = 1 }",
        "text = '<m>{{to}}</m>'\ncontent_type = 'text/xml'",
        "method = 'GET'",
        "success_json = '/status'\nsuccess_values = [0, 'ok', true]\nretry_values = ['1']\nreference_json = '/id'",
        "success_statuses = [200, 404]\nheaders = { X-A = '{{a}}' }\nconstants = { a = 'b' }",
    ] {
        let loaded = load(&format!("{HTTP}{body}"), &[]);
        assert!(loaded.is_ok(), "{body}: {}", loaded.unwrap_err());
    }
}

#[test]
fn who_is_asked_about_a_device_is_told_its_address_and_what_a_yes_is() {
    let asked = "[[senders]]\nname = 'a'\nkind = 'http'\nchannels = ['sna']\nurl = 'https://a.example/'\nsuccess_statuses = [204]\n";
    for place in [
        "form = { ip = '{{device_ip}}' }",
        "json = { a = [{ ip = '{{device_ip}}' }] }",
        "headers = { X-Device = '{{device_ip}}' }",
    ] {
        assert!(load(&format!("{asked}{place}"), &[]).is_ok(), "{place}");
    }
    assert!(load(&format!("{asked}form = {{ ip = '{{{{to}}}}' }}"), &[]).is_err());
}

#[test]
fn what_does_not_fit_is_named_in_one_line() {
    for (base, more, named) in [
        ("", "senders = 1", "senders (in "),
        ("", "senders = ['log']", "senders (in "),
        ("", "[[senders]]\nkind = 'log'", "senders[0].name (in "),
        ("", "[[senders]]\nname = 'Log'", "senders[0].name (in "),
        ("", "[[senders]]\nname = 'a'", "senders.a.kind (in "),
        ("", "[[senders]]\nname = 'a'\nkind = 'fax'", "senders.a.kind (in "),
        (
            "",
            "[[senders]]\nname = 'a'\nkind = 'log'\nchannels = ['sna']",
            "senders.a.channels (in ",
        ),
        (
            "",
            "[[senders]]\nname = 'a'\nkind = 'log'\nurl = 'x'",
            "senders.a.url (in ",
        ),
        (
            "",
            "[[senders]]\nname = 'a'\nkind = 'http'\nurl = 'https://a.example'",
            "senders.a.channels (in ",
        ),
        (
            "",
            "[[senders]]\nname = 'a'\nkind = 'http'\nurl = 'https://a.example'\nchannels = ['sms', 'sna']",
            "senders.a.success_json (in ",
        ),
        (
            "",
            "[[senders]]\nname = 'a'\nkind = 'http'\nurl = 'https://a.example/{{to}}'\nchannels = ['sna']\nsuccess_statuses = [204]",
            "senders.a.url (in ",
        ),
        (SMTP, SMTP, "senders.mail (in "),
        (SMTP, "channels = ['sms']", "senders.mail.channels (in "),
        (SMTP, "channels = []", "senders.mail.channels (in "),
        (SMTP, "countries = ['CHE']", "senders.mail.countries (in "),
        (
            SMTP,
            "messaging_service_sid = 'MG1'",
            "senders.mail.messaging_service_sid (in ",
        ),
        (SMTP, "price = '0.01'", "senders.mail.currency (in "),
        (SMTP, "currency = 'usd'", "senders.mail.price (in "),
        (SMTP, "price = 0.01\ncurrency = 'usd'", "senders.mail.price (in "),
        (SMTP, "price = '-1'\ncurrency = 'usd'", "senders.mail.price (in "),
        (
            SMTP,
            "price = '0.0000001'\ncurrency = 'usd'",
            "senders.mail.price (in ",
        ),
        (
            SMTP,
            "price = '1'\ncurrency = 'dollar'",
            "senders.mail.currency (in ",
        ),
        (SMTP, "usrname = 'owl'", "senders.mail.usrname (in "),
        (SMTP, "username = 'owl'", "senders.mail.password_file (in "),
        (SMTP, "password_file = 'DIR/secret'", "senders.mail.username (in "),
        (
            SMTP,
            "username = 'owl'\npassword_file = 'DIR/none'",
            "senders.mail.password_file (in ",
        ),
        (SMTP, "ca_file = 'DIR/secret'", "senders.mail.ca_file (in "),
        (SMTP, "tls = 'none'", "senders.mail.tls (in "),
        (SMTP, "tls = true", "senders.mail.tls (in "),
        (SMTP, "timeout_seconds = 31", "senders.mail.timeout_seconds (in "),
        (
            SMTP,
            "allow_plaintext = 'yes'",
            "senders.mail.allow_plaintext (in ",
        ),
        (SMTP, "hello_name = 'a b'", "senders.mail.hello_name (in "),
    ] {
        let told = line(&format!("{base}{more}"), &[]);
        assert!(told.starts_with(named), "{more}: {told}");
    }
    let near = line(&format!("{SMTP}usernme = 'owl'"), &[]);
    assert!(near.ends_with("did you mean username?"), "{near}");
}

#[test]
fn what_does_not_fit_a_gateway_or_a_message_centre_is_named_in_one_line() {
    for (base, more, named) in [
        (SMPP, "from_ton = 1", "senders.smsc.from_npi (in "),
        (SMPP, "window = 0", "senders.smsc.window (in "),
        (SMPP, "alphabet = 'gsm8'", "senders.smsc.alphabet (in "),
        (
            SMPP,
            "system_type = 'thirteen-long'",
            "senders.smsc.system_type (in ",
        ),
        (HTTP, "form = { a = 1 }", "senders.sms-gw.form (in "),
        (HTTP, "form = { a = '{{b}}' }", "senders.sms-gw.form (in "),
        (HTTP, "form = { a = 'b' }\ntext = 'c'", "senders.sms-gw.form (in "),
        (HTTP, "json = '{'", "senders.sms-gw.json (in "),
        (
            HTTP,
            "content_type = 'text/xml'",
            "senders.sms-gw.content_type (in ",
        ),
        (HTTP, "method = 'POTS'", "senders.sms-gw.method (in "),
        (HTTP, "success_json = '/a'", "senders.sms-gw.success_values (in "),
        (
            HTTP,
            "success_json = 'a'\nsuccess_values = [1]",
            "senders.sms-gw.success_json (in ",
        ),
        (HTTP, "retry_values = [1]", "senders.sms-gw.success_json (in "),
        (
            HTTP,
            "success_statuses = [100]",
            "senders.sms-gw.success_statuses (in ",
        ),
        (
            HTTP,
            "reference_json = 'id'",
            "senders.sms-gw.reference_json (in ",
        ),
    ] {
        let told = line(&format!("{base}{more}"), &[]);
        assert!(told.starts_with(named), "{more}: {told}");
    }
    for (from, to, named) in [
        (SMTP, SMTP.replace("smtps", "https"), "senders.mail.url (in "),
        (SMTP, SMTP.replace("codes@", ""), "senders.mail.from (in "),
        (
            SMTP,
            SMTP.replace("mail.example.com'", "mail.example.com/x'"),
            "senders.mail.url (in ",
        ),
        (SMPP, SMPP.replace("smpps", "smpp"), "senders.smsc.url (in "),
        (
            SMPP,
            SMPP.replace("system_id = 'owl'", ""),
            "senders.smsc.system_id (in ",
        ),
        (HTTP, HTTP.replace("https", "http"), "senders.sms-gw.url (in "),
    ] {
        assert_ne!(from, to);
        let told = line(&to, &[]);
        assert!(told.starts_with(named), "{to}: {told}");
    }
}

#[test]
fn the_table_of_keys_says_which_kinds_have_them() {
    let message_centre = SMPP.replace("smpps://smsc.example.com", "smpp://127.0.0.1");
    let log = "[[senders]]\nname = 'log'\nkind = 'log'\n";
    for (kind, base) in SenderKind::ALL
        .into_iter()
        .zip([HTTP, log, &message_centre, SMTP])
    {
        for key in keys::KEYS {
            // What nobody asks for is refused whatever it is; a date is refused by most who ask.
            let already = format!("{} =", key.name);
            let others = base.lines().filter(|line| !line.starts_with(&already));
            let text = others.collect::<Vec<_>>().join("\n") + "\n" + key.name + " = 1979-05-27";
            let told = load(&text, &[]).map_or_else(|error| error.to_string(), |_| String::new());
            let known = !told.contains("is not a setting of such a sender");
            assert_eq!(
                known,
                key.kinds.contains(&kind),
                "{} of {kind:?}: {told}",
                key.name
            );
        }
    }
}

#[test]
fn amounts_are_exact() {
    for (text, expected) in [
        ("0.0075", Some(7_500)),
        ("1", Some(1_000_000)),
        ("12.5", Some(12_500_000)),
        ("0.000001", Some(1)),
        ("999999.999999", Some(999_999_999_999)),
        ("1000000", None),
        (".5", None),
        ("5.", None),
        ("1,5", None),
        ("1e3", None),
        ("", None),
    ] {
        assert_eq!(micros(text), expected, "{text}");
    }
}
