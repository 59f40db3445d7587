//! Mails, as a mail server from a package receives them and Python reads them.

use countersign::delivery::codes::CodeSender as _;
use countersign::delivery::codes::secret::SenderSecret;
use countersign::delivery::codes::smtp::{Login, Security, Smtp, SmtpSettings};
use countersign::domain::circuit::FailureScope;
use countersign::domain::destination::EmailAddress;
use serde_json::{Value, json};

use super::{Certified, IMPATIENCE, PATIENCE, Peer, assert_delivered, clock, email, refused, retried};

async fn server(settings: Value) -> Peer {
    Peer::start("mail_server.py", "aiosmtpd", &settings).await
}

fn settings(peer: &Peer, security: Security, certified: Option<&Certified>) -> SmtpSettings {
    SmtpSettings {
        host: "localhost".to_owned(),
        port: peer.port,
        security,
        authorities: certified.map(|certified| certified.authorities.clone()),
        login: None,
        from: EmailAddress::parse("codes@example.com").unwrap(),
        from_name: Some("M\u{fc}ller & Owl".to_owned()),
        hello_name: Some("countersign.example.com".to_owned()),
        timeout: PATIENCE,
    }
}

fn login(password: &str) -> Login {
    Login {
        username: "owl".to_owned(),
        password: SenderSecret::new(password.to_owned()),
    }
}

