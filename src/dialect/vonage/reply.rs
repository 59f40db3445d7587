//! Answers: the same fields as JSON and as XML. All values are texts.

use axum::body::Body;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderValue, StatusCode};
use axum::response::Response;
use quick_xml::escape::escape;
use serde::ser::{Serialize, SerializeMap as _, SerializeSeq as _, Serializer};

/// In which form an answer is written: what the path ends in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say what they are")]
pub enum ReplyFormat {
    Json,
    Xml,
}

impl ReplyFormat {
    /// By its name in the path.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        match name {
            "json" => Some(Self::Json),
            "xml" => Some(Self::Xml),
            _ => None,
        }
    }
}

/// An answer: fields with names, in the order in which they are written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifyReply {
    /// What XML calls the whole.
    root: &'static str,
    fields: Vec<(&'static str, ReplyValue)>,
}

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReplyValue {
    /// A text, whatever it means.
    Text(String),
    /// Items, which are called this in XML.
    List(&'static str, Vec<VerifyReply>),
}

impl VerifyReply {
    /// One without fields.
    #[must_use]
    pub fn new(root: &'static str) -> Self {
        Self {
            root,
            fields: Vec::new(),
        }
    }

    /// The same with one more field.
    #[must_use]
    pub fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.fields.push((name, ReplyValue::Text(value.into())));
        self
    }

    /// The same with one more field, which holds items.
    #[must_use]
    pub fn with_list(mut self, name: &'static str, item: &'static str, items: Vec<Self>) -> Self {
        self.fields.push((name, ReplyValue::List(item, items)));
        self
    }

    /// As JSON.
    #[must_use]
    pub fn json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// As XML. Characters that XML 1.0 has no way to write are replaced by U+FFFD.
    #[must_use]
    pub fn xml(&self) -> String {
        let mut text = PROLOG.to_owned();
        self.element(self.root, &mut text);
        text
    }

    fn element(&self, name: &str, text: &mut String) {
        open(name, text);
        for (name, value) in &self.fields {
            match value {
                ReplyValue::Text(value) => {
                    if value.is_empty() {
                        empty(name, text);
                    } else {
                        open(name, text);
                        text.push_str(&escape(&*writable(value)));
                        close(name, text);
                    }
                }
                // A list of everything is the whole.
                ReplyValue::List(item, items) if *name == self.root => {
                    Self::elements(item, items, text);
                }
                ReplyValue::List(_, items) if items.is_empty() => empty(name, text),
                ReplyValue::List(item, items) => {
                    open(name, text);
                    Self::elements(item, items, text);
                    close(name, text);
                }
            }
        }
        close(name, text);
    }

    fn elements(name: &str, items: &[Self], text: &mut String) {
        for item in items {
            item.element(name, text);
        }
    }

    /// The answer of HTTP.
    pub(super) fn respond(&self, status: StatusCode, format: ReplyFormat) -> Response {
        let (content, text) = match format {
            // Some clients read nothing that is called anything else, before a semicolon.
            ReplyFormat::Json => ("application/json", self.json()),
            ReplyFormat::Xml => ("text/xml; charset=utf-8", self.xml()),
        };
        let mut response = Response::new(Body::from(text));
        *response.status_mut() = status;
        response
            .headers_mut()
            .insert(CONTENT_TYPE, HeaderValue::from_static(content));
        response
    }
}

impl Serialize for VerifyReply {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut object = serializer.serialize_map(Some(self.fields.len()))?;
        for (name, value) in &self.fields {
            object.serialize_entry(name, value)?;
        }
        object.end()
    }
}

impl Serialize for ReplyValue {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::List(_, items) => {
                let mut array = serializer.serialize_seq(Some(items.len()))?;
                for item in items {
                    array.serialize_element(item)?;
                }
                array.end()
            }
        }
    }
}

const PROLOG: &str = "<?xml version='1.0' encoding='UTF-8' ?>\n";

fn open(name: &str, text: &mut String) {
    text.extend(["<", name, ">"]);
}

fn close(name: &str, text: &mut String) {
    text.extend(["</", name, ">"]);
}

fn empty(name: &str, text: &mut String) {
    text.extend(["<", name, "/>"]);
}

/// The text with U+FFFD for what is no `Char` of XML 1.0 (2.2); a carriage return would be read as another character (2.11).
fn writable(text: &str) -> String {
    let is_char = |c: char| matches!(c, '\t' | '\n' | ' '..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..='\u{10ffff}');
    text.chars()
        .map(|c| if is_char(c) { c } else { '\u{fffd}' })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_answer_is_written_in_two_forms() {
        let check = VerifyReply::new("check")
            .with("code", "1234")
            .with("ip_address", "");
        let reply = VerifyReply::new("verify_request")
            .with("number", "4915112345678")
            .with("error_text", "a <b> & \"c\" '\u{1}\r")
            .with_list("checks", "check", vec![check])
            .with_list("events", "event", Vec::new())
            .with("status", "SUCCESS");
        assert_eq!(
            reply.json(),
            r#"{"number":"4915112345678","error_text":"a <b> & \"c\" '\u0001\r","checks":[{"code":"1234","ip_address":""}],"events":[],"status":"SUCCESS"}"#
        );
        assert_eq!(
            reply.xml(),
            "<?xml version='1.0' encoding='UTF-8' ?>\n<verify_request><number>4915112345678</number>\
             <error_text>a &lt;b&gt; &amp; &quot;c&quot; &apos;\u{fffd}\u{fffd}</error_text>\
             <checks><check><code>1234</code><ip_address/></check></checks><events/><status>SUCCESS</status></verify_request>"
        );
    }

    #[test]
    fn a_list_of_everything_is_the_root() {
        let items = vec![VerifyReply::new("verify_request").with("status", "FAILED")];
        let all = VerifyReply::new("verification_requests").with_list(
            "verification_requests",
            "verify_request",
            items,
        );
        assert_eq!(all.json(), r#"{"verification_requests":[{"status":"FAILED"}]}"#);
        let expected = "<verification_requests><verify_request><status>FAILED</status></verify_request></verification_requests>";
        assert_eq!(all.xml(), format!("{PROLOG}{expected}"));
    }
}
