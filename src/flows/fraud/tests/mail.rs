//! What an attacker with mailboxes does: tags and dots without end, a domain where every name is his.

use super::*;

/// How many of the addresses get a code, one each second, and why the first one got none.
async fn sent(node: &Node, addresses: impl Iterator<Item = String>) -> (usize, Option<BlockReason>) {
    let (mut sent, mut refusal) = (0, None);
    for address in addresses {
        match node.send(&email(&address)).await {
            Ok(_) => sent += 1,
            refused => refusal = refusal.or(why(&refused)),
        }
        node.clock.advance(Duration::from_secs(1));
    }
    (sent, refusal)
}

#[tokio::test]
async fn five_hundred_tags_of_one_mailbox_are_one_destination() {
    for spelled in [
        |n: usize| format!("ada.lovelace+{n}@gmail.com"),
        |n: usize| format!("Ada.Lovelace+{n}@Outlook.com"),
        |n: usize| format!("ada+{n}@{}", ["icloud.com", "me.com", "mac.com"][n % 3]),
        |n: usize| {
            let dots: String = "adalovelace"
                .chars()
                .enumerate()
                .flat_map(|(place, c)| [Some(c), (n >> place & 1 == 1 && place < 10).then_some('.')])
                .flatten()
                .collect();
            format!("{dots}@{}", ["gmail.com", "googlemail.com"][n % 2])
        },
    ] {
        let node = Node::new(Settings::default()).await;
        let found = sent(&node, (0..500).map(spelled)).await;
        assert_eq!(found, (30, Some(BlockReason::NumberBudget)), "{}", spelled(7));
        // Everybody else at the provider gets codes.
        assert_eq!(
            sent(&node, (0..200).map(|n| format!("user{n}@gmail.com")))
                .await
                .0,
            200
        );
    }
}

#[tokio::test]
async fn a_domain_whose_codes_nobody_types_is_blocked_with_all_below_it() {
    for spelled in [
        |n: usize| format!("user{n}@evil.example"),
        |n: usize| format!("user@host{n}.evil.example"),
        |n: usize| format!("user{n}@x.evil.co.uk"),
    ] {
        let node = Node::new(Settings::default()).await;
        let (count, refusal) = sent(&node, (0..1000).map(spelled)).await;
        assert!((25..=330).contains(&count), "{count}");
        assert_eq!(refusal, Some(BlockReason::LowConversion), "{}", spelled(7));
        assert_eq!(node.told().await.len(), 1);
        assert_eq!(
            sent(&node, std::iter::once("ada@example.com".to_owned())).await.0,
            1
        );
    }
}

#[tokio::test]
async fn a_domain_has_a_budget_and_the_great_providers_have_none() {
    let settings = Settings {
        conversion: None,
        ..Settings::default()
    };
    let node = Node::new(settings).await;
    let found = sent(&node, (0..1000).map(|n| format!("user{n}@evil.example"))).await;
    assert_eq!(found, (500, Some(BlockReason::PrefixBudget)));
    let found = sent(&node, (0..1000).map(|n| format!("user{n}@gmail.com"))).await;
    assert_eq!(found, (1000, None));
}

/// Anybody can ask for codes to a company's mailboxes in vain.
#[tokio::test]
async fn an_account_opens_a_domain_that_strangers_closed() {
    let budget = Settings {
        conversion: None,
        ..Settings::default()
    };
    for (settings, reason) in [
        (Settings::default(), BlockReason::LowConversion),
        (budget, BlockReason::PrefixBudget),
    ] {
        let node = Node::new(settings).await;
        let strangers = (0..1000).map(|n| format!("user{n}@bigcorp.example"));
        assert_eq!(sent(&node, strangers).await.1, Some(reason));
        let ada = "ada@mail.bigcorp.example";
        assert_eq!(
            sent(&node, std::iter::once(ada.to_owned())).await,
            (0, Some(reason))
        );
        let (app, account, service) = (&node.app, node.account(), node.service.sid);
        let key = keys::service(account, service);
        let batch = Batch::new().put_record(key, &node.service).unwrap();
        app.store.commit(batch).await.unwrap();
        let told = node.told().await.len();
        crate::flows::verification::unlock(app, account, service, &email(ada))
            .await
            .unwrap();
        let events = node.told().await;
        assert_eq!(events.len(), told + 1, "{events:?}");
        for round in 0..10 {
            let address = format!("colleague{round}@bigcorp.example");
            assert_eq!(sent(&node, std::iter::once(address)).await.0, 1, "{round}");
        }
        // It closes again for the same reason.
        let strangers = (0..1000).map(|n| format!("other{n}@bigcorp.example"));
        assert_eq!(sent(&node, strangers).await.1, Some(reason));
    }
}

/// What another process lifts is lifted here, too: neither what memory holds nor what is learnt anew closes it again.
#[tokio::test]
async fn what_another_process_unlocks_is_open_at_all() {
    let number = Settings {
        conversion: None,
        ..Settings::default()
    };
    for settings in [Settings::default(), number] {
        let node = Node::new(settings).await;
        let other = node.another();
        let strangers = (0..1000).map(|n| format!("user{n}@bigcorp.example"));
        assert!(sent(&node, strangers).await.1.is_some());
        let ada = "ada@bigcorp.example";
        let key = keys::service(node.account(), node.service.sid);
        let batch = Batch::new().put_record(key, &node.service).unwrap();
        node.app.store.commit(batch).await.unwrap();
        crate::flows::verification::unlock(&other.app, node.account(), node.service.sid, &email(ada))
            .await
            .unwrap();
        node.clock.advance(Duration::from_secs(1));
        for round in 0..3 {
            crate::flows::fraud::rebuild(&other.app).await.unwrap();
            for (asks, node) in [("there", &other), ("here", &node)] {
                let address = format!("{asks}{round}@bigcorp.example");
                assert_eq!(
                    sent(node, std::iter::once(address)).await,
                    (1, None),
                    "{asks} {round}"
                );
            }
        }
    }
}
