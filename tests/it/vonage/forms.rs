//! One request in every way to write it, and answers in XML.

use axum::body::Body;
use axum::http::Request;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use serde_json::json;

use super::world::{Raw, Verify, another, urlencoded};

/// Where a caller's key and secret may stand, and where the parameters.
#[tokio::test]
async fn every_way_to_write_a_request_is_understood() {
    let verify = Verify::new().await;
    let who = verify.server.api_key().await;
    let keys = [("api_key", &*who.user), ("api_secret", &*who.password)];
    let wrong = [("api_key", &*who.user), ("api_secret", "wrong")];
    for (index, (shown, expected)) in [
        ("header", "0"),
        ("body", "0"),
        ("query", "0"),
        ("header, wrong in the body", "0"),
        ("body, wrong in the query", "0"),
        ("wrong in the header", "4"),
        ("wrong in the body", "4"),
        ("wrong in the query", "4"),
        ("nothing", "2"),
    ]
    .into_iter()
    .enumerate()
    {
        for (kind, syntax) in ["get", "form", "json"].into_iter().enumerate() {
            let number = format!("49151123{index:02}{kind}00");
            let pairs = [("number", &*number), ("brand", "Eule S\u{f6}hne")];
            let (mut query, mut body) = (Vec::new(), Vec::new());
            match shown {
                "body" => body.extend(keys),
                "query" => query.extend(keys),
                "body, wrong in the query" => {
                    body.extend(keys);
                    query.extend(wrong);
                }
                "header, wrong in the body" | "wrong in the body" => body.extend(wrong),
                "wrong in the query" => query.extend(wrong),
                _ => {}
            }
            if syntax == "get" {
                if shown == "body, wrong in the query" {
                    // A GET has no body that anybody reads.
                    continue;
                }
                query.append(&mut body);
                query.extend(pairs);
            } else {
                body.extend(pairs);
            }
            let request = Request::builder()
                .method(if syntax == "get" { "GET" } else { "POST" })
                .uri(format!("/verify/json?{}", urlencoded(&query)));
            let request = match shown {
                "header" | "header, wrong in the body" => request.header(AUTHORIZATION, who.header()),
                "wrong in the header" => request.header(AUTHORIZATION, "Basic bm9ib2R5Og=="),
                _ => request,
            };
            let object: serde_json::Map<_, _> = body
                .iter()
                .map(|(name, value)| ((*name).to_owned(), json!(value)))
                .collect();
            let (content, text) = match syntax {
                "json" => (
                    "application/json; charset=utf-8",
                    serde_json::to_string(&object).unwrap(),
                ),
                // Some clients say this of a GET.
                _ => ("application/x-www-form-urlencoded", urlencoded(&body)),
            };
            let request = request
                .header(CONTENT_TYPE, content)
                .body(Body::from(text))
                .unwrap();
            let answer = verify.send(request).await;
            let answer = Verify::understood(&answer);
            assert_eq!(answer["status"], expected, "{shown} {syntax}: {answer}");
        }
    }
}

async fn xml(verify: &Verify, path: &str, form: &[(&str, &str)]) -> Raw {
    let request = Request::get(format!("{path}/xml?{}", urlencoded(form)))
        .header(AUTHORIZATION, verify.server.account.header())
        .body(Body::empty())
        .unwrap();
    let answer = verify.send(request).await;
    assert_eq!(answer.status, 200);
    assert!(
        answer.headers[CONTENT_TYPE]
            .to_str()
            .unwrap()
            .starts_with("text/xml")
    );
    assert!(
        answer
            .text
            .starts_with("<?xml version='1.0' encoding='UTF-8' ?>\n")
    );
    answer
}

