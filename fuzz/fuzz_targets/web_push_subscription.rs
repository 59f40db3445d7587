//! A push subscription from anywhere: what is read is written in one way and read from there as the same, names an endpoint
//! with an origin, and can be encrypted for.

#![no_main]

use countersign::crypto::web_push::encryption::encrypt;
use countersign::domain::factor::WebPushSubscription;
use libfuzzer_sys::fuzz_target;

use self::entropy::SeededEntropy;

#[path = "../../tests/doubles/entropy.rs"]
mod entropy;

fuzz_target!(|text: &str| {
    let Ok(subscription) = WebPushSubscription::parse(text) else {
        return;
    };
    let written = subscription.to_json();
    assert!(written.len() <= WebPushSubscription::MAX_LENGTH);
    let again = WebPushSubscription::parse(&written).expect("what was written is read");
    assert!(again == subscription && again.to_json() == written);
    let origin = subscription.origin();
    assert!(
        origin.starts_with("https://") || origin.starts_with("http://"),
        "{origin}"
    );
    assert!(subscription.endpoint().is_ascii());
    let body = encrypt(&subscription, b"{}", &SeededEntropy::new(1)).expect("its key is a good one");
    assert_eq!(body.len(), 614);
});
