//! Lists, page by page: nothing left out, nothing twice, whatever is deleted meanwhile.

use serde_json::Value;

use crate::support::app::BASE;
use crate::support::world::sid_of;
use crate::support::{Client, Service, TestApp};

/// A page, as a client sees it.
struct Page {
    sids: Vec<String>,
    meta: Value,
}

impl Page {
    async fn fetch(client: &Client<'_>, path: &str) -> Self {
        let body = client.get(path).await.ok();
        let members: Vec<_> = body.as_object().unwrap().keys().cloned().collect();
        let key = body["meta"]["key"].as_str().unwrap().to_owned();
        assert_eq!(members, [key.as_str(), "meta"]);
        let sids = body[&key]
            .as_array()
            .unwrap()
            .iter()
            .map(|item| item["sid"].as_str().unwrap().to_owned());
        Self {
            sids: sids.collect(),
            meta: body["meta"].clone(),
        }
    }

    /// The page's address on this server; every address is absolute.
    fn link(&self, name: &str) -> Option<String> {
        let url = self.meta[name].as_str()?;
        Some(
            url.strip_prefix(BASE)
                .unwrap_or_else(|| panic!("{url}"))
                .to_owned(),
        )
    }
}

/// Walks to the end and back to the beginning, and checks that both ways show the same pages.
async fn walk(client: &Client<'_>, path: &str, size: usize) -> Vec<String> {
    let separator = if path.contains('?') { '&' } else { '?' };
    let mut pages = vec![Page::fetch(client, &format!("{path}{separator}PageSize={size}")).await];
    while let Some(next) = pages[pages.len() - 1].link("next_page_url") {
        pages.push(Page::fetch(client, &next).await);
        assert!(pages.len() < 100);
    }
    assert_eq!(pages[0].link("previous_page_url"), None);
    for (number, page) in pages.iter().enumerate() {
        assert_eq!(page.meta["page"], number);
        assert_eq!(page.meta["page_size"], size);
        assert!(page.sids.len() == size || number == pages.len() - 1);
        let itself = Page::fetch(client, &page.link("url").unwrap()).await;
        assert_eq!(itself.sids, page.sids);
        let first = Page::fetch(client, &page.link("first_page_url").unwrap()).await;
        assert_eq!(first.sids, pages[0].sids);
    }
    for number in (1..pages.len()).rev() {
        let mut back = pages[number].link("previous_page_url").unwrap();
        for earlier in (0..number).rev() {
            let page = Page::fetch(client, &back).await;
            assert_eq!(page.sids, pages[earlier].sids, "from {number} back to {earlier}");
            let forth = Page::fetch(client, &page.link("next_page_url").unwrap()).await;
            assert_eq!(forth.sids, pages[earlier + 1].sids);
            match page.link("previous_page_url") {
                Some(link) => back = link,
                None => assert_eq!(earlier, 0),
            }
        }
    }
    pages.into_iter().flat_map(|page| page.sids).collect()
}

/// All of it is made in one millisecond.
#[tokio::test]
async fn every_list_shows_everything_once_in_the_order_of_creation() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let user = service.user("user-0001");
    let (mut services, mut entities, mut factors, mut webhooks) =
        (vec![service.sid.clone()], vec![], vec![], vec![]);
    for nth in 0..11 {
        if nth > 0 {
            services.push(Service::create(&client).await.sid);
        }
        let form = [("Identity", &*format!("other-{:05}", 99 - nth))];
        entities.push(
            client
                .post(format!("{}/Entities", service.path), &form)
                .await
                .text("sid"),
        );
        factors.push(user.unverified_totp(&client, &nth.to_string(), &[]).await.sid);
        let form = [
            ("FriendlyName", "x"),
            ("EventTypes", "*"),
            ("WebhookUrl", "https://x.example"),
        ];
        webhooks.push(
            client
                .post(format!("{}/Webhooks", service.path), &form)
                .await
                .text("sid"),
        );
    }
    entities.insert(1, client.get(&user.path).await.text("sid"));
    let lists = [
        ("/v2/Services".to_owned(), services),
        (format!("{}/Entities", service.path), entities),
        (format!("{}/Factors", user.path), factors),
        (format!("{}/Webhooks", service.path), webhooks),
    ];
    for (path, expected) in lists {
        for size in [1, 3, 4, 11, 12, 1000] {
            let walked = walk(&client, &path, size).await;
            assert_eq!(walked, expected, "{path} by {size}");
        }
    }
}

