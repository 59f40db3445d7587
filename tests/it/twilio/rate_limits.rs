//! Rate limits and their buckets: what a caller manages, and that they hold.

use std::sync::Arc;

use serde_json::json;

use crate::support::app::BASE;
use crate::support::stores::{new_store, sled_in};
use crate::support::{Answer, Client, Interleaved, Service, TestApp, all_at_once};
use countersign::domain::rate_limit::{RateLimit, RateLimitUses, Refusal};
use countersign::domain::sid::ServiceSid;
use countersign::domain::time::Timestamp;
use countersign::flows::check_store::check_store;
use countersign::flows::reading::Reading;
use countersign::flows::store_format;
use countersign::flows::{Error, Fault, rate_limit};
use countersign::store::records::{decode, encode};
use countersign::store::{Batch, Store, keys};

const DAY: u64 = 24 * 3600;

/// Creates a rate limit with these buckets of `(max, interval)`; returns its path.
async fn create(client: &Client<'_>, service: &Service, name: &str, buckets: &[(u32, u32)]) -> String {
    let path = format!("{}/RateLimits", service.path);
    let created = client.post(&path, &[("UniqueName", name)]).await;
    let path = format!("{path}/{}", created.text("sid"));
    for (max, interval) in buckets {
        let form = [("Max", &*max.to_string()), ("Interval", &*interval.to_string())];
        client.post(format!("{path}/Buckets"), &form).await.ok();
    }
    path
}

/// Does what a creation of a verification does: uses the values in the batch that creates something.
async fn use_values(server: &TestApp, service: ServiceSid, values: &[(&str, &str)]) -> Result<(), Refusal> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    let values: Vec<_> = values.iter().map(own).collect();
    loop {
        let now = server.app.clock.now();
        let mut reading = Reading::new(&server.app);
        let batch = match decide(server, &mut reading, service, &values, now).await {
            Ok(batch) => batch,
            Err(Error::Refused(refusal)) => return Err(refusal),
            Err(error) => panic!("{error}"),
        };
        match reading.commit(batch).await {
            Ok(()) => return Ok(()),
            Err(Fault::Conflict(_)) => {}
            Err(fault) => panic!("{fault}"),
        }
    }
}

async fn decide(
    server: &TestApp,
    reading: &mut Reading<'_>,
    service: ServiceSid,
    values: &[(String, String)],
    now: Timestamp,
) -> Result<Batch, Error<Refusal>> {
    let counted = rate_limit::counted(&server.app, reading, service, values).await?;
    rate_limit::enforce(reading, counted, now, Batch::new()).await
}

