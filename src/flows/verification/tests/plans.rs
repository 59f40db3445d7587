//! Plans: steps that follow by themselves, and those that a caller wants at once.

use super::*;
use crate::domain::verification::Uniqueness;
use crate::domain::verification::tests::samples::planned;
use crate::flows::verification::PlanKeeper;
use crate::flows::{Fault, outbox};
use crate::store::Order;

const WORKFLOW_1: [(Channel, u32); 3] = [(Channel::Sms, 125), (Channel::Call, 180), (Channel::Call, 300)];

async fn timers(world: &World) -> usize {
    let scan = Scan {
        prefix: keys::verification_timers(),
        after: None,
        order: Order::Ascending,
        limit: 100,
    };
    world.app.store.scan(scan).await.unwrap().len()
}

#[tokio::test]
async fn a_plan_goes_on_by_itself_and_ends() {
    let world = World::new().await;
    let verification = world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    let which = VerificationName::Sid(verification.sid);
    let start = world.app.clock.now();
    let due = |seconds| Some(start + Duration::from_secs(seconds));
    assert_eq!(verification::advance_due(&world.app).await.unwrap(), due(125));
    world.wait(125);
    assert_eq!(verification::advance_due(&world.app).await.unwrap(), due(305));
    assert_eq!(timers(&world).await, 1);
    world.wait(180);
    assert_eq!(verification::advance_due(&world.app).await.unwrap(), None);
    assert_eq!(timers(&world).await, 0);
    let last = world.fetch(&which).await.unwrap();
    let channels: Vec<_> = last.sends.iter().map(|send| send.channel).collect();
    assert_eq!(channels, [Channel::Sms, Channel::Call, Channel::Call]);
    assert_eq!(last.codes.len(), 2);
    assert_eq!(Some(last.expires_at), due(605));
    // The first code is over, the second one counts.
    world.check(&which, &world.code(&verification)).await.unwrap();
    let approved = world.check(&which, &world.code(&last)).await.unwrap();
    assert_eq!(approved.status(world.app.clock.now()), APPROVED);
}

#[tokio::test]
async fn a_step_that_is_wanted_now_moves_the_timer() {
    let world = World::new().await;
    let verification = world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    world.wait(10);
    let advance = || verification::advance(&world.app, world.account, world.service, verification.sid);
    let now = world.app.clock.now();
    let advanced = advance().await.unwrap();
    assert_eq!(advanced.next_step_at, Some(now + Duration::from_mins(3)));
    assert_eq!(timers(&world).await, 1);
    advance().await.unwrap();
    assert_eq!(timers(&world).await, 0);
    assert_eq!(refused(advance().await), Refusal::NoStepLeft);
}

#[tokio::test]
async fn the_end_of_a_verification_stops_its_timer() {
    let world = World::new().await;
    let new = wanted(ada(), planned(&WORKFLOW_1, 300));
    let verification = world.start(&new).await.unwrap();
    world
        .check(&VerificationName::To(ada()), &world.code(&verification))
        .await
        .unwrap();
    assert_eq!(timers(&world).await, 0);
    let second = world.start(&new).await.unwrap();
    world.wait(30);
    world
        .settle(&VerificationName::Sid(second.sid), Settlement::Cancel)
        .await
        .unwrap();
    assert_eq!(timers(&world).await, 0);
}

#[tokio::test]
async fn of_parallel_workers_one_takes_a_step() {
    let world = World::on(Arc::new(Interleaved::default())).await;
    let verification = world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    world.wait(125);
    let workers = (0..8).map(|_| {
        let world = world.clone();
        async move { verification::advance_due(&world.app).await.is_ok() }
    });
    assert!(all_at_once(workers).await.into_iter().all(|done| done));
    let after = world
        .fetch(&VerificationName::Sid(verification.sid))
        .await
        .unwrap();
    assert_eq!(after.sends.len(), 2);
}

#[tokio::test]
async fn a_step_without_a_sender_is_passed_over() {
    let world = World::new().await;
    let steps = [(Channel::Sms, 60), (Channel::Sna, 60), (Channel::Call, 60)];
    let verification = world.start(&wanted(ada(), planned(&steps, 300))).await.unwrap();
    for _ in 0..2 {
        world.wait(60);
        verification::advance_due(&world.app).await.unwrap();
    }
    let after = world
        .fetch(&VerificationName::Sid(verification.sid))
        .await
        .unwrap();
    let tried: Vec<_> = after.sends.iter().map(|send| send.tries.len()).collect();
    assert_eq!(tried, [1, 0, 1]);
}

