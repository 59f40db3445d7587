//! What no client should send.

use std::io::Write as _;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tokio::time::Instant;

use super::*;
use crate::web::rpc::MAX_MESSAGE_BYTES;

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A frame with this flag.
fn flagged(flag: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap().to_be_bytes();
    [&[flag], &length[..], message].concat()
}

/// A field of a string, and its bytes.
fn string_field(bytes: &[u8]) -> Vec<u8> {
    let length = u8::try_from(bytes.len()).unwrap();
    [&[0x0a, length], bytes].concat()
}

#[tokio::test]
async fn bodies_that_are_not_one_message_are_answered_with_a_status() {
    let server = Server::new();
    let good = check_of("grpc.health.v1.Health");
    let mut longer = good.to_vec();
    longer[4] += 1;
    let mut shorter = good.to_vec();
    shorter[4] -= 1;
    let too_long = [&[0][..], &u32::MAX.to_be_bytes(), b"x"].concat();
    let trailers = flagged(0x80, b"grpc-status: 0\r\n");
    let mut cases = vec![
        ("nothing", vec![], Code::Internal),
        ("a longer length", longer, Code::Internal),
        ("a shorter length", shorter, Code::Internal),
        ("two messages", [&good[..], &good[..]].concat(), Code::Internal),
        ("the longest length", too_long, Code::ResourceExhausted),
        ("a flag that means nothing", flagged(2, b""), Code::Internal),
        ("only trailers", trailers.clone(), Code::Internal),
        (
            "trailers behind the message",
            [&good[..], &trailers].concat(),
            Code::Internal,
        ),
        (
            "trailers before the message",
            [&trailers[..], &good].concat(),
            Code::Internal,
        ),
        (
            "compressed without a name for it",
            flagged(1, &gzip(&good[5..])),
            Code::Internal,
        ),
        (
            "a varint that does not end",
            flagged(0, &[0xff; 11]),
            Code::Internal,
        ),
        (
            "a length beyond the message",
            flagged(0, &[0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f, b'x']),
            Code::Internal,
        ),
        (
            "a field of another type",
            flagged(0, &[0x08, 0x01]),
            Code::Internal,
        ),
        (
            "a string that is no text",
            flagged(0, &string_field(&[0xff, 0xfe])),
            Code::Internal,
        ),
        (
            "groups within groups",
            flagged(0, &[0x13; 10_000]),
            Code::Internal,
        ),
    ];
    for end in 1..good.len() {
        cases.push(("an early end", good[..end].to_vec(), Code::Internal));
    }
    for (what, body, code) in cases {
        for (kind, version, body) in [
            ("application/grpc", Version::HTTP_2, body.clone()),
            ("application/grpc-web+proto", Version::HTTP_11, body.clone()),
            (
                "application/grpc-web-text",
                Version::HTTP_11,
                STANDARD.encode(&body).into(),
            ),
        ] {
            let answer = server.answer(sent_as(kind, version, CHECK, body.into())).await;
            assert_eq!(answer.http, 200, "{what}");
            let said = told(&answer);
            assert_eq!(said.0, code, "{what}: {said:?}");
        }
    }
    assert!(server.call(CHECK, good).await.is_good());
}

/// The status, wherever it stands.
fn told(answer: &CallAnswer) -> (Code, String) {
    let in_body = if answer.headers["content-type"] == "application/grpc-web-text+proto" {
        STANDARD.decode(&answer.body).unwrap()
    } else {
        answer.body.to_vec()
    };
    if answer.headers.contains_key("grpc-status") || answer.status.code() != Code::Ok {
        return (answer.status.code(), answer.status.message().to_owned());
    }
    let text = String::from_utf8_lossy(&in_body);
    let code = text.split("grpc-status:").nth(1).and_then(|rest| {
        let digits: String = rest
            .trim_start()
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        digits.parse().ok()
    });
    (code.map_or(Code::Ok, Code::from_i32), text.into_owned())
}

#[tokio::test]
async fn text_that_is_not_in_base64_and_bodies_without_an_end_are_answered_with_a_status() {
    let server = Server::new();
    for body in ["%%%%", "AAAAA", "AAAA====", "A"] {
        let request = sent_as("application/grpc-web-text", Version::HTTP_11, CHECK, body.into());
        let answer = server.answer(request).await;
        assert_eq!(told(&answer).0, Code::Internal, "{body}");
    }
    let endless =
        std::iter::repeat_with(|| Ok::<_, std::io::Error>(Frame::data(Bytes::from_static(&[0; 4096]))));
    let body = Body::new(StreamBody::new(futures_util::stream::iter(endless)));
    let answer = server.answer(native(CHECK, body)).await;
    assert_eq!(answer.status.code(), Code::ResourceExhausted);
    let broken = [
        Ok(Frame::data(check_of("").slice(..3))),
        Err(std::io::Error::other("gone")),
    ];
    let body = Body::new(StreamBody::new(futures_util::stream::iter(broken)));
    let answer = server.answer(native(CHECK, body)).await;
    assert_eq!(answer.status.code(), Code::Cancelled);
}

#[tokio::test]
async fn gzip_is_read_and_written() {
    let server = Server::new();
    let body = flagged(1, &gzip(&check_of("")[5..]));
    let mut request = native(CHECK, body.into());
    request
        .headers_mut()
        .insert("grpc-encoding", "gzip".parse().unwrap());
    request
        .headers_mut()
        .insert("grpc-accept-encoding", "identity, gzip".parse().unwrap());
    let answer = server.answer(request).await;
    assert_eq!(answer.headers["grpc-encoding"], "gzip");
    assert_eq!((answer.status.code(), answer.body[0]), (Code::Ok, 1));
    let mut message = Vec::new();
    std::io::copy(&mut GzDecoder::new(&answer.body[5..]), &mut message).unwrap();
    assert_eq!(serving_status(&message::frame(&message)), ServingStatus::Serving);
    // One that is not compressed may come all the same.
    let mut request = native(CHECK, check_of("").into());
    request
        .headers_mut()
        .insert("grpc-encoding", "gzip".parse().unwrap());
    assert!(server.answer(request).await.is_good());
}

