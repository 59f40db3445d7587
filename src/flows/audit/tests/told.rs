//! Whoever does something is found in the log, and only what is asked for is written.

use super::*;

/// The story of a user whose code was refused, as it can be read afterwards.
#[tokio::test]
async fn who_did_what_and_why_it_was_refused_is_told() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    let (name, factor, secret) = enrolled(&world).await;
    let step = world.app.clock.now().seconds() / 30;
    let code = |step: u64| {
        code_at(
            &secret,
            crate::domain::totp_algorithm::TotpAlgorithm::Sha1,
            6,
            step,
        )
        .unwrap()
    };
    give(&world, &name, factor, code(step - 5).reveal()).await;
    give(&world, &name, factor, "nonsense").await;
    give(&world, &name, factor, code(step).reveal()).await;
    give(&world, &name, factor, code(step).reveal()).await;
    let entries = world.entries().await;
    let told: Vec<_> = entries
        .iter()
        .map(|entry| {
            let changes: Vec<_> = entry
                .changes
                .iter()
                .map(|change| format!("{} {}", change.change.name(), change.what))
                .collect();
            let decision = entry.decision.as_ref();
            let reason = decision.and_then(|decision| decision.reason.clone());
            (
                entry.author.to_string(),
                entry.outcome().name(),
                reason.unwrap_or_default(),
                changes,
            )
        })
        .collect();
    let expect = |number: usize, author: &str, outcome: &str, why: &str, change: &str| {
        let (by, ended, reason, changes) = &told[number];
        assert_eq!((by.as_str(), *ended), (author, outcome), "{told:#?}");
        assert!(reason.contains(why), "{told:#?}");
        assert!(change.is_empty() == changes.is_empty(), "{told:#?}");
        assert!(
            changes.iter().any(|what| what.contains(change)) || change.is_empty(),
            "{told:#?}"
        );
    };
    expect(0, "server", "done", "", "created account");
    expect(1, "account", "done", "", "created service");
    expect(2, "account", "done", "", &format!("created factor {factor}"));
    expect(3, "account", "refused", "outside the window by -4 time steps", "");
    expect(4, "account", "refused", "length", "");
    expect(5, "account", "approved", "", "");
    expect(6, "account", "refused", "verified", "");
    assert_eq!(told.len(), 7, "{told:#?}");
    let asked = entries[3].request.as_ref().unwrap();
    assert_eq!(
        (asked.dialect.as_str(), asked.address.as_str(), asked.id),
        ("example", "192.0.2.1", [7; 16])
    );
    let decision = entries[5].decision.as_ref().unwrap();
    assert_eq!(decision.act, AuditAct::CheckCode);
    assert_eq!(decision.subject.factor, Some(factor));
    assert_eq!(decision.subject.service, Some(name.service));

    let found = async |filter: AuditFilter| world.all(&filter).await.len();
    let by_factor = AuditFilter {
        factor: Some(factor),
        ..AuditFilter::default()
    };
    assert_eq!(found(by_factor.clone()).await, 5);
    let refused = AuditFilter {
        outcome: Some(AuditOutcome::Refused),
        ..by_factor
    };
    assert_eq!(found(refused).await, 3);
    let identity = |text: &str| AuditFilter {
        identity: Some(text.to_owned()),
        ..AuditFilter::default()
    };
    assert_eq!(
        (
            found(identity("user-0001")).await,
            found(identity("user-0002")).await
        ),
        (5, 0)
    );
    let now = world.app.clock.now();
    let late = AuditFilter {
        since: Some(now + Duration::from_secs(1)),
        ..AuditFilter::default()
    };
    let early = AuditFilter {
        until: Some(now),
        ..AuditFilter::default()
    };
    assert_eq!((found(late).await, found(early).await), (0, 0));
}

#[tokio::test]
async fn nothing_is_written_when_it_is_off_and_every_change_when_all_are_asked_for() {
    let world = AuditWorld::new(AuditDetail::Off).await;
    let _enrolled = enrolled(&world).await;
    assert!(world.entries().await.is_empty());

    let world = AuditWorld::new(AuditDetail::All).await;
    let (name, factor, secret) = enrolled(&world).await;
    let step = world.app.clock.now().seconds() / 30;
    let code = code_at(
        &secret,
        crate::domain::totp_algorithm::TotpAlgorithm::Sha1,
        6,
        step,
    )
    .unwrap();
    give(&world, &name, factor, code.reveal()).await;
    let entries = world.entries().await;
    let last = entries.last().unwrap();
    assert_eq!(last.outcome(), AuditOutcome::Approved);
    assert!(
        last.changes.iter().any(|change| change.what.contains("factor")),
        "{last:?}"
    );
}

/// An entry of a later release hides none of those around it, and is told of itself.
#[tokio::test]
async fn what_cannot_be_read_is_left_out_and_named() {
    let world = AuditWorld::new(AuditDetail::Decisions).await;
    world.fill(3).await;
    let read = world.all(&AuditFilter::default()).await;
    let (unreadable, _) = read[1];
    let key = keys::audit_entries(world.account).key(unreadable.as_bytes());
    let there = world.app.store.get(key.bytes()).await.unwrap().unwrap();
    let later = Entry {
        value: b"of a later release".to_vec(),
        ..there
    };
    world.put(key.bytes(), &later).await;
    let sids = |entries: &[(AuditSid, AuditEntry)]| entries.iter().map(|(sid, _)| *sid).collect::<Vec<_>>();
    let mut left = sids(&read);
    left.remove(1);
    for order in [Order::Ascending, Order::Descending] {
        let all = AuditFilter::default();
        let found = page(&world.app, world.account, &all, order, None, 1000).await;
        let found = found.unwrap();
        let mut shown = sids(&found.entries);
        shown.sort();
        assert_eq!((shown, found.unreadable), (left.clone(), vec![unreadable]));
    }
    let everything = WantedEntries {
        is_wanted: &|_| true,
        limit: 1000,
    };
    let [found] = latest(&world.app, world.account, [everything]).await.unwrap();
    let mut shown = sids(&found.entries);
    shown.reverse();
    assert_eq!((shown, found.unreadable), (left, 1));
}
