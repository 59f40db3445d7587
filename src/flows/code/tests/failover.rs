//! What one sender does not take, another one gets; every try is an attempt; nothing is lost and nothing is sent in vain.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;

use super::world::{CodeWorld, codes, dead, euros, good, name, refusing, silent};
use crate::delivery::codes::Sent;
use crate::domain::attempt::AttemptStatus;
use crate::domain::channel::Channel;
use crate::domain::destination::EmailAddress;
use crate::domain::events::OutboxMessage;
use crate::domain::text::ProviderName;
use crate::domain::time::{Clock as _, Timestamp};
use crate::domain::verification::{EmailOptions, Sending};
use crate::doubles::TestParts;
use crate::flows::code::put_verification;
use crate::flows::fraud::charge;
use crate::flows::reading::Reading;
use crate::memory::breaker::SenderBreakers;
use crate::store::keys::KeyParts;
use crate::store::memory::MemoryStore;
use crate::store::{
    Batch, CommitError, Entry, ExpiredPage, ExpiryPosition, Export, Scan, Statistics, Store, StoreError,
};

#[tokio::test]
async fn a_code_arrives_with_its_text_and_the_attempt_says_so() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.text("471100").await;
    assert_eq!(world.tries().await, [("a".to_owned(), "queued")]);
    world.deliver().await;
    let seen = world.senders[0].seen();
    let [message] = &seen[..] else { panic!("{seen:?}") };
    assert_eq!(message.code.as_str(), "471100");
    assert!(message.text.contains("471100") && message.text.contains("Owl Bank"));
    assert_eq!(message.to.as_str(), "+32470471100");
    let attempt = &world.attempts().await[0];
    assert_eq!(attempt.status, AttemptStatus::Sent);
    assert_eq!(attempt.reference.as_deref(), Some("ref-1"));
    assert!(attempt.locale.is_some());
    assert_eq!(message.id, attempt.sid);
    assert!(world.rows().await.is_empty() && world.senders[1].seen().is_empty());
}

#[tokio::test]
async fn what_is_wanted_of_an_email_is_nothing_to_a_text_message() {
    let world = CodeWorld::new(&["first"]).await;
    let mut verification = world.verification("471142");
    verification.content.email = Some(EmailOptions {
        from: Some(EmailAddress::parse("owl@example.com").unwrap()),
        from_name: Some(ProviderName::parse("Owl").unwrap()),
        template_id: Some(ProviderName::parse("d-1").unwrap()),
        ..EmailOptions::default()
    });
    world.start(verification, Channel::Sms).await.unwrap();
    world.deliver().await;
    let seen = world.senders[0].seen();
    assert_eq!(seen.len(), 1);
    assert_eq!(
        (&seen[0].from, &seen[0].from_name, &seen[0].template_id),
        (&None, &None, &None)
    );
}

#[tokio::test]
async fn what_fails_is_refused_or_never_ends_goes_to_the_next_sender_at_once() {
    for react in [dead, refusing, silent] {
        let world = CodeWorld::new(&["a", "b"]).await;
        world.senders[0].now(react);
        let sid = world.text("471100").await;
        world.deliver().await;
        let expected = [("a".to_owned(), "failed"), ("b".to_owned(), "sent")];
        assert_eq!(world.tries().await, expected);
        assert_eq!(codes(&world.senders[1]).len(), 1);
        let verification = world.read(sid).await;
        let attempts = world.attempts().await;
        let tries: Vec<_> = verification.sends[0].tries.iter().map(|t| t.attempt).collect();
        assert_eq!(tries, [attempts[0].sid, attempts[1].sid]);
        assert!(world.rows().await.is_empty() && world.dead_letters().await.is_empty());
    }
}

#[tokio::test]
async fn what_all_senders_refuse_is_a_dead_letter_without_the_code() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders.iter().for_each(|sender| sender.now(refusing));
    world.text("471100").await;
    world.deliver().await;
    let expected = [("a".to_owned(), "failed"), ("b".to_owned(), "failed")];
    assert_eq!(world.tries().await, expected);
    assert!(world.rows().await.is_empty());
    let letters = world.dead_letters().await;
    assert_eq!(letters.len(), 1);
    let told = format!("{letters:?}");
    assert!(!told.contains("471100") && !told.contains("470471100"), "{told}");
    assert_eq!(letters[0].why.as_str(), "status 400");
}

