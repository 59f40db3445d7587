//! Which request is which call, and who makes it.

use serde_json::json;

use super::*;

const VERIFY_REQUEST: &str = "zitadel.user.v2.VerifyPhoneRequest";

#[tokio::test]
async fn the_path_names_the_user_whatever_the_body_says() {
    let world = JsonWorld::new();
    for (user, expected) in [
        ("ada-lovelace", "ada-lovelace"),
        ("ada%2Dlovelace", "ada-lovelace"),
        ("a%2Fb", "a/b"),
        ("%C3%A9t%C3%A9", "été"),
        ("a+b", "a+b"),
        ("%2e%2e", ".."),
        ("{user_id}", "{user_id}"),
    ] {
        let path = format!("/v2/users/{user}/phone/verify?userId=somebody-else&code=1");
        let body = r#"{"userId":"somebody-else","verificationCode":"123456"}"#;
        let path = path.replace('{', "%7B").replace('}', "%7D");
        let (status, _, text) = world.ask(request("POST", &path, body)).await;
        assert_eq!(status, 200, "{user}: {text}");
        assert_eq!(
            world.asked()[0].message(VERIFY_REQUEST),
            json!({"user_id": expected, "verification_code": "123456"})
        );
    }
    for user in ["%FF", "%C3", "%ed%a0%80"] {
        let path = format!("/v2/users/{user}/phone/verify");
        let (status, _, text) = world.ask(request("POST", &path, "{}")).await;
        assert_eq!(status, 400, "{user}: {text}");
    }
    assert!(world.asked().is_empty());
}

#[tokio::test]
async fn other_paths_and_methods_are_answered_as_the_gateway_does() {
    let world = JsonWorld::new();
    for (method, path, status, body) in [
        (
            "GET",
            "/auth/v1/users/me/phone/",
            404,
            r#"{"code":5,"message":"Not Found"}"#,
        ),
        (
            "GET",
            "/auth/v1/users/me",
            404,
            r#"{"code":5,"message":"Not Found"}"#,
        ),
        (
            "GET",
            "/auth/v1//users/me/phone",
            404,
            r#"{"code":5,"message":"Not Found"}"#,
        ),
        (
            "GET",
            "/auth/v1/users/ME/phone",
            404,
            r#"{"code":5,"message":"Not Found"}"#,
        ),
        (
            "POST",
            "/v2/users//phone",
            404,
            r#"{"code":5,"message":"Not Found"}"#,
        ),
        (
            "POST",
            "/v2/users/a/b/phone",
            404,
            r#"{"code":5,"message":"Not Found"}"#,
        ),
        ("POST", "/", 404, r#"{"code":5,"message":"Not Found"}"#),
        (
            "POST",
            "/auth/v1/users/me/phone",
            501,
            r#"{"code":12,"message":"Method Not Allowed"}"#,
        ),
        (
            "PATCH",
            "/auth/v1/users/me/phone",
            501,
            r#"{"code":12,"message":"Method Not Allowed"}"#,
        ),
        (
            "HEAD",
            "/auth/v1/users/me/phone",
            501,
            r#"{"code":12,"message":"Method Not Allowed"}"#,
        ),
        (
            "OPTIONS",
            "/v2/users/a-user-1/phone",
            501,
            r#"{"code":12,"message":"Method Not Allowed"}"#,
        ),
        (
            "get",
            "/auth/v1/users/me/phone",
            501,
            r#"{"code":12,"message":"Method Not Allowed"}"#,
        ),
    ] {
        let (answered, _, text) = world.ask(request(method, path, "")).await;
        assert_eq!((answered, &*text), (status, body), "{method} {path}");
    }
    assert!(world.asked().is_empty());
    // What is in the body of a request that has none is not looked at.
    let (status, _, _) = world.ask(request("GET", "/auth/v1/users/me/phone", "{{{")).await;
    assert_eq!(status, 200);
    let (status, _, _) = world
        .ask(request("DELETE", "/v2/users/a-user-1/phone", "{{{"))
        .await;
    assert_eq!(status, 200);
    let asked = world.asked();
    assert_eq!(asked[0].path, "/zitadel.auth.v1.AuthService/GetMyPhone");
    assert_eq!(
        asked[1].message("zitadel.user.v2.RemovePhoneRequest"),
        json!({"user_id": "a-user-1"})
    );
}

#[tokio::test]
async fn the_call_is_the_callers_in_its_language_and_until_its_deadline() {
    let world = JsonWorld::new();
    let mut asking = request("POST", "/auth/v1/users/me/phone/_verify", r#"{"code":"1"}"#);
    for (name, value) in [
        ("accept-language", "de-CH, fr;q=0.5"),
        ("grpc-timeout", "5S"),
        ("grpc-encoding", "gzip"),
        ("cookie", "a=b"),
        ("x-other", "1"),
    ] {
        asking.headers_mut().insert(name, value.parse().unwrap());
    }
    let (status, _, text) = world.ask(asking).await;
    assert_eq!(status, 200, "{text}");
    let asked = world.asked();
    for name in ["grpc-encoding", "cookie", "x-other"] {
        assert!(!asked[0].headers.contains_key(name), "{name}");
    }
    assert_eq!(asked[0].headers["authorization"], "Bearer one");
    assert_eq!(asked[0].headers["accept-language"], "de-CH, fr;q=0.5");
    for (timeout, expected) in [("0S", 504), ("never", 400)] {
        let mut late = request("POST", "/auth/v1/users/me/phone/_verify", "{}");
        late.headers_mut()
            .insert("grpc-timeout", timeout.parse().unwrap());
        let (status, _, text) = world.ask(late).await;
        assert_eq!(status, expected, "{text}");
    }
    assert!(world.asked().is_empty());
}

#[test]
fn routes_of_nothing_are_found_out_at_the_start() {
    for (method, path, call) in [
        ("GET", "/a", "zitadel.auth.v1.AuthService/Nothing"),
        ("GET", "/a", "zitadel.auth.v1.Nothing/GetMyPhone"),
        ("GET", "/a", "GetMyPhone"),
        ("GET", "a", "zitadel.auth.v1.AuthService/GetMyPhone"),
        ("G T", "/a", "zitadel.auth.v1.AuthService/GetMyPhone"),
        ("GET", "/{user_id}", "zitadel.auth.v1.AuthService/GetMyPhone"),
        ("POST", "/{send_code}", "zitadel.user.v2.UserService/SetPhone"),
    ] {
        let route = JsonRoute { method, path, call };
        let refused = serve(Router::new(), DESCRIPTORS, &[route]).unwrap_err();
        assert!(matches!(refused, Unroutable::Unfit { .. }), "{refused}");
    }
    let refused = serve(Router::new(), b"\xff", &[]).unwrap_err();
    assert!(matches!(refused, Unroutable::Descriptors(_)), "{refused}");
}
