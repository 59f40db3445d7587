//! What a message in the outbox is about was changed by somebody who writes the store: it is sent once at the most, and leaves.

use super::world::{CodeWorld, dead};
use crate::domain::outbox::DeadLetter;
use crate::domain::sid::VerificationSid;
use crate::flows::code::note_conversion;
use crate::flows::reading::Reading;
use crate::store::{Batch, StoreError, keys};

/// Changes what is at `key`, below what verifies it.
async fn forge(world: &CodeWorld, key: Vec<u8>) {
    let entry = world.app.engine.get(&key).await.unwrap().unwrap();
    let value = [&entry.value[..], &[0]].concat();
    let batch = match entry.expires_at {
        Some(end) => Batch::new().put_until(key.clone(), value, end),
        None => Batch::new().put(key.clone(), value),
    };
    world.app.engine.commit(batch).await.unwrap();
    let read = world.app.store.get(&key).await;
    assert!(matches!(read, Err(StoreError::Forged(_))), "{read:?}");
}

async fn forge_attempt(world: &CodeWorld) {
    let attempt = world.attempts().await.pop().unwrap();
    forge(world, keys::attempt(world.account, attempt.sid).into_bytes()).await;
}

async fn forge_verification(world: &CodeWorld, sid: VerificationSid) {
    forge(world, keys::verification(world.service, sid).into_bytes()).await;
}

/// Lets the outbox run until the code is over, and longer; how often it was sent, and what is given up.
async fn run(world: &CodeWorld) -> (usize, Vec<DeadLetter>) {
    let mut worker = world.worker();
    for _ in 0..200 {
        worker.run_due().await;
        world.wait(1);
    }
    assert!(world.rows().await.is_empty(), "{:?}", world.rows().await);
    (world.senders[0].seen().len(), world.dead_letters().await)
}

#[tokio::test]
async fn a_code_whose_attempt_is_forged_is_sent_once() {
    let world = CodeWorld::new(&["a"]).await;
    world.text("471100").await;
    forge_attempt(&world).await;
    let (sent, given_up) = run(&world).await;
    assert_eq!((sent, given_up.len()), (1, 0));
}

#[tokio::test]
async fn a_code_whose_attempt_is_forged_and_that_nobody_takes_is_a_dead_letter() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders[0].now(dead);
    world.text("471100").await;
    forge_attempt(&world).await;
    let (sent, given_up) = run(&world).await;
    assert_eq!((sent, given_up.len()), (1, 1));
    let why = given_up[0].why.as_str();
    assert!(why.contains("changed by somebody else"), "{why}");
}

#[tokio::test]
async fn a_code_whose_verification_is_forged_is_a_dead_letter() {
    let world = CodeWorld::new(&["a", "b"]).await;
    let sid = world.text("471100").await;
    forge_verification(&world, sid).await;
    let (sent, given_up) = run(&world).await;
    assert_eq!((sent, given_up.len()), (0, 1));
}

/// Only the service of it is forged: all senders are asked in vain, as it were, and none is.
#[tokio::test]
async fn a_code_whose_service_is_forged_is_a_dead_letter() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.text("471100").await;
    let service = keys::service(world.account, world.service).into_bytes();
    forge(&world, service).await;
    let (sent, given_up) = run(&world).await;
    assert_eq!((sent, given_up.len()), (0, 1));
    assert!(world.senders[1].seen().is_empty());
}

#[tokio::test]
async fn a_forged_attempt_keeps_nobody_out_who_has_the_code() {
    let world = CodeWorld::new(&["a"]).await;
    let sid = world.text("471100").await;
    world.deliver().await;
    forge_attempt(&world).await;
    let verification = world.read(sid).await;
    let mut reading = Reading::new(&world.app);
    let noted = note_conversion(&mut reading, &verification, world.app.clock.now(), Batch::new()).await;
    let (batch, attempt) = noted.unwrap();
    assert!(batch.is_empty() && attempt.is_none());
}

/// In front of a lane, and in it, are more rows that somebody else wrote than one read goes past.
#[tokio::test]
async fn a_code_behind_many_forged_rows_is_sent() {
    let world = CodeWorld::new(&["a"]).await;
    world.text("471100").await;
    let row = &world.rows().await[0];
    let key = keys::outbox_row(row.message.lane(), row.sid).into_bytes();
    let (start, end) = key.split_at(key.len() - 16);
    let sid = u128::from_be_bytes(end.try_into().unwrap());
    let in_front = (1..=6000).map(|back| [start, &(sid - back).to_be_bytes()[..]].concat());
    let first = keys::lanes();
    let other = (0..6000_u32).map(|number| [&first[..], &number.to_be_bytes()[..]].concat());
    let all: Vec<Vec<u8>> = in_front.chain(other).collect();
    for chunk in all.chunks(1000) {
        let forge = |batch: Batch, key: &Vec<u8>| batch.put(key.clone(), vec![7; 40]);
        let batch = chunk.iter().fold(Batch::new(), forge);
        world.app.engine.commit(batch).await.unwrap();
    }
    world.deliver().await;
    assert_eq!(world.senders[0].seen().len(), 1);
    assert_eq!(world.tries().await, [("a".to_owned(), "sent")]);
}