/// The name of the rate limit that is reached, and how many seconds it takes.
fn reached(refusal: Refusal) -> (String, u64) {
    match refusal {
        Refusal::Reached {
            unique_name,
            retry_after,
        } => (unique_name.to_string(), retry_after.as_secs()),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn rate_limits_and_buckets_have_exactly_twilios_fields() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let path = format!("{}/RateLimits", service.path);
    let form = [
        ("UniqueName", "end_user.ip"),
        ("Description", "What they come from"),
    ];
    let created = client.post(&path, &form).await;
    assert_eq!(created.status, 201, "{}", created.body);
    let sid = created.text("sid");
    assert!(sid.starts_with("RK") && sid.len() == 34, "{sid}");
    let limit = format!("{path}/{sid}");
    let expected = json!({
        "sid": sid,
        "service_sid": service.sid,
        "account_sid": server.account.user,
        "unique_name": "end_user.ip",
        "description": "What they come from",
        "date_created": "2027-01-15T08:00:00Z",
        "date_updated": "2027-01-15T08:00:00Z",
        "links": {"buckets": format!("{BASE}{limit}/Buckets")},
        "url": format!("{BASE}{limit}"),
    });
    assert_eq!(created.body, expected);
    assert_eq!(client.get(&limit).await.ok(), expected);

    let created = client
        .post(format!("{limit}/Buckets"), &[("Max", "5"), ("Interval", "60")])
        .await;
    assert_eq!(created.status, 201, "{}", created.body);
    let bucket_sid = created.text("sid");
    assert!(
        bucket_sid.starts_with("BL") && bucket_sid.len() == 34,
        "{bucket_sid}"
    );
    let bucket = format!("{limit}/Buckets/{bucket_sid}");
    let expected = json!({
        "sid": bucket_sid,
        "rate_limit_sid": sid,
        "service_sid": service.sid,
        "account_sid": server.account.user,
        "max": 5,
        "interval": 60,
        "date_created": "2027-01-15T08:00:00Z",
        "date_updated": "2027-01-15T08:00:00Z",
        "url": format!("{BASE}{bucket}"),
    });
    assert_eq!(created.body, expected);
    assert_eq!(client.get(&bucket).await.ok(), expected);
    assert_eq!(
        client.get(format!("{limit}/Buckets")).await.ok()["buckets"],
        json!([expected])
    );
}

#[tokio::test]
async fn an_update_changes_what_it_names_and_nothing_else() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limit = create(&client, &service, "session", &[(5, 60), (9, 3600)]).await;
    let buckets = client.get(format!("{limit}/Buckets")).await.ok()["buckets"].clone();
    let bucket = format!("{limit}/Buckets/{}", buckets[0]["sid"].as_str().unwrap());
    let (own, other) = (
        buckets[0]["interval"].to_string(),
        buckets[1]["interval"].to_string(),
    );
    server.wait(60);
    for (given, seen) in [("New", json!("New")), ("", json!(null))] {
        let form = [("Description", given), ("UniqueName", "another")];
        let updated = client.post(&limit, &form).await.ok();
        assert_eq!(updated["description"], seen);
        assert_eq!(updated["unique_name"], "session", "the name stays");
        assert_eq!(updated["date_updated"], "2027-01-15T08:01:00Z");
        assert_eq!(updated["date_created"], "2027-01-15T08:00:00Z");
    }
    client.post(&limit, &[("Description", "Kept")]).await.ok();
    assert_eq!(client.post(&limit, &[]).await.ok()["description"], "Kept");

    let updated = client.post(&bucket, &[("Max", "7")]).await.ok();
    assert_eq!(
        (&updated["max"], updated["interval"].to_string()),
        (&json!(7), own.clone())
    );
    assert_eq!(updated["date_updated"], "2027-01-15T08:01:00Z");
    client.post(&bucket, &[("Interval", &own)]).await.ok();
    let updated = client.post(&bucket, &[("Interval", "61")]).await.ok();
    assert_eq!((&updated["max"], &updated["interval"]), (&json!(7), &json!(61)));
    client
        .post(&bucket, &[("Interval", &other)])
        .await
        .refused(400, 60211);
    assert_eq!(client.get(&bucket).await.ok(), updated);
    assert_eq!(
        client.get(format!("{limit}/Buckets")).await.ok()["buckets"][1],
        buckets[1]
    );
}

#[tokio::test]
async fn what_is_deleted_is_gone_and_frees_its_name_and_its_interval() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limit = create(&client, &service, "session", &[(5, 60)]).await;
    let listed = client.get(format!("{limit}/Buckets")).await.ok();
    let bucket = format!(
        "{limit}/Buckets/{}",
        listed["buckets"][0]["sid"].as_str().unwrap()
    );
    let form = [("Max", "1"), ("Interval", "60")];
    let buckets = format!("{limit}/Buckets");
    client.post(&buckets, &form).await.refused(400, 60211);
    assert_eq!(client.delete(&bucket).await.status, 204);
    for answer in [
        client.get(&bucket).await,
        client.delete(&bucket).await,
        client.post(&bucket, &form).await,
    ] {
        answer.refused(404, 20404);
    }
    client.post(&buckets, &form).await.ok();

    let limits = format!("{}/RateLimits", service.path);
    let name = [("UniqueName", "session")];
    client.post(&limits, &name).await.refused(400, 60208);
    // Case counts, and another service has names of its own.
    client.post(&limits, &[("UniqueName", "Session")]).await.ok();
    create(&client, &Service::create(&client).await, "session", &[]).await;
    assert_eq!(client.delete(&limit).await.status, 204);
    for path in [&limit, &bucket, &buckets] {
        client.get(path).await.refused(404, 20404);
    }
    client.delete(&limit).await.refused(404, 20404);
    client.post(&limit, &[]).await.refused(404, 20404);
    client.post(&buckets, &form).await.refused(404, 20404);
    client.post(&limits, &name).await.ok();
}

