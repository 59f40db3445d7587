//! The libraries for Ruby and PHP, by what they write into the connection: requests, byte for byte, as twilio-ruby 7 (through
//! Faraday's flat parameters and `Net::HTTP`) and twilio-php 8 (through curl) make them of the same calls.
//!
//! What is theirs: the order and the case of headers, `+` for a blank, `%7E`, parameters in alphabetical order (Ruby), a list as
//! a repeated name, letters of JSON escaped (PHP), `Expect: 100-continue` before long bodies (curl), and dates with `Z`.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;

use axum::http::{HeaderMap, HeaderName, HeaderValue};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

use super::{ACCOUNT, Server, TOKEN};
use crate::support::contract;

/// A library: how it writes a request with a body (or none) for a path.
type Library = fn(host: &str, method: &str, path: &str, body: Option<&str>) -> String;

fn credentials() -> String {
    STANDARD.encode(format!("{ACCOUNT}:{TOKEN}"))
}

fn ruby(host: &str, method: &str, path: &str, body: Option<&str>) -> String {
    let content = body.map_or(String::new(), |body| {
        format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n",
            body.len()
        )
    });
    format!(
        "{method} {path} HTTP/1.1\r\nUser-Agent: twilio-ruby/7.5.0 (linux-gnu x86_64) Ruby/3.3.4\r\nAccept-Charset: utf-8\r\n\
         Accept: application/json\r\nAuthorization: Basic {}\r\nAccept-Encoding: gzip;q=1.0,deflate;q=0.6,identity;q=0.3\r\n\
         {content}Connection: close\r\nHost: {host}\r\n\r\n{}",
        credentials(),
        body.unwrap_or_default()
    )
}

fn php(host: &str, method: &str, path: &str, body: Option<&str>) -> String {
    let expect = if body.is_some_and(|body| body.len() > 1024) {
        "Expect: 100-continue\r\n"
    } else {
        ""
    };
    let content = body.map_or(String::new(), |body| {
        format!(
            "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n{expect}",
            body.len()
        )
    });
    format!(
        "{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: twilio-php/8.8.0 (Linux x86_64) PHP/8.3.9\r\n\
         Accept-Charset: utf-8\r\nAccept: application/json\r\nAuthorization: Basic {}\r\n{content}\r\n{}",
        credentials(),
        body.unwrap_or_default()
    )
}

/// Somebody who speaks through a library.
struct Caller<'a> {
    server: &'a Server,
    library: Library,
}

impl Caller<'_> {
    /// The status and the body of the answer, which is as Twilio describes it.
    fn ask(&self, method: &str, path: &str, body: Option<&str>) -> (u16, Value) {
        let host = self.server.url.strip_prefix("http://").expect("plain HTTP");
        let request = (self.library)(host, method, path, body);
        let mut stream = TcpStream::connect(host).expect("a connection");
        let (head, content) = request.split_once("\r\n\r\n").expect("a head");
        write!(stream, "{head}\r\n\r\n").expect("it is sent");
        let mut reader = BufReader::new(stream.try_clone().expect("the same connection"));
        if head.contains("Expect: 100-continue") {
            let (status, _) = read_head(&mut reader);
            assert_eq!(status, 100, "curl sends nothing before it is told to");
        }
        stream.write_all(content.as_bytes()).expect("it is sent");
        let (status, headers) = read_head(&mut reader);
        let length = headers.get("content-length").map_or(0, |length| {
            length.to_str().expect("digits").parse().expect("a number")
        });
        let mut bytes = vec![0; length];
        reader.read_exact(&mut bytes).expect("the body");
        let json = if bytes.is_empty() {
            Value::Null
        } else {
            serde_json::from_slice(&bytes).expect("JSON")
        };
        let plain = path.split('?').next().expect("a path");
        let faults = contract::faults(method, plain, status, &headers, &json);
        assert!(faults.is_empty(), "{method} {path}: {}", faults.join("; "));
        (status, json)
    }

    #[track_caller]
    fn ok(&self, method: &str, path: &str, body: Option<&str>) -> Value {
        let (status, json) = self.ask(method, path, body);
        assert!((200..300).contains(&status), "{method} {path}: {status} {json}");
        json
    }
}

fn read_head(reader: &mut impl std::io::BufRead) -> (u16, HeaderMap) {
    let mut lines = reader.by_ref().lines().map(|line| line.expect("text"));
    let first = lines.next().expect("a status line");
    let status = first.split(' ').nth(1).and_then(|status| status.parse().ok());
    let headers = lines.take_while(|line| !line.is_empty()).map(|line| {
        let (name, value) = line.split_once(": ").expect("a header");
        let name: HeaderName = name.parse().expect("a name");
        (name, HeaderValue::from_str(value).expect("a value"))
    });
    (status.expect("a status"), headers.collect())
}

fn sid(value: &Value) -> &str {
    value["sid"].as_str().expect("a SID")
}

