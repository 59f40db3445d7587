//! The body of a request in JSON, to one of some paths as its first byte says. Each answer is an object of JSON; what is
//! served is an object for another reader, too, or nothing; and nothing is a mistake of ours.

#![no_main]

use axum::http::Method;
use countersign_fuzz::calls::with_server;
use libfuzzer_sys::fuzz_target;
use serde_json::Value;

fuzz_target!(|data: &[u8]| {
    let Some((which, body)) = data.split_first() else {
        return;
    };
    let (method, path) = &PATHS[usize::from(*which) % PATHS.len()];
    let answer = with_server(|server| server.ask(method, path, "application/json", body));
    let said: Value = serde_json::from_slice(&answer.body).expect("an answer is JSON");
    assert!(said.is_object());
    match answer.http {
        200 => {
            let read = serde_json::from_slice::<Value>(body);
            let is_nothing = body.iter().all(|byte| b" \t\r\n".contains(byte));
            assert!(is_nothing || read.expect("what is served is JSON").is_object());
        }
        400 | 404 | 409 | 413 | 429 | 501 => assert!(said["code"].as_i64().is_some_and(|code| code > 0)),
        other => panic!("answered {other}: {said}"),
    }
});

const PATHS: [(Method, &str); 6] = [
    (Method::PUT, "/auth/v1/users/me/phone"),
    (Method::POST, "/auth/v1/users/me/phone/_verify"),
    (Method::POST, "/v2/users/user-0001/phone"),
    (Method::POST, "/v2/users/user-0001/phone/verify"),
    (Method::POST, "/v2/users/user-0001/totp/verify"),
    (Method::POST, "/v2/users/user-0001/authentication_factors/_search"),
];
