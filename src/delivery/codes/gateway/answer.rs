//! What a provider's answer means.

use serde_json::Value;

use crate::delivery::codes::{CodeMessage, Sent, words};
use crate::delivery::http::HttpAnswer;
use crate::domain::time::Timestamp;

/// How the operator reads a provider's answers.
#[derive(Clone, Debug, Default)]
pub struct AnswerRules {
    /// The statuses of success; every 2xx if there are none.
    pub success_statuses: Vec<u16>,
    /// Where in the answer (a JSON pointer, RFC 6901) stands whether it was a success.
    pub success_json: Option<String>,
    /// What stands there if it was one.
    pub success_values: Vec<String>,
    /// What stands there if it may be one later.
    pub retry_values: Vec<String>,
    /// Where in the answer (a JSON pointer) stands what the provider calls the message.
    pub reference_json: Option<String>,
}

impl AnswerRules {
    /// What came of it. What is said of a failure holds nothing of the message, and no secret.
    pub(super) fn judge(
        &self,
        answer: &HttpAnswer,
        message: &CodeMessage,
        secret: Option<&str>,
        now: Timestamp,
    ) -> Sent {
        let status = answer.status;
        let why = || {
            let words = String::from_utf8_lossy(&answer.body);
            match words::of_provider(&words, message, secret).as_str() {
                "" => format!("the provider answered {status}"),
                words => format!("the provider answered {status}: {words}"),
            }
        };
        let success = match self.success_statuses.as_slice() {
            [] => (200..300).contains(&status),
            statuses => statuses.contains(&status),
        };
        match status {
            _ if success => self.judge_body(answer, why),
            408 | 425 | 429 | 500.. => {
                // Only what says for how long is surely about all: providers answer 429 and 5xx about one number, too.
                match answer.retry_after(now) {
                    Some(after) if matches!(status, 429 | 503) => Sent::overloaded(why(), Some(after)),
                    after => Sent::retry_recipient(status.into(), why(), after),
                }
            }
            // The credentials are everybody's. What a provider does not allow for one number it says with 403 and others.
            401 | 407 => Sent::retry(
                format!("{}; it does not accept the sender's credentials", why()),
                None,
            ),
            300..=399 => Sent::refused(format!(
                "the provider answered {status}; redirects are not followed, so give the sender the final URL"
            )),
            _ => Sent::refused(why()),
        }
    }

    fn judge_body(&self, answer: &HttpAnswer, why: impl Fn() -> String) -> Sent {
        let json: Option<Value> = serde_json::from_slice(&answer.body).ok();
        let at = |pointer: &Option<String>| {
            let found = json.as_ref()?.pointer(pointer.as_deref()?)?;
            match found {
                Value::String(text) => Some(text.clone()),
                Value::Bool(_) | Value::Number(_) => Some(found.to_string()),
                Value::Array(_) | Value::Null | Value::Object(_) => None,
            }
        };
        if self.success_json.is_some() {
            let found = at(&self.success_json);
            let is_one_of = |values: &[String]| found.as_ref().is_some_and(|found| values.contains(found));
            if is_one_of(&self.retry_values) {
                // A status that says "try later" inside an answer that is fine is about this message.
                return Sent::retry_recipient(answer.status.into(), why(), None);
            }
            if !is_one_of(&self.success_values) {
                return Sent::refused(why());
            }
        }
        Sent::delivered(at(&self.reference_json).as_deref())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::super::samples;
    use super::*;
    use crate::delivery::DeliveryOutcome;
    use crate::domain::circuit::FailureScope;

    fn judge(reading: &AnswerRules, status: u16, body: &str) -> Sent {
        let answer = HttpAnswer::of(status, &[("retry-after", "7")], body);
        let message = samples::sms("+15005550006", "4711", "Your code is 4711");
        reading.judge(&answer, &message, Some("hunter2"), Timestamp::from_seconds(0))
    }

    #[test]
    fn statuses_tell_what_may_work_later() {
        let reading = AnswerRules::default();
        for status in [200, 202, 204, 299] {
            assert_eq!(judge(&reading, status, "").outcome, DeliveryOutcome::Delivered);
        }
        for status in [408, 425, 429, 500, 503, 599] {
            let sent = judge(&reading, status, "");
            let after = Some(Duration::from_secs(7));
            assert!(
                matches!(sent.outcome, DeliveryOutcome::Retry { after: rest, .. } if rest == after),
                "{status}"
            );
            let about = match status {
                429 | 503 => FailureScope::Overload,
                _ => FailureScope::Recipient {
                    status: status.into(),
                },
            };
            assert_eq!(sent.outcome.scope(), Some(about), "{status}");
        }
        for status in [401, 407] {
            let sent = judge(&reading, status, "");
            assert_eq!(sent.outcome.scope(), Some(FailureScope::Sender), "{status}");
        }
        for status in [301, 307, 400, 403, 404, 422] {
            let sent = judge(&reading, status, "");
            assert!(
                matches!(sent.outcome, DeliveryOutcome::Refused { .. }),
                "{status}"
            );
        }
        let listed = AnswerRules {
            success_statuses: vec![201],
            ..AnswerRules::default()
        };
        assert_eq!(judge(&listed, 201, "").outcome, DeliveryOutcome::Delivered);
        assert!(matches!(
            judge(&listed, 200, "").outcome,
            DeliveryOutcome::Refused { .. }
        ));
    }

    #[test]
    fn the_body_can_say_more() {
        let reading = AnswerRules {
            success_json: Some("/messages/0/status".to_owned()),
            success_values: vec!["0".to_owned(), "queued".to_owned()],
            retry_values: vec!["1".to_owned()],
            reference_json: Some("/messages/0/id".to_owned()),
            ..AnswerRules::default()
        };
        for (body, outcome, reference) in [
            (
                r#"{"messages":[{"status":"0","id":"m-1"}]}"#,
                "Delivered",
                Some("m-1"),
            ),
            (r#"{"messages":[{"status":0,"id":17}]}"#, "Delivered", Some("17")),
            (r#"{"messages":[{"status":"queued"}]}"#, "Delivered", None),
            (r#"{"messages":[{"status":"1"}]}"#, "Retry", None),
            (r#"{"messages":[{"status":"2"}]}"#, "Refused", None),
            (r#"{"messages":[{"status":["0"]}]}"#, "Refused", None),
            ("{}", "Refused", None),
            ("no JSON", "Refused", None),
        ] {
            let sent = judge(&reading, 200, body);
            let shown = format!("{:?}", sent.outcome);
            assert!(shown.starts_with(outcome), "{body}: {shown}");
            let about = (outcome == "Retry").then_some(FailureScope::Recipient { status: 200 });
            assert_eq!(sent.outcome.scope(), about, "{body}");
            assert_eq!(sent.reference.as_deref(), reference, "{body}");
        }
    }

    #[test]
    fn failures_name_neither_the_message_nor_secrets() {
        let sent = judge(
            &AnswerRules::default(),
            400,
            "{\"to\":\"+15005550006\",\"body\":\"Your code is 4711\",\"key\":\"hunter2\"}",
        );
        let DeliveryOutcome::Refused { why } = sent.outcome else {
            panic!("{sent:?}");
        };
        assert_eq!(
            why,
            "the provider answered 400: {\"to\":\"+***\",\"body\":\"***\",\"key\":\"***\"}"
        );
    }
}
