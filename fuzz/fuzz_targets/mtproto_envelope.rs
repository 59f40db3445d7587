//! The envelope of a message, and what is in one: what another key or no key made never opens, what is opened comes out whole,
//! and what it holds is taken apart within bounds.

#![no_main]

use std::sync::LazyLock;

use countersign::dialect::telegram::content::{MOST_INFLATED, MOST_PARTS, inflated, parts};
use countersign::dialect::telegram::envelope::{AuthKey, MtprotoMessage, SendingSide};
use countersign::dialect::telegram::rpc::unwrapped;
use countersign::domain::entropy::SystemEntropy;
use libfuzzer_sys::fuzz_target;
use zeroize::Zeroizing;

static KEY: LazyLock<AuthKey> = LazyLock::new(|| AuthKey::new(Zeroizing::new([7; 256])));

fuzz_target!(|bytes: &[u8]| {
    for side in [SendingSide::Client, SendingSide::Server] {
        assert!(KEY.open(side, bytes).is_err());
    }
    let body = bytes[..bytes.len() / 4 * 4].to_vec();
    let message = MtprotoMessage {
        salt: 1,
        session: 2,
        id: 1000,
        seqno: 3,
        body: body.clone(),
    };
    let sealed = KEY.seal(SendingSide::Client, &message, &SystemEntropy);
    assert_eq!(KEY.open(SendingSide::Client, &sealed[8..]), Ok(message));
    if let Ok(parts) = parts(1000, &body) {
        assert!(parts.len() <= MOST_PARTS);
        assert!(
            parts
                .iter()
                .all(|part| part.id < 1000 && part.body.len() < body.len())
        );
    }
    if let Ok(value) = inflated(body.clone(), &mut MOST_INFLATED.clone()) {
        assert!(value == body || value.len() <= MOST_INFLATED);
    }
    if let Ok(call) = unwrapped(&body) {
        assert!(body.ends_with(call.method));
    }
});
