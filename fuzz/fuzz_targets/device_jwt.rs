//! A device's token. The text as it stands comes from nobody: whatever is read as a token has the one right spelling,
//! and a key that nobody holds never verifies it. Its first line and the rest, signed by a hostile app as header and
//! payload, claim what a lenient parser reads from them too.

#![no_main]

use std::sync::LazyLock;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use countersign::dialect::twilio::DeviceJwt;
use countersign::domain::access::DevicePass;
use countersign::domain::opaque::DevicePublicKey;
use countersign::domain::time::Timestamp;
use countersign_fuzz::Device;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|text: &str| {
    from_nobody(text);
    let (header, claims) = text.split_once('\n').unwrap_or((GOOD_HEADER, text));
    from_an_app(header, claims);
});

fn from_nobody(text: &str) {
    let Ok(token) = DeviceJwt::parse(text) else {
        return;
    };
    let parts: Vec<&str> = text.split('.').collect();
    assert!(text.len() <= 8192 && parts.len() == 3);
    let header = URL_SAFE_NO_PAD.decode(parts[0]).expect("the header is base64url");
    assert_eq!(URL_SAFE_NO_PAD.encode(&header), parts[0]);
    let signature = URL_SAFE_NO_PAD
        .decode(parts[2])
        .expect("the signature is base64url");
    assert_eq!(signature.len(), 64);
    assert!(token.verify(&KEY_OF_NOBODY).is_none(), "a signature was forged");
}

fn from_an_app(header: &str, claims: &str) {
    let text = DEVICE.jws(header.as_bytes(), claims.as_bytes());
    let Ok(token) = DeviceJwt::parse(&text) else {
        return;
    };
    let header: Value = serde_json::from_str(header).expect("the header is JSON");
    assert_eq!(header["alg"], "ES256");
    let kid = header["kid"].as_str().expect("the key id is a text");
    assert!(kid.eq_ignore_ascii_case(&token.credential().to_string()));
    let Some(read) = token.verify(DEVICE.key()) else {
        return;
    };
    let claims: Value = serde_json::from_str(claims).expect("strict reads no more than lenient");
    let sub = claims["sub"].as_str().expect("the subject is a text");
    assert!(sub.eq_ignore_ascii_case(&read.account_sid.to_string()));
    let moment = |name: &str| claims[name].as_u64().map(Timestamp::from_seconds);
    assert_eq!(
        (moment("nbf"), moment("exp")),
        (Some(read.not_before), Some(read.expires))
    );
}

static DEVICE: LazyLock<Device> = LazyLock::new(Device::default);

/// The first point whose x is the SHA-256 of `countersign fuzz` and a counter byte (7): nobody knows its private key.
static KEY_OF_NOBODY: LazyLock<DevicePublicKey> = LazyLock::new(|| {
    let text = concat!(
        "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEaN4VafLBgiouJgrr02i2o2N8t+TO",
        "Ucv56DDXjzgIOpk4BeasGuGV0Lid6wxt0St1phzZLiqxR2/wpPsesFWkCw=="
    );
    DevicePublicKey::from_spki_base64(text).expect("a good key")
});

const GOOD_HEADER: &str =
    r#"{"alg":"ES256","cty":"twilio-pba;v=1","kid":"CR00000000000000000000000000000000"}"#;
