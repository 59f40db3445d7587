//! What is told of a block: once, and nobody's number.

use super::*;
use crate::domain::fraud::prefix::DestinationPrefix;
use crate::domain::fraud::settings::Countries;
use crate::flows::fraud::lift;

#[tokio::test]
async fn each_block_is_told_once_for_a_subject_and_a_window() {
    let node = Node::new(Settings {
        number_per_day: Some(2),
        prefix_per_hour: Some(3),
        ..Settings::off()
    })
    .await;
    let other = node.another();
    let (one, two) = (phone(32_470_123_456), phone(32_470_123_457));
    for _ in 0..10 {
        for node in [&node, &other, &node.another()] {
            let _refused_at_last = node.pass(&one, AskedSend::default()).await;
            let _refused_at_last = node.pass(&two, AskedSend::default()).await;
        }
    }
    let told = node.told().await;
    let told: Vec<_> = told
        .iter()
        .map(|event| (event.reason, event.subject.as_str(), event.until))
        .collect();
    let day = Some(beginning() + Duration::from_hours(24));
    let hour = Some(beginning() + Duration::from_hours(1));
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told.contains(&(BlockReason::NumberBudget, "+32*******56", day)),
        "{told:?}"
    );
    assert!(
        told.contains(&(BlockReason::PrefixBudget, "+3247012****", hour)),
        "{told:?}"
    );
    node.clock.advance(Duration::from_hours(1));
    for _ in 0..10 {
        let _refused_at_last = node.pass(&phone(32_470_120_000), AskedSend::default()).await;
        let _refused_at_last = node.pass(&phone(32_470_120_001), AskedSend::default()).await;
    }
    assert!(node.told().await.len() > 2, "the next hour is another one");
}

#[tokio::test]
async fn what_no_waiting_changes_is_told_once_a_day() {
    let node = Node::new(Settings {
        countries: Countries::Only(vec![Country::parse("BE").unwrap()]),
        ..Settings::default()
    })
    .await;
    let abroad = AskedSend {
        country: "LV",
        ..AskedSend::default()
    };
    for number in 0..50 {
        let refused = node.pass(&phone(37_120_120_000 + number), abroad).await;
        assert_eq!(why(&refused), Some(BlockReason::Country));
    }
    let told = node.told().await;
    assert_eq!(told.len(), 1);
    assert_eq!((told[0].subject.as_str(), told[0].until), ("LV", None));
    assert_eq!(told[0].country, Country::parse("LV").ok());
    assert_eq!(node.refusals(BlockReason::Country), 50);
    node.clock.advance(Duration::from_hours(24));
    let _refused = node.pass(&phone(37_120_120_000), abroad).await;
    assert_eq!(node.told().await.len(), 2);
}

#[tokio::test]
async fn nobody_is_told_who_does_not_want_to_hear_it() {
    let mut node = Node::new(Settings {
        number_per_day: Some(1),
        ..Settings::off()
    })
    .await;
    node.service.subscriptions[0].events = EventTypes::Only(vec![]);
    for _ in 0..3 {
        let _refused_at_last = node.pass(&phone(32_470_123_456), AskedSend::default()).await;
    }
    assert_eq!(node.refusals(BlockReason::NumberBudget), 2);
    assert_eq!(node.told().await, []);
}

#[tokio::test]
async fn no_event_has_a_whole_number_address_or_device() {
    let node = Node::new(Settings {
        number_per_day: Some(1),
        device_per_hour: Some(1),
        ..Settings::off()
    })
    .await;
    let from = |device_ip| AskedSend {
        device_ip: Some(device_ip),
        ..AskedSend::default()
    };
    for _ in 0..2 {
        let _refused_at_last = node.pass(&email("ada@example.com"), from("203.0.113.7")).await;
        let _refused_at_last = node.pass(&phone(32_470_123_456), from("203.0.114.77")).await;
    }
    let _refused = node.pass(&email("bob@example.com"), from("203.0.113.7")).await;
    let told = format!("{:?}", node.told().await);
    for hidden in ["ada", "bob", "470123456", "203.0.113.7", "203.0.114.77"] {
        assert!(!told.contains(hidden), "{hidden}: {told}");
    }
    for shown in ["***@example.com", "+32*******56", "203.0.113.*"] {
        assert!(told.contains(shown), "{shown}: {told}");
    }
}

/// Who opens a prefix again and again does not do so in silence.
#[tokio::test]
async fn each_time_that_a_block_is_lifted_is_told() {
    let node = Node::new(Settings {
        prefix_per_hour: Some(1),
        ..Settings::off()
    })
    .await;
    let (account, service) = (node.account(), node.service.sid);
    let owner = Batch::new()
        .put_record(keys::service(account, service), &node.service)
        .unwrap();
    node.app.store.commit(owner).await.unwrap();
    let (one, two) = (phone(32_470_123_456), phone(32_470_123_457));
    node.pass(&one, AskedSend::default()).await.unwrap();
    node.pass(&two, AskedSend::default()).await.unwrap_err();
    let prefix = DestinationPrefix::from_key(b"3247012").unwrap();
    for times in 1..4 {
        lift(&node.app, account, service, &prefix, Duration::from_hours(1))
            .await
            .unwrap();
        let told = node.told().await;
        assert_eq!(told.iter().filter(|event| event.lifted).count(), times);
        node.clock.advance(Duration::from_mins(30));
    }
}
