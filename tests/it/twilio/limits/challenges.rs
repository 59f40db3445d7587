//! Challenges, created and answered.

use serde_json::json;

use super::{
    Form, Rule, bad_objects, check, check_required, good_objects, of_length, strings, unshown, unshown_lines,
};
use crate::support::operations::Everything;
use crate::support::world::answer;
use crate::support::{TestApp, User};

const CHALLENGES: &str = "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges";

fn base(all: &Everything) -> Form {
    vec![
        ("FactorSid", all.device.factor.clone()),
        ("Details.Message", "Log in?".to_owned()),
    ]
}

fn field(label: &str, value: &str) -> String {
    json!({"label": label, "value": value}).to_string()
}

#[tokio::test]
async fn parameters_of_a_new_challenge() {
    let rule = |parameter, good, bad| Rule {
        path: CHALLENGES,
        base,
        parameter,
        good,
        bad,
        code: 60306,
    };
    let labels = |length| {
        of_length(length)
            .iter()
            .map(|label| field(label, "x"))
            .collect::<Vec<_>>()
    };
    let values = |length| {
        of_length(length)
            .iter()
            .map(|value| field("x", value))
            .collect::<Vec<_>>()
    };
    let shapes = [
        r#"{"label":"x"}"#,
        r#"{"value":"x"}"#,
        r#"{"label":"","value":"x"}"#,
        r#"{"label":1,"value":"x"}"#,
        r#"{"label":"x","value":1}"#,
        r#"{"label":"x","value":null}"#,
        "[1]",
        "x",
        r#"{"label":"a","label":"b","value":"x"}"#,
    ];
    let labels_unshown = unshown().into_iter().map(|text| field(&text, "x"));
    let values_unshown = unshown_lines().into_iter().map(|text| field("x", &text));
    let unshown_fields: Vec<_> = labels_unshown.chain(values_unshown).collect();
    check(vec![
        rule(
            "Details.Message",
            [
                of_length(256),
                of_length(1),
                strings(&["two\nlines", "two\r\nlines", "\u{fffd}\u{5d0}"]),
            ]
            .concat(),
            [of_length(257), unshown_lines()].concat(),
        ),
        rule(
            "Details.Fields",
            [labels(36), values(128), values(0), vec![field("x", "two\nlines")]].concat(),
            [labels(37), values(129), strings(&shapes), unshown_fields].concat(),
        ),
        rule(
            "Details.NumberMatching",
            strings(&["0", "2", "3", ""]),
            strings(&["1", "4", "two", "-2", "2.0", "256"]),
        ),
        rule("HiddenDetails", good_objects(), bad_objects()),
        rule(
            "FactorSid",
            Vec::new(),
            strings(&[
                "x",
                "YF",
                "YC0123456789abcdef0123456789abcdef",
                "YF0123456789abcdef0123456789abcdeg",
                "YF0123456789abcdef0123456789abcdef0",
            ]),
        ),
        // For push factors a code is no parameter of the creation.
        rule("AuthPayload", Vec::new(), strings(&["123456"])),
    ])
    .await;
    check_required(CHALLENGES, base, &["FactorSid"], 20001).await;
    check_required(CHALLENGES, base, &["Details.Message"], 60306).await;
}

#[tokio::test]
async fn a_challenge_has_up_to_20_fields() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let one = field("Amount", "10");
    let mut form = vec![
        ("FactorSid", all.device.factor.as_str()),
        ("Details.Message", "Pay?"),
    ];
    form.extend([("Details.Fields", one.as_str()); 20]);
    let created = client.post(all.path(CHALLENGES), &form).await.ok();
    assert_eq!(created["details"]["fields"].as_array().unwrap().len(), 20);
    let before = server.dump().await;
    form.push(("Details.Fields", &one));
    client
        .post(all.path(CHALLENGES), &form)
        .await
        .refused(400, 60306)
        .naming("Details.Fields");
    assert_eq!(server.dump().await, before);
}

/// As clients write dates.
fn date(seconds: u64) -> String {
    countersign::domain::time::Timestamp::from_seconds(seconds).to_string()
}

#[tokio::test]
async fn a_challenge_lives_five_minutes_or_up_to_an_hour() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let now = server.seconds();
    let challenges = all.path(CHALLENGES);
    let create = async |expiration: &str| {
        let form = [
            ("FactorSid", all.device.factor.as_str()),
            ("Details.Message", "x"),
            ("ExpirationDate", expiration),
        ];
        client.post(&challenges, &form).await
    };
    assert_eq!(create("").await.ok()["expiration_date"], date(now + 300));
    for good in [now + 1, now + 3600] {
        assert_eq!(create(&date(good)).await.ok()["expiration_date"], date(good));
    }
    let with_offset = date(now + 3600 + 2 * 3600).replace('Z', "+02:00");
    assert_eq!(
        create(&with_offset).await.ok()["expiration_date"],
        date(now + 3600)
    );
    let before = server.dump().await;
    let dates = [
        date(now),
        date(now - 1),
        date(now + 3601),
        date(now + 24 * 3600),
        "9999-12-31T23:59:59Z".to_owned(),
    ];
    let texts = [
        "tomorrow",
        "1800000300",
        "2027-01-15",
        "2027-01-15T08:10",
        "1969-12-31T23:59:59Z",
        "99999-01-01T00:00:00Z",
        "2027-13-01T00:00:00Z",
    ];
    for bad in dates.into_iter().chain(texts.map(str::to_owned)) {
        create(&bad).await.refused(400, 60306).naming("ExpirationDate");
    }
    assert_eq!(server.dump().await, before);
    server.wait(3599);
    let last = all.user.push_challenge(&client, &all.device).await;
    assert_eq!(client.get(&last).await.ok()["status"], "pending");
}

#[tokio::test]
async fn parameters_of_an_answer() {
    const PATH: &str = "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}";
    let rule = |parameter, good, bad, code| Rule {
        path: PATH,
        base: |_| Vec::new(),
        parameter,
        good,
        bad,
        code,
    };
    check(vec![
        rule("Metadata", good_objects(), bad_objects(), 60300),
        rule(
            "AuthPayload",
            Vec::new(),
            vec![String::new(), "a".repeat(5457), "a".repeat(60000)],
            60306,
        ),
    ])
    .await;
}

#[tokio::test]
async fn an_answer_of_5456_characters_is_looked_at() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let device = user.device(&server, &client).await;
    let challenge = user.push_challenge(&client, &device).await;
    answer(&client, &challenge, &"a".repeat(5456))
        .await
        .refused(403, 60324);
    let mut payload = device.payload(&server, &challenge, "approved").await;
    let header = json!({"typ": "JWT", "alg": "ES256"});
    for padding in 0.. {
        payload.insert("more".to_owned(), "x".repeat(padding).into());
        let signed = device.jws(&header, &payload.clone().into());
        match signed.len() {
            ..5455 => {}
            5455 | 5456 => {
                // Long enough is not good enough: what was not asked for swells what is kept.
                answer(&client, &challenge, &signed).await.refused(403, 60324);
                break;
            }
            _ => panic!("{}", signed.len()),
        }
    }
    device.answer(&server, &challenge, "approved").await.ok();
}
