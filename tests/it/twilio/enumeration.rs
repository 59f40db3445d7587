//! Learning what exists from how the server says no (CVE-2024-39891, Authy: 33 million numbers).

use axum::body::Body;

use crate::support::operations::{Everything, samples};
use crate::support::{Answer, Client, Credentials, TestApp};

/// The answer without what it was asked for.
fn neutral(answer: &Answer, path: &str) -> (u16, String, Vec<String>) {
    let headers = answer
        .headers
        .iter()
        .map(|(name, value)| format!("{name}: {value:?}"))
        .collect();
    (
        answer.status,
        String::from_utf8(answer.bytes.clone())
            .unwrap()
            .replace(path, "PATH"),
        headers,
    )
}

/// What is another account's, what was deleted and what never was: the same bytes, on every operation.
#[tokio::test]
async fn what_is_anothers_what_is_deleted_and_what_never_was_look_the_same() {
    let server = TestApp::new().await;
    let client = server.client();
    let owner = server.another_account().await;
    let theirs = Everything::create(&server, &server.client_of(&owner)).await;
    let deleted = Everything::create(&server, &client).await;
    let mine = Everything::create(&server, &client).await;
    client.delete(&deleted.user.service.path).await.ok();
    let credential = format!("/v1/Credentials/{}", deleted.credential);
    client.delete(credential).await.ok();
    let safe_number = format!("/v2/SafeList/Numbers/{}", deleted.safe_number);
    client.delete(safe_number).await.ok();
    for sample in samples() {
        let template = sample.operation.path;
        if !template.contains('{') || template.contains("Form") {
            continue;
        }
        // Made up, in each place of the path: the service, the entity, the thing itself.
        let mine_path = mine.path(template);
        let mut paths = vec![theirs.path(template)];
        // What was sent, and what it cost, is told for its thirty days, whatever becomes of the service.
        if !template.contains("Attempts") {
            paths.push(deleted.path(template));
        }
        for (there, made_up) in [
            (
                mine.user.service.sid.as_str(),
                "VA0123456789abcdef0123456789abcdef",
            ),
            ("/user-0001", "/user-9999"),
        ] {
            let path = mine_path.replace(there, made_up);
            let creates = sample.operation.method == "POST" && template.ends_with("/Factors");
            if path != mine_path && !(creates && made_up.starts_with('/')) {
                paths.push(path);
            }
        }
        let (parent, last) = mine_path.rsplit_once('/').unwrap();
        if last.len() == 34 && last.starts_with(['B', 'C', 'R', 'V', 'Y']) {
            paths.push(format!("{parent}/{}0123456789abcdef0123456789abcdef", &last[..2]));
            paths.push(format!("{parent}/{}", sid_in(&theirs, template)));
        }
        let before = server.dump().await;
        let mut answers = Vec::new();
        for path in &paths {
            let answer = sample.send_to(&client, &mine, path).await;
            answers.push(neutral(&answer.refused(404, 20404), path));
        }
        assert!(
            answers.windows(2).all(|pair| pair[0] == pair[1]),
            "{template}: {answers:#?}"
        );
        assert_eq!(server.dump().await, before);
    }
}

fn sid_in(all: &Everything, template: &str) -> String {
    all.path(template).rsplit('/').next().unwrap().to_owned()
}

/// The same for a factor that is named in a parameter.
#[tokio::test]
async fn a_factor_named_in_a_parameter_is_in_its_entity_or_nowhere() {
    let server = TestApp::new().await;
    let client = server.client();
    let owner = server.another_account().await;
    let theirs = Everything::create(&server, &server.client_of(&owner)).await;
    let mine = Everything::create(&server, &client).await;
    let neighbour = mine.user.service.user("user-0002").device(&server, &client).await;
    let challenges = format!("{}/Challenges", mine.user.path);
    let mut answers = Vec::new();
    for factor in [
        &theirs.device.factor,
        &neighbour.factor,
        &"YF0123456789abcdef0123456789abcdef".to_owned(),
    ] {
        for code in ["", "123456"] {
            let form = [
                ("FactorSid", factor.as_str()),
                ("Details.Message", "x"),
                ("AuthPayload", code),
            ];
            let answer = client.post(&challenges, &form).await;
            answers.push(neutral(&answer.refused(404, 20404), &challenges));
        }
        let listed = client.get(format!("{challenges}?FactorSid={factor}")).await.ok();
        assert_eq!(listed["challenges"].as_array().unwrap().len(), 0);
    }
    assert!(answers.windows(2).all(|pair| pair[0] == pair[1]), "{answers:#?}");
}

