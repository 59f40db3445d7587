//! What became of a request, in whichever form it was answered.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::percent_decode_str;
use serde_json::Value;
use tonic::Code;

use crate::support::rpc::{Answered, RawAnswer, answered, framed};

/// What an answer says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) code: Code,
    pub(super) text: String,
    /// Whether its details say which refusal of an operation it is.
    pub(super) identified: bool,
}

impl Said {
    /// What another protocol says of a path that is none of its own, or of this one.
    pub(super) fn not_here() -> Self {
        Self {
            code: Code::NotFound,
            text: String::new(),
            identified: false,
        }
    }

    /// By the status of a call: in the head, behind the message, or in the last frame of the body.
    pub(super) fn by_call(answer: &RawAnswer) -> Self {
        let name = "grpc-status-details-bin";
        let identified = answer.headers.contains_key(name) || answer.trailers.contains_key(name);
        let in_head =
            answer.headers.contains_key("grpc-status") || answer.trailers.contains_key("grpc-status");
        if in_head {
            let said: Answered<()> = answered(&answer.headers, &answer.trailers, &framed(&()));
            let (code, text) = said.err().unwrap_or((Code::Ok, String::new()));
            return Self {
                code,
                text,
                identified,
            };
        }
        let kind = answer.headers["content-type"].to_str().unwrap();
        assert!(kind.starts_with("application/grpc-web"), "{answer:?}");
        let body = if kind.starts_with("application/grpc-web-text") {
            // Pieces are encoded each for itself.
            let pieces = answer.body.chunks(4);
            pieces.flat_map(|four| STANDARD.decode(four).unwrap()).collect()
        } else {
            answer.body.clone()
        };
        let mut rest = &*body;
        while let Some(([flag, length @ ..], behind)) = rest.split_first_chunk::<5>() {
            let (frame, behind) = behind.split_at(usize::try_from(u32::from_be_bytes(*length)).unwrap());
            if *flag == 0x80 {
                assert!(behind.is_empty(), "trailers are the last frame");
                return Self::by_trailers(std::str::from_utf8(frame).unwrap());
            }
            rest = behind;
        }
        panic!("no status in {answer:?}");
    }

    fn by_trailers(text: &str) -> Self {
        let of = |name| {
            let mut lines = text.lines().filter_map(|line| line.split_once(':'));
            lines
                .find(|(key, _)| key.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.trim())
        };
        let text = percent_decode_str(of("grpc-message").unwrap_or_default());
        Self {
            code: Code::from_bytes(of("grpc-status").expect("a status").as_bytes()),
            text: text.decode_utf8().unwrap().into_owned(),
            identified: of("grpc-status-details-bin").is_some(),
        }
    }

    /// By the body, which is an error in JSON whose code fits the status of HTTP, or a message.
    pub(super) fn by_json(answer: &RawAnswer) -> Self {
        let kind = answer.headers.get("content-type");
        assert_eq!(kind.unwrap(), "application/json", "{answer:?}");
        let body: Value = serde_json::from_slice(&answer.body).unwrap();
        assert!(body.is_object(), "{body}");
        if answer.status == 200 {
            return Self {
                code: Code::Ok,
                text: String::new(),
                identified: false,
            };
        }
        let number = i32::try_from(body["code"].as_i64().unwrap()).unwrap();
        let code = Code::from(number);
        let fitting: &[u16] = match code {
            // What is no message at all has another status than a message that is not right.
            Code::InvalidArgument => &[400, 415],
            Code::FailedPrecondition => &[400],
            Code::Unauthenticated => &[401],
            Code::PermissionDenied => &[403],
            Code::NotFound => &[404],
            Code::AlreadyExists | Code::Aborted => &[409],
            Code::ResourceExhausted => &[413, 429],
            Code::Unimplemented => &[501],
            Code::Unavailable => &[503],
            Code::DeadlineExceeded => &[504],
            _ => &[],
        };
        assert!(fitting.contains(&answer.status), "{} {body}", answer.status);
        Self {
            code,
            text: body["message"].as_str().unwrap().to_owned(),
            identified: body.get("details").is_some(),
        }
    }
}
