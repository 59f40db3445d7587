//! Whether the server serves.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::*;

#[tokio::test]
async fn it_serves_until_the_store_fails_or_the_end_begins() {
    let server = Server::new();
    for (health, expected) in [
        (ServerHealth::Serving, ServingStatus::Serving),
        (ServerHealth::Failing, ServingStatus::NotServing),
        (ServerHealth::Serving, ServingStatus::Serving),
        (ServerHealth::Ending, ServingStatus::NotServing),
    ] {
        server.health.send_replace(health);
        for service in ["", "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"] {
            let answer = server.call(CHECK, check_of(service)).await;
            assert_eq!(serving_status(&answer.body), expected, "{health:?} {service}");
            assert_eq!(answer.status.code(), Code::Ok);
        }
    }
    let answer = server.call(CHECK, check_of("nobody.Knows")).await;
    assert_eq!(answer.status.code(), Code::NotFound);
}

#[tokio::test]
async fn browsers_get_the_status_in_the_body() {
    let server = Server::new();
    for (kind, in_base64) in [
        ("application/grpc-web+proto", false),
        ("application/grpc-web-text", true),
    ] {
        let body = check_of("");
        let body = if in_base64 {
            STANDARD.encode(&body).into()
        } else {
            body
        };
        let mut request = sent_as(kind, Version::HTTP_11, CHECK, body.into());
        request.headers_mut().insert("accept", kind.parse().unwrap());
        let answer = server.answer(request).await;
        assert!(answer.headers["content-type"].to_str().unwrap().starts_with(kind));
        let mut body = answer.body.to_vec();
        if in_base64 {
            // Each frame is encoded for itself.
            let text = String::from_utf8(body).unwrap();
            body = text
                .split_inclusive('=')
                .filter(|part| *part != "=")
                .flat_map(|part| {
                    let padded = format!("{:=<1$}", part.trim_end_matches('='), part.len().div_ceil(4) * 4);
                    STANDARD.decode(padded).unwrap()
                })
                .collect();
        }
        let (message, trailers) = body.split_at(7);
        assert_eq!(
            serving_status(&Bytes::copy_from_slice(message)),
            ServingStatus::Serving
        );
        assert_eq!(trailers[0], 0x80);
        assert!(String::from_utf8_lossy(&trailers[5..]).contains("grpc-status:0"));
    }
}

/// The messages of an answer, one by one.
async fn next(body: &mut Body) -> Option<ServingStatus> {
    let frame = body.frame().await?.unwrap();
    frame.into_data().ok().as_ref().map(serving_status)
}

#[tokio::test]
async fn those_who_watch_are_told_of_every_change_until_the_end() {
    let server = Server::new();
    let mut known = server.ask(native(WATCH, check_of("").into())).await.into_body();
    let mut unknown = server
        .ask(native(WATCH, check_of("nobody.Knows").into()))
        .await
        .into_body();
    assert_eq!(next(&mut known).await, Some(ServingStatus::Serving));
    assert_eq!(next(&mut unknown).await, Some(ServingStatus::ServiceUnknown));
    server.health.send_replace(ServerHealth::Failing);
    assert_eq!(next(&mut known).await, Some(ServingStatus::NotServing));
    server.health.send_replace(ServerHealth::Serving);
    assert_eq!(next(&mut known).await, Some(ServingStatus::Serving));
    server.health.send_replace(ServerHealth::Ending);
    assert_eq!(next(&mut known).await, Some(ServingStatus::NotServing));
    for mut body in [known, unknown] {
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(trailers["grpc-status"], "0");
    }
}
