//! Templates: the same on every page size, found by name, and only those that there are.

use serde_json::Value;

use crate::support::TestApp;
use crate::support::app::BASE;

#[tokio::test]
async fn templates_are_listed_by_name_and_page_by_page() {
    let server = TestApp::new().await;
    let client = server.client();
    let listed = client.get("/v2/Templates").await.ok();
    let all = listed["templates"].as_array().unwrap();
    assert!(all.len() > 1);
    for template in all {
        assert_eq!(template["account_sid"], server.account.user.as_str());
        let translations = template["translations"].as_object().unwrap();
        let default = |one: &&Value| one["is_default_translation"] == true;
        assert_eq!(translations.values().filter(default).count(), 1);
        for (name, translation) in translations {
            assert_eq!(translation["locale"], name.as_str());
            assert_eq!(translation["status"], "approved");
            assert!(translation["text"].as_str().unwrap().contains("{{code}}"));
        }
        assert_eq!(template["channels"], serde_json::json!(["sms", "voice"]));
        let name = template["friendly_name"].as_str().unwrap();
        let query = form_urlencoded::Serializer::new(String::new())
            .append_pair("FriendlyName", name)
            .finish();
        let found = client.get(format!("/v2/Templates?{query}")).await.ok();
        assert_eq!(found["templates"], Value::Array(vec![template.clone()]));
    }
    let mut found = Vec::new();
    let mut next = Some("/v2/Templates?PageSize=1".to_owned());
    while let Some(path) = next {
        let page = client.get(&path).await.ok();
        found.extend(page["templates"].as_array().unwrap().clone());
        let url = page["meta"]["next_page_url"].as_str();
        next = url.map(|url| url.strip_prefix(BASE).unwrap().to_owned());
    }
    assert_eq!(found, *all);
    let none = client.get("/v2/Templates?FriendlyName=None").await.ok();
    assert_eq!(none["templates"].as_array().unwrap().len(), 0);
    let long = format!("/v2/Templates?FriendlyName={}", "a".repeat(65));
    client.get(long).await.refused(400, 60306).naming("FriendlyName");
}