#[tokio::test]
async fn challenges_are_listed_by_factor_status_and_order() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = Service::create(&client).await.user("user-0001");
    let (device, other) = (
        user.device(&server, &client).await,
        user.device(&server, &client).await,
    );
    let mut all = Vec::new();
    // Expired ones first: they are in the index of pending ones until they are swept.
    for nth in 0..12 {
        if nth == 3 {
            server.wait(300);
        }
        let by = if nth % 4 == 2 { &other } else { &device };
        let challenge = user.push_challenge(&client, by).await;
        let status = match nth {
            ..3 => "expired",
            3 | 6 => "approved",
            8 => "denied",
            _ => "pending",
        };
        if ["approved", "denied"].contains(&status) {
            by.answer(&server, &challenge, status).await.ok();
        }
        all.push((sid_of(&challenge).to_owned(), by.factor.clone(), status));
    }
    let challenges = format!("{}/Challenges", user.path);
    for status in ["", "pending", "approved", "denied", "expired"] {
        for factor in ["", &device.factor, &other.factor] {
            for order in ["", "asc", "desc"] {
                let wanted = all.iter().filter(|(_, by, is)| {
                    (factor.is_empty() || by == factor) && (status.is_empty() || *is == status)
                });
                let mut expected: Vec<_> = wanted.map(|(sid, _, _)| sid.clone()).collect();
                if order == "desc" {
                    expected.reverse();
                }
                let path = format!("{challenges}?Status={status}&FactorSid={factor}&Order={order}");
                for size in [1, 2, 5, 50] {
                    let found = collect(&client, &path, size).await;
                    assert_eq!(found, expected, "{path} by {size}");
                }
            }
        }
    }
    let path = format!("{challenges}?FactorSid={}&Order=desc", device.factor);
    walk(&client, &path, 2).await;
}

/// Follows the list to its end. Pages of a filtered list may hold fewer items than they could.
async fn collect(client: &Client<'_>, path: &str, size: usize) -> Vec<String> {
    let mut sids = Vec::new();
    let mut next = Some(format!("{path}&PageSize={size}"));
    let filters: Vec<_> = path
        .split_once('?')
        .unwrap()
        .1
        .split('&')
        .filter(|pair| !pair.ends_with('='))
        .collect();
    while let Some(path) = next {
        let page = Page::fetch(client, &path).await;
        assert!(page.sids.len() <= size);
        for name in ["first_page_url", "url", "next_page_url", "previous_page_url"] {
            if let Some(link) = page.link(name) {
                assert!(
                    filters.iter().all(|filter| link.contains(filter)),
                    "{link} lost a filter of {path}"
                );
            }
        }
        next = page.link("next_page_url");
        sids.extend(page.sids);
    }
    sids
}

/// A token leads on from where an item was, whether it is still there or not.
#[tokio::test]
async fn items_deleted_meanwhile_break_no_list() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let mut identities = Vec::new();
    let mut sids = Vec::new();
    for nth in 0..12 {
        server.wait(1);
        let identity = format!("user-{nth:05}");
        let form = [("Identity", identity.as_str())];
        sids.push(
            client
                .post(format!("{}/Entities", service.path), &form)
                .await
                .text("sid"),
        );
        identities.push(identity);
    }
    let delete = async |nth: usize| client.delete(service.user(&identities[nth]).path).await.ok();
    let first = Page::fetch(&client, &format!("{}/Entities?PageSize=4", service.path)).await;
    assert_eq!(first.sids, sids[..4]);
    // The item that the token names, one before it, and the first of the next page.
    delete(3).await;
    delete(1).await;
    delete(4).await;
    let second = Page::fetch(&client, &first.link("next_page_url").unwrap()).await;
    assert_eq!(second.sids, sids[5..9]);
    delete(5).await;
    delete(8).await;
    let back = Page::fetch(&client, &second.link("previous_page_url").unwrap()).await;
    assert_eq!(back.sids, [sids[0].clone(), sids[2].clone()]);
    let third = Page::fetch(&client, &second.link("next_page_url").unwrap()).await;
    assert_eq!(third.sids, sids[9..]);
    assert_eq!(third.link("next_page_url"), None);
    for nth in 9..12 {
        delete(nth).await;
    }
    let gone = Page::fetch(&client, &second.link("next_page_url").unwrap()).await;
    assert!(gone.sids.is_empty() && gone.link("next_page_url").is_none());
}

/// A token is no secret and no key: on another list it shows what that list shows.
#[tokio::test]
async fn a_page_token_of_another_list_opens_nothing() {
    let server = TestApp::new().await;
    let stranger = server.another_account().await;
    let theirs = server.client_of(&stranger);
    for _ in 0..3 {
        Service::create(&theirs).await;
    }
    let page = Page::fetch(&theirs, "/v2/Services?PageSize=1").await;
    let next = page.link("next_page_url").unwrap();
    let client = server.client();
    assert_eq!(Page::fetch(&client, &next).await.sids.len(), 0);
    let mine = Service::create(&client).await;
    for token in [
        "PA00000000000000000000000000000000",
        "PBffffffffffffffffffffffffffffffff",
    ] {
        let listed = Page::fetch(&client, &format!("/v2/Services?PageToken={token}")).await;
        assert_eq!(listed.sids, [mine.sid.as_str()]);
    }
}