#[tokio::test]
async fn the_last_sender_is_tried_again_until_the_code_is_over_each_time_as_an_attempt() {
    let world = CodeWorld::new(&["a"]).await;
    world.senders[0].now(dead);
    world.text("471100").await;
    let mut worker = world.worker();
    for _ in 0..120 {
        worker.run_due().await;
        world.wait(5);
    }
    worker.run_due().await;
    let tries = world.tries().await;
    let asked = world.senders[0].seen().len();
    assert!(asked > 5, "{asked}");
    let failed = tries.iter().filter(|(_, status)| *status == "failed").count();
    let canceled = tries.iter().filter(|(_, status)| *status == "canceled").count();
    // The last one may have waited for its turn when the code was over.
    assert!(canceled <= 1 && failed + canceled == tries.len(), "{tries:?}");
    assert!(asked == failed || asked + 1 == failed, "{asked}: {tries:?}");
    assert!(world.rows().await.is_empty() && world.dead_letters().await.is_empty());
}

#[tokio::test]
async fn a_sender_that_works_again_gets_what_waited() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders.iter().for_each(|sender| sender.now(dead));
    for number in 0..20 {
        world.text(&format!("4711{number:02}")).await;
    }
    let mut worker = world.worker();
    for _ in 0..6 {
        worker.run_due().await;
        world.wait(5);
    }
    let (before, asked) = (world.tries().await, world.senders[1].seen().len());
    assert!(before.iter().all(|(_, status)| *status != "sent"));
    world.senders[1].now(good);
    for _ in 0..60 {
        worker.run_due().await;
        world.wait(5);
    }
    let seen = world.senders[1].seen();
    let delivered: std::collections::HashSet<_> = seen[asked..].iter().map(|m| m.code.to_string()).collect();
    assert_eq!(delivered.len(), 20);
    assert!(world.rows().await.is_empty());
    let tries = world.tries().await;
    assert_eq!(tries.iter().filter(|(_, status)| *status == "sent").count(), 20);
    assert!(
        tries
            .iter()
            .all(|(_, status)| matches!(*status, "sent" | "failed"))
    );
}

#[tokio::test]
async fn nothing_is_sent_after_the_approval_or_the_end() {
    let world = CodeWorld::new(&["a"]).await;
    let sid = world.text("471100").await;
    world.approve(sid).await;
    world.deliver().await;
    world.text("471101").await;
    world.wait(600);
    world.deliver().await;
    assert!(world.senders[0].seen().is_empty() && world.rows().await.is_empty());
    let expected = [("a".to_owned(), "canceled"), ("a".to_owned(), "canceled")];
    assert_eq!(world.tries().await, expected);
}

#[tokio::test]
async fn approved_while_a_sender_fails_it_goes_to_nobody_else() {
    let world = CodeWorld::new(&["a", "b"]).await;
    let sid = world.text("471100").await;
    world.senders[0].now(silent);
    let mut worker = world.worker();
    // While the sender is asked, which never answers, somebody gives the code of an earlier message.
    let ((), ()) = tokio::join!(worker.run_due(), async {
        while world.senders[0].seen().is_empty() {
            tokio::task::yield_now().await;
        }
        world.approve(sid).await;
    });
    assert!(world.senders[1].seen().is_empty() && world.rows().await.is_empty());
    assert_eq!(world.tries().await, [("a".to_owned(), "failed")]);
}

#[tokio::test]
async fn a_thousand_codes_of_a_dead_sender_arrive_over_the_other_one_without_any_wait() {
    let world = CodeWorld::new(&["a", "b"]).await;
    for number in 0..1000 {
        world.text(&format!("{number:06}")).await;
    }
    world.senders[0].now(dead);
    world.deliver().await;
    assert_eq!(codes(&world.senders[1]).len(), 1000);
    let in_vain = world.senders[0].seen().len();
    assert!(in_vain < 100, "{in_vain} were tried with the dead one");
    assert!(world.rows().await.is_empty());
    // While the circuit is open, new ones do not even queue for it.
    let verification = world.verification("471100");
    assert_eq!(world.start(verification, Channel::Sms).await, Some(name("b")));
    assert_eq!(world.senders[0].seen().len(), in_vain);
}

