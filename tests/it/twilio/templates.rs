//! Templates: the same on every page size, found by name, and only those that there are.

use countersign::app::Policy;
use countersign::domain::channel::Channel;
use countersign::domain::message::locale::Locale;
use countersign::domain::message::template::{Template, Templates, Translation};
use countersign::domain::sid::{AccountSid, TemplateSid};
use countersign::flows::verification::{self, VerificationName};
use serde_json::{Value, json};

use crate::support::app::BASE;
use crate::support::stores::new_store;
use crate::support::{Service, TestApp};

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

/// A server with a template that needs an order's number, and one that is read out only.
async fn with_templates() -> (TestApp, [TemplateSid; 2]) {
    let of = |byte, channels, text: &str| {
        let translation = Translation {
            locale: Locale::parse("en").unwrap(),
            default: true,
            text: text.to_owned(),
        };
        Template::new(
            TemplateSid::from_bytes([byte; 16]),
            &format!("Own {byte}"),
            channels,
            vec![translation],
        )
        .unwrap()
    };
    let order = of(1, vec![Channel::Sms], "{{code}} is for order {{order}}");
    let spoken = of(2, vec![Channel::Call], "Your code is {{code}}");
    let sids = [order.sid(), spoken.sid()];
    let policy = Policy {
        templates: Templates::with(vec![order, spoken]).unwrap(),
        ..crate::doubles::policy()
    };
    (TestApp::with(new_store().await, policy).await, sids)
}

#[tokio::test]
async fn the_first_of_the_templates_that_can_be_sent_is_taken() {
    let (server, [order, spoken]) = with_templates().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let usual = server.app.policy.templates.iter().map(|template| template.sid());
    let usual = { usual }.find(|sid| ![order, spoken].contains(sid)).unwrap();
    let unknown = "HJ0123456789abcdef0123456789abcdef";
    let send = async |templates: &Value, template: &str| {
        server.wait(600);
        let templates = templates.to_string();
        let form = [("Templates", templates.as_str()), ("TemplateSid", template)];
        service.send(&client, "+4915112345678", &form).await
    };
    let of = |sid: &dyn std::fmt::Display| json!({"sid": sid.to_string()});
    let ordered = json!({"sid": order.to_string(), "substitutions": {"order": "4711"}});
    for (templates, taken) in [
        (json!([ordered, of(&usual)]), order),
        (json!([of(&order), of(&usual)]), usual),
        (
            json!([of(&unknown), of(&spoken), of(&order), of(&usual), ordered]),
            usual,
        ),
        (
            json!([{"sid": order.to_string(), "substitutions": {"order": "x".repeat(65)}}, ordered]),
            order,
        ),
    ] {
        // It goes before what is named otherwise, even if there is no such thing.
        let started = send(&templates, unknown).await.ok();
        let which = VerificationName::Sid(started["sid"].as_str().unwrap().parse().unwrap());
        let (account, service) = (
            server.account.user.parse::<AccountSid>().unwrap(),
            service.sid.parse().unwrap(),
        );
        let (_, found) = verification::fetch(&server.app, account, service, &which)
            .await
            .unwrap();
        assert_eq!(found.content.template, Some(taken), "{templates}");
    }
    for templates in [
        json!([of(&order), of(&spoken), of(&unknown)]),
        json!([of(&spoken)]),
    ] {
        send(&templates, "").await.refused(400, 60252);
        send(&templates, &usual.to_string()).await.refused(400, 60252);
    }
    for malformed in [
        json!([]),
        json!({"sid": usual.to_string()}),
        json!(usual.to_string()),
        json!([usual.to_string()]),
        json!([{"substitutions": {}}]),
        json!([{"sid": "HJ0"}]),
        json!([{"sid": usual.to_string(), "substitution": {"order": "1"}}]),
        json!([{"sid": usual.to_string(), "substitutions": {"order": 1}}]),
        json!([{"sid": usual.to_string(), "substitutions": []}]),
        json!(vec![of(&usual); 11]),
    ] {
        send(&malformed, "").await.refused(400, 60251).naming("Templates");
    }
    send(&json!(vec![of(&usual); 10]), "").await.ok();
}
