//! Lists among which somebody else wrote more than one read goes past.

use super::*;
use crate::domain::sid::AccountSid;
use crate::doubles::TestParts;
use crate::store::Batch;

const LISTING: &[u8] = b"~listing";

fn sid(number: u32) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn key(number: u32) -> Vec<u8> {
    [LISTING, &sid(number)].concat()
}

/// A server with items of these numbers, and something that somebody else wrote at each of those keys.
async fn server(items: &[u32], forged: impl Iterator<Item = Vec<u8>>) -> App {
    let app = TestParts::default().wire();
    let put = |batch: Batch, number: &u32| batch.put(key(*number), vec![1]);
    app.store
        .commit(items.iter().fold(Batch::new(), put))
        .await
        .unwrap();
    for chunk in forged.collect::<Vec<_>>().chunks(1000) {
        let forge = |batch: Batch, key: &Vec<u8>| batch.put(key.clone(), vec![7; 40]);
        let batch = chunk.iter().fold(Batch::new(), forge);
        app.engine.commit(batch).await.unwrap();
    }
    app
}

async fn page_at(app: &App, cursor: Cursor, order: Order) -> Result<Page<([u8; 16], Entry)>, Fault> {
    let request = PageRequest {
        size: 2,
        cursor,
        order,
    };
    read(app, LISTING, request, |sid| sid.to_vec(), keys::last_sid).await
}

/// All pages from the first one on; their items' numbers.
async fn all(app: &App, order: Order) -> Vec<Vec<u32>> {
    let (mut cursor, mut pages) = (Cursor::Start, Vec::new());
    loop {
        let forged = app.store.statistics().forged;
        let page = page_at(app, cursor, order).await.unwrap();
        assert!(app.store.statistics().forged - forged < 6000);
        pages.push(numbers(&page));
        match page.next {
            Some(next) => cursor = next,
            None => return pages,
        }
    }
}

fn numbers(page: &Page<([u8; 16], Entry)>) -> Vec<u32> {
    let numbers = page.items.iter().map(|(sid, _)| u128::from_be_bytes(*sid));
    numbers.map(|number| u32::try_from(number).unwrap()).collect()
}

#[tokio::test]
async fn a_list_answers_with_what_it_has_and_goes_on_behind_what_is_forged() {
    let items = [1, 2, 3, 20_000, 20_001];
    let app = server(&items, (4..20_000).map(key)).await;
    for order in [Order::Ascending, Order::Descending] {
        let pages = all(&app, order).await;
        assert!(pages.len() < 10, "{pages:?}");
        assert!(
            pages.iter().any(Vec::is_empty),
            "some page is of nothing else: {pages:?}"
        );
        let mut expected = items.to_vec();
        if order == Order::Descending {
            expected.reverse();
        }
        assert_eq!(pages.concat(), expected);
    }
    // And back: each page knows the one before it.
    let (mut cursor, mut found) = (Cursor::Before(sid(30_000)), Vec::new());
    loop {
        let page = page_at(&app, cursor, Order::Ascending).await.unwrap();
        found.splice(0..0, numbers(&page));
        match page.previous {
            Some(previous) => cursor = previous,
            None => break,
        }
    }
    assert_eq!(found, items);
}

/// An empty page is no dead end in either direction.
#[tokio::test]
async fn a_page_of_nothing_else_leads_back() {
    let app = server(&[1, 20_000], (4..20_000).map(key)).await;
    let first = page_at(&app, Cursor::Start, Order::Ascending).await.unwrap();
    let second = page_at(&app, first.next.unwrap(), Order::Ascending)
        .await
        .unwrap();
    assert_eq!((numbers(&first), numbers(&second)), (vec![1], vec![]));
    let (mut cursor, mut back) = (second.previous.unwrap(), Vec::new());
    while back.is_empty() {
        let page = page_at(&app, cursor, Order::Ascending).await.unwrap();
        back = numbers(&page);
        cursor = page.previous.unwrap_or(Cursor::Start);
    }
    assert_eq!(back, [1]);
}

/// What no cursor can name is not gone past by a caller, who is told so.
#[tokio::test]
async fn a_list_fails_behind_keys_that_are_none_of_its_own() {
    let forged = (4..20_000).map(|number| [&key(number)[..], b"x"].concat());
    let app = server(&[1, 2, 3, 20_000], forged).await;
    let first = page_at(&app, Cursor::Start, Order::Ascending).await.unwrap();
    assert_eq!(numbers(&first), [1, 2]);
    let refused = page_at(&app, first.next.unwrap(), Order::Ascending).await;
    match refused {
        Err(Fault::Forged(why)) => assert!(why.contains("`countersign store check` names them"), "{why}"),
        other => panic!("{other:?}"),
    }
}

/// What goes through the store beside all requests reads on, and lets them have their turn.
#[tokio::test]
async fn a_walk_goes_past_any_number_and_others_get_their_turn() {
    let app = server(&[1, 30_000], (2..30_000).map(key)).await;
    let turns = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(0));
    let counted = std::sync::Arc::clone(&turns);
    let other = tokio::spawn(async move {
        loop {
            counted.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
            tokio::task::yield_now().await;
        }
    });
    let scan = Scan {
        prefix: LISTING.to_vec(),
        after: None,
        order: Order::Ascending,
        limit: 2,
    };
    let found = Reading::new(&app).scan_past(scan).await.unwrap();
    assert_eq!(found.len(), 2);
    assert!(turns.load(std::sync::atomic::Ordering::SeqCst) >= 5);
    other.abort();
}

/// Whoever is notified waits for it, so it is a bounded number.
#[tokio::test]
async fn what_an_account_is_told_goes_past_a_bounded_number() {
    let account = AccountSid::from_bytes([7; 16]);
    let services = keys::services(account);
    let forged = (0..20_000).map(|number| [services.bytes(), &sid(number)].concat());
    let app = server(&[], forged).await;
    let before = app.store.statistics().forged;
    let found = Reading::new(&app).list_readable(&services, 1000).await.unwrap();
    assert!(found.is_empty());
    assert!(app.store.statistics().forged - before < 6000);
}
