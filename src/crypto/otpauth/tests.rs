//! URIs as they are written and read, by this server and by apps.

use proptest::prelude::*;

use super::*;

const SECRET: &str = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ";

fn uri(issuer: Option<&str>, label: &str) -> OtpauthUri {
    OtpauthUri {
        secret: TotpSecret::from_base32(SECRET).unwrap(),
        issuer: issuer.map(str::to_owned),
        label: label.to_owned(),
        algorithm: TotpAlgorithm::Sha1,
        digits: 6,
        period: 30,
    }
}

fn error(text: &str) -> OtpauthError {
    OtpauthUri::parse(text).unwrap_err()
}

#[test]
fn the_uri_is_twilios() {
    let text = uri(Some("test-issuer"), "John\u{2019}s Account Name").to_text();
    assert_eq!(
        *text,
        "otpauth://totp/test-issuer:John%E2%80%99s%20Account%20Name?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ\
         &issuer=test-issuer&algorithm=SHA1&digits=6&period=30"
    );
}

#[test]
fn separators_inside_names_are_encoded_and_colons_are_dashes() {
    let text = uri(Some("a:b&c"), "d::e?f=g/h#i%j+k").to_text();
    assert!(
        text.starts_with("otpauth://totp/a-b%26c:d--e%3Ff%3Dg%2Fh%23i%25j%2Bk?"),
        "{}",
        *text
    );
    assert!(text.contains("&issuer=a-b%26c&"), "{}", *text);
    let back = OtpauthUri::parse(&text).unwrap();
    assert_eq!(
        (back.issuer.as_deref(), back.label.as_str()),
        (Some("a-b&c"), "d--e?f=g/h#i%j+k")
    );
}

/// How Aegis (`GoogleAuthInfo.parseUri`) and 2FAuth (OTPHP, `Factory` and `OTP::setLabel`) take issuer and account out of
/// a URI: both decode the path first. `None` where one of them refuses the URI.
fn read_by_apps(uri: &str) -> [Option<(String, String)>; 2] {
    let (path, query) = uri
        .strip_prefix("otpauth://totp/")
        .unwrap()
        .split_once('?')
        .unwrap();
    let decoded = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
    let parameter = query.split('&').find_map(|pair| pair.strip_prefix("issuer="));
    let parameter = parameter.map(decoded);
    let path = decoded(path);
    let parts: Vec<&str> = path.split(':').collect();
    let aegis = match parts[..] {
        [label] => Some((parameter.clone().unwrap_or_default(), label.to_owned())),
        [issuer, label] => Some((issuer.to_owned(), label.to_owned())),
        _ => None,
    };
    let otphp = match parts[..] {
        [label] => Some((parameter.unwrap_or_default(), label.to_owned())),
        [issuer, label] => parameter
            .is_none_or(|parameter| parameter == issuer && !parameter.contains(':'))
            .then(|| (issuer.to_owned(), label.to_owned())),
        _ => None,
    };
    [aegis, otphp]
}

#[test]
fn apps_read_the_names_that_were_meant() {
    let names = [
        "a",
        "a:b",
        ":",
        "::a",
        "a%3Ab",
        "Owl Bank: Berlin",
        "https://owl.example",
        "\u{1f989}:",
    ];
    for issuer in names {
        for label in names {
            let text = uri(Some(issuer), label).to_text();
            let meant = (issuer.replace(':', "-"), label.replace(':', "-"));
            assert_eq!(
                read_by_apps(&text),
                [Some(meant.clone()), Some(meant)],
                "{}",
                *text
            );
        }
    }
    // What they would make of a colon that is merely encoded.
    let encoded = "otpauth://totp/a%3Ab:c?secret=A&issuer=a%3Ab";
    assert_eq!(read_by_apps(encoded), [None, None]);
}

