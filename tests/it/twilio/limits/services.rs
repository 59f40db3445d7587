//! Services, entities, access tokens, webhooks, notifications.

use super::{Form, Rule, around, bad_names, check, check_required, good_names, of_length, strings};
use crate::support::operations::Everything;

const SERVICES: &str = "/v2/Services";
const SERVICE: &str = "/v2/Services/{ServiceSid}";

fn service(_: &Everything) -> Form {
    vec![("FriendlyName", "Owl Bank".to_owned())]
}

fn rules_of_services(path: &'static str) -> Vec<Rule> {
    let rule = |parameter, good, bad| Rule {
        path,
        base: service,
        parameter,
        good,
        bad,
        code: 60200,
    };
    let number = |parameter, least, most| {
        let (good, bad) = around(least, most);
        rule(parameter, good, bad)
    };
    let sid = |parameter, prefix: &str| {
        let good = format!("{prefix}0123456789abcdefABCDEF0123456789");
        let bad = [
            "x".to_owned(),
            good.replace(prefix, "AC"),
            format!("{good}0"),
            good.replace('9', "g"),
        ];
        rule(parameter, vec![good, String::new()], bad.to_vec())
    };
    let credential = |parameter, good: &str, bad: &str| {
        let unknown = "CR0123456789abcdef0123456789abcdef";
        let bad = strings(&[bad, unknown, "CR0", "{CredentialSid}0", "{WebhookSid}"]);
        rule(parameter, strings(&[good, ""]), bad)
    };
    let mut rules = vec![
        rule(
            "FriendlyName",
            [
                vec!["a".repeat(32), "é".repeat(32)],
                strings(&["Owl-Bank_2 x", "123456"]),
            ]
            .concat(),
            [
                vec!["a".repeat(33), "é".repeat(33)],
                strings(&["a.b", "a/b", "1234567", "call 12 34-567-89", "a\nb"]),
            ]
            .concat(),
        ),
        number("CodeLength", 4, 10),
        rule(
            "Push.NumberMatching",
            strings(&["2", "3", "0", ""]),
            strings(&["1", "4", "two", "-2", "2.0", "256"]),
        ),
        number("Totp.TimeStep", 20, 60),
        number("Totp.CodeLength", 3, 8),
        number("Totp.Skew", 0, 2),
        rule(
            "Totp.Issuer",
            [good_names(), vec![String::new()]].concat(),
            bad_names(),
        ),
        rule("TtsName", of_length(64), of_length(65)),
        credential("Push.ApnCredentialSid", "{CredentialSid}", "{FcmCredentialSid}"),
        credential("Push.FcmCredentialSid", "{FcmCredentialSid}", "{CredentialSid}"),
        sid("MailerSid", "MD"),
        sid("DefaultTemplateSid", "HJ"),
        sid("Whatsapp.MsgServiceSid", "MG"),
    ];
    rules.extend(
        [
            "LookupEnabled",
            "Psd2Enabled",
            "DtmfInputRequired",
            "CustomCodeEnabled",
            "NewCodeOnResend",
            "Push.IncludeDate",
        ]
        .map(|flag| rule(flag, strings(&["true", "False"]), strings(&["yes", "1", "true "]))),
    );
    rules
}

#[tokio::test]
async fn settings_of_a_new_service() {
    check(rules_of_services(SERVICES)).await;
    check_required(SERVICES, service, &["FriendlyName"], 20001).await;
}

#[tokio::test]
async fn settings_of_a_service_that_is_changed() {
    check(rules_of_services(SERVICE)).await;
}

