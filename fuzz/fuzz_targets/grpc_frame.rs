//! The body of a call in each form that calls have. Each is answered with a status; one that is no frame with one whole
//! message is never good.

#![no_main]

use axum::http::Method;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign_fuzz::calls::{GRPC, with_server};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let is_message = match body {
        [0, a, b, c, d, message @ ..] => u32::from_be_bytes([*a, *b, *c, *d]) as usize == message.len(),
        _ => false,
    };
    let encoded = STANDARD.encode(body);
    let forms = [
        (GRPC, body, Some(is_message)),
        ("application/grpc-web+proto", body, Some(is_message)),
        ("application/grpc-web-text", encoded.as_bytes(), Some(is_message)),
        // Whatever it is in base64.
        ("application/grpc-web-text", body, None),
    ];
    for (kind, body, is_message) in forms {
        let answer = with_server(|server| server.ask(&Method::POST, PATH, kind, body));
        assert_eq!(answer.http, 200);
        let status = answer.status().or_else(|| in_body(&answer.body));
        let status = status.expect("each call has a status");
        assert!(status != 0 || is_message != Some(false), "{kind}: {status}");
    }
});

/// The status in the last frame of an answer, whose bytes are in base64 or not.
fn in_body(body: &[u8]) -> Option<i32> {
    let decoded = STANDARD.decode(body).ok();
    let mut rest = decoded.as_deref().unwrap_or(body);
    while let [flag, a, b, c, d, more @ ..] = rest {
        let length = u32::from_be_bytes([*a, *b, *c, *d]) as usize;
        let (frame, behind) = more.split_at_checked(length)?;
        if *flag == 0x80 {
            let text = std::str::from_utf8(frame).ok()?;
            let line = text.lines().find_map(|line| line.strip_prefix("grpc-status:"))?;
            return line.trim().parse().ok();
        }
        rest = behind;
    }
    None
}

/// It changes nothing, whatever it is asked.
const PATH: &str = "/org.signal.registration.rpc.RegistrationService/GetSessionMetadata";
