//! A payload that was rightly signed, but by a hostile app: what is read from it is what a lenient parser reads too, so
//! that nobody can sign one answer and have another one counted.

#![no_main]

use std::sync::LazyLock;

use countersign::dialect::twilio::ApprovalJwt;
use countersign_fuzz::Device;
use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value};

fuzz_target!(|payload: &[u8]| {
    let token = DEVICE.jws(br#"{"typ":"JWT","alg":"ES256"}"#, payload);
    let Ok(unverified) = ApprovalJwt::parse(&token) else {
        assert!(token.len() > 8192, "a short token with a good header is read");
        return;
    };
    let Ok(signed) = unverified.verify(DEVICE.key()) else {
        return;
    };
    let mut lenient: Map<String, Value> =
        serde_json::from_slice(payload).expect("strict reads no more than lenient");
    let status = lenient
        .shift_remove("status")
        .expect("the status that was read is there");
    let expected = if signed.approved { "approved" } else { "denied" };
    assert_eq!(status, expected);
    assert_eq!(signed.fields, lenient);
});

static DEVICE: LazyLock<Device> = LazyLock::new(Device::default);
