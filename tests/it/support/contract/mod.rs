//! What Twilio's own description of Verify v2 says that answers must look like: every answer that a test gets is held to it.
//!
//! `twilio_verify_v2.json` is the part of that document (Apache-2.0) which is about answers. Where it leaves room, this is
//! stricter: a member that it names must be there, if only as `null`, because a helper library takes an absent date for the
//! current time; a member that it does not name is one of [`OWN_MEMBERS`]; a date has no fraction and the zone `Z`; an error
//! has the form that it declares for one operation only, whichever operation fails.

mod shape;

use std::sync::LazyLock;

use axum::http::HeaderMap;
use serde_json::{Map, Value};

use self::shape::Shapes;

/// What this server's answers have beyond the document: the schema, or the member that holds the object, and the names.
const OWN_MEMBERS: [(&str, &[&str]); 5] = [
    ("error", &["details"]),
    ("verify.v2.service", &["mailer_sid", "new_code_on_resend"]),
    (
        "verify.v2.service.entity.challenge",
        &["number_matching", "deny_reason"],
    ),
    ("verify.v2.service.verification", &["codes_paused_until"]),
    ("verify.v2.service.verification_check", &["codes_paused_until"]),
];

/// Values that are in no list of the document: the enumeration, the value, and why.
const OWN_VALUES: [(&str, &str); 3] = [
    // The list lacks it, but the sentence that goes with the list names it.
    ("verification_enum_channel", "rcs"),
    ("verification_check_enum_channel", "rcs"),
    // The document has no word for an attempt of silent authentication.
    ("verification_attempt_enum_channels", "sna"),
];

/// What any operation may answer besides what the document declares, which has no errors but one.
const ERRORS: [u16; 13] = [400, 401, 403, 404, 405, 406, 408, 409, 413, 429, 431, 500, 503];

/// Headers that say something: they are declared, or not sent.
const DECLARED_HEADERS: [&str; 4] = [
    "retry-after",
    "twilio-reached-rate-limit",
    "twilio-verify-challenge-signature",
    "twilio-verify-signature-fields",
];

/// The longest wait, in seconds, that twilio-java may be told to sleep in its caller's thread.
const LONGEST_SLEEP: u64 = 5;

static DOCUMENT: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("twilio_verify_v2.json")).expect("the document is JSON")
});

fn operations() -> &'static Map<String, Value> {
    DOCUMENT["operations"].as_object().expect("operations")
}

/// Each operation of the document, such as `GET /v2/Services/{Sid}`, with the statuses that it declares.
pub(crate) fn declared() -> impl Iterator<Item = (&'static str, Vec<u16>)> {
    operations().iter().map(|(operation, answers)| {
        let statuses = answers.as_object().expect("answers").keys();
        let statuses = statuses.map(|status| status.parse().expect("a status"));
        (operation.as_str(), statuses.collect())
    })
}

/// The operation of the document that a request asks for. A path without parameters goes before one with some.
pub(crate) fn operation(method: &str, path: &str) -> Option<&'static str> {
    let matching = operations().keys().filter(|operation| {
        let (own_method, template) = operation.split_once(' ').expect("a method and a path");
        own_method == method && leads(template, path)
    });
    let places = |operation: &&String| operation.matches('{').count();
    matching.min_by_key(places).map(String::as_str)
}

fn leads(template: &str, path: &str) -> bool {
    let fits = |(own, given): (&str, &str)| own.starts_with('{') && !given.is_empty() || own == given;
    template.split('/').count() == path.split('/').count()
        && template.split('/').zip(path.split('/')).all(fits)
}

/// What is wrong with an answer to a request; of an operation that the document does not have, only what is wrong with errors.
pub(crate) fn faults(
    method: &str,
    path: &str,
    status: u16,
    headers: &HeaderMap,
    body: &Value,
) -> Vec<String> {
    let operation = operation(method, path);
    let shapes = Shapes {
        schemas: &DOCUMENT["schemas"],
        own_members: &OWN_MEMBERS,
        own_values: &OWN_VALUES,
    };
    let answer = operation.map(|operation| &operations()[operation][status.to_string()]);
    let declared = answer.filter(|answer| !answer.is_null());
    let mut found = of_headers(declared, headers);
    if status >= 400 {
        if !ERRORS.contains(&status) {
            found.push(format!("{status} is no status of an error"));
        }
        let schema = &operations()["POST /v2/Services/{ServiceSid}/Verifications"]["429"]["schema"];
        found.extend(shapes.faults("error", schema, body));
        if body["status"] != status {
            found.push(format!("status says {} in an answer of {status}", body["status"]));
        }
    } else if let Some(operation) = operation {
        match declared {
            None => found.push(format!("{operation} does not declare {status}")),
            Some(declared) if declared["schema"].is_null() => {
                if !body.is_null() {
                    found.push(format!("{operation} declares no body for {status}"));
                }
            }
            Some(declared) => found.extend(shapes.faults(operation, &declared["schema"], body)),
        }
    }
    found
}

fn of_headers(declared: Option<&Value>, headers: &HeaderMap) -> Vec<String> {
    let names = declared.and_then(|answer| answer["headers"].as_array());
    let is_declared = |name: &str| {
        let same = |own: &Value| own.as_str().is_some_and(|own| own.eq_ignore_ascii_case(name));
        names.is_some_and(|names| names.iter().any(same))
    };
    let sent = DECLARED_HEADERS
        .into_iter()
        .filter(|name| headers.contains_key(*name));
    let mut found: Vec<_> = sent
        .filter(|name| !is_declared(name))
        .map(|name| format!("the header {name} is not declared here"))
        .collect();
    if let Some(wait) = headers.get("retry-after") {
        let seconds = wait.to_str().ok().and_then(|text| text.parse().ok());
        if seconds.is_none_or(|seconds: u64| seconds > LONGEST_SLEEP) {
            found.push(format!("Retry-After is {wait:?}"));
        }
    }
    found
}

#[cfg(test)]
mod tests;
