//! Budgets hold exactly, whoever asks at once, whatever fails.

use super::super::charge;
use super::*;
use crate::domain::fraud::Blocked;
use crate::domain::fraud::budget::Taken;
use crate::flows::Fault;
use crate::store::faulty::FaultyStore;
use crate::store::records::Record as _;

fn only(change: impl FnOnce(&mut Settings)) -> Settings {
    let mut settings = Settings::off();
    change(&mut settings);
    settings
}

/// A setting, why it refuses, and how long its window is.
type Choice = (fn(&mut Settings), BlockReason, u64);

/// How many of `count` codes to different numbers of one prefix pass.
async fn passing(node: &Node, count: u64, asked: AskedSend<'_>) -> usize {
    let mut passed = 0;
    for number in 0..count {
        let result = node.pass(&phone(32_470_120_000 + number), asked).await;
        passed += usize::from(why(&result).is_none());
    }
    passed
}

#[tokio::test]
async fn each_budget_lets_through_what_it_has_and_is_new_in_the_next_window() {
    const DAY: u64 = 86_400;
    let asked = AskedSend {
        device_ip: Some("203.0.113.7"),
        ..AskedSend::default()
    };
    let choices: [Choice; 6] = [
        (|s| s.prefix_per_hour = Some(7), BlockReason::PrefixBudget, 3_600),
        (|s| s.prefix_per_day = Some(7), BlockReason::PrefixBudget, DAY),
        (|s| s.country_per_day = Some(7), BlockReason::CountryBudget, DAY),
        (|s| s.device_per_hour = Some(7), BlockReason::DeviceBudget, 3_600),
        (|s| s.service_per_day = Some(7), BlockReason::ServiceBudget, DAY),
        (
            |s| {
                s.spend_per_day = Some(Price {
                    micros: 750_000,
                    currency: Currency::parse("eur").unwrap(),
                });
            },
            BlockReason::SpendCap,
            DAY,
        ),
    ];
    for (change, reason, window) in choices {
        let node = Node::new(only(change)).await;
        let price = Some(Price {
            micros: 100_000,
            currency: Currency::parse("eur").unwrap(),
        });
        let asked = AskedSend { price, ..asked };
        assert_eq!(passing(&node, 20, asked).await, 7, "{reason:?}");
        let refused = node.pass(&phone(32_470_120_099), asked).await;
        assert_eq!(why(&refused), Some(reason));
        assert_eq!(
            retry_after(&refused),
            Some(Duration::from_secs(window)),
            "{reason:?}"
        );
        assert_eq!(node.refusals(reason), 14);
        node.clock.advance(Duration::from_secs(window - 1));
        assert_eq!(passing(&node, 1, asked).await, 0, "{reason:?}");
        node.clock.advance(Duration::from_secs(1));
        assert_eq!(passing(&node, 20, asked).await, 7, "{reason:?}");
    }
}

#[tokio::test]
async fn a_number_has_its_own_budget_over_all_services() {
    let node = Node::new(only(|s| s.number_per_day = Some(5))).await;
    let mut elsewhere = node.another();
    elsewhere.service.sid = ServiceSid::from_bytes([7; 16]);
    for destination in [phone(32_470_123_456), email("ada@example.com")] {
        for _ in 0..3 {
            assert_eq!(why(&node.pass(&destination, AskedSend::default()).await), None);
        }
        for _ in 0..2 {
            assert_eq!(
                why(&elsewhere.pass(&destination, AskedSend::default()).await),
                None
            );
        }
        for node in [&node, &elsewhere] {
            let refused = node.pass(&destination, AskedSend::default()).await;
            assert_eq!(why(&refused), Some(BlockReason::NumberBudget));
        }
    }
    // No other spelling has a budget of its own, another number has.
    let shouted = node.pass(&email("ADA@example.com"), AskedSend::default()).await;
    assert_eq!(why(&shouted), Some(BlockReason::NumberBudget));
    assert_eq!(
        why(&node.pass(&phone(32_470_123_457), AskedSend::default()).await),
        None
    );
}

