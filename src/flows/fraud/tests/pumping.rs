//! SMS pumping: sends rise, conversions stay flat.

use super::super::rebuild;
use super::*;
use crate::domain::outbox::Reason;

/// Sends codes to ten thousand numbers of a prefix, one each `pause`, of which one of `converting` is used after 30
/// seconds. How many left before the first one was refused, and why that was.
async fn pump(
    node: &Node,
    prefix: u64,
    pause: Duration,
    converting: Option<u64>,
) -> (u64, Option<BlockReason>) {
    let mut waiting = std::collections::VecDeque::new();
    for number in 0..10_000 {
        while let Some((at, _)) = waiting.front()
            && *at <= node.clock.now()
            && let Some((_, verification)) = waiting.pop_front()
        {
            node.approve(verification, true).await;
        }
        match node.send(&phone(prefix * 10_000 + number)).await {
            Ok(verification) if converting.is_some_and(|one_of| number % one_of == 0) => {
                waiting.push_back((node.clock.now() + Duration::from_secs(30), verification));
            }
            Ok(_) => {}
            refused => return (number, why(&refused)),
        }
        node.clock.advance(pause);
    }
    (10_000, None)
}

const HERE: u64 = 3_247_012;
const ELSEWHERE: u64 = 3_247_013;

#[tokio::test]
async fn a_prefix_whose_codes_nobody_types_is_blocked_within_a_hundred_sends() {
    for (pause, most, reason) in [
        (0, 100, BlockReason::PrefixBudget),
        (1_000, 100, BlockReason::PrefixBudget),
        // 25 that had their time, and those of the five minutes behind them.
        (10_000, 55, BlockReason::LowConversion),
        (30_000, 35, BlockReason::LowConversion),
        (120_000, 28, BlockReason::LowConversion),
    ] {
        let node = Node::new(Settings::default()).await;
        let (sent, refused) = pump(&node, HERE, Duration::from_millis(pause), None).await;
        assert!(sent <= most, "{pause}: {sent}");
        assert_eq!(refused, Some(reason), "{pause}");
        assert_eq!(why(&node.send(&phone(ELSEWHERE * 10_000)).await.map(drop)), None);
        assert_eq!(node.told().await.len(), 1);
    }
}

/// Half of the users type their code: nobody is held up but by the budgets.
#[tokio::test]
async fn a_burst_whose_codes_are_used_is_not_blocked() {
    let node = Node::new(Settings {
        prefix_per_hour: None,
        prefix_per_day: None,
        ..Settings::default()
    })
    .await;
    for converting in [1, 2, 5] {
        let result = pump(&node, HERE + converting, Duration::from_secs(1), Some(converting)).await;
        assert_eq!(result, (10_000, None), "one of {converting}");
    }
    let (sent, refused) = pump(&node, ELSEWHERE, Duration::from_secs(1), Some(20)).await;
    assert_eq!(refused, Some(BlockReason::LowConversion));
    assert!(sent <= 25 + 300 + 1, "{sent}");
}

#[tokio::test]
async fn codes_that_somebody_may_be_typing_do_not_count() {
    let node = Node::new(Settings::default()).await;
    for number in 0..60 {
        node.send(&phone(HERE * 10_000 + number)).await.unwrap();
    }
    node.clock.advance(Duration::from_secs(299));
    assert_eq!(why(&node.send(&phone(HERE * 10_000 + 60)).await), None);
    node.clock.advance(Duration::from_secs(1));
    let refused = node.send(&phone(HERE * 10_000 + 61)).await;
    assert_eq!(why(&refused), Some(BlockReason::LowConversion));
    assert_eq!(retry_after(&refused), Some(Duration::from_hours(6)));
}

async fn blocked() -> Node {
    let node = Node::new(Settings::default()).await;
    for number in 0..25 {
        node.send(&phone(HERE * 10_000 + number)).await.unwrap();
    }
    node.clock.advance(Duration::from_mins(5));
    let refused = node.send(&phone(HERE * 10_000 + 99)).await;
    assert_eq!(why(&refused), Some(BlockReason::LowConversion));
    node
}

#[tokio::test]
async fn a_block_ends_in_time_survives_a_restart_and_is_begun_anew_only_by_new_sends() {
    let node = blocked().await;
    let next = phone(HERE * 10_000 + 98);
    node.clock
        .advance(Duration::from_hours(6) - Duration::from_secs(1));
    for node in [&node, &node.another()] {
        let refused = node.send(&next).await;
        assert_eq!(why(&refused), Some(BlockReason::LowConversion));
        assert_eq!(retry_after(&refused), Some(Duration::from_secs(1)));
    }
    node.clock.advance(Duration::from_secs(1));
    for number in 0..25 {
        assert_eq!(why(&node.send(&phone(HERE * 10_000 + number)).await), None);
    }
    node.clock.advance(Duration::from_mins(5));
    assert_eq!(why(&node.send(&next).await), Some(BlockReason::LowConversion));
    assert_eq!(node.told().await.len(), 2);
}

