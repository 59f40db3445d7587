//! Which messaging service sends where: one for each country and one for the rest.

use countersign::domain::country::Country;
use countersign::domain::messaging_configuration::Region;
use countersign::flows::messaging_configuration;
use serde_json::json;

use crate::support::app::BASE;
use crate::support::operations::MESSAGING_SERVICE;
use crate::support::{Interleaved, Service, TestApp, all_at_once};

#[tokio::test]
async fn a_messaging_configuration_has_exactly_twilios_fields() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let path = format!("{}/MessagingConfigurations", service.path);
    for (given, country) in [("CA", "CA"), ("gb", "GB"), ("all", "all")] {
        let form = [("Country", given), ("MessagingServiceSid", MESSAGING_SERVICE)];
        let created = client.post(&path, &form).await;
        assert_eq!(created.status, 201, "{}", created.body);
        let expected = json!({
            "account_sid": server.account.user,
            "service_sid": service.sid,
            "country": country,
            "messaging_service_sid": MESSAGING_SERVICE,
            "date_created": "2027-01-15T08:00:00Z",
            "date_updated": "2027-01-15T08:00:00Z",
            "url": format!("{BASE}{path}/{country}"),
        });
        assert_eq!(created.body, expected);
        for spelled in [given.to_lowercase(), given.to_uppercase()] {
            assert_eq!(client.get(format!("{path}/{spelled}")).await.ok(), expected);
        }
        client.post(&path, &form).await.refused(400, 60213);
    }

    server.wait(60);
    let other = MESSAGING_SERVICE.replace("01", "ff");
    let form = [("MessagingServiceSid", other.as_str())];
    let updated = client.post(format!("{path}/CA"), &form).await.ok();
    assert_eq!(updated["messaging_service_sid"], other.as_str());
    assert_eq!(
        (&updated["date_created"], &updated["date_updated"]),
        (&json!("2027-01-15T08:00:00Z"), &json!("2027-01-15T08:01:00Z"))
    );
    assert_eq!(client.get(format!("{path}/CA")).await.ok(), updated);

    assert_eq!(client.delete(format!("{path}/CA")).await.status, 204);
    for gone in ["CA", "DE", "C", "CAN", "*", "%00%00"] {
        client.get(format!("{path}/{gone}")).await.refused(404, 20404);
        client.delete(format!("{path}/{gone}")).await.refused(404, 20404);
        client
            .post(format!("{path}/{gone}"), &form)
            .await
            .refused(404, 20404);
    }
    client.get(format!("{path}/GB")).await.ok();
}

/// An earlier release took letters that are no country's, and those configurations are still there.
#[tokio::test]
async fn what_is_stored_of_no_country_is_reached_and_goes() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let path = format!("{}/MessagingConfigurations", service.path);
    let form = [("Country", "UK"), ("MessagingServiceSid", MESSAGING_SERVICE)];
    client.post(&path, &form).await.refused(400, 60200);
    let uk = Region::Country(Country::stored("UK").unwrap());
    messaging_configuration::create(
        &server.app,
        server.account.user.parse().unwrap(),
        service.sid.parse().unwrap(),
        uk,
        MESSAGING_SERVICE.parse().unwrap(),
    )
    .await
    .unwrap();
    let fetched = client.get(format!("{path}/uk")).await.ok();
    assert_eq!(fetched["country"], "UK");
    let listed = client.get(&path).await.ok();
    assert_eq!(listed["messaging_configurations"][0], fetched);
    let other = MESSAGING_SERVICE.replace("01", "ff");
    let form = [("MessagingServiceSid", other.as_str())];
    let updated = client.post(format!("{path}/UK"), &form).await.ok();
    assert_eq!(updated["messaging_service_sid"], other.as_str());
    assert_eq!(client.delete(format!("{path}/UK")).await.status, 204);
    client.get(format!("{path}/UK")).await.refused(404, 20404);
}

/// Their keys are shorter than those of other lists.
#[tokio::test]
async fn pages_go_through_all_countries_forth_and_back() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let path = format!("{}/MessagingConfigurations", service.path);
    for country in ["US", "AT", "all", "ZW", "DE"] {
        let form = [("Country", country), ("MessagingServiceSid", MESSAGING_SERVICE)];
        client.post(&path, &form).await.ok();
    }
    let countries = |body: &serde_json::Value| -> Vec<String> {
        let items = body["messaging_configurations"].as_array().unwrap();
        items
            .iter()
            .map(|item| item["country"].as_str().unwrap().to_owned())
            .collect()
    };
    let link = |body: &serde_json::Value, name: &str| {
        let url = body["meta"][name].as_str()?;
        Some(url.strip_prefix(BASE).unwrap().to_owned())
    };
    let expected = [["all", "AT"].as_slice(), &["DE", "US"], &["ZW"]];
    let mut page = client.get(format!("{path}?PageSize=2")).await.ok();
    let mut pages = vec![page.clone()];
    while let Some(next) = link(&page, "next_page_url") {
        page = client.get(next).await.ok();
        pages.push(page.clone());
        assert!(pages.len() < 10);
    }
    assert_eq!(pages.iter().map(countries).collect::<Vec<_>>(), expected);
    for number in (1..pages.len()).rev() {
        let previous = client
            .get(link(&pages[number], "previous_page_url").unwrap())
            .await;
        assert_eq!(countries(&previous.ok()), expected[number - 1]);
    }
    assert_eq!(link(&pages[0], "previous_page_url"), None);
}

#[tokio::test]
async fn of_parallel_creations_for_a_country_one_succeeds() {
    let server = TestApp::on(Interleaved::store()).await;
    let client = server.client();
    let service = Service::create(&client).await;
    let path = format!("{}/MessagingConfigurations", service.path);
    let form = [("Country", "CA"), ("MessagingServiceSid", MESSAGING_SERVICE)];
    let answers = all_at_once((0..8).map(|_| client.posting(&path, &form))).await;
    let (created, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(|answer| answer.status == 201);
    assert_eq!(created.len(), 1);
    for answer in refused {
        answer.refused(400, 60213);
    }
}
