//! What is said of one recipient is not said of the sender, unless it is said of many.

use std::time::Duration;

use super::world::{CodeWorld, codes, dead, good, name, silent};
use crate::delivery::codes::{CodeMessage, Sent};
use crate::domain::channel::Channel;
use crate::domain::time::Clock as _;
use crate::flows::deliveries::Deliveries;
use crate::flows::outbox::worker::{Limits, Worker};

/// Whoever is not at `ok.example` has a full mailbox.
#[expect(clippy::unnecessary_wraps, reason = "it is one of several reactions")]
fn full(message: &CodeMessage) -> Option<Sent> {
    Some(if message.to.as_str().ends_with("@ok.example") {
        Sent::delivered(None)
    } else {
        Sent::retry_recipient(450, "450 4.2.1 the mailbox is full", None)
    })
}

async fn mail_world(senders: &[&str]) -> CodeWorld {
    let world = CodeWorld::of(senders, &[Channel::Email]).await;
    world.senders[0].now(full);
    world
}

#[tokio::test]
async fn codes_to_full_mailboxes_delay_nobody_elses() {
    // Twice as many as stopped everything when each of them counted against the sender.
    for count in [25, 50, 400, 800] {
        let world = mail_world(&["a"]).await;
        for number in 0..count {
            let code = (100_000 + number).to_string();
            world.mail(&code, &format!("user-{number}@full.example")).await;
        }
        let mut worker = world.worker();
        for round in 0..30 {
            let code = (471_100 + round).to_string();
            world.mail(&code, &format!("user-{round}@ok.example")).await;
            worker.run_due().await;
            assert!(codes(&world.senders[0]).contains(&code), "{count}: round {round}");
            world.wait(3);
        }
        assert!(codes(&world.senders[0]).len() >= count + 30);
        let breakers = &world.app.memory.sender_breakers;
        assert!(breakers.open(world.clock.now()).is_empty());
    }
}

#[tokio::test]
async fn a_sender_that_takes_nothing_for_anybody_is_left_alone_and_found_again_with_somebody_new() {
    let world = mail_world(&["a", "b"]).await;
    let mut worker = world.worker();
    // Each of another mail domain: nobody can tell them from all that there are.
    for number in 0..12 {
        let code = (100_000 + number).to_string();
        world.wait(3);
        world.mail(&code, &format!("user@full-{number}.example")).await;
        worker.run_due().await;
    }
    let now = world.clock.now();
    assert_eq!(world.app.memory.sender_breakers.open(now), [name("a")]);
    assert_eq!(codes(&world.senders[1]).len(), 12);
    let asked = world.senders[0].seen().len();
    world.mail("200000", "user@ok.example").await;
    worker.run_due().await;
    assert_eq!(world.senders[0].seen().len(), asked, "it went to the other one");
    world.wait(10);
    world.mail("200001", "user@ok.example").await;
    worker.run_due().await;
    let seen = codes(&world.senders[0]);
    assert!(seen.contains("200001"), "the probe is of who has not failed");
    let now = world.clock.now();
    assert!(world.app.memory.sender_breakers.open(now).is_empty());
}

/// Somebody with many mail domains, while nobody else sends anything.
#[tokio::test]
async fn whoever_has_many_bad_addresses_stops_nobody_even_if_there_is_no_other_sender() {
    let world = mail_world(&["a"]).await;
    let mut worker = world.worker();
    for round in 0..20 {
        for number in 0..20 {
            let number = round * 20 + number;
            let code = (100_000 + number).to_string();
            world.mail(&code, &format!("user@full-{number}.example")).await;
        }
        worker.run_due().await;
        world.wait(3);
        if round % 5 == 4 {
            let code = (471_100 + round).to_string();
            world.mail(&code, "user@ok.example").await;
            worker.run_due().await;
            // Of those who have not failed each account has one under way, so it may have to look again once.
            for _ in 0..3 {
                world.wait(1);
                worker.run_due().await;
            }
            assert!(codes(&world.senders[0]).contains(&code), "round {round}");
        }
    }
}