#[tokio::test]
async fn identities_have_8_to_64_letters_digits_and_dashes() {
    const PATH: &str = "/v2/Services/{ServiceSid}/Entities";
    let base = |_: &Everything| vec![("Identity", "user-0002".to_owned())];
    let bad = [
        "user_0001",
        "user 0001",
        "user.0001",
        "usér-0001",
        "user-0001\n",
        "user\u{0}0001",
        "../../../x",
        "a%2Fb%2Fccc",
    ];
    let rule = Rule {
        path: PATH,
        base,
        parameter: "Identity",
        good: vec!["a".repeat(8), "b".repeat(64), "A-9".repeat(4)],
        bad: [vec!["a".repeat(7), "a".repeat(65)], strings(&bad)].concat(),
        code: 60306,
    };
    check(vec![rule]).await;
    check_required(PATH, base, &["Identity"], 20001).await;
}

#[tokio::test]
async fn parameters_of_access_tokens() {
    const PATH: &str = "/v2/Services/{ServiceSid}/AccessTokens";
    fn base(_: &Everything) -> Form {
        vec![
            ("Identity", "user-0001".to_owned()),
            ("FactorType", "push".to_owned()),
        ]
    }
    let (good, bad) = around(60, 300);
    let rule = |parameter, good, bad, code| Rule {
        path: PATH,
        base,
        parameter,
        good,
        bad,
        code,
    };
    check(vec![
        rule("Ttl", good, bad, 60300),
        rule("FactorFriendlyName", good_names(), bad_names(), 60300),
        rule(
            "FactorType",
            strings(&["push"]),
            strings(&["totp", "Push", "sms"]),
            60300,
        ),
        rule(
            "Identity",
            vec!["a".repeat(64)],
            vec!["a".repeat(65), "a".repeat(7)],
            60306,
        ),
    ])
    .await;
    check_required(PATH, base, &["Identity", "FactorType"], 60305).await;
}

#[tokio::test]
async fn parameters_of_webhooks() {
    const PATH: &str = "/v2/Services/{ServiceSid}/Webhooks";
    fn base(_: &Everything) -> Form {
        let form = [
            ("FriendlyName", "x"),
            ("EventTypes", "*"),
            ("WebhookUrl", "https://x.example/hook"),
        ];
        form.map(|(name, value)| (name, value.to_owned())).to_vec()
    }
    let long = format!("https://x.example/{}", "a".repeat(2048 - 18));
    let urls = [
        "/hook",
        "x.example",
        "ftp://x.example",
        "javascript:alert(1)",
        "file:///etc/passwd",
        "https://u:p@x.example",
        "https://x.example/#a",
        "https://",
        "https://x.example/ a",
        "https://x.example/\u{e9}",
    ];
    let rules = |path| {
        let rule = |parameter, good, bad, code| Rule {
            path,
            base,
            parameter,
            good,
            bad,
            code,
        };
        vec![
            rule("FriendlyName", good_names(), bad_names(), 60306),
            rule(
                "WebhookUrl",
                vec![long.clone(), "http://127.0.0.1:9".to_owned()],
                [vec![format!("{long}a")], strings(&urls)].concat(),
                60300,
            ),
            rule(
                "EventTypes",
                strings(&["*", "factor.created", "challenge.denied"]),
                strings(&["factor.*", "Factor.created", "x"]),
                60306,
            ),
            rule(
                "Status",
                strings(&["disabled", "enabled"]),
                strings(&["on", "Enabled"]),
                60300,
            ),
            rule("Version", strings(&["v1", "v2"]), strings(&["v3", "2"]), 60300),
        ]
    };
    check(rules(PATH)).await;
    check(rules("/v2/Services/{ServiceSid}/Webhooks/{WebhookSid}")).await;
    check_required(PATH, base, &["FriendlyName", "EventTypes", "WebhookUrl"], 20001).await;
}

#[tokio::test]
async fn notifications_live_up_to_five_minutes() {
    let (good, bad) = around(0, 300);
    let path = "/v2/Services/{ServiceSid}/Entities/{Identity}/Challenges/{ChallengeSid}/Notifications";
    check(vec![Rule {
        path,
        base: |_| Vec::new(),
        parameter: "Ttl",
        good,
        bad,
        code: 60300,
    }])
    .await;
}
