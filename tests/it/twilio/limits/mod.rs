//! Every limit of a parameter: the last value that fits is taken, the first that does not is refused by name with the
//! right number, and a refused request changes nothing at all.

mod challenges;
mod credentials;
mod factors;
mod lists;
mod rate_limits;
mod services;
mod verifications;

use serde_json::json;

use crate::support::TestApp;
use crate::support::device::borrowed;
use crate::support::operations::Everything;
use crate::support::stores::new_store;
use crate::support::world::with_many_pushes;

type Form = Vec<(&'static str, String)>;

/// What one parameter of one operation may be.
struct Rule {
    path: &'static str,
    /// The rest of the request.
    base: fn(&Everything) -> Form,
    parameter: &'static str,
    good: Vec<String>,
    bad: Vec<String>,
    /// The number of the error.
    code: u32,
}

impl Rule {
    fn form(&self, all: &Everything, value: &str) -> Form {
        let mut form = (self.base)(all);
        form.retain(|(name, _)| *name != self.parameter);
        // A value may name one of the things.
        form.push((self.parameter, all.path(value)));
        form
    }

    async fn check(&self, server: &TestApp, all: &Everything) {
        let client = server.client();
        let path = all.path(self.path);
        let about = format!("{} {}", self.path, self.parameter);
        for value in &self.bad {
            let before = server.dump().await;
            let refused = client.post(&path, &borrowed(&self.form(all, value))).await;
            assert_eq!(
                (refused.status, refused.code()),
                (400, self.code),
                "{about} {value:?} {}",
                refused.body
            );
            refused.naming(self.parameter);
            assert_eq!(server.dump().await, before, "{about} {value:?}");
        }
        for value in &self.good {
            let answer = client.post(&path, &borrowed(&self.form(all, value))).await;
            assert!(answer.status < 300, "{about} {value:?}: {}", answer.body);
        }
    }
}

async fn check(rules: Vec<Rule>) {
    let server = TestApp::with(new_store().await, with_many_pushes()).await;
    let all = Everything::create(&server, &server.client()).await;
    let token = "n".repeat(64);
    let form = [
        ("Config.NotificationPlatform", "fcm"),
        ("Config.NotificationToken", token.as_str()),
    ];
    server.client().post(all.device.path(), &form).await.ok();
    for rule in rules {
        rule.check(&server, &all).await;
    }
}

/// A parameter that has to be there: neither absent nor empty.
async fn check_required(path: &str, base: fn(&Everything) -> Form, required: &[&'static str], code: u32) {
    let server = TestApp::new().await;
    let all = Everything::create(&server, &server.client()).await;
    let before = server.dump().await;
    for name in required {
        for empty in [false, true] {
            let mut form = base(&all);
            form.retain(|(given, _)| given != name);
            if empty {
                form.push((*name, String::new()));
            }
            let refused = server.client().post(all.path(path), &borrowed(&form)).await;
            refused.refused(400, code).naming(name);
        }
    }
    assert_eq!(server.dump().await, before);
    server
        .client()
        .post(all.path(path), &borrowed(&base(&all)))
        .await
        .ok();
}

fn strings(values: &[&str]) -> Vec<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

/// Texts of so many characters: of one byte, of two, of four.
fn of_length(length: usize) -> Vec<String> {
    ["a", "é", "\u{1f600}"]
        .iter()
        .map(|character| character.repeat(length))
        .collect()
}

/// Names for people: up to 64 characters, however many bytes they take, and no control characters.
fn good_names() -> Vec<String> {
    [
        of_length(1),
        of_length(64),
        strings(&["日本語 x", "O'Neil & <b>"]),
    ]
    .concat()
}

fn bad_names() -> Vec<String> {
    [of_length(65), unshown()].concat()
}

/// Texts on one line that nobody may be shown: with controls of a terminal, or marks that turn the direction of writing.
fn unshown() -> Vec<String> {
    let mut texts = unshown_lines();
    texts.push("two\nlines".to_owned());
    texts
}

/// The same of texts that may have several lines.
fn unshown_lines() -> Vec<String> {
    strings(&[
        "nul\0",
        "a\tb",
        "a\rb",
        "\u{1b}[2J",
        "\u{7f}",
        "\u{85}",
        "\u{9b}2J",
        "\u{61c}a",
        "a\u{200e}",
        "a\u{200f}",
        "a\u{202a}b",
        "a\u{202e}b",
        "\u{2066}a",
        "a\u{2069}",
    ])
}

/// Whole numbers around a range.
fn around(least: u32, most: u32) -> (Vec<String>, Vec<String>) {
    let good = vec![least.to_string(), most.to_string()];
    let mut bad = vec![(most + 1).to_string()];
    bad.extend(least.checked_sub(1).map(|number| number.to_string()));
    bad.extend(strings(&[
        "-1",
        "+3",
        "3.0",
        "3e0",
        "0x3",
        " 3",
        "3 ",
        "three",
        "\u{663}",
        "4294967299",
        "99999999999999999999",
    ]));
    (good, bad)
}

/// JSON objects of strings, up to 1024 characters.
fn good_objects() -> Vec<String> {
    let sized = |character: &str| json!({"a": character.repeat(1024 - r#"{"a":""}"#.len())}).to_string();
    vec![
        sized("x"),
        sized("é"),
        "{}".to_owned(),
        r#"{"ip":"192.0.2.1","é":""}"#.to_owned(),
    ]
}

fn bad_objects() -> Vec<String> {
    let too_long = json!({"a": "x".repeat(1025 - r#"{"a":""}"#.len())}).to_string();
    let texts = [
        r#"{"a":1}"#,
        r#"{"a":null}"#,
        r#"{"a":true}"#,
        r#"{"a":{"b":"c"}}"#,
        r#"{"a":["b"]}"#,
        r#"{"a":"b","a":"c"}"#,
        r#"["a"]"#,
        r#""a""#,
        "null",
        "{",
        r#"{"a":"b"} x"#,
        "a=b",
    ];
    [
        vec![too_long, format!("{{\"a\":{}", "[".repeat(900))],
        strings(&texts),
    ]
    .concat()
}