#[tokio::test]
async fn a_plan_that_rested_for_longer_than_it_lasts_sends_nothing_more() {
    let world = World::new().await;
    let verification = world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    world.wait(700);
    // Its timer waits for the clock to be set back, and goes when nobody can fetch it any more.
    assert_eq!(
        verification::advance_due(&world.app).await.unwrap(),
        verification.kept_until()
    );
    let after = world
        .fetch(&VerificationName::Sid(verification.sid))
        .await
        .unwrap();
    assert_eq!(after.sends.len(), 1);
}

#[tokio::test]
async fn a_step_that_was_missed_is_made_up_once_and_the_next_one_waits_from_then() {
    let world = World::new().await;
    let verification = world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    let mut plans = PlanKeeper::default();
    plans.go_on(&world.app).await.unwrap();
    // The process was stopped, or the clock set: two steps would have been taken meanwhile.
    world.wait(400);
    for _ in 0..3 {
        plans.go_on(&world.app).await.unwrap();
    }
    let after = world
        .fetch(&VerificationName::Sid(verification.sid))
        .await
        .unwrap();
    assert_eq!(after.sends.len(), 2);
    let now = world.app.clock.now();
    assert_eq!(after.next_step_at, Some(now + Duration::from_mins(3)));
}

#[tokio::test]
async fn nobody_waits_for_the_length_of_a_jump_back_of_the_clock() {
    for restarted in [false, true] {
        let world = World::new().await;
        let mut plans = PlanKeeper::default();
        // One of before the jump, and others that wait for longer than the same time.
        let before = world
            .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
            .await
            .unwrap();
        plans.go_on(&world.app).await.unwrap();
        world
            .clock
            .set(Timestamp::from_seconds(1_800_000_000 - 24 * 3600));
        if restarted {
            plans = PlanKeeper::default();
        }
        let now = world.app.clock.now();
        let next = plans.go_on(&world.app).await.unwrap();
        assert_eq!(next, Some(now + Duration::from_secs(125)));
        // What was set once stays, however often it is looked at.
        world.wait(60);
        let next = PlanKeeper::default().go_on(&world.app).await.unwrap();
        assert_eq!(next, Some(now + Duration::from_secs(125)));
        assert_eq!(timers(&world).await, 1);
        world.wait(65);
        plans.go_on(&world.app).await.unwrap();
        let after = world.fetch(&VerificationName::Sid(before.sid)).await.unwrap();
        assert_eq!(after.sends.len(), 2);
        assert_eq!(after.status(world.app.clock.now()), PENDING);
    }
}

/// Clocks of machines that share a store are never the same, and time servers set them back by a little.
#[tokio::test]
async fn a_small_step_back_of_the_clock_changes_no_plan() {
    let world = World::new().await;
    let mut plans = PlanKeeper::default();
    world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    let begun = world.app.clock.now();
    plans.go_on(&world.app).await.unwrap();
    for millis in [400, 5_000, 10_000] {
        world.clock.set(begun.before(Duration::from_millis(millis)));
        for plans in [&mut plans, &mut PlanKeeper::default()] {
            let next = plans.go_on(&world.app).await.unwrap();
            assert_eq!(next, Some(begun + Duration::from_secs(125)), "{millis} ms");
        }
    }
}

#[tokio::test]
async fn one_accounts_steps_wait_for_no_others() {
    let world = World::on(Arc::new(Interleaved::default())).await;
    let name = FriendlyName::parse("Another account").unwrap();
    let mut other = world.clone();
    other.account = account::create(&world.app, name).await.unwrap().account.sid;
    other.service = other.another_service(ServiceChanges::default()).await;
    let policy = CodePolicy {
        uniqueness: Uniqueness::None,
        ..planned(&WORKFLOW_1, 300)
    };
    for _ in 0..2500 {
        world.start(&wanted(ada(), policy.clone())).await.unwrap();
    }
    world.wait(1);
    let late = other.start(&wanted(ada(), policy)).await.unwrap();
    world.wait(125);
    let going_on = tokio::spawn({
        let world = world.clone();
        async move { verification::advance_due(&world.app).await }
    });
    let sends = || async {
        let found = other.fetch(&VerificationName::Sid(late.sid)).await.unwrap();
        found.sends.len()
    };
    while sends().await < 2 {
        yield_now().await;
    }
    let now = world.app.clock.now();
    let scan = Scan {
        prefix: keys::verification_timers(),
        after: None,
        order: Order::Ascending,
        limit: 5000,
    };
    let timers = world.app.store.scan(scan).await.unwrap();
    let waiting = timers.iter().filter(|(key, _)| {
        matches!(keys::KeyParts::parse(key), Some(keys::KeyParts::VerificationTimer(due, _)) if due <= now)
    });
    let waiting = waiting.count();
    assert!(waiting > 2000, "{waiting} of 2500 waited still");
    going_on.await.unwrap().unwrap();
}