#[test]
fn names_that_no_phone_could_scan_are_cut_the_account_first() {
    let of = |issuer: &str, label: &str| {
        let text = uri(Some(issuer), label).to_text();
        assert!(text.len() <= OtpauthUri::LONGEST, "{}", text.len());
        assert_eq!(OtpauthUri::parse(&text).unwrap().to_text(), text);
        let [read, also] = read_by_apps(&text);
        assert_eq!(read, also);
        read.unwrap()
    };
    let latin = "n".repeat(64);
    assert_eq!(of(&latin, &latin), (latin.clone(), latin));
    // Six bytes a letter: 32 of them are the longest name of a service.
    let (owl, long) = ("\u{441}".repeat(32), "\u{43e}".repeat(64));
    let (issuer, label) = of(&owl, &long);
    assert_eq!(issuer, format!("{}...", "\u{441}".repeat(31)));
    assert_eq!(label, format!("{}...", "\u{43e}".repeat(31)));
    let (issuer, label) = of("Owl Bank", &long);
    assert_eq!((issuer.as_str(), label), ("Owl Bank", long));
    let (issuer, label) = of(&"\u{1f989}".repeat(64), "ada@example.com");
    assert_eq!(label, "ada@example.com");
    assert!(
        issuer.starts_with("\u{1f989}") && issuer.ends_with("\u{1f989}..."),
        "{issuer}"
    );
    // No blank is left before the dots.
    let owls = "\u{1f989}".repeat(45);
    let (_, label) = of("Owl Bank", &format!("{owls} {}", "\u{1f989}".repeat(10)));
    assert_eq!(label, format!("{owls}..."));
}

#[test]
fn the_longest_uri_that_can_be_is_no_longer_than_a_phone_scans() {
    for (issuer, label) in [
        ("\u{1f989}", "\u{1f989}"),
        (" ", " "),
        ("a", "\u{1f989}"),
        ("\u{1f989}", "a"),
        ("", "\u{1f989}"),
    ] {
        let longest = OtpauthUri {
            secret: TotpSecret::from_base32(&"A".repeat(204)).unwrap(),
            issuer: Some(issuer.repeat(64)),
            label: label.repeat(64),
            algorithm: TotpAlgorithm::Sha512,
            digits: 8,
            period: 300,
        };
        let text = longest.to_text();
        assert!(text.len() <= OtpauthUri::LONGEST, "{}", text.len());
        let back = OtpauthUri::parse(&text).unwrap();
        assert_eq!(back.secret.as_bytes(), longest.secret.as_bytes());
    }
}

#[test]
fn scheme_and_type_are_read_in_either_case() {
    for prefix in ["otpauth://totp/", "OTPAUTH://TOTP/", "OtpAuth://Totp/"] {
        let read = OtpauthUri::parse(&format!("{prefix}al?secret={SECRET}")).unwrap();
        assert_eq!(read.label, "al");
    }
    for other in [
        "OTPAUTH://HOTP/",
        "otpauth:/totp/x",
        "otpauth://totp\u{e9}",
        "otpauth://tot\u{e9}/",
    ] {
        assert_eq!(
            error(&format!("{other}al?secret={SECRET}")),
            OtpauthError::NotTotp
        );
    }
}

#[test]
fn a_uri_without_issuer_has_no_empty_one() {
    let text = uri(None, "a:b").to_text();
    assert!(text.starts_with("otpauth://totp/a-b?secret=G"), "{}", *text);
    assert!(!text.contains("issuer"));
    assert_eq!(*uri(Some(""), "a:b").to_text(), *text);
    let back = OtpauthUri::parse(&text).unwrap();
    assert_eq!((back.issuer.as_deref(), back.label.as_str()), (None, "a-b"));
}

#[test]
fn defaults_fill_what_is_left_out() {
    let read = OtpauthUri::parse(&format!("otpauth://totp/alice?secret={SECRET}")).unwrap();
    assert_eq!(read.secret.as_bytes(), b"12345678901234567890");
    assert_eq!(
        (read.algorithm, read.digits, read.period),
        (TotpAlgorithm::Sha1, 6, 30)
    );
    let text = format!("otpauth://totp/alice?period=60&digits=8&algorithm=sha512&secret={SECRET}&image=x");
    let read = OtpauthUri::parse(&text).unwrap();
    assert_eq!(
        (read.algorithm, read.digits, read.period),
        (TotpAlgorithm::Sha512, 8, 60)
    );
}

