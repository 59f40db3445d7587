//! The same calls as JSON.

use axum::Router;
use axum::body::Body;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::*;
use crate::dialect::zitadel::http;
use crate::dialect::zitadel::routes::ROUTES;

struct JsonClient {
    router: Router,
    token: String,
}

impl JsonClient {
    fn of(world: &ZitadelWorld) -> Self {
        Self {
            router: http(Arc::clone(&world.app)).router,
            token: world.token.clone(),
        }
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> (u16, Value) {
        let request = axum::http::Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json")
            .header("authorization", format!("Bearer {}", self.token));
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let Ok(response) = self.router.clone().oneshot(request).await;
        let status = response.status().as_u16();
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        (status, serde_json::from_slice(&body).unwrap())
    }
}

#[tokio::test]
async fn a_number_is_set_and_verified_with_its_code() {
    let world = ZitadelWorld::new().await;
    let client = JsonClient::of(&world);
    let phone = "/auth/v1/users/me/phone";
    let (status, set) = client
        .ask("PUT", phone, &json!({"phone": NUMBER}).to_string())
        .await;
    assert_eq!(status, 200, "{set}");
    let sequence = set["details"]["sequence"].as_str().unwrap();
    assert!(sequence.bytes().all(|digit| digit.is_ascii_digit()), "{set}");
    assert!(
        set["details"]["changeDate"]
            .as_str()
            .unwrap()
            .starts_with("2027-01-15T08:00:00")
    );
    assert_eq!(set["details"]["resourceOwner"], world.account.to_string());
    let (_, got) = client.ask("GET", phone, "").await;
    assert_eq!(
        got["phone"],
        json!({"phone": NUMBER}),
        "what is not so is not said"
    );
    let code = world.code().await;
    let verify = "/auth/v1/users/me/phone/_verify";
    let (status, refused) = client
        .ask("POST", verify, &json!({"code": other(&code)}).to_string())
        .await;
    assert_eq!(
        (status, refused),
        (
            400,
            json!({
                "code": 3,
                "message": "Code is invalid (COMMAND-sM0cs)",
                "details": [{
                    "@type": "type.googleapis.com/zitadel.v1.ErrorDetail",
                    "id": "COMMAND-sM0cs",
                    "message": "Code is invalid",
                }],
            })
        )
    );
    let (status, verified) = client
        .ask("POST", verify, &json!({"code": code}).to_string())
        .await;
    assert_eq!(status, 200, "{verified}");
    let (_, got) = client.ask("GET", phone, "").await;
    assert_eq!(got["phone"], json!({"phone": NUMBER, "isPhoneVerified": true}));
}

/// What is no message is refused before anything is changed or counted.
#[tokio::test]
async fn bodies_that_say_something_twice_count_nothing() {
    let world = ZitadelWorld::new().await;
    let client = JsonClient::of(&world);
    world.set(NUMBER).await.unwrap();
    let code = world.code().await;
    let before = world.verification(world.waits().await).await;
    for body in [
        format!(r#"{{"code":"{code}","code":"{code}"}}"#),
        format!(r#"{{"code":["{code}"]}}"#),
        format!(r#"{{"code":"{code}"}}{{}}"#),
        format!(r#"{{"code":"{code}""#),
    ] {
        let (status, answer) = client.ask("POST", "/auth/v1/users/me/phone/_verify", &body).await;
        assert_eq!((status, &answer["code"]), (400, &json!(3)), "{body}");
    }
    let after = world.verification(world.waits().await).await;
    assert_eq!(format!("{before:?}"), format!("{after:?}"));
    world.verify(&code).await.unwrap();
}

#[tokio::test]
async fn each_route_is_for_whoever_has_a_token() {
    let world = ZitadelWorld::new().await;
    let mut client = JsonClient::of(&world);
    client.token = "nobody".to_owned();
    for route in ROUTES {
        let path = route.path.replace("{user_id}", OWN);
        let (status, answer) = client.ask(route.method, &path, "{}").await;
        if route.call.ends_with("/Healthz") {
            assert_eq!((status, answer), (200, json!({})));
        } else {
            let refused = (status, answer["code"].clone());
            assert_eq!(refused, (401, json!(16)), "{} {path}", route.method);
        }
    }
}
