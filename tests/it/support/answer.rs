//! What the server answered.

use axum::http::HeaderMap;
use serde_json::{Value, json};

/// An answer, read to its end.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) bytes: Vec<u8>,
    /// The body as JSON; `null` if it is empty.
    pub(crate) body: Value,
}

impl Answer {
    /// The answer, if it is a success.
    #[track_caller]
    pub(crate) fn ok(self) -> Value {
        assert!((200..300).contains(&self.status), "{} {}", self.status, self.body);
        self.body
    }

    /// Asserts that this is the error with this HTTP status and number.
    #[track_caller]
    pub(crate) fn refused(self, status: u16, code: u32) -> Self {
        assert_eq!((self.status, self.code()), (status, code), "{}", self.body);
        self
    }

    /// Asserts that the error's sentence names `what`.
    #[track_caller]
    pub(crate) fn naming(self, what: &str) -> Self {
        let message = self.body["message"].as_str().unwrap();
        assert!(message.contains(what), "{what} is not named in: {message}");
        self
    }

    /// The number of the error; 0 if it is none.
    pub(crate) fn code(&self) -> u32 {
        self.body["code"]
            .as_u64()
            .map_or(0, |code| u32::try_from(code).unwrap())
    }

    /// A text of the body.
    #[track_caller]
    pub(crate) fn text(&self, member: &str) -> String {
        let text = self.body[member].as_str();
        text.unwrap_or_else(|| panic!("no text {member} in {}", self.body))
            .to_owned()
    }

    /// How many seconds the answer says to wait.
    #[track_caller]
    pub(crate) fn retry_after(&self) -> u64 {
        let seconds = self.body["details"]["retry_after"].as_u64();
        seconds.unwrap_or_else(|| panic!("it does not say when to try again: {}", self.body))
    }

    /// Asserts what holds for every answer: JSON, and errors of four members that agree with the status, and a fifth if there
    /// is a wait, which a header says as well.
    #[track_caller]
    pub(crate) fn check_form(&self) {
        if self.status == 204 {
            assert!(self.bytes.is_empty(), "a deletion has no body");
            return;
        }
        assert_eq!(self.headers["content-type"], "application/json");
        if self.status < 400 {
            return;
        }
        let mut members: Vec<_> = self
            .body
            .as_object()
            .unwrap()
            .keys()
            .map(String::as_str)
            .collect();
        let wait = self.headers.get("countersign-retry-after");
        if let Some(wait) = wait {
            assert_eq!(members.pop(), Some("details"));
            assert_eq!(self.body["details"], json!({"retry_after": self.retry_after()}));
            assert_eq!(wait, &self.retry_after().to_string());
        }
        assert_eq!(members, ["code", "message", "more_info", "status"]);
        assert_eq!(self.body["status"], self.status);
        let code = self.code();
        assert!((20000..70000).contains(&code), "{}", self.body);
        let more = self.body["more_info"].as_str().unwrap();
        assert!(more.ends_with(&format!("/docs/errors/{code}")), "{more}");
        let message = self.body["message"].as_str().unwrap();
        assert!(
            message.starts_with(|c: char| c.is_uppercase() || c.is_numeric()),
            "{message}"
        );
        assert_eq!(self.status == 401, self.headers.contains_key("www-authenticate"));
    }
}