#[tokio::test]
async fn sixty_four_at_once_get_five() {
    for seed in 0..20 {
        let node = Arc::new(Node::new(only(|s| s.number_per_day = Some(5))).await);
        let tasks: Vec<_> = (0..64)
            .map(|_| {
                let node = Arc::clone(&node);
                tokio::spawn(
                    async move { why(&node.pass(&phone(32_470_123_456), AskedSend::default()).await) },
                )
            })
            .collect();
        let mut passed = 0;
        for task in tasks {
            passed += usize::from(task.await.unwrap().is_none());
        }
        assert_eq!(passed, 5, "round {seed}");
        assert_eq!(node.told().await.len(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_processes_together_stay_within_the_limit() {
    let settings = only(|s| {
        s.service_per_day = Some(1_000);
        s.prefix_per_hour = Some(1_000);
    });
    let one = Arc::new(Node::new(settings).await);
    let other = Arc::new(one.another());
    let tasks: Vec<_> = (0..2_400_u64)
        .map(|number| {
            let node = Arc::clone(if number % 2 == 0 { &one } else { &other });
            tokio::spawn(async move {
                why(&node
                    .pass(&phone(32_470_120_000 + number), AskedSend::default())
                    .await)
            })
        })
        .collect();
    let mut passed = 0;
    for task in tasks {
        passed += usize::from(task.await.unwrap().is_none());
    }
    // Neither has more than a block left when the other one finds nothing.
    assert!((1_000 - 64..=1_000).contains(&passed), "{passed}");
    let rest =
        passing(&one, 64, AskedSend::default()).await + passing(&other, 64, AskedSend::default()).await;
    assert!(passed + rest <= 1_000, "{passed} and {rest}");
}

#[tokio::test]
async fn a_restart_gives_nobody_more() {
    let settings = only(|s| {
        s.number_per_day = Some(5);
        s.service_per_day = Some(640);
    });
    let mut node = Node::new(settings).await;
    let mut passed = 0;
    for number in 0..400 {
        if number % 20 == 0 {
            node = node.another();
        }
        let result = node
            .pass(&phone(32_470_120_000 + number), AskedSend::default())
            .await;
        passed += usize::from(why(&result).is_none());
    }
    // Blocks are of 10: none is cut short by a restart here.
    assert_eq!(passed, 400);
    let mut passed_to_one = 0;
    for _ in 0..10 {
        node = node.another();
        let result = node.pass(&phone(32_470_999_999), AskedSend::default()).await;
        passed_to_one += usize::from(why(&result).is_none());
    }
    assert_eq!(passed_to_one, 5);
}

#[tokio::test]
async fn what_is_not_kept_is_given_back() {
    let node = Node::new(only(|s| {
        s.number_per_day = Some(1);
        s.service_per_day = Some(1);
    }))
    .await;
    let number = phone(32_470_123_456);
    for _ in 0..10 {
        node.ask(&number, AskedSend::default()).await.unwrap();
    }
    assert_eq!(why(&node.pass(&number, AskedSend::default()).await), None);
    let refused = node.pass(&number, AskedSend::default()).await;
    assert_eq!(why(&refused), Some(BlockReason::NumberBudget));
    // What was taken of the other budgets for a code that is refused is given back, too.
    let node = Node::new(only(|s| {
        s.number_per_day = Some(3);
        s.service_per_day = Some(1);
    }))
    .await;
    assert_eq!(
        why(&node.pass(&phone(32_470_000_000), AskedSend::default()).await),
        None
    );
    for _ in 0..10 {
        let refused = node.pass(&number, AskedSend::default()).await;
        assert_eq!(why(&refused), Some(BlockReason::ServiceBudget));
    }
}

#[tokio::test]
async fn a_store_that_fails_lets_nothing_out() {
    let store = Arc::new(FaultyStore::new(MemoryStore::new()));
    let node = Node::on(store.clone(), Settings::default()).await;
    let number = phone(32_470_123_456);
    let mut failures = 0;
    for succeeding in 0.. {
        store.fail_after(succeeding);
        match node.pass(&number, AskedSend::default()).await {
            Err(Error::Failed(Fault::Unavailable(_))) => failures += 1,
            Ok(()) => break,
            Err(other) => panic!("{other}"),
        }
    }
    assert!(
        failures >= 3,
        "a safe number with a block, the budgets, the commit: {failures}"
    );
    store.fail_after(u64::MAX);
    // What failed took nothing.
    for _ in 1..30 {
        assert_eq!(why(&node.pass(&number, AskedSend::default()).await), None);
    }
    let refused = node.pass(&number, AskedSend::default()).await;
    assert_eq!(why(&refused), Some(BlockReason::NumberBudget));
    store.fail_commits(true);
    let other = node.pass(&phone(32_470_123_457), AskedSend::default()).await;
    assert!(matches!(other, Err(Error::Failed(Fault::Unavailable(_)))));
}

#[tokio::test]
async fn a_clock_set_back_gives_nobody_more_and_locks_nobody_out() {
    let node = Node::new(only(|s| s.number_per_day = Some(5))).await;
    let number = phone(32_470_123_456);
    for _ in 0..5 {
        assert_eq!(why(&node.pass(&number, AskedSend::default()).await), None);
    }
    let before = node.clock.now();
    // A day is over, and spent, when the clock is found to be wrong.
    node.clock.advance(Duration::from_hours(24));
    for _ in 0..5 {
        assert_eq!(why(&node.pass(&number, AskedSend::default()).await), None);
    }
    crate::flows::sweep::round(&node.app).await.unwrap();
    node.clock.set(before);
    for node in [&node, &node.another()] {
        let refused = node.pass(&number, AskedSend::default()).await;
        assert_eq!(why(&refused), Some(BlockReason::NumberBudget));
        assert!(retry_after(&refused) <= Some(Duration::from_hours(24)));
    }
}

#[tokio::test]
async fn counters_are_reclaimed_when_they_are_over() {
    let node = Node::new(Settings::default()).await;
    passing(&node, 10, AskedSend::default()).await;
    let counters = async || {
        let scan = Scan {
            prefix: vec![Taken::KIND],
            after: None,
            order: Order::Ascending,
            limit: 1_000,
        };
        node.app.store.scan(scan).await.unwrap().len()
    };
    assert_eq!(counters().await, 12);
    node.clock.advance(Duration::from_hours(48));
    while crate::flows::sweep::round(&node.app).await.unwrap() > 0 {}
    assert_eq!(counters().await, 0);
}

#[tokio::test]
async fn a_safe_number_has_its_own_limit_and_costs_money() {
    let node = Node::new(Settings {
        number_per_day: Some(5),
        prefix_per_hour: Some(1),
        prefix_per_day: Some(1),
        country_per_day: Some(1),
        device_per_hour: Some(1),
        spend_per_day: Some(Price {
            micros: 600_000,
            currency: Currency::parse("eur").unwrap(),
        }),
        ..Settings::default()
    })
    .await;
    let asked = AskedSend {
        device_ip: Some("203.0.113.7"),
        price: Some(Price {
            micros: 100_000,
            currency: Currency::parse("eur").unwrap(),
        }),
        ..AskedSend::default()
    };
    assert_eq!(why(&node.pass(&phone(32_470_120_000), asked).await), None);
    let number = phone(32_470_123_456);
    assert_eq!(
        why(&node.pass(&number, asked).await),
        Some(BlockReason::DeviceBudget)
    );
    for number in [&number, &phone(32_470_123_457)] {
        node.make_safe(number).await;
    }
    for _ in 0..5 {
        assert_eq!(why(&node.pass(&number, asked).await), None);
    }
    assert_eq!(
        why(&node.pass(&number, asked).await),
        Some(BlockReason::NumberBudget)
    );
    let another = node.pass(&phone(32_470_123_457), asked).await;
    assert_eq!(why(&another), Some(BlockReason::SpendCap));
}

#[tokio::test]
async fn the_cap_counts_what_senders_cost_and_takes_no_other_currency() {
    let cap = Price {
        micros: 1_000_000,
        currency: Currency::parse("eur").unwrap(),
    };
    let node = Node::new(only(|s| s.spend_per_day = Some(cap))).await;
    let of = |micros, currency: &str| {
        Some(Price {
            micros,
            currency: Currency::parse(currency).unwrap(),
        })
    };
    let number = phone(32_470_123_456);
    let asked = |price| AskedSend {
        price,
        ..AskedSend::default()
    };
    assert_eq!(
        why(&node.pass(&number, asked(of(1, "usd"))).await),
        Some(BlockReason::SpendCap)
    );
    assert_eq!(why(&node.pass(&number, asked(of(700_000, "eur"))).await), None);
    assert_eq!(
        why(&node.pass(&number, asked(of(400_000, "eur"))).await),
        Some(BlockReason::SpendCap)
    );
    assert_eq!(
        why(&node.pass(&number, asked(None)).await),
        None,
        "it has no price"
    );
    assert_eq!(
        why(&node.pass(&number, asked(of(0, "usd"))).await),
        None,
        "it is free"
    );
    let now = node.clock.now();
    let pay = async |price, kept: bool| {
        let mut reading = Reading::new(&node.app);
        let charge = charge(&node.app, &mut reading, node.account(), price, now)
            .await
            .unwrap()?;
        if kept {
            reading.commit(charge.put(Batch::new()).unwrap()).await.unwrap();
            charge.keep();
        }
        Ok(())
    };
    for _ in 0..3 {
        assert_eq!(pay(of(300_000, "eur"), false).await, Ok(()));
    }
    assert_eq!(pay(of(300_000, "eur"), true).await, Ok(()));
    let refused: Result<(), Blocked> = pay(of(1, "eur"), true).await;
    assert_eq!(refused.unwrap_err().why, BlockReason::SpendCap);
    assert_eq!(pay(None, true).await, Ok(()));
}