#[tokio::test]
async fn there_are_50_rate_limits_and_10_buckets_at_the_most() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limits = format!("{}/RateLimits", service.path);
    let mut last = String::new();
    for nth in 0..50 {
        last = create(&client, &service, &nth.to_string(), &[]).await;
    }
    client
        .post(&limits, &[("UniqueName", "more")])
        .await
        .refused(400, 60207);
    client
        .post(&limits, &[("UniqueName", "7")])
        .await
        .refused(400, 60208);
    client.delete(&last).await.ok();
    let limit = create(&client, &service, "more", &[]).await;
    let buckets = format!("{limit}/Buckets");
    for nth in 1..=10_u32 {
        let form = [("Max", "1"), ("Interval", &*nth.to_string())];
        last = client.post(&buckets, &form).await.text("sid");
    }
    let form = [("Max", "1"), ("Interval", "11")];
    client.post(&buckets, &form).await.refused(400, 60210);
    client.delete(format!("{buckets}/{last}")).await.ok();
    client.post(&buckets, &form).await.ok();
}

/// All look before anybody writes: one name, one interval, and no more than there may be.
#[tokio::test]
async fn parallel_creations_share_neither_a_name_nor_an_interval_nor_the_last_place() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limits = format!("{}/RateLimits", service.path);
    let answers = all_at_once((0..8).map(|_| client.posting(&limits, &[("UniqueName", "session")]))).await;
    let codes: Vec<_> = answers.iter().map(Answer::code).collect();
    assert_eq!(codes.iter().filter(|code| **code == 0).count(), 1, "{codes:?}");
    assert_eq!(
        codes.iter().filter(|code| **code == 60208).count(),
        7,
        "{codes:?}"
    );

    let names: Vec<_> = (0..55).map(|nth| nth.to_string()).collect();
    let tasks = names
        .iter()
        .map(|name| client.posting(&limits, &[("UniqueName", name.as_str())]));
    let answers = all_at_once(tasks).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 49);
    assert_eq!(answers.iter().filter(|answer| answer.code() == 60207).count(), 6);

    let limit = answers
        .iter()
        .find(|answer| answer.status == 201)
        .unwrap()
        .text("sid");
    let buckets = format!("{limits}/{limit}/Buckets");
    let form = [("Max", "1"), ("Interval", "60")];
    let answers = all_at_once((0..8).map(|_| client.posting(&buckets, &form))).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 1);
    assert_eq!(answers.iter().filter(|answer| answer.code() == 60211).count(), 7);
    let tasks = names
        .iter()
        .skip(1)
        .take(12)
        .map(|interval| client.posting(&buckets, &[("Max", "1"), ("Interval", interval.as_str())]));
    let answers = all_at_once(tasks).await;
    assert_eq!(answers.iter().filter(|answer| answer.status == 201).count(), 9);
    assert_eq!(answers.iter().filter(|answer| answer.code() == 60210).count(), 3);
}

#[tokio::test]
async fn buckets_are_listed_page_by_page() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let limit = create(&client, &service, "session", &[]).await;
    for interval in ["1", "2", "3", "4", "5"] {
        server.wait(1);
        let form = [("Max", "1"), ("Interval", interval)];
        client.post(format!("{limit}/Buckets"), &form).await.ok();
    }
    let intervals = |body: &serde_json::Value| -> Vec<u64> {
        let items = body["buckets"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["interval"].as_u64().unwrap())
            .collect()
    };
    let mut path = format!("{limit}/Buckets?PageSize=2");
    let mut previous = None;
    for expected in [vec![1, 2], vec![3, 4], vec![5]] {
        let page = client.get(&path).await.ok();
        assert_eq!(intervals(&page), expected);
        let link = |name: &str| {
            let url = page["meta"][name].as_str()?;
            Some(url.strip_prefix(BASE).unwrap().to_owned())
        };
        if let Some(before) = previous.replace(expected.clone()) {
            let back = client.get(link("previous_page_url").unwrap()).await.ok();
            assert_eq!(intervals(&back), before);
        }
        match link("next_page_url") {
            Some(next) => path = next,
            None => assert_eq!(expected, [5]),
        }
    }
}

