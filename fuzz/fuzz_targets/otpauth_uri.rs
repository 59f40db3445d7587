//! An otpauth URI from anywhere: what was read and is written again reads as the same, letter by letter.

#![no_main]

use countersign::crypto::otpauth::OtpauthUri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(first) = OtpauthUri::parse(text) else {
        return;
    };
    assert!((16..=128).contains(&first.secret.as_bytes().len()));
    assert!((3..=8).contains(&first.digits) && (1..=300).contains(&first.period));
    let written = first.to_text();
    // Percent-encoding may make a URI three times as long, and so too long to be read.
    let Ok(second) = OtpauthUri::parse(&written) else {
        assert!(written.len() > 4096, "{}", *written);
        return;
    };
    assert_eq!(second.secret.as_bytes(), first.secret.as_bytes());
    assert_eq!((&second.issuer, &second.label), (&first.issuer, &first.label));
    assert_eq!(
        (second.algorithm, second.digits, second.period),
        (first.algorithm, first.digits, first.period)
    );
    assert_eq!(second.to_text(), written);
});