fn header<'a>(mail: &'a Value, name: &str) -> Vec<&'a str> {
    let all = mail["headers"].as_array().unwrap().iter();
    let named = all.filter(|pair| pair[0].as_str().unwrap().eq_ignore_ascii_case(name));
    named.map(|pair| pair[1].as_str().unwrap()).collect()
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn a_mail_arrives_whole_over_tls_and_the_connection_serves_the_next_one() {
    for (tls, security) in [("starttls", Security::StartTls), ("implicit", Security::Tls)] {
        let certified = Certified::new();
        let start = certified.in_settings(json!({"tls": tls, "password": "hunter2"}));
        let mut peer = server(start).await;
        let mut settings = settings(&peer, security, Some(&certified));
        settings.login = Some(login("hunter2"));
        let smtp = Smtp::new(settings, clock());
        let text = "\u{416}\u{438}\u{432}\u{43e}! Your code is 471142.\n.\nIt ends in 10 minutes.";
        let mut message = email("ada@example.com", text);
        message.subject = Some("Ihr Code f\u{fc}r \u{1f989}\r\nBcc: eve@example.com".to_owned());
        let sent = smtp.send(&message).await;
        assert_delivered(&sent);
        assert_eq!(sent.reference.as_deref(), Some("queued as 17"));

        let mail = peer.next().await;
        assert_eq!((&mail["tls"], &mail["login"]), (&json!(true), &json!("owl")));
        assert_eq!(mail["from"], "codes@example.com");
        assert_eq!(mail["to"], json!(["ada@example.com"]));
        assert_eq!(mail["hello"], "countersign.example.com");
        assert_eq!(mail["type"], "text/plain");
        assert_eq!(mail["defects"], json!([]));
        assert_eq!(mail["text"].as_str().unwrap().trim_end(), text);
        assert_eq!(header(&mail, "bcc"), [""; 0]);
        assert_eq!(header(&mail, "from"), ["M\u{fc}ller & Owl <codes@example.com>"]);
        assert_eq!(header(&mail, "to"), ["ada@example.com"]);
        assert_eq!(header(&mail, "auto-submitted"), ["auto-generated"]);
        let subject = header(&mail, "subject")[0];
        assert_eq!(subject, "Ihr Code f\u{fc}r \u{1f989}  Bcc: eve@example.com");
        let id = format!("<{}@example.com>", message.id);
        assert_eq!(header(&mail, "message-id"), [id.as_str()]);
        assert_eq!(header(&mail, "date").len(), 1);
        assert_eq!(header(&mail, "mime-version"), ["1.0"]);

        let mut message = email("bob@example.com", "x");
        message.from = EmailAddress::parse("other@example.org").ok();
        message.from_name = Some("Other".to_owned());
        assert_delivered(&smtp.send(&message).await);
        let next = peer.next().await;
        assert_eq!(next["peer"], mail["peer"], "it is the same connection");
        assert_eq!(header(&next, "from"), ["Other <other@example.org>"]);
    }
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn nothing_is_sent_to_a_server_without_tls_or_with_a_wrong_certificate() {
    let certified = Certified::new();
    let mut plain = server(json!({"tls": "none"})).await;
    let strict = Smtp::new(settings(&plain, Security::StartTls, Some(&certified)), clock());
    let why = retried(strict.send(&email("ada@example.com", "secret")).await);
    assert!(why.contains("STARTTLS"), "{why}");
    let loose = Smtp::new(settings(&plain, Security::None, None), clock());
    assert_delivered(&loose.send(&email("bob@example.com", "first")).await);
    let first = plain.next().await;
    assert_eq!(
        (&first["text"], &first["tls"]),
        (&json!("first\n"), &json!(false))
    );

    let misnamed = Certified::named("mail.example.com");
    for (shown, trusted) in [(&certified, &misnamed), (&misnamed, &misnamed)] {
        for (tls, security) in [("starttls", Security::StartTls), ("implicit", Security::Tls)] {
            let start = shown.in_settings(json!({"tls": tls}));
            let peer = server(start).await;
            let smtp = Smtp::new(settings(&peer, security, Some(trusted)), clock());
            let why = retried(smtp.send(&email("ada@example.com", "secret")).await);
            assert!(why.contains("certificate"), "{why}");
        }
    }
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn answers_tell_what_may_work_later() {
    let answers = json!([
        "450 4.2.1 <ada@example.com>: try later",
        "450 4.1.1 unverified address: mx.example.com said: 451 4.3.0 try later",
        "451 4.3.0 the disk is full",
        "550 5.1.1 <ada@example.com>: unknown",
        "250 OK",
        "never",
    ]);
    let mut peer = server(json!({"tls": "none", "answers": answers})).await;
    let mut settings = settings(&peer, Security::None, None);
    let patient = Smtp::new(settings.clone(), clock());
    settings.timeout = IMPATIENCE;
    let impatient = Smtp::new(settings, clock());
    let message = email("ada@example.com", "Your code is 471142");
    let sent = patient.send(&message).await;
    let about = FailureScope::Recipient { status: 450 };
    assert_eq!(sent.outcome.scope(), Some(about));
    let why = retried(sent);
    assert!(
        why.contains("450") && why.contains("try later") && !why.contains("ada@"),
        "{why}"
    );
    // What the recipient's own server said stands further on, and is about the recipient.
    let sent = patient.send(&message).await;
    assert_eq!(sent.outcome.scope(), Some(about));
    let sent = patient.send(&message).await;
    assert_eq!(sent.outcome.scope(), Some(FailureScope::Overload));
    let why = refused(patient.send(&message).await);
    assert!(why.contains("550") && why.contains("<***>: unknown"), "{why}");
    assert_delivered(&patient.send(&message).await);
    assert_eq!(peer.next().await["text"], "Your code is 471142\n");
    let sent = impatient.send(&message).await;
    let about = FailureScope::Recipient { status: 0 };
    assert_eq!(sent.outcome.scope(), Some(about));
    let why = retried(sent);
    assert!(why.ends_with("did not answer in time"), "{why}");
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn an_address_that_the_server_cannot_write_is_refused_before_anything_is_sent() {
    // The server would answer anything that names a recipient with this, and a try that waits for it would be repeated.
    let answers = json!(["450 4.2.1 try later"]);
    let start = json!({"tls": "none", "smtputf8": false, "answers": answers});
    let peer = server(start).await;
    let smtp = Smtp::new(settings(&peer, Security::None, None), clock());
    let sent = smtp.send(&email("\u{e4}da@example.com", "x")).await;
    assert_eq!(sent.outcome.scope(), None);
    let why = refused(sent);
    assert!(why.contains("SMTPUTF8") && !why.contains("da@"), "{why}");

    let mut able = server(json!({"tls": "none"})).await;
    let smtp = Smtp::new(settings(&able, Security::None, None), clock());
    assert_delivered(&smtp.send(&email("\u{e4}da@example.com", "x")).await);
    assert_eq!(able.next().await["to"], json!(["\u{e4}da@example.com"]));
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn a_wrong_password_and_an_absent_server_can_be_mended() {
    let certified = Certified::new();
    let start = certified.in_settings(json!({"tls": "implicit", "password": "hunter2"}));
    let peer = server(start).await;
    let mut settings = settings(&peer, Security::Tls, Some(&certified));
    settings.login = Some(login("hunter3"));
    let wrong = Smtp::new(settings.clone(), clock());
    let why = retried(wrong.send(&email("ada@example.com", "x")).await);
    assert!(why.contains("535") && !why.contains("hunter3"), "{why}");
    drop(peer);
    let why = retried(wrong.send(&email("ada@example.com", "x")).await);
    assert!(why.starts_with("the mail server localhost: "), "{why}");
}