/// 64 at once, on each store, where 5 may.
#[tokio::test]
async fn of_parallel_uses_exactly_as_many_commit_as_the_bucket_has_room_for() {
    let directory = tempfile::tempdir().unwrap();
    let stores: [Arc<dyn Store>; 3] = [Interleaved::store(), new_store().await, sled_in(directory.path())];
    for store in stores {
        let server = TestApp::on(store).await;
        store_format::check(&server.app).await.unwrap();
        let client = server.client();
        let service = Service::create(&client).await;
        create(&client, &service, "session", &[(5, 60), (100, 3600)]).await;
        let sid = service.sid.parse().unwrap();
        for _ in 0..2 {
            let tasks = (0..64).map(|_| {
                let server = server.clone();
                async move { use_values(&server, sid, &[("session", "s-1")]).await }
            });
            let (used, refused): (Vec<_>, Vec<_>) =
                all_at_once(tasks).await.into_iter().partition(Result::is_ok);
            assert_eq!(used.len(), 5);
            for refusal in refused {
                assert_eq!(reached(refusal.unwrap_err()), ("session".to_owned(), 60));
            }
            server.wait(60);
        }
        let report = check_store(&server.app).await.unwrap();
        assert!(report.is_healthy(), "{report}");
        server.app.store.close().await.unwrap();
    }
}

#[tokio::test]
async fn each_value_counts_by_itself_and_all_that_is_named_holds() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let sid = service.sid.parse().unwrap();
    create(&client, &service, "session", &[(2, 60)]).await;
    let address = create(&client, &service, "address", &[(3, 600)]).await;
    create(&client, &service, "unlimited", &[]).await;
    let both = |session, ip| [("session", session), ("address", ip)];
    use_values(&server, sid, &both("s-1", "192.0.2.1")).await.unwrap();
    // An equal pair is one use, and a rate limit without buckets none.
    let twice = [("session", "s-1"), ("unlimited", "x"), ("session", "s-1")];
    use_values(&server, sid, &twice).await.unwrap();
    let refused = use_values(&server, sid, &both("s-1", "192.0.2.2"))
        .await
        .unwrap_err();
    assert_eq!(reached(refused), ("session".to_owned(), 60));
    use_values(&server, sid, &both("s-2", "192.0.2.1")).await.unwrap();
    use_values(&server, sid, &both("s-2", "192.0.2.1")).await.unwrap();
    // Both are reached: the one that takes longer is named.
    let refused = use_values(&server, sid, &both("s-2", "192.0.2.1"))
        .await
        .unwrap_err();
    assert_eq!(reached(refused), ("address".to_owned(), 600));
    // What was refused used nothing of the other: its third place is free.
    for _ in 0..3 {
        drop(use_values(&server, sid, &both("s-3", "192.0.2.2")).await);
    }
    use_values(&server, sid, &[("address", "192.0.2.2")])
        .await
        .unwrap();
    use_values(&server, sid, &[]).await.unwrap();
    server.wait(60);
    use_values(&server, sid, &[("session", "s-1")]).await.unwrap();

    let before = server.dump().await;
    for unknown in ["Session", "", "other"] {
        let refused = use_values(&server, sid, &[("session", "s-9"), (unknown, "x")]).await;
        assert_eq!(refused, Err(Refusal::Unknown));
    }
    assert_eq!(server.dump().await, before);
    client.delete(&address).await.ok();
    let refused = use_values(&server, sid, &[("address", "192.0.2.1")]).await;
    assert_eq!(refused, Err(Refusal::Unknown));
    // One that gets the name begins anew.
    create(&client, &service, "address", &[(1, 600)]).await;
    use_values(&server, sid, &[("address", "192.0.2.1")])
        .await
        .unwrap();
    let another = Service::create(&client).await;
    create(&client, &another, "address", &[(1, 600)]).await;
    use_values(&server, another.sid.parse().unwrap(), &[("address", "192.0.2.1")])
        .await
        .unwrap();
}

/// Whoever decided by the buckets of a moment ago does not commit.
#[tokio::test]
async fn a_use_that_was_decided_by_other_buckets_is_decided_anew() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let sid: ServiceSid = service.sid.parse().unwrap();
    let limit = create(&client, &service, "session", &[(5, 60)]).await;
    let values = [("session".to_owned(), "s-1".to_owned())];
    let now = server.app.clock.now();
    for change in ["bucket", "limit"] {
        let mut reading = Reading::new(&server.app);
        let batch = decide(&server, &mut reading, sid, &values, now).await;
        match change {
            "bucket" => {
                let form = [("Max", "1"), ("Interval", "3600")];
                client.post(format!("{limit}/Buckets"), &form).await.ok();
            }
            _ => drop(client.delete(&limit).await.ok()),
        }
        let committed = reading.commit(batch.unwrap()).await;
        assert!(
            matches!(committed, Err(Fault::Conflict(_))),
            "{change}: {committed:?}"
        );
    }
}