/// What the old Java library reads: roots, elements, and where the status stands.
#[tokio::test]
async fn answers_in_xml_have_the_same_fields() {
    let verify = Verify::new().await;
    let rest = |raw: &Raw| raw.text.split_once('\n').unwrap().1.to_owned();
    let form = [("number", "4915112345678"), ("brand", "Owl")];
    let begun = rest(&xml(&verify, "/verify", &form).await);
    let id = begun
        .strip_prefix("<verify_response><request_id>")
        .unwrap()
        .strip_suffix("</request_id><status>0</status></verify_response>")
        .unwrap();
    let same = rest(&xml(&verify, "/verify", &form).await);
    assert_eq!(
        same,
        format!(
            "<verify_response><request_id>{id}</request_id><status>10</status>\
             <error_text>Concurrent verifications to the same number are not allowed</error_text></verify_response>"
        )
    );
    let code = verify.code(id).await;
    let wrong = another(&code);
    let form = [("request_id", id), ("code", &wrong)];
    assert_eq!(
        rest(&xml(&verify, "/verify/check", &form).await),
        format!(
            "<verify_response><request_id>{id}</request_id><status>16</status>\
             <error_text>The code provided does not match the expected value</error_text></verify_response>"
        )
    );
    let event = verify.search(id).await["events"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = &verify.server.account.user;
    let one = format!(
        "<verify_request><request_id>{id}</request_id><account_id>{key}</account_id><number>4915112345678</number>\
         <price>0.00000000</price><currency>EUR</currency><sender_id>verify</sender_id>\
         <date_submitted>2027-01-15 08:00:00</date_submitted><date_finalized/>\
         <first_event_date>2027-01-15 08:00:00</first_event_date><last_event_date>2027-01-15 08:00:00</last_event_date>\
         <checks><check><date_received>2027-01-15 08:00:00</date_received><code>{wrong}</code><ip_address/>\
         <status>INVALID</status></check></checks><events><event><type>sms</type><id>{event}</id></event></events>\
         <status>IN PROGRESS</status></verify_request>"
    );
    assert_eq!(
        rest(&xml(&verify, "/verify/search", &[("request_id", id)]).await),
        one
    );
    let several = [("request_ids", id), ("request_ids", "nothing")];
    assert_eq!(
        rest(&xml(&verify, "/verify/search", &several).await),
        format!("<verification_requests>{one}</verification_requests>")
    );
    assert_eq!(
        rest(&xml(&verify, "/verify/search", &[]).await),
        "<verify_response><status>6</status><error_text>The platform was unable to process this message for the following \
         reason: Wrong parameters</error_text></verify_response>"
    );
    let form = [("request_id", "a\u{1}<b>&'\u{fffe}"), ("cmd", "cancel")];
    assert_eq!(
        rest(&xml(&verify, "/verify/control", &form).await),
        "<response><status>6</status><error_text>The requestId &apos;a\u{fffd}&lt;b&gt;&amp;&apos;\u{fffd}&apos; does not \
         exist or its no longer active.</error_text></response>"
    );
    let form = [("request_id", id), ("cmd", "trigger_next_event")];
    assert_eq!(
        rest(&xml(&verify, "/verify/control", &form).await),
        "<response><status>0</status><command>trigger_next_event</command></response>"
    );
    let form = [("request_id", id), ("code", &*code)];
    let checked = rest(&xml(&verify, "/verify/check", &form).await);
    assert!(checked.starts_with(&format!(
        "<verify_response><request_id>{id}</request_id><event_id>"
    )));
    assert!(
        checked.ends_with(
            "<status>0</status><price>0.00000000</price><currency>EUR</currency></verify_response>"
        )
    );
}

/// What no operation answers has the statuses of HTTP, and a body in the form that the path asks for.
#[tokio::test]
async fn what_is_no_operation_is_told_in_its_form() {
    let verify = Verify::new().await;
    for (method, path, status, begins) in [
        ("GET", "/verify/yaml", 404, "{\"status\":\"6\""),
        ("GET", "/verify/", 404, "{\"status\":\"6\""),
        ("POST", "/verify/check", 404, "{\"status\":\"6\""),
        (
            "GET",
            "/verify/other/xml",
            404,
            "<?xml version='1.0' encoding='UTF-8' ?>\n<verify_response><status>6",
        ),
        (
            "DELETE",
            "/verify/control/xml",
            405,
            "<?xml version='1.0' encoding='UTF-8' ?>\n<response><status>6",
        ),
        ("PUT", "/verify/json", 405, "{\"status\":\"6\""),
        ("HEAD", "/verify/json", 405, ""),
        ("HEAD", "/verify/check/xml", 405, ""),
    ] {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .body(Body::empty())
            .unwrap();
        let answer = verify.send(request).await;
        assert_eq!(answer.status, status, "{method} {path}");
        assert!(answer.text.starts_with(begins), "{}", answer.text);
    }
    let long = Request::post("/verify/json")
        .body(Body::from(vec![b'a'; 65 * 1024]))
        .unwrap();
    assert_eq!(verify.send(long).await.status, 413);
}