/// Who has no credentials learns nothing: the same 401 whatever is asked for, and however badly.
#[tokio::test]
async fn without_good_credentials_every_request_is_the_same_401() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let key = server.api_key().await;
    let account = &server.account;
    let forged_device = all.device.imitated();
    let bad = [
        None,
        Some(Credentials::new(&account.user, "wrong")),
        Some(Credentials::new(&account.user, "")),
        Some(Credentials::new(&account.user, &format!("{} ", account.password))),
        Some(Credentials::new(&account.user.to_lowercase(), &account.password)),
        Some(Credentials::new(
            &"AC0123456789abcdef0123456789abcdef",
            &account.password,
        )),
        Some(Credentials::new(&key.user, &account.password)),
        Some(Credentials::new(&account.user, &key.password)),
        Some(Credentials::new(&"", "")),
        Some(Credentials::token(&account.password)),
        Some(Credentials::token(&forged_device.jwt(server.seconds()))),
    ];
    let mut expected = None;
    for sample in samples() {
        let path = all.path(sample.operation.path);
        let unknown = path.replace(&all.user.service.sid, "VA0123456789abcdef0123456789abcdef");
        for credentials in &bad {
            for path in [
                &path,
                &unknown,
                &format!("{path}?PageSize=%FF&PageToken=x"),
                &format!("{path}?a=%zz"),
            ] {
                for body in [
                    "",
                    "Identity=%FF",
                    "{",
                    "FriendlyName=x&FactorType=totp&Identity=user-0001",
                ] {
                    let request =
                        Client::new(&server, credentials.clone()).begin(sample.operation.method, path);
                    let answer = server.send(request.body(Body::from(body)).unwrap()).await;
                    let answer = answer.refused(401, 20003);
                    let neutral = neutral(&answer, path);
                    assert_eq!(*expected.get_or_insert_with(|| neutral.clone()), neutral);
                }
            }
        }
    }
}

#[tokio::test]
async fn headers_that_are_no_basic_credentials_are_none() {
    let server = TestApp::new().await;
    let good = server.account.header();
    let encoded = good.strip_prefix("Basic ").unwrap();
    for bad in [
        String::new(),
        "Basic".to_owned(),
        "Basic ".to_owned(),
        format!("Bearer {}", server.account.password),
        format!("Bearer {encoded}"),
        format!("Basic{encoded}"),
        format!("Basic {encoded} {encoded}"),
        format!("Basic {}", &encoded[..encoded.len() - 5]),
        "Basic Og==".to_owned(),
        "Basic QUM=".to_owned(),
        "Basic ////".to_owned(),
        format!("Basic {}", "A".repeat(20000)),
    ] {
        let request = server
            .stranger()
            .begin("GET", "/v2/Services")
            .header("authorization", bad);
        server
            .send(request.body(Body::empty()).unwrap())
            .await
            .refused(401, 20003);
    }
    for fine in [good.clone(), good.replace("Basic", "basic")] {
        let request = server
            .stranger()
            .begin("GET", "/v2/Services")
            .header("authorization", fine);
        server.send(request.body(Body::empty()).unwrap()).await.ok();
    }
}

/// A path that is no operation's is nobody's: it says nothing, to nobody.
#[tokio::test]
async fn unknown_paths_and_methods_have_errors_of_their_own() {
    let server = TestApp::new().await;
    let client = server.client();
    for path in [
        "/",
        "/v2",
        "/v2/Service",
        "/v1/Services",
        "/v2/Services/VA/x/y",
        "/v2/Forms",
        "/v2/%EF%BF%BD",
    ] {
        client.get(path).await.refused(404, 20404).naming(path);
        server.stranger().get(path).await.refused(404, 20404);
    }
    for (method, path) in [
        ("PUT", "/v2/Services"),
        ("PATCH", "/v2/Services"),
        ("DELETE", "/v2/Services"),
        ("POST", "/v2/Forms/form-push"),
    ] {
        client.request(method, path, &[]).await.refused(405, 20004);
    }
}
