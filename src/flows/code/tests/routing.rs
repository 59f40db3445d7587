//! Which sender a code is given to.

use std::time::Duration;

use super::world::{CodeWorld, name, refusing};
use crate::app::App;
use crate::delivery::DeliveryOutcome;
use crate::domain::attempt::AttemptStatus;
use crate::domain::channel::Channel;
use crate::domain::circuit::{Breaker, FailureScope};
use crate::domain::code_routing::Rate;
use crate::domain::time::Clock as _;
use crate::doubles::TestParts;
use crate::flows::code::learn::{converted, learn, learn_from_stored, target};
use crate::flows::code::put_attempt;
use crate::store::Batch;

/// How many of a hundred codes go to the first of two senders.
async fn share_of_first(world: &CodeWorld) -> usize {
    let mut first = 0;
    for _ in 0..100 {
        let now = world.clock.now();
        let chosen = world.route(Channel::Sms, &[], now).await;
        first += usize::from(chosen.unwrap().name == name("a"));
    }
    first
}

#[tokio::test]
async fn the_order_is_the_operators_and_those_that_were_tried_are_left_out() {
    let world = CodeWorld::new(&["b", "a", "c"]).await;
    let to = async |channel, tried: &[&str]| {
        let tried: Vec<_> = tried.iter().map(|text| name(text)).collect();
        let now = world.clock.now();
        let chosen = world.route(channel, &tried, now).await;
        chosen.map(|sender| sender.name.to_string())
    };
    assert_eq!(to(Channel::Sms, &[]).await.as_deref(), Some("b"));
    assert_eq!(to(Channel::Sms, &["b"]).await.as_deref(), Some("a"));
    assert_eq!(to(Channel::Sms, &["b", "a"]).await.as_deref(), Some("c"));
    assert_eq!(to(Channel::Sms, &["b", "a", "c"]).await, None);
    assert_eq!(to(Channel::Email, &[]).await, None);
    let somebody = target(world.account, &world.verification("471100").destination);
    // With all circuits open the first one gets it all the same: it may work again in time.
    for sender in ["a", "b", "c"] {
        for _ in 0..Breaker::FAILURES_UNTIL_OPEN {
            world.app.memory.sender_breakers.failed(
                name(sender),
                &somebody,
                FailureScope::Sender,
                None,
                world.clock.now(),
            );
        }
    }
    assert_eq!(to(Channel::Sms, &[]).await.as_deref(), Some("b"));
}

#[tokio::test]
async fn a_sender_whose_codes_do_not_come_back_gets_few_and_gets_all_again_when_they_do() {
    let world = CodeWorld::new(&["a", "b"]).await;
    let round = async |converts: bool| {
        for number in 0..60 {
            // Both are sent to; only what the second one sends comes back, or all of it.
            let sender = if number % 2 == 0 { "a" } else { "b" };
            world.text("471100").await;
            let attempts = world.attempts().await.into_iter();
            let mut waiting = attempts.filter(|attempt| attempt.status == AttemptStatus::Queued);
            let mut attempt = waiting.next().unwrap();
            (attempt.sender, attempt.status) = (name(sender), AttemptStatus::Sent);
            learn(&world.app, &attempt, &DeliveryOutcome::Delivered);
            if converts || sender == "b" {
                attempt.converted_at = Some(world.clock.now());
                converted(&world.app.memory.conversions, &attempt);
            }
            let batch = put_attempt(Batch::new(), attempt, world.clock.now()).unwrap();
            world.app.store.commit(batch).await.unwrap();
        }
    };
    assert_eq!(share_of_first(&world).await, 100);
    round(false).await;
    assert_eq!(share_of_first(&world).await, 100, "it is too early to tell");
    world.clock.advance(Duration::from_mins(6));
    let first = share_of_first(&world).await;
    assert!((1..20).contains(&first), "{first}");
    // Another process learns the same from what is stored.
    let learnt = learnt_anew(&world).await;
    let first = share_of_first(&learnt).await;
    assert!((1..20).contains(&first), "{first}");
    world.clock.advance(Duration::from_mins(61));
    round(true).await;
    world.clock.advance(Duration::from_mins(6));
    assert_eq!(share_of_first(&world).await, 100);
}

/// The same server as a process that has just begun.
async fn learnt_anew(world: &CodeWorld) -> CodeWorld {
    let app = TestParts::of(&world.app).wire();
    learn_from_stored(&app).await.unwrap();
    CodeWorld {
        app: std::sync::Arc::new(app),
        clock: world.clock.clone(),
        account: world.account,
        service: world.service,
        senders: world.senders.clone(),
    }
}

#[tokio::test]
async fn a_sender_that_refuses_everything_stands_behind_after_a_while() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders[0].now(refusing);
    for number in 0..30 {
        world.text(&format!("{number:06}")).await;
    }
    world.deliver().await;
    for attempt in world.attempts().await {
        if attempt.status == AttemptStatus::Sent {
            converted(&world.app.memory.conversions, &attempt);
        }
    }
    world.clock.advance(Duration::from_mins(6));
    let first = share_of_first(&world).await;
    assert!((1..20).contains(&first), "{first}");
}

/// Each of two processes settles some tries and hears of some approvals.
#[tokio::test(start_paused = true)]
async fn processes_on_one_store_learn_the_same_within_a_minute() {
    let world = CodeWorld::new(&["a"]).await;
    let other = std::sync::Arc::new(TestParts::of(&world.app).wire());
    for number in 0..60 {
        world.text("471100").await;
        let attempts = world.attempts().await.into_iter();
        let mut waiting = attempts.filter(|attempt| attempt.status == AttemptStatus::Queued);
        let mut attempt = waiting.next().unwrap();
        attempt.status = AttemptStatus::Sent;
        let tried = if number % 3 == 0 { &world.app } else { &other };
        learn(tried, &attempt, &DeliveryOutcome::Delivered);
        if number % 2 == 0 {
            attempt.converted_at = Some(world.clock.now());
            converted(&world.app.memory.conversions, &attempt);
        }
        let batch = put_attempt(Batch::new(), attempt, world.clock.now()).unwrap();
        world.app.store.commit(batch).await.unwrap();
    }
    world.clock.advance(Duration::from_mins(6));
    let country = world.attempts().await[0].country;
    let rate = |app: &App| app.memory.conversions.rate(name("a"), country, world.clock.now());
    assert_ne!(rate(&world.app), rate(&other));
    let learning = [
        tokio::spawn(crate::flows::relearn::keep_up(world.app.clone())),
        tokio::spawn(crate::flows::relearn::keep_up(other.clone())),
    ];
    let all = Rate {
        tries: 60,
        conversions: 30,
    };
    // Learning anew counts nothing twice.
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_secs(61)).await;
        assert_eq!(rate(&world.app), all);
        assert_eq!(rate(&other), all);
    }
    learning.iter().for_each(tokio::task::JoinHandle::abort);
}
