//! What people are shown has nothing in it that plays tricks: no control characters, no marks that turn the direction of
//! writing.

use countersign::dialect::twilio::PARAMETERS;
use percent_encoding::percent_decode_str;

use crate::support::device::borrowed;
use crate::support::operations::{Everything, samples};
use crate::support::{Service, TestApp};

/// Texts with what moves a terminal's cursor, or turns the direction of writing.
const TEXTS: [&str; 2] = ["Owl-\u{1b}[2J-trick", "Owl-\u{202e}-trick"];

/// Each parameter of each operation in turn: it is refused, or it is nothing there. What is kept is shown some day.
#[tokio::test]
async fn no_parameter_brings_in_what_may_not_be_shown() {
    let server = TestApp::new().await;
    let client = server.client();
    let all = Everything::create(&server, &client).await;
    let mut refused = 0;
    for sample in samples() {
        if sample.operation.method != "POST" {
            continue;
        }
        for text in TEXTS {
            for name in PARAMETERS {
                let mut form = (sample.form)(&all);
                form.retain(|(other, _)| other != name);
                form.push((name, text.to_owned()));
                let answer = client
                    .post(all.path(sample.operation.path), &borrowed(&form))
                    .await;
                refused += u32::from(answer.status == 400);
                let answered = String::from_utf8_lossy(&answer.bytes).into_owned();
                assert!(
                    !answered.contains("-trick"),
                    "{} {name}: {answered}",
                    sample.operation.path
                );
            }
        }
    }
    assert!(refused > 300, "{refused}");
    for (key, entry) in server.dump().await {
        let kept = String::from_utf8_lossy(&entry.value);
        assert!(!kept.contains("-trick"), "{}: {kept}", key.escape_ascii());
    }
}

/// A name may have colons, as it may be long. What is kept is what was given; what an app reads has one colon, and its picture
/// can be scanned.
#[tokio::test]
async fn apps_are_handed_names_with_one_colon_between_them_and_no_more_than_they_can_scan() {
    let server = TestApp::new().await;
    let client = server.client();
    let issuer = "Owl: Bank";
    let service = Service::create_with(&client, &[("Totp.Issuer", issuer)]).await;
    let read = client.get(&service.path).await.ok();
    assert_eq!(read["totp"]["issuer"], issuer);
    for (name, account) in [
        ("ada: phone", "ada- phone".to_owned()),
        (":", "-".to_owned()),
        ("ada%3Aphone", "ada%3Aphone".to_owned()),
        (&"\u{1f989}".repeat(64), format!("{}...", "\u{1f989}".repeat(45))),
    ] {
        let form = [("FriendlyName", name), ("FactorType", "totp")];
        let factors = format!("{}/Factors?QrCode=png", service.user("user-0001").path);
        let created = client.post(factors, &form).await.ok();
        assert_eq!(created["friendly_name"], name);
        let uri = created["binding"]["uri"].as_str().unwrap();
        assert!(uri.len() <= 666, "{uri}");
        let decoded = percent_decode_str(uri).decode_utf8().unwrap();
        let begins = format!("otpauth://totp/Owl- Bank:{account}?secret=");
        assert!(decoded.starts_with(&begins), "{decoded}");
        assert!(uri.contains("&issuer=Owl-%20Bank&"), "{uri}");
        let picture = created["binding"]["qr_code"].as_str().unwrap();
        assert!(picture.starts_with("data:image/png;base64,"), "{picture}");
    }
}
