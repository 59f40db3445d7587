//! Random histories: whatever happens, no budget is exceeded in a window.

use std::collections::HashMap;

use proptest::prelude::*;

use super::*;
use crate::domain::fraud::budget::{Counter, CounterKind};
use crate::domain::fraud::prefix::DestinationPrefix;

/// One step of a history.
#[derive(Clone, Debug)]
enum Step {
    /// A code to one of a few numbers, from one of the processes; kept or dropped.
    Send { node: usize, number: u64, keep: bool },
    /// One of the processes dies and another one takes its place.
    Restart { node: usize },
    /// Time passes.
    Wait { minutes: u64 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        12 => (0..2_usize, 0..12_u64, prop::bool::weighted(0.8))
            .prop_map(|(node, number, keep)| Step::Send { node, number, keep }),
        1 => (0..2_usize).prop_map(|node| Step::Restart { node }),
        1 => (1..200_u64).prop_map(|minutes| Step::Wait { minutes }),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn no_history_exceeds_a_budget(
        steps in prop::collection::vec(step(), 1..150),
        (number, hour, day, service) in (1..6_u32, 1..12_u32, 1..40_u32, 1..200_u32),
        cents in 1..300_u64,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let spent = runtime.block_on(live(&steps, Settings {
            number_per_day: Some(number),
            prefix_per_hour: Some(hour),
            prefix_per_day: Some(day),
            service_per_day: Some(service),
            spend_per_day: Some(Price { micros: cents * 10_000, currency: Currency::parse("eur").unwrap() }),
            ..Settings::off()
        }));
        for (counter, units) in spent {
            let limit = match counter.kind {
                CounterKind::Number => u64::from(number),
                CounterKind::PrefixHour => u64::from(hour),
                CounterKind::PrefixDay => u64::from(day),
                CounterKind::Service => u64::from(service),
                CounterKind::Spend => cents * 10_000,
                other => panic!("{other:?}"),
            };
            prop_assert!(units <= limit, "{:?}: {} of {}", counter, units, limit);
        }
    }
}

/// Counts by itself what left.
async fn live(steps: &[Step], settings: Settings) -> HashMap<Counter, u64> {
    let first = Node::new(settings).await;
    let mut nodes = [first.another(), first];
    let mut spent = HashMap::new();
    for step in steps {
        match *step {
            Step::Send { node, number, keep } => {
                let node = &nodes[node];
                // Two prefixes of six numbers.
                let destination = phone(32_470_120_000 + number % 6 + number / 6 * 10_000);
                let price = Price {
                    micros: 70_000,
                    currency: Currency::parse("eur").unwrap(),
                };
                let asked = AskedSend {
                    price: Some(price),
                    ..AskedSend::default()
                };
                let mut reading = Reading::new(&node.app);
                let Ok(permit) = node.admit(&mut reading, &destination, asked).await else {
                    continue;
                };
                if !keep {
                    continue;
                }
                let now = node.clock.now();
                let batch = permit.put(Batch::new()).unwrap();
                reading.commit(batch).await.unwrap();
                permit.commit(VerificationSid::generate(now, node.app.sids.as_ref()));
                let account = node.account();
                let prefix = DestinationPrefix::of_number(destination.phone().unwrap());
                for (counter, units) in [
                    (Counter::of_number(account, &destination, now), 1),
                    (
                        Counter::of_prefix(account, CounterKind::PrefixHour, &prefix, now),
                        1,
                    ),
                    (
                        Counter::of_prefix(account, CounterKind::PrefixDay, &prefix, now),
                        1,
                    ),
                    (Counter::of_service(account, node.service.sid, now), 1),
                    (
                        Counter::of_spend(account, Currency::parse("eur").unwrap(), now),
                        price.micros,
                    ),
                ] {
                    *spent.entry(counter).or_default() += units;
                }
            }
            Step::Restart { node } => nodes[node] = nodes[node].another(),
            Step::Wait { minutes } => nodes[0].clock.advance(Duration::from_mins(minutes)),
        }
    }
    spent
}
