//! Names of settings and variables: what is none of ours is left alone, what only resembles ours is refused.

use super::*;

#[test]
fn unknown_names_are_refused_by_name() {
    let (_directory, path) = file("lisen = '127.0.0.1:3'");
    let refused = line(&[("config", &path)], &[]);
    assert!(
        refused.starts_with("lisen in ") && refused.ends_with("did you mean listen?"),
        "{refused}"
    );
    let (_directory, path) = file("[limits]\nfoo = 1");
    assert!(line(&[("config", &path)], &[]).starts_with("limits.foo in "));
    let refused = line(&[], &[("COUNTERSIGN_LISTNE", "127.0.0.1:1")]);
    assert_eq!(
        refused,
        "COUNTERSIGN_LISTNE is not a setting; did you mean COUNTERSIGN_LISTEN?"
    );
}

#[test]
fn variables_that_orchestrators_set_for_a_service_of_our_name_are_none_of_ours() {
    for (name, value) in [
        ("COUNTERSIGN_PORT", "tcp://10.0.0.1:8080"),
        ("COUNTERSIGN_PORT_8080_TCP", "tcp://10.0.0.1:8080"),
        ("COUNTERSIGN_PORT_8080_TCP_ADDR", "10.0.0.1"),
        ("COUNTERSIGN_PORT_8080_TCP_PORT", "8080"),
        ("COUNTERSIGN_PORT_8080_TCP_PROTO", "tcp"),
        ("COUNTERSIGN_PORT_53_UDP", "udp://10.0.0.1:53"),
        ("COUNTERSIGN_SERVICE_HOST", "10.0.0.1"),
        ("COUNTERSIGN_SERVICE_PORT", "8080"),
        ("COUNTERSIGN_SERVICE_PORT_HTTP", "8080"),
        ("COUNTERSIGN_SERVICE_PORT_HTTPS_2", "8443"),
    ] {
        assert!(load(&[], &[(name, value)]).is_ok(), "{name}");
    }
}

#[test]
fn variables_of_other_readers_are_none_of_ours() {
    for name in [
        "COUNTERSIGN_ACCESS_TOKEN",
        "COUNTERSIGN_ACCOUNT",
        "COUNTERSIGN_BACKUP",
        "COUNTERSIGN_CORE_DUMPS",
        "COUNTERSIGN_KILL_ROUNDS",
        "COUNTERSIGN_TEST_PYTHON",
        "COUNTERSIGN_TEST_VONAGE",
        "COUNTERSIGN_TOTP_URI",
        "COUNTERSIGN_WRITE_FIXTURES",
    ] {
        assert!(load(&[], &[(name, "1")]).is_ok(), "{name}");
    }
}

#[test]
fn variables_that_only_resemble_foreign_ones_are_refused_by_name() {
    for name in [
        "COUNTERSIGN_OPS_PORT",
        "COUNTERSIGN_TLS_PORT",
        "COUNTERSIGN_LISTEN_PORT_8080",
        "COUNTERSIGN_OPS_SERVICE_HOST",
        "COUNTERSIGN_SERVICE_HOSTS",
        "COUNTERSIGN_SERVICE_PORTS",
        "COUNTERSIGN_SERVICE_PORT_",
        "COUNTERSIGN_PORT_",
        "COUNTERSIGN_PORT_8080",
        "COUNTERSIGN_PORT_TCP",
        "COUNTERSIGN_PORT_99999_TCP",
        "COUNTERSIGN_PORT_8080_HTTP",
        "COUNTERSIGN_PORT_8080_TCP_NAME",
        "COUNTERSIGN_KILL_SWITCH",
        "COUNTERSIGN_TEST_MODE",
        "COUNTERSIGN_",
    ] {
        let refused = line(&[], &[(name, "9090")]);
        assert!(
            refused.starts_with(&format!("{name} is not a setting")),
            "{refused}"
        );
    }
}