/// A client that tries again, or two clicks, want one step.
#[tokio::test]
async fn a_step_that_two_want_at_the_same_moment_is_taken_once() {
    let world = World::on(Arc::new(Interleaved::default())).await;
    let verification = world
        .start(&wanted(ada(), planned(&WORKFLOW_1, 300)))
        .await
        .unwrap();
    let wishes = (0..2).map(|_| {
        let (world, sid) = (world.clone(), verification.sid);
        async move { verification::advance(&world.app, world.account, world.service, sid).await }
    });
    for answer in all_at_once(wishes).await {
        assert_eq!(answer.unwrap().sends.len(), 2);
    }
}

#[tokio::test]
async fn a_plan_that_cannot_be_read_keeps_no_other_one_waiting() {
    let world = World::new().await;
    let new = |number: &str| {
        let number = PhoneNumber::parse(number, None).unwrap();
        wanted(Destination::Phone(number), planned(&WORKFLOW_1, 300))
    };
    let broken = world.start(&new("+32470000001")).await.unwrap();
    let other = world.start(&new("+32470000002")).await.unwrap();
    let key = keys::verification(world.service, broken.sid);
    let store = &world.app.store;
    let damage = Batch::new().put(key.bytes().to_vec(), vec![0xff; 3]);
    store.commit(damage).await.unwrap();
    let mut plans = PlanKeeper::default();
    for jump in [-24 * 3600, 125] {
        let now = i64::try_from(world.app.clock.now().seconds()).unwrap() + jump;
        world
            .clock
            .set(Timestamp::from_seconds(u64::try_from(now).unwrap()));
        plans.go_on(&world.app).await.unwrap_err();
    }
    let after = world.fetch(&VerificationName::Sid(other.sid)).await.unwrap();
    assert_eq!(after.sends.len(), 2);
}

/// Fills the outbox with `+32470000nnn`, a verification each. Nothing is delivered here.
async fn fill_outbox(world: &World, messages: usize) {
    for nth in 0..messages {
        let number = PhoneNumber::parse(&format!("+32470000{nth:03}"), None).unwrap();
        world
            .start(&wanted(Destination::Phone(number), same_code()))
            .await
            .unwrap();
    }
}

async fn empty_outbox(world: &World) {
    let (rows, _) = outbox::list_waiting(&world.app, None, 1000).await.unwrap();
    let mut batch = Batch::new();
    for row in rows
        .iter()
        .filter(|row| row.message.lane().account == world.account)
    {
        batch = batch.delete(keys::outbox_row(row.message.lane(), row.sid).into_bytes());
    }
    world.app.store.commit(batch).await.unwrap();
    outbox::count_waiting(&world.app).await.unwrap();
}

/// As at the door, and it waits instead of being lost.
#[tokio::test]
async fn a_step_for_which_the_outbox_has_no_room_waits_and_is_made_up_once() {
    let mut world = World::new().await;
    world.app.policy.outbox_rows_per_account = 4;
    let mut other = world.clone();
    let name = FriendlyName::parse("Another account").unwrap();
    other.account = account::create(&world.app, name).await.unwrap().account.sid;
    other.service = other.another_service(ServiceChanges::default()).await;
    let new = wanted(ada(), planned(&WORKFLOW_1, 300));
    let full = world.start(&new).await.unwrap();
    fill_outbox(&world, 3).await;
    let free = other.start(&new).await.unwrap();
    let sends = async |world: &World, sid| {
        let found = world.fetch(&VerificationName::Sid(sid)).await.unwrap();
        found.sends.len()
    };
    world.wait(125);
    let mut plans = PlanKeeper::default();
    for _ in 0..3 {
        assert_eq!(plans.go_on(&world.app).await, Err(Fault::OutboxFull));
        world.wait(5);
    }
    assert_eq!(
        (sends(&world, full.sid).await, sends(&other, free.sid).await),
        (1, 2)
    );
    let advanced = verification::advance(&world.app, world.account, world.service, full.sid).await;
    assert_eq!(advanced.unwrap_err(), Error::Failed(Fault::OutboxFull));
    empty_outbox(&world).await;
    for _ in 0..3 {
        plans.go_on(&world.app).await.unwrap();
    }
    assert_eq!(sends(&world, full.sid).await, 2);
    let found = world.fetch(&VerificationName::Sid(full.sid)).await.unwrap();
    let next = world.app.clock.now() + Duration::from_mins(3);
    assert_eq!(found.next_step_at, Some(next));

    // One that waits for longer than it lasts is over.
    fill_outbox(&world, 3).await;
    world.wait(180);
    assert_eq!(plans.go_on(&world.app).await, Err(Fault::OutboxFull));
    world.wait(300);
    plans.go_on(&world.app).await.unwrap();
    empty_outbox(&world).await;
    plans.go_on(&world.app).await.unwrap();
    assert_eq!(sends(&world, full.sid).await, 2);
}

