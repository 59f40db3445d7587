//! Parameters that are written as somebody writes them: empty, in another notation, or wrong.

use countersign::dialect::twilio::PARAMETERS;
use serde_json::{Value, json};

use crate::support::device::borrowed;
use crate::support::operations::{Everything, samples};
use crate::support::stores::new_store;
use crate::support::{Answer, Client, Service, TestApp, User};

/// The same answer, but for what is another in each: identifiers, and texts of this server's choice.
fn without_names(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(without_names).collect(),
        Value::Object(members) => {
            let members = members.iter().map(|(name, value)| match name.as_str() {
                "token" | "secret" | "uri" | "public_key" | "url" | "links" | "to" | "phone_number"
                | "vapid_public_key" | "message" => (name.clone(), json!("")),
                _ => (name.clone(), without_names(value)),
            });
            Value::Object(members.collect())
        }
        Value::String(text) if text.len() == 34 => json!(text[..2]),
        _ => value.clone(),
    }
}

/// Each operation in turn, with what else stands in the form.
async fn answers(others: &[(&str, &str)]) -> Vec<Value> {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let mut answers = Vec::new();
    for sample in samples() {
        if sample.operation.method != "POST" {
            continue;
        }
        let form = (sample.form)(&all);
        for before in [true, false] {
            // Made once and changed twice; what is there already says so.
            let form = borrowed(&form);
            let (first, second) = if before {
                (others, &form[..])
            } else {
                (&form[..], others)
            };
            let form = [first, second].concat();
            let answer = client.post(all.path(sample.operation.path), &form).await;
            answers.push(json!([
                sample.operation.path,
                answer.status,
                without_names(&answer.body)
            ]));
        }
    }
    answers
}

#[tokio::test]
async fn empty_values_are_as_if_they_were_not_sent() {
    let empty: Vec<_> = PARAMETERS.iter().map(|name| (*name, "")).collect();
    let (plain, with_empty) = (answers(&[]).await, answers(&empty).await);
    assert_eq!(plain.len(), with_empty.len());
    for (plain, with_empty) in plain.iter().zip(&with_empty) {
        assert_eq!(plain, with_empty);
    }
}

/// A value that counts may have empty ones before and behind it.
#[tokio::test]
async fn an_empty_value_takes_nothing_from_a_full_one() {
    let server = TestApp::new().await;
    let form = [
        ("FriendlyName", ""),
        ("FriendlyName", "Owl"),
        ("FriendlyName", ""),
    ];
    let service = server.client().post("/v2/Services", &form).await.ok();
    assert_eq!(service["friendly_name"], "Owl");
}

async fn asked(client: &Client<'_>, user: &User, factor: &str, fields: &[(&str, &str)]) -> Answer {
    let base = [("FactorSid", factor), ("Details.Message", "Log in?")];
    let challenges = format!("{}/Challenges", user.path);
    client.post(challenges, &[&base[..], fields].concat()).await
}