#[tokio::test]
async fn a_dead_sender_is_tried_again_after_a_while_with_one_code_at_a_time() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders[0].now(dead);
    for number in 0..50 {
        world.text(&format!("{number:06}")).await;
    }
    world.deliver().await;
    let before = world.senders[0].seen().len();
    world.clock.advance(SenderBreakers::FIRST_PAUSE);
    world.senders[0].now(silent);
    for number in 50..60 {
        world.text(&format!("{number:06}")).await;
    }
    world.deliver().await;
    assert_eq!(world.senders[0].seen().len(), before + 1, "one code finds out");
    assert_eq!(codes(&world.senders[1]).len(), 60);
    world.senders[0].now(good);
    world.clock.advance(2 * SenderBreakers::FIRST_PAUSE);
    for number in 60..70 {
        world.text(&format!("{number:06}")).await;
        world.deliver().await;
    }
    assert_eq!(
        world.senders[0].seen().len(),
        before + 11,
        "it has them all again"
    );
    assert_eq!(codes(&world.senders[1]).len(), 60);
}

#[tokio::test]
async fn a_worker_that_is_cut_off_behind_the_commit_loses_nothing() {
    let world = CodeWorld::new(&["a"]).await;
    world.text("471100").await;
    // Cut off while the sender is asked: the row is leased, and the next process has it again.
    world.senders[0].now(silent);
    let mut worker = world.worker();
    tokio::select! {
        () = worker.run_due() => panic!("it waits"),
        () = async {
            while world.senders[0].seen().is_empty() {
                tokio::task::yield_now().await;
            }
        } => drop(worker),
    }
    world.senders[0].now(good);
    world.clock.advance(Duration::from_mins(1));
    world.deliver().await;
    assert_eq!(world.senders[0].seen().len(), 2);
    assert_eq!(world.tries().await, [("a".to_owned(), "sent")]);
}

#[tokio::test]
async fn a_sender_that_asks_for_time_is_asked_again_then_if_it_is_the_only_one() {
    let world = CodeWorld::new(&["a"]).await;
    world.senders[0].now(|_| Some(Sent::retry("busy", Some(Duration::from_secs(40)))));
    world.text("471100").await;
    let mut worker = world.worker();
    worker.run_due().await;
    let row = &world.rows().await[0];
    assert_eq!(row.next_at, world.clock.now() + Duration::from_secs(40));
    let OutboxMessage::Code(code) = &row.message else {
        panic!("{row:?}")
    };
    let attempts = world.attempts().await;
    assert_eq!((attempts.len(), code.attempt), (2, attempts[1].sid));
    world.senders[0].now(good);
    world.wait(40);
    worker.run_due().await;
    let expected = [("a".to_owned(), "failed"), ("a".to_owned(), "sent")];
    assert_eq!(world.tries().await, expected);
}

/// A store in which somebody else changes a verification first, so many times.
#[derive(Debug, Default)]
struct Contended {
    inner: MemoryStore,
    left: AtomicU32,
}

#[async_trait]
impl Store for Contended {
    async fn get(&self, key: &[u8]) -> Result<Option<Entry>, StoreError> {
        self.inner.get(key).await
    }

    async fn get_many(&self, keys: &[Vec<u8>]) -> Result<Vec<Option<Entry>>, StoreError> {
        self.inner.get_many(keys).await
    }

    async fn scan(&self, scan: Scan) -> Result<Vec<(Vec<u8>, Entry)>, StoreError> {
        self.inner.scan(scan).await
    }

    async fn commit(&self, batch: Batch) -> Result<(), CommitError> {
        let is_verification = |key: &[u8]| matches!(KeyParts::parse(key), Some(KeyParts::Verification(..)));
        let one_less = |left: u32| left.checked_sub(1);
        if batch.written_keys().any(is_verification)
            && self
                .left
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less)
                .is_ok()
        {
            return Err(CommitError::Conflict);
        }
        self.inner.commit(batch).await
    }

    async fn expired(
        &self,
        now: Timestamp,
        after: Option<&ExpiryPosition>,
        limit: usize,
    ) -> Result<ExpiredPage, StoreError> {
        self.inner.expired(now, after, limit).await
    }

    async fn export(&self) -> Result<Box<dyn Export>, StoreError> {
        self.inner.export().await
    }

    async fn close(&self) -> Result<(), StoreError> {
        self.inner.close().await
    }

    fn statistics(&self) -> Statistics {
        self.inner.statistics()
    }
}

