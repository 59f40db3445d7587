//! An otpauth URI from anywhere: what was read and is written again can be scanned, and reads as the same, letter by letter,
//! but for colons in names, which are written as dashes, and for names that are too long.

#![no_main]

use countersign::crypto::otpauth::OtpauthUri;
use countersign::crypto::totp::TotpSecret;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(first) = OtpauthUri::parse(text) else {
        return;
    };
    let shortest = TotpSecret::MIN_LEGACY_LENGTH;
    assert!((shortest..=128).contains(&first.secret.as_bytes().len()));
    assert!((3..=8).contains(&first.digits) && (1..=300).contains(&first.period));
    let written = first.to_text();
    assert!(written.len() <= OtpauthUri::LONGEST, "{}", *written);
    let second = OtpauthUri::parse(&written).expect("what was written can be read");
    assert_eq!(second.secret.as_bytes(), first.secret.as_bytes());
    let is_that = |read: &str, meant: &str| {
        let meant = meant.replace(':', "-");
        read == meant
            || read
                .strip_suffix("...")
                .is_some_and(|kept| meant.starts_with(kept))
    };
    assert!(is_that(&second.label, &first.label));
    assert_eq!(second.issuer.is_some(), first.issuer.is_some());
    assert!(
        second
            .issuer
            .as_deref()
            .zip(first.issuer.as_deref())
            .is_none_or(|(read, meant)| is_that(read, meant))
    );
    assert_eq!(
        (second.algorithm, second.digits, second.period),
        (first.algorithm, first.digits, first.period)
    );
    assert_eq!(second.to_text(), written);
});
