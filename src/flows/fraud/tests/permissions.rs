//! Where codes may go, and who may say otherwise.

use super::*;
use crate::domain::fraud::settings::Countries;

#[tokio::test]
async fn dear_numbers_are_refused_unless_they_are_safe() {
    let node = Node::new(Settings::default()).await;
    let number = phone(449_060_001_234);
    for (kind, reason) in [
        (LineKind::PremiumRate, BlockReason::NumberKind),
        (LineKind::SharedCost, BlockReason::NumberKind),
        (LineKind::Unknown, BlockReason::NumberUnknown),
    ] {
        let asked = AskedSend {
            kind,
            country: "GB",
            ..AskedSend::default()
        };
        let refused = node.ask(&number, asked).await;
        assert_eq!(why(&refused), Some(reason), "{kind:?}");
        assert_eq!(retry_after(&refused), None);
        // No caller can decide that for the operator.
        let daring = AskedSend {
            risk_check: false,
            ..asked
        };
        assert_eq!(why(&node.ask(&number, daring).await), Some(reason));
    }
    node.make_safe(&number).await;
    let asked = AskedSend {
        kind: LineKind::PremiumRate,
        country: "GB",
        ..AskedSend::default()
    };
    assert_eq!(why(&node.ask(&number, asked).await), None);
}

#[tokio::test]
async fn a_number_of_which_nothing_is_known_is_refused() {
    let node = Node::new(Settings::default()).await;
    let destination = phone(32_470_123_456);
    let asked = Admittance {
        account: node.account(),
        service: &node.service,
        destination: &destination,
        facts: None,
        channel: Channel::Sms,
        device_ip: None,
        risk_check: true,
        price: None,
        now: node.clock.now(),
    };
    assert_eq!(
        why(&admit(&node.app, &mut Reading::new(&node.app), &asked).await),
        Some(BlockReason::NumberKind)
    );
}

#[tokio::test]
async fn countries_are_the_operators_choice() {
    let node = Node::new(Settings {
        countries: Countries::Only(vec![Country::parse("BE").unwrap()]),
        ..Settings::default()
    })
    .await;
    let abroad = AskedSend {
        country: "LV",
        risk_check: false,
        ..AskedSend::default()
    };
    assert_eq!(
        why(&node.ask(&phone(32_470_123_456), AskedSend::default()).await),
        None
    );
    let there = phone(37_120_123_456);
    assert_eq!(why(&node.ask(&there, abroad).await), Some(BlockReason::Country));
    assert_eq!(node.refusals(BlockReason::Country), 1);
    // Letters go everywhere.
    assert_eq!(why(&node.ask(&email("ada@example.com"), abroad).await), None);
    node.make_safe(&there).await;
    assert_eq!(why(&node.ask(&there, abroad).await), None);
}

#[tokio::test]
async fn landlines_get_no_text_if_the_service_says_so() {
    let mut node = Node::new(Settings::default()).await;
    let number = phone(3_225_551_234);
    let asked = |kind, channel| AskedSend {
        kind,
        channel,
        ..AskedSend::default()
    };
    let text = asked(LineKind::FixedLine, Channel::Sms);
    assert_eq!(why(&node.ask(&number, text).await), None);
    node.service.settings.skip_sms_to_landlines = true;
    assert_eq!(why(&node.ask(&number, text).await), None, "it is not looked up");
    node.service.settings.lookup_enabled = true;
    let refused = node.ask(&number, text).await;
    assert!(matches!(refused, Err(Error::Refused(Refusal::LandlineSms))));
    for allowed in [
        asked(LineKind::FixedLine, Channel::Call),
        asked(LineKind::FixedLineOrMobile, Channel::Sms),
        asked(LineKind::Mobile, Channel::Sms),
    ] {
        assert_eq!(why(&node.ask(&number, allowed).await), None);
    }
    assert_eq!(node.told().await, [], "that is no fraud");
}