#[tokio::test]
async fn a_try_is_paid_once_however_often_another_change_comes_first() {
    let store = Arc::new(Contended::default());
    let world = CodeWorld::with(
        &["a", "b"],
        &[Channel::Sms],
        store.clone(),
        Some((400_000, 1_000_000)),
    )
    .await;
    world.senders[0].now(dead);
    world.text("471100").await;
    store.left.store(20, Ordering::SeqCst);
    world.deliver().await;
    assert_eq!(store.left.load(Ordering::SeqCst), 0);
    assert_eq!(codes(&world.senders[1]).len(), 1, "it went out once more");
    let now = world.clock.now();
    let mut reading = Reading::new(&world.app);
    let rest = charge(&world.app, &mut reading, world.account, Some(euros(600_000)), now).await;
    let rest = rest.unwrap().unwrap();
    reading.commit(rest.put(Batch::new()).unwrap()).await.unwrap();
    rest.keep();
    let mut reading = Reading::new(&world.app);
    let more = charge(&world.app, &mut reading, world.account, Some(euros(1)), now).await;
    assert!(more.unwrap().is_err());
}

#[tokio::test]
async fn what_was_tried_as_often_as_may_be_is_a_dead_letter() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders.iter().for_each(|sender| sender.now(dead));
    let sid = world.text("471100").await;
    let before = world.read(sid).await;
    let mut worn = before.clone();
    let tries = &mut worn.sends[0].tries;
    *tries = vec![tries[0]; Sending::MOST_TRIES - 1];
    let batch = put_verification(Batch::new(), Some(&before), &worn).unwrap();
    world.app.store.commit(batch).await.unwrap();
    world.deliver().await;
    assert_eq!(world.read(sid).await.sends[0].tries.len(), Sending::MOST_TRIES);
    assert_eq!(world.dead_letters().await.len(), 1);
    assert!(world.rows().await.is_empty());
    worn.sends = vec![worn.sends[0].clone(); 5];
    let bytes = crate::store::records::encode(&worn).unwrap().len();
    assert!(
        bytes < 24 * 1024,
        "{bytes}: all sendings leave room for what else is in a record"
    );
}

/// While the settings of several processes change one after the other, some know senders that others do not.
#[tokio::test]
async fn a_code_of_a_sender_that_is_unknown_here_is_left_to_others_for_a_minute() {
    let knows = CodeWorld::new(&["new"]).await;
    let old = CodeWorld::new(&["old"]).await;
    let parts = TestParts {
        senders: Arc::clone(&old.app.senders),
        ..TestParts::of(&knows.app)
    };
    let lacks = CodeWorld {
        app: Arc::new(parts.wire()),
        clock: Arc::clone(&knows.clock),
        account: knows.account,
        service: knows.service,
        senders: old.senders.clone(),
    };
    knows.text("471100").await;
    let mut worker = lacks.worker();
    for _ in 0..59 {
        worker.run_due().await;
        knows.wait(1);
    }
    let waits = knows.attempts().await;
    assert_eq!((waits.len(), &waits[0].status), (1, &AttemptStatus::Queued));
    assert_eq!(waits[0].sender, name("new"));
    knows.deliver().await;
    assert_eq!(
        (knows.senders[0].seen().len(), lacks.senders[0].seen().len()),
        (1, 0)
    );
    // Nobody who knows it comes: another sender gets the code.
    knows.text("471200").await;
    worker.run_due().await;
    for _ in 0..60 {
        assert_eq!(lacks.senders[0].seen().len(), 0);
        knows.wait(1);
        worker.run_due().await;
    }
    assert_eq!(
        (knows.senders[0].seen().len(), lacks.senders[0].seen().len()),
        (1, 1)
    );
}
