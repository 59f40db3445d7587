//! A public key from anywhere: there is one right text for a key, but for its padding.

#![no_main]

use countersign::domain::opaque::DevicePublicKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Ok(key) = DevicePublicKey::from_spki_base64(text) else {
        return;
    };
    let canonical = key.to_spki_base64();
    assert_eq!(canonical.trim_end_matches('='), text.trim_end_matches('='));
    assert_eq!(key.as_sec1_bytes()[0], 4);
    assert!(!key.verify_der(text.as_bytes(), &[]));
});