/// The same calls, as each library writes their forms.
fn calls(library: Library, forms: &Forms) {
    let server = Server::start();
    let caller = Caller {
        server: &server,
        library,
    };
    let service = caller.ok("POST", "/v2/Services", Some(forms.service));
    assert_eq!(service["friendly_name"], "Owl Bank");
    assert_eq!(service["lookup_enabled"], true);
    let own = format!("/v2/Services/{}", sid(&service));

    let factors = format!("{own}/Entities/user-0001/Factors");
    let factor = caller.ok("POST", &factors, Some(forms.factor));
    assert_eq!(factor["friendly_name"], "Ada's phone ~ ä+b&c=d");
    assert_eq!(factor["metadata"]["os"], "Android");

    let push = caller.ok(
        "POST",
        &format!("{own}/Entities/user-0002/Factors"),
        Some(forms.factor),
    );
    let (status, refused) = caller.ask(
        "POST",
        &format!("{own}/Entities/user-0002/Challenges"),
        Some(&forms.challenge.replace("{factor}", sid(&push))),
    );
    // Its form was read to its end: what is wrong is that the factor is unverified.
    assert_eq!(
        (status, &refused["code"]),
        (403, &Value::from(60318)),
        "{refused}"
    );

    let hook = caller.ok("POST", &format!("{own}/Webhooks"), Some(forms.webhook));
    assert_eq!(
        hook["event_types"],
        serde_json::json!(["factor.created", "challenge.approved"])
    );
    assert_eq!(hook["webhook_url"], "https://owlbank.example/hook?a=b&c=d");
    let hooks = caller.ok("GET", &format!("{own}/Webhooks?PageSize=20"), None);
    assert_eq!(hooks["webhooks"].as_array().map(Vec::len), Some(1));
    let (status, nothing) = caller.ask("DELETE", &format!("{own}/Webhooks/{}", sid(&hook)), None);
    assert_eq!((status, nothing), (204, Value::Null));

    for form in forms.verifications {
        caller.ok("POST", &format!("{own}/Verifications"), Some(form));
    }
    let attempts = caller.ok("GET", forms.attempts, None);
    let found: Vec<_> = attempts["attempts"].as_array().into_iter().flatten().collect();
    assert_eq!(found.len(), 1, "the filters hold");
    assert_eq!(found[0]["channel_data"]["to"], "+4915112345678");

    let long = forms.long.replace("{text}", &"a+".repeat(600));
    let (status, refused) = caller.ask("POST", &format!("{own}/RateLimits"), Some(&long));
    assert_eq!(status, 400, "{refused}");
    assert!(
        refused["message"]
            .as_str()
            .is_some_and(|text| text.contains("Description")),
        "{refused}"
    );
    let (status, missing) = caller.ask("GET", "/v2/Services/VA00000000000000000000000000000000", None);
    assert_eq!((status, &missing["code"]), (404, &Value::from(20404)));
}

/// Bodies and queries, as a library encodes them.
struct Forms {
    service: &'static str,
    factor: &'static str,
    challenge: &'static str,
    webhook: &'static str,
    verifications: [&'static str; 2],
    attempts: &'static str,
    /// With `{text}` in it a body that curl asks for leave to send.
    long: &'static str,
}

#[test]
fn twilio_ruby_is_understood() {
    calls(
        ruby,
        &Forms {
            service: "FriendlyName=Owl+Bank&LookupEnabled=true&Totp.Skew=2",
            factor: "FactorType=totp&FriendlyName=Ada%27s+phone+~+%C3%A4%2Bb%26c%3Dd&Metadata=%7B%22os%22%3A%22Android%22%7D",
            challenge: "Details.Fields=%7B%22label%22%3A%22Action%22%2C%22value%22%3A%22Log+in%22%7D&\
                        Details.Fields=%7B%22label%22%3A%22Town%22%2C%22value%22%3A%22K%C3%B6ln%22%7D&\
                        Details.Message=Log+in%3F&FactorSid={factor}&HiddenDetails=%7B%22ip%22%3A%22192.0.2.1%22%7D",
            webhook: "EventTypes=factor.created&EventTypes=challenge.approved&FriendlyName=Hook&Version=v2&\
                      WebhookUrl=https%3A%2F%2Fowlbank.example%2Fhook%3Fa%3Db%26c%3Dd",
            verifications: [
                "Channel=sms&RateLimits=%7B%7D&To=%2B4915112345678",
                "Channel=sms&Tags=%7B%22tenant%22%3A%22a+b%22%7D&To=%2B4915112345679",
            ],
            attempts: "/v2/Attempts?ChannelData.To=%2B4915112345678&DateCreatedAfter=2020-01-31T12%3A00%3A00Z&PageSize=50",
            long: "Description={text}&UniqueName=ip",
        },
    );
}

#[test]
fn twilio_php_is_understood() {
    calls(
        php,
        &Forms {
            service: "FriendlyName=Owl+Bank&LookupEnabled=true&Totp.Skew=2",
            factor: "FriendlyName=Ada%27s+phone+%7E+%C3%A4%2Bb%26c%3Dd&FactorType=totp&Metadata=%7B%22os%22%3A%22Android%22%7D",
            challenge: "FactorSid={factor}&Details.Message=Log+in%3F&\
                        Details.Fields=%7B%22label%22%3A%22Action%22%2C%22value%22%3A%22Log+in%22%7D&\
                        Details.Fields=%7B%22label%22%3A%22Town%22%2C%22value%22%3A%22K%5Cu00f6ln%22%7D&\
                        HiddenDetails=%7B%22ip%22%3A%22192.0.2.1%22%7D",
            webhook: "FriendlyName=Hook&EventTypes=factor.created&EventTypes=challenge.approved&\
                      WebhookUrl=https%3A%2F%2Fowlbank.example%2Fhook%3Fa%3Db%26c%3Dd&Version=v2",
            verifications: [
                "To=%2B4915112345678&Channel=sms",
                "To=%2B4915112345679&Channel=sms&Tags=%7B%22tenant%22%3A%22a+b%22%7D",
            ],
            attempts: "/v2/Attempts?DateCreatedAfter=2020-01-31T12%3A00%3A00Z&ChannelData.To=%2B4915112345678&PageSize=50",
            long: "UniqueName=ip&Description={text}",
        },
    );
}
