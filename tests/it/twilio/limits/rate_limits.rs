//! Rate limits, buckets, messaging configurations, the safe list.

use super::{Form, Rule, around, check, check_required, of_length, strings, unshown};
use crate::support::operations::{Everything, MESSAGING_SERVICE};

const RATE_LIMITS: &str = "/v2/Services/{ServiceSid}/RateLimits";
const RATE_LIMIT: &str = "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}";
const BUCKETS: &str = "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets";
const BUCKET: &str = "/v2/Services/{ServiceSid}/RateLimits/{RateLimitSid}/Buckets/{BucketSid}";
const CONFIGURATIONS: &str = "/v2/Services/{ServiceSid}/MessagingConfigurations";
const SAFE_LIST: &str = "/v2/SafeList/Numbers";

fn nothing(_: &Everything) -> Form {
    Vec::new()
}

fn rate_limit(_: &Everything) -> Form {
    vec![("UniqueName", "address".to_owned())]
}

fn bucket(_: &Everything) -> Form {
    vec![("Max", "5".to_owned()), ("Interval", "3600".to_owned())]
}

fn configuration(_: &Everything) -> Form {
    vec![
        ("Country", "US".to_owned()),
        ("MessagingServiceSid", MESSAGING_SERVICE.to_owned()),
    ]
}

fn rule(
    path: &'static str,
    base: fn(&Everything) -> Form,
    parameter: &'static str,
    good: Vec<String>,
    bad: Vec<String>,
) -> Rule {
    Rule {
        path,
        base,
        parameter,
        good,
        bad,
        code: 60200,
    }
}

#[tokio::test]
async fn parameters_of_rate_limits() {
    let bad = ["two words", "a/b", "a\nb", "caf\u{e9}", "a,b", "a+b", "\u{ff41}"];
    let names = Rule {
        code: 60209,
        ..rule(
            RATE_LIMITS,
            nothing,
            "UniqueName",
            [
                vec!["a".repeat(64)],
                strings(&["x", "end-user_ip.v4", "Session", "..."]),
            ]
            .concat(),
            [vec!["a".repeat(65)], strings(&bad)].concat(),
        )
    };
    let bad_descriptions = [of_length(256), unshown()].concat();
    check(vec![
        names,
        rule(
            RATE_LIMITS,
            rate_limit,
            "Description",
            of_length(255)[..1].to_vec(),
            bad_descriptions.clone(),
        ),
        rule(
            RATE_LIMIT,
            nothing,
            "Description",
            [of_length(255), vec![String::new()]].concat(),
            bad_descriptions,
        ),
    ])
    .await;
    check_required(RATE_LIMITS, rate_limit, &["UniqueName"], 20001).await;
}

#[tokio::test]
async fn parameters_of_buckets() {
    let number = |path, parameter, least, most| {
        let (good, bad) = around(least, most);
        // Each creation takes the interval, so that there is one good creation for each.
        let good = if path == BUCKETS { good[..1].to_vec() } else { good };
        rule(path, bucket, parameter, good, bad)
    };
    check(vec![
        number(BUCKETS, "Max", 1, 1_000_000),
        number(BUCKETS, "Interval", 1, 2_592_000),
    ])
    .await;
    check(vec![
        number(BUCKET, "Max", 1, 1_000_000),
        number(BUCKET, "Interval", 1, 2_592_000),
    ])
    .await;
    check_required(BUCKETS, bucket, &["Max", "Interval"], 20001).await;
}

#[tokio::test]
async fn parameters_of_messaging_configurations() {
    let bad_countries = ["C", "USA", "UK", "ZZ", "U1", "everywhere", "*", "\u{e9}", "U S"];
    let good = "MGffffffffffffffffffffffffffffffff".to_owned();
    let bad = [
        "x".to_owned(),
        good.replace("MG", "AC"),
        format!("{good}0"),
        good.replacen('f', "g", 1),
    ];
    let services = |path, base| {
        let good = vec![good.clone()];
        rule(path, base, "MessagingServiceSid", good, bad.to_vec())
    };
    check(vec![
        rule(
            CONFIGURATIONS,
            configuration,
            "Country",
            strings(&["all", "ZW", "de"]),
            strings(&bad_countries),
        ),
        services(CONFIGURATIONS, configuration),
        services(
            "/v2/Services/{ServiceSid}/MessagingConfigurations/{Country}",
            nothing,
        ),
    ])
    .await;
    let required = ["Country", "MessagingServiceSid"];
    check_required(CONFIGURATIONS, configuration, &required, 20001).await;
}

#[tokio::test]
async fn parameters_of_the_safe_list() {
    let bad = [
        "x",
        "+",
        "5125550123",
        "+0123456789",
        "+1234567890123456",
        "+49 30 <script>",
        "user@owlbank.example",
        "+1512555012\u{663}",
    ];
    let good = strings(&["+15125550123", "+442079460123"]);
    check(vec![rule(SAFE_LIST, nothing, "PhoneNumber", good, strings(&bad))]).await;
    let number = |_: &Everything| vec![("PhoneNumber", "+15125550123".to_owned())];
    check_required(SAFE_LIST, number, &["PhoneNumber"], 20001).await;
}