#[tokio::test]
async fn one_tenants_bad_domains_move_and_delay_no_code_of_another() {
    let world = mail_world(&["a", "b"]).await;
    let other = world.another_account().await;
    let mut worker = world.worker();
    for number in 0..12 {
        world.wait(3);
        world
            .mail(
                &(100_000 + number).to_string(),
                &format!("user@full-{number}.example"),
            )
            .await;
        worker.run_due().await;
    }
    assert_eq!(
        world.app.memory.sender_breakers.open(world.clock.now()),
        [name("a")]
    );
    for round in 0..60 {
        // The first tenant goes on, each time with a domain that nobody has seen.
        world
            .mail(
                &(200_000 + round).to_string(),
                &format!("user@more-{round}.example"),
            )
            .await;
        let code = (471_100 + round).to_string();
        other.mail(&code, &format!("user-{round}@ok.example")).await;
        worker.run_due().await;
        assert!(codes(&world.senders[0]).contains(&code), "round {round}");
        world.wait(1);
    }
}

#[tokio::test]
async fn the_names_below_one_domain_are_one_witness() {
    let world = mail_world(&["a", "b"]).await;
    let mut worker = world.worker();
    for number in 0..100 {
        world.wait(1);
        world
            .mail(
                &(100_000 + number).to_string(),
                &format!("user@mx-{number}.full.example"),
            )
            .await;
        worker.run_due().await;
    }
    assert!(
        world
            .app
            .memory
            .sender_breakers
            .open(world.clock.now())
            .is_empty()
    );
}

#[tokio::test]
async fn what_this_server_refuses_itself_says_nothing_of_the_sender() {
    let world = CodeWorld::new(&["a"]).await;
    world.senders[0].now(dead);
    for number in 0..5 {
        world.text(&(471_100 + number).to_string()).await;
        world.deliver().await;
    }
    let now = world.clock.now();
    assert_eq!(world.app.memory.sender_breakers.open(now), [name("a")]);
    let asked = world.senders[0].seen().len();
    // Its code is sealed for another record, so that no message can be made of it.
    let mut broken = world.verification("471200");
    broken.codes[0].sealed = world.verification("471201").codes[0].sealed.clone();
    world.start(broken, Channel::Sms).await.unwrap();
    world.deliver().await;
    assert_eq!(world.senders[0].seen().len(), asked);
    assert_eq!(world.app.memory.sender_breakers.open(now), [name("a")]);
}

#[tokio::test]
async fn a_code_waits_while_another_one_is_on_its_way_to_the_same_number() {
    let world = CodeWorld::new(&["a", "b"]).await;
    world.senders[0].now(silent);
    let number = world.verification("471100").destination;
    for code in ["471100", "471101"] {
        let verification = world.verification_of(code, number.clone());
        world.start(verification, Channel::Sms).await.unwrap();
    }
    world.deliver().await;
    assert_eq!(world.senders[0].seen().len(), 1);
    assert_eq!(
        codes(&world.senders[1]).len(),
        1,
        "the one that was tried goes on"
    );
    let tries = world.tries().await;
    assert!(tries.contains(&("a".to_owned(), "queued")), "{tries:?}");
    world.senders[0].now(good);
    world.wait(2);
    world.deliver().await;
    assert_eq!(codes(&world.senders[0]).len(), 2);
    assert!(world.rows().await.is_empty());
}

#[tokio::test]
async fn no_try_lasts_longer_than_its_code() {
    let world = CodeWorld::new(&["a"]).await;
    world.senders[0].now(silent);
    world.text("471100").await;
    world.clock.advance(Duration::from_millis(600_000 - 50));
    let limits = Limits {
        delivery: Duration::from_mins(1),
        ..Limits::default()
    };
    let mut worker = Worker::new(world.app.clone(), std::sync::Arc::new(Deliveries), limits);
    let over = tokio::time::timeout(Duration::from_secs(10), worker.run_due()).await;
    assert!(over.is_ok(), "it waits for a code that is over");
    assert_eq!(world.senders[0].seen().len(), 1);
    world.wait(1);
    worker.run_due().await;
    assert_eq!(world.senders[0].seen().len(), 1);
    assert!(world.rows().await.is_empty());
}