#[tokio::test]
async fn what_unpacks_to_more_than_a_message_may_have_is_given_up() {
    let server = Server::new();
    for (bytes, code) in [
        (string_of(MAX_MESSAGE_BYTES - 8), Code::NotFound),
        (string_of(MAX_MESSAGE_BYTES + 1), Code::ResourceExhausted),
        (string_of(50_000_000), Code::ResourceExhausted),
    ] {
        let mut request = native(CHECK, flagged(1, &gzip(&bytes)).into());
        request
            .headers_mut()
            .insert("grpc-encoding", "gzip".parse().unwrap());
        let answer = server.answer(request).await;
        assert_eq!(answer.status.code(), code, "{}", answer.status.message());
    }
    // Neither what is no gzip, nor what ends within it.
    let packed = gzip(&check_of("")[5..]);
    for packed in [&b"no gzip"[..], &packed[..packed.len() - 1], &[]] {
        let mut request = native(CHECK, flagged(1, packed).into());
        request
            .headers_mut()
            .insert("grpc-encoding", "gzip".parse().unwrap());
        let answer = server.answer(request).await;
        assert_eq!(answer.status.code(), Code::Internal, "{packed:?}");
    }
}

/// A message with the name of a service that is so long.
fn string_of(length: usize) -> Vec<u8> {
    HealthCheckRequest {
        service: "x".repeat(length),
    }
    .encode_to_vec()
}

#[tokio::test]
async fn compression_that_is_not_spoken_is_answered_with_what_is() {
    let server = Server::new();
    for name in ["deflate", "snappy", "zstd", "GZIP", "gzip, gzip", ""] {
        let mut request = native(CHECK, check_of("").into());
        request
            .headers_mut()
            .insert("grpc-encoding", name.parse().unwrap());
        let answer = server.answer(request).await;
        assert_eq!(answer.status.code(), Code::Unimplemented, "{name}");
        let accepted = answer.headers["grpc-accept-encoding"].to_str().unwrap();
        assert!(
            accepted.split(',').any(|name| name.trim() == "gzip"),
            "{accepted}"
        );
    }
}

#[tokio::test]
async fn calls_have_their_type_their_method_and_their_version() {
    let server = Server::new();
    for kind in [
        "text/plain",
        "application/grpc+json",
        "application/json",
        "application/grpcs",
    ] {
        let answer = server
            .answer(sent_as(kind, Version::HTTP_2, CHECK, check_of("").into()))
            .await;
        assert_eq!(answer.http, 415, "{kind}");
    }
    let answer = server
        .answer(sent_as(
            "application/grpc",
            Version::HTTP_11,
            CHECK,
            check_of("").into(),
        ))
        .await;
    assert_eq!(answer.status.code(), Code::FailedPrecondition);
    for method in [Method::GET, Method::PUT, Method::DELETE, Method::HEAD] {
        for kind in ["application/grpc", "application/grpc-web"] {
            let mut request = sent_as(kind, Version::HTTP_2, CHECK, check_of("").into());
            *request.method_mut() = method.clone();
            let answer = server.answer(request).await;
            assert_eq!(answer.status.code(), Code::Unimplemented, "{method} {kind}");
        }
    }
    for path in [
        "/grpc.health.v1.Health/Nothing",
        "/grpc.health.v1.Health/",
        "/grpc.health.v1.Health",
        "/grpc.health.v2.Health/Check",
    ] {
        let answer = server.call(path, check_of("")).await;
        assert_eq!(answer.status.code(), Code::Unimplemented, "{path}");
    }
    // Whatever stands behind the type.
    for (kind, version) in [
        ("application/grpc;charset=utf-8", Version::HTTP_2),
        ("application/grpc-web+proto; charset=utf-8", Version::HTTP_11),
    ] {
        let answer = server
            .answer(sent_as(kind, version, CHECK, check_of("").into()))
            .await;
        assert_eq!(told(&answer).0, Code::Ok, "{kind}");
    }
}

#[tokio::test(start_paused = true)]
async fn calls_end_at_the_latest_when_their_callers_say() {
    let server = Server::new();
    let timed = |body: Body, timeouts: &[&str]| {
        let mut request = native(CHECK, body);
        for timeout in timeouts {
            request
                .headers_mut()
                .append("grpc-timeout", timeout.parse().unwrap());
        }
        server.answer(request)
    };
    for timeout in ["1H", "1S", "99999999m"] {
        let answer = timed(check_of("").into(), &[timeout]).await;
        assert!(answer.is_good(), "{timeout}");
    }
    for timeouts in [
        &["1"][..],
        &["S"],
        &["1.5S"],
        &["-1S"],
        &["123456789S"],
        &["1S", "1S"],
        &[""],
    ] {
        let answer = timed(check_of("").into(), timeouts).await;
        assert_eq!(answer.status.code(), Code::InvalidArgument, "{timeouts:?}");
    }
    let answer = timed(check_of("").into(), &["0S"]).await;
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
    // One whose message does not come.
    let began = Instant::now();
    let never = StreamBody::new(futures_util::stream::pending::<
        Result<Frame<Bytes>, std::io::Error>,
    >());
    let answer = timed(Body::new(never), &["250m"]).await;
    assert_eq!(answer.status.code(), Code::DeadlineExceeded);
    assert!(began.elapsed() < Duration::from_millis(300));
}