/// What was over by a clock that had gone too far is not over.
#[tokio::test]
async fn a_jump_past_the_end_that_is_corrected_loses_no_step() {
    for (gone_on, restarted) in [(0, false), (60, false), (130, true)] {
        let world = World::new().await;
        let mut plans = PlanKeeper::default();
        let begun = world.app.clock.now();
        let new = wanted(ada(), planned(&WORKFLOW_1, 300));
        let verification = world.start(&new).await.unwrap();
        plans.go_on(&world.app).await.unwrap();
        world.clock.set(begun + Duration::from_hours(24));
        for _ in 0..2 {
            plans.go_on(&world.app).await.unwrap();
        }
        world.clock.set(begun + Duration::from_secs(gone_on));
        if restarted {
            plans = PlanKeeper::default();
        }
        let which = VerificationName::Sid(verification.sid);
        for (second, expected) in [(124, 1), (130, 2), (309, 2), (310, 3)] {
            if second < gone_on {
                continue;
            }
            world.clock.set(begun + Duration::from_secs(second));
            plans.go_on(&world.app).await.unwrap();
            let sends = world.fetch(&which).await.unwrap().sends.len();
            assert_eq!(sends, expected, "second {second}");
        }
        assert_eq!(timers(&world).await, 0);
    }
}

/// One that is over by a clock that is right leaves nothing behind for long.
#[tokio::test]
async fn the_timer_of_one_that_is_over_goes_with_it() {
    let world = World::new().await;
    let new = wanted(ada(), planned(&WORKFLOW_1, 300));
    let verification = world.start(&new).await.unwrap();
    world.wait(700);
    assert_eq!(
        verification::advance_due(&world.app).await.unwrap(),
        verification.kept_until()
    );
    let retention = verification.policy.retention;
    world.wait(retention.into());
    assert_eq!(verification::advance_due(&world.app).await.unwrap(), None);
    assert_eq!(timers(&world).await, 0);
}

/// Nothing leaves in its name, and nothing is counted for it.
#[tokio::test]
async fn the_plans_of_a_suspended_account_use_up_no_budget() {
    let mut world = World::new().await;
    world.app.policy.toll_fraud = Settings {
        number_per_day: Some(2),
        ..Settings::off()
    };
    let steps = [(Channel::Sms, 60), (Channel::Sms, 60), (Channel::Sms, 60)];
    let verification = world.start(&wanted(ada(), planned(&steps, 300))).await.unwrap();
    account::suspend(&world.app, world.account).await.unwrap();
    world.wait(60);
    verification::advance_due(&world.app).await.unwrap();
    account::resume(&world.app, world.account).await.unwrap();
    world.wait(60);
    verification::advance_due(&world.app).await.unwrap();
    let which = VerificationName::Sid(verification.sid);
    let sends = world.fetch(&which).await.unwrap().sends;
    let tried: Vec<_> = sends.iter().map(|send| send.tries.len()).collect();
    assert_eq!(tried, [1, 0, 1]);
}

/// Not even when its next step is due: it goes on as whoever began it wants.
#[tokio::test]
async fn whoever_wants_a_code_in_another_way_does_not_advance_a_plan() {
    let world = World::new().await;
    let planned = wanted(ada(), planned(&WORKFLOW_1, 300));
    let waiting = world.start(&planned).await.unwrap();
    for (second, left) in [(0, 605), (125, 480)] {
        world.wait(second);
        assert_eq!(
            refused(world.start(&to_ada()).await),
            Refusal::TooSoon {
                retry_after: Duration::from_secs(left)
            }
        );
    }
    let after = world.fetch(&VerificationName::Sid(waiting.sid)).await.unwrap();
    assert_eq!(after.sends.len(), 1);
    verification::advance_due(&world.app).await.unwrap();
    let after = world.fetch(&VerificationName::Sid(waiting.sid)).await.unwrap();
    assert_eq!(after.sends.len(), 2);
}