#[test]
fn the_issuer_may_stand_in_either_place() {
    for text in [
        "Big%20Co:al?issuer=Big+Co",
        "Big%20Co%3Aal?issuer=Big%20Co",
        "Big%20Co:al?issuer=",
        "al?issuer=Big+Co",
    ] {
        let read = OtpauthUri::parse(&format!("otpauth://totp/{text}&secret={SECRET}")).unwrap();
        assert_eq!(
            (read.issuer.as_deref(), read.label.as_str()),
            (Some("Big Co"), "al"),
            "{text}"
        );
    }
    let two = format!("otpauth://totp/A:al?secret={SECRET}&issuer=B");
    assert_eq!(error(&two), OtpauthError::IssuersDiffer);
}

#[test]
fn errors_say_what_is_wrong() {
    let with = |rest: &str| error(&format!("otpauth://totp/x?secret={SECRET}{rest}"));
    assert_eq!(error(""), OtpauthError::NotTotp);
    assert_eq!(
        error(&format!("otpauth://hotp/x?secret={SECRET}")),
        OtpauthError::NotTotp
    );
    assert_eq!(error("otpauth://totp/x"), OtpauthError::Missing("secret"));
    assert_eq!(
        error("otpauth://totp/x?digits=6"),
        OtpauthError::Missing("secret")
    );
    assert_eq!(
        error("otpauth://totp/x?secret=AAAA"),
        OtpauthError::Secret(TotpSecretError::Length(2))
    );
    assert_eq!(
        error("otpauth://totp/x?secret=A A"),
        OtpauthError::Invalid("secret")
    );
    assert_eq!(with("&secret=AAAA"), OtpauthError::Repeated("secret"));
    assert_eq!(with("&digits=6&digits=6"), OtpauthError::Repeated("digits"));
    assert_eq!(with("&counter=1"), OtpauthError::UnknownParameter);
    assert_eq!(with("&"), OtpauthError::UnknownParameter);
    assert_eq!(with("&algorithm=MD5"), OtpauthError::Invalid("algorithm"));
    for digits in ["", "2", "9", "+6", "6.0", "%36x", "06x", "65542"] {
        assert_eq!(
            with(&format!("&digits={digits}")),
            OtpauthError::Invalid("digits"),
            "{digits}"
        );
    }
    for period in ["0", "301", "-1", "99999999999"] {
        assert_eq!(
            with(&format!("&period={period}")),
            OtpauthError::Invalid("period"),
            "{period}"
        );
    }
    for issuer in ["%", "%4", "%zz", "%ff", "a#b", "%0a", "\u{e9}", "a b"] {
        assert_eq!(
            with(&format!("&issuer={issuer}")),
            OtpauthError::Invalid("issuer"),
            "{issuer}"
        );
    }
    assert_eq!(
        error(&format!("otpauth://totp/%1b?secret={SECRET}")),
        OtpauthError::Invalid("label")
    );
    assert_eq!(
        error(&format!("otpauth://totp/:x?secret={SECRET}")),
        OtpauthError::Invalid("label")
    );
    assert_eq!(
        error(&format!("otpauth://totp/{}", "x".repeat(5000))),
        OtpauthError::TooLong
    );
}

#[test]
fn nothing_printed_has_the_secret_in_it() {
    let read = uri(Some("issuer"), "label");
    assert_eq!(format!("{read:?}"), "OtpauthUri(..)");
    for bad in ["&digits=99", "&secret=A", "&x=y", "1"] {
        let error = error(&format!("otpauth://totp/x?secret={SECRET}{bad}"));
        assert!(!format!("{error} {error:?}").contains("GEZ"), "{error}");
    }
}

proptest! {
    #[test]
    fn names_of_any_kind_survive(
        issuer in "\\PC{1,64}",
        label in "\\PC{0,64}",
        digits in 3_u8..=8,
        period in 1_u16..=300,
    ) {
        let before = OtpauthUri { digits, period, ..uri(Some(&issuer), &label) };
        let after = OtpauthUri::parse(&before.to_text()).unwrap();
        let (issuer, label) = (issuer.replace(':', "-"), label.replace(':', "-"));
        let begins = |text: &str, whole: &str| {
            text == whole || text.strip_suffix(CUT).is_some_and(|kept| whole.starts_with(kept))
        };
        prop_assert!(before.to_text().len() <= OtpauthUri::LONGEST);
        prop_assert!(begins(after.issuer.as_deref().unwrap(), &issuer));
        prop_assert!(begins(&after.label, &label));
        prop_assert_eq!((after.digits, after.period), (digits, period));
        prop_assert_eq!(after.to_text(), before.to_text());
    }
}