#[tokio::test]
async fn fields_are_read_in_every_notation_of_a_list() {
    let server = TestApp::with(new_store().await, crate::support::world::with_many_pushes()).await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let (a, b) = (r#"{"label":"a","value":"1"}"#, r#"{"label":"b","value":"[2"}"#);
    let both = format!("[{a}, {b}]");
    let texts = serde_json::to_string(&[a, b]).unwrap();
    let expected = json!([{"label": "a", "value": "1"}, {"label": "b", "value": "[2"}]);
    for form in [
        vec![("Details.Fields", a), ("Details.Fields", b)],
        vec![
            ("Details.Fields", ""),
            ("Details.Fields", a),
            ("Details.Fields", b),
        ],
        vec![("Details.Fields[]", a), ("Details.Fields[]", b)],
        vec![("Details.Fields[0]", a), ("Details.Fields[1]", b)],
        vec![("Details.Fields.0", a), ("Details.Fields.1", b)],
        vec![("Details.Fields", &both)],
        vec![("Details.Fields", &texts)],
        vec![
            ("Details.Fields[]", "[]"),
            ("Details.Fields", a),
            ("Details.Fields.7", b),
        ],
    ] {
        let challenge = asked(&client, &user, &device.factor, &form).await.ok();
        assert_eq!(challenge["details"]["fields"], expected, "{form:?}");
    }
    for bad in [
        "[",
        "[1]",
        "[null]",
        "[[]]",
        "[{}]",
        r#"["x"]"#,
        r#"[{"label":"a","label":"b","value":"c"}]"#,
    ] {
        let refused = asked(&client, &user, &device.factor, &[("Details.Fields", bad)]).await;
        refused.refused(400, 60306).naming("Details.Fields");
    }
    let many = format!("[{}]", vec![a; 21].join(","));
    let refused = asked(&client, &user, &device.factor, &[("Details.Fields", &many)]).await;
    refused.refused(400, 60306).naming("at most 20 fields");
    for name in [
        "Details.Feilds",
        "Details.Fields[0][label]",
        "details.fields",
        "Details",
        "Details[Fields]",
    ] {
        let refused = asked(&client, &user, &device.factor, &[(name, a)]).await;
        refused.refused(400, 20001).naming(name).naming("Details.Fields");
    }
}

#[tokio::test]
async fn events_are_read_in_every_notation_of_a_list() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    let base = [
        ("FriendlyName", "Hook"),
        ("WebhookUrl", "https://owlbank.example/hook"),
    ];
    let path = format!("{}/Webhooks", service.path);
    for form in [
        vec![("EventTypes", "factor.created"), ("EventTypes", "factor.deleted")],
        vec![
            ("EventTypes[]", "factor.created"),
            ("EventTypes[]", "factor.deleted"),
        ],
        vec![
            ("EventTypes.0", "factor.created"),
            ("EventTypes.1", "factor.deleted"),
        ],
        vec![("EventTypes", r#"["factor.created","factor.deleted"]"#)],
    ] {
        let webhook = client.post(&path, &[&base[..], &form].concat()).await.ok();
        assert_eq!(
            webhook["event_types"],
            json!(["factor.created", "factor.deleted"]),
            "{form:?}"
        );
    }
    let form = [&base[..], &[("EventTypes", "[\"factor.created\"")]].concat();
    client
        .post(&path, &form)
        .await
        .refused(400, 60306)
        .naming("EventTypes");
    let webhook = client
        .post(&path, &[&base[..], &[("EventTypes", "*")]].concat())
        .await
        .text("sid");
    let misspelt = client
        .post(format!("{path}/{webhook}"), &[("EventType", "factor.created")])
        .await;
    misspelt.refused(400, 20001).naming("EventTypes");
}

#[tokio::test]
async fn a_filter_that_a_list_does_not_have_lists_nothing() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let mut lists = 0;
    for sample in samples()
        .into_iter()
        .filter(|sample| sample.operation.method == "GET")
    {
        let path = all.path(sample.operation.path);
        let is_list = client.get(&path).await.body.get("meta").is_some() || path.ends_with("/Summary");
        if !is_list {
            continue;
        }
        lists += 1;
        for unknown in [
            "Statuss=pending",
            "status=pending",
            "Beyond=",
            "PageSize[]=1",
            "Ttl=5",
        ] {
            client.get(format!("{path}?{unknown}")).await.refused(400, 20001);
        }
        client.get(format!("{path}?_=1700000000000")).await.ok();
    }
    assert_eq!(lists, 12, "every list there is, and the summary");
}

#[tokio::test]
async fn a_filter_with_an_escaped_dot_filters() {
    let server = TestApp::new().await;
    let client = server.client();
    let service = Service::create(&client).await;
    for number in ["+4915112345670", "+4915112345671"] {
        service.send(&client, number, &[]).await.ok();
    }
    for name in ["ChannelData%5C.To", "ChannelData.To"] {
        let found = client
            .get(format!("/v2/Attempts?{name}=%2B4915112345671"))
            .await
            .ok();
        let attempts = found["attempts"].as_array().unwrap();
        assert_eq!(attempts.len(), 1, "{name}");
        assert_eq!(attempts[0]["channel_data"]["to"], "+4915112345671");
        assert!(
            found["meta"]["url"]
                .as_str()
                .unwrap()
                .contains("ChannelData.To=%2B4915112345671")
        );
    }
    client
        .get("/v2/Attempts?ChannelData%5C.Tu=%2B4915112345671")
        .await
        .refused(400, 20001);
}