#[tokio::test]
async fn who_vouches_for_a_number_passes_a_block() {
    let mut node = blocked().await;
    node.app.policy.toll_fraud.risk_check_may_be_disabled = true;
    let number = phone(HERE * 10_000 + 98);
    let vouched = AskedSend {
        risk_check: false,
        ..AskedSend::default()
    };
    assert_eq!(why(&node.pass(&number, vouched).await), None);
    node.app.policy.toll_fraud.risk_check_may_be_disabled = false;
    assert_eq!(
        why(&node.pass(&number, vouched).await),
        Some(BlockReason::LowConversion)
    );
    node.make_safe(&number).await;
    assert_eq!(why(&node.pass(&number, AskedSend::default()).await), None);
    // Letters have no prefix.
    assert_eq!(
        why(&node.pass(&email("ada@example.com"), AskedSend::default()).await),
        None
    );
}

#[tokio::test]
async fn what_was_sent_before_a_restart_is_remembered() {
    let node = Node::new(Settings::default()).await;
    for number in 0..25 {
        node.send(&phone(HERE * 10_000 + number)).await.unwrap();
        let used = node.send(&phone(ELSEWHERE * 10_000 + number)).await.unwrap();
        node.approve(used, true).await;
    }
    node.clock.advance(Duration::from_mins(5));
    let forgetful = node.another();
    assert_eq!(forgetful.app.memory.fraud.conversions().len(), 0);
    let restarted = node.another();
    rebuild(&restarted.app).await.unwrap();
    assert_eq!(restarted.app.memory.fraud.conversions().len(), 50);
    let refused = restarted.send(&phone(HERE * 10_000 + 99)).await;
    assert_eq!(why(&refused), Some(BlockReason::LowConversion));
    assert_eq!(why(&restarted.send(&phone(ELSEWHERE * 10_000 + 99)).await), None);
    node.clock.advance(Duration::from_hours(1));
    let later = node.another();
    rebuild(&later.app).await.unwrap();
    assert_eq!(later.app.memory.fraud.conversions().len(), 0);
}

#[tokio::test]
async fn approvals_at_another_process_count() {
    let node = Node::new(Settings::default()).await;
    for number in 0..30 {
        let used = node.send(&phone(HERE * 10_000 + number)).await.unwrap();
        if number % 2 == 0 {
            node.approve(used, false).await;
        }
    }
    node.clock.advance(Duration::from_mins(5));
    assert_eq!(why(&node.send(&phone(HERE * 10_000 + 99)).await), None);
}

/// Senders that fail bring no code to anybody. That is not the numbers' fault.
#[tokio::test]
async fn codes_that_never_left_do_not_count() {
    let node = Node::new(Settings::default()).await;
    for number in 0..30 {
        let status = match number % 3 {
            0 => AttemptStatus::Queued,
            1 => AttemptStatus::Canceled,
            _ => AttemptStatus::Failed {
                why: Reason::new("status 500"),
            },
        };
        node.send_as(&phone(HERE * 10_000 + number), status)
            .await
            .unwrap();
    }
    node.clock.advance(Duration::from_mins(5));
    assert_eq!(why(&node.send(&phone(HERE * 10_000 + 99)).await), None);
    assert_eq!(node.told().await, []);
}

#[tokio::test]
async fn a_clock_set_back_ends_a_block_that_it_would_prolong() {
    let node = blocked().await;
    let since = node.clock.now();
    node.clock.set(since.before(Duration::from_hours(24)));
    assert_eq!(why(&node.another().send(&phone(HERE * 10_000 + 98)).await), None);
    node.clock.set(since.before(Duration::from_secs(2)));
    let refused = node.another().send(&phone(HERE * 10_000 + 98)).await;
    assert_eq!(why(&refused), Some(BlockReason::LowConversion), "that is no jump");
}

/// Each of several processes sees a part of what is sent.
#[tokio::test]
async fn what_all_processes_sent_counts_once_at_each() {
    let first = Node::new(Settings::default()).await;
    let nodes = [first.another(), first.another(), first];
    for number in 0..27 {
        let node = &nodes[usize::try_from(number % 3).unwrap()];
        node.send(&phone(HERE * 10_000 + number)).await.unwrap();
    }
    nodes[0].clock.advance(Duration::from_mins(5));
    assert_eq!(
        why(&nodes[0]
            .ask(&phone(HERE * 10_000 + 98), AskedSend::default())
            .await),
        None
    );
    for node in &nodes {
        for _ in 0..2 {
            rebuild(&node.app).await.unwrap();
            assert_eq!(node.app.memory.fraud.conversions().len(), 27);
        }
        let refused = node.send(&phone(HERE * 10_000 + 99)).await;
        assert_eq!(why(&refused), Some(BlockReason::LowConversion));
    }
}