#[tokio::test]
async fn values_are_stored_unreadably_and_until_their_intervals_are_over() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let sid = service.sid.parse().unwrap();
    create(&client, &service, "address", &[(2, 60), (9, 2_592_000)]).await;
    create(&client, &service, "session", &[(2, 60)]).await;
    let before = server.dump().await;
    let values = [("address", "a private address"), ("session", "a private session")];
    use_values(&server, sid, &values).await.unwrap();
    let after = server.dump().await;
    assert_eq!(after.len(), before.len() + 2);
    for (key, entry) in &after {
        for bytes in [key, &entry.value] {
            assert!(!bytes.windows(7).any(|window| window == b"private"));
        }
    }
    server.wait(60);
    server.sweep().await;
    let kept = server.scan(keys::all_rate_limit_uses(sid)).await;
    assert_eq!(kept.len(), 1, "the longer one is still needed");
    server.wait(30 * DAY);
    server.sweep().await;
    assert_eq!(server.dump().await, before);

    // A service that is deleted leaves none of them.
    use_values(&server, sid, &values).await.unwrap();
    client.delete(&service.path).await.ok();
    server.sweep().await;
    assert!(server.scan(keys::all_rate_limit_uses(sid)).await.is_empty());
    assert!(
        server
            .scan(keys::rate_limits(sid).bytes().to_vec())
            .await
            .is_empty()
    );
}

#[tokio::test]
async fn damage_to_rate_limits_is_found() {
    let server = TestApp::new().await;
    store_format::check(&server.app).await.unwrap();
    let client = server.client();
    let service = Service::create(&client).await;
    let sid: ServiceSid = service.sid.parse().unwrap();
    let limit = create(&client, &service, "session", &[(5, 60), (9, 600)]).await;
    create(&client, &service, "address", &[(5, 60)]).await;
    use_values(&server, sid, &[("session", "s-1")]).await.unwrap();
    assert!(check_store(&server.app).await.unwrap().is_healthy());
    let says = |expected: &'static str| {
        let server = server.clone();
        async move {
            let report = check_store(&server.app).await.unwrap().to_string();
            assert!(report.contains(expected), "{report}");
        }
    };

    let limits = server.scan(keys::rate_limits(sid).bytes().to_vec()).await;
    let of = |name: &str| {
        let mut all = limits
            .iter()
            .map(|(key, entry)| (key.clone(), decode(&entry.value).unwrap()));
        all.find(|(_, limit): &(_, RateLimit)| limit.unique_name.as_str() == name)
            .unwrap()
    };
    let (key, healthy) = of("session");
    let put = |limit: &RateLimit| {
        let batch = Batch::new().put(key.clone(), encode(limit).unwrap());
        let server = server.clone();
        async move { server.app.store.commit(batch).await.unwrap() }
    };
    let (_, other) = of("address");
    let mut damaged = healthy.clone();
    damaged.unique_name = other.unique_name;
    put(&damaged).await;
    says("another rate limit of its service has its name").await;
    damaged = healthy.clone();
    for bucket in &mut damaged.buckets {
        bucket.interval = healthy.buckets[0].interval;
    }
    put(&damaged).await;
    says("two of its buckets have the same interval").await;
    damaged = healthy.clone();
    damaged.buckets = vec![healthy.buckets[0].clone(); 11];
    put(&damaged).await;
    says("it has more than 10 buckets").await;
    put(&healthy).await;
    assert!(check_store(&server.app).await.unwrap().is_healthy());

    let (key, entry) = server.scan(keys::all_rate_limit_uses(sid)).await.remove(0);
    let uses: RateLimitUses = decode(&entry.value).unwrap();
    let end = entry.expires_at.unwrap();
    let put = |uses: &RateLimitUses, end| {
        let batch = Batch::new().put_until(key.clone(), encode(uses).unwrap(), end);
        let server = server.clone();
        async move { server.app.store.commit(batch).await.unwrap() }
    };
    let mut twice = uses.clone();
    twice.buckets.push(uses.buckets[0]);
    put(&twice, end).await;
    says("it has the uses of a bucket twice").await;
    put(&uses, end + std::time::Duration::from_hours(31 * 24)).await;
    says("it is kept for longer than any interval").await;
    put(&uses, end).await;
    // Those of a rate limit that is gone are left to the sweeper.
    client.delete(&limit).await.ok();
    assert!(check_store(&server.app).await.unwrap().is_healthy());
}
