//! Text messages, as a message centre receives them whose units another library reads.

use std::sync::Arc;
use std::time::Duration;

use countersign::delivery::codes::CodeSender as _;
use countersign::delivery::codes::secret::SenderSecret;
use countersign::delivery::codes::smpp::alphabet::SmppAlphabet;
use countersign::delivery::codes::smpp::{LongText, Originator, Smpp, SmppSettings};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::{Certified, IMPATIENCE, PATIENCE, Peer, assert_delivered, clock, refused, retried, sms};

async fn centre(settings: Value) -> Peer {
    Peer::start("message_centre.py", "smpplib", &settings).await
}

fn settings(port: u16, certified: Option<&Certified>) -> SmppSettings {
    SmppSettings {
        host: "localhost".to_owned(),
        port,
        tls: certified.is_some(),
        authorities: certified.map(|certified| certified.authorities.clone()),
        system_id: "countersign".to_owned(),
        password: Some(SenderSecret::new("hunter2".to_owned())),
        system_type: "OTP".to_owned(),
        receives: false,
        from: Originator::parse("Owl"),
        from_type: None,
        alphabet: SmppAlphabet::Gsm7,
        long_text: LongText::Parts,
        window: 4,
        enquire_link: PATIENCE,
        timeout: PATIENCE,
    }
}

/// The next unit of this name; what answers the centre's own requests may come before it.
async fn next(peer: &mut Peer, name: &str) -> Value {
    loop {
        let unit = peer.next().await;
        if unit["unit"] == name {
            return unit;
        }
        let answers = ["enquire_link_resp", "deliver_sm_resp", "unbind_resp"];
        assert!(
            answers.iter().any(|answer| unit["unit"] == *answer),
            "{name}: {unit}"
        );
    }
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn a_message_arrives_over_tls_and_the_centre_is_answered() {
    let certified = Certified::new();
    let mut peer = centre(certified.in_settings(json!({"password": "hunter2"}))).await;
    let smpp = Smpp::new(settings(peer.port, Some(&certified)), clock());
    let sent = smpp.send(&sms("Your code is 471142 [\u{20ac}]")).await;
    assert_delivered(&sent);
    assert_eq!(sent.reference.as_deref(), Some("m-1"));
    let bind = peer.next().await;
    let expected = json!({"unit": "bind_transmitter", "system_id": "countersign", "system_type": "OTP", "version": 0x34, "tls": true});
    assert_eq!(bind, expected);
    let unit = next(&mut peer, "submit_sm").await;
    assert_eq!(unit["from"], json!([5, 0, "Owl"]));
    assert_eq!(unit["to"], json!([1, 1, "15005550006"]));
    assert_eq!(
        (&unit["esm_class"], &unit["registered_delivery"]),
        (&json!(0), &json!(0))
    );
    assert_eq!(unit["data_coding"], 0);
    assert_eq!(unit["validity_period"], "000031000000000R");
    let octets = [
        b"Your code is 471142 ".as_slice(),
        &[0x1b, 0x3c, 0x1b, 0x65, 0x1b, 0x3e],
    ]
    .concat();
    assert_eq!(unit["message"], json!(octets));

    let mut message = sms("\u{41a}\u{43e}\u{434} 1");
    message.expires_at = clock().now() + Duration::from_secs(100);
    assert_delivered(&smpp.send(&message).await);
    let unit = next(&mut peer, "submit_sm").await;
    assert_eq!(unit["data_coding"], 8);
    let period = unit["validity_period"].as_str().unwrap();
    // What is left of 100 seconds.
    assert!(
        ("000000000100000R"..="000000000140000R").contains(&period),
        "{period}"
    );
    assert_eq!(
        unit["message"],
        json!([4, 0x1a, 4, 0x3e, 4, 0x34, 0, 0x20, 0, 0x31])
    );

    drop(smpp);
    next(&mut peer, "unbind").await;
    next(&mut peer, "closed").await;
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn what_the_centre_asks_is_answered_with_its_own_numbers() {
    let mut peer = centre(json!({"password": "hunter2"})).await;
    let mut settings = settings(peer.port, None);
    settings.receives = true;
    let smpp = Smpp::new(settings, clock());
    assert_delivered(&smpp.send(&sms("x")).await);
    let mut answers = Vec::new();
    assert_eq!(peer.next().await["unit"], "bind_transceiver");
    while answers.len() < 2 {
        let unit = peer.next().await;
        if unit["unit"] != "submit_sm" {
            answers.push(unit);
        }
    }
    let expected = [
        json!({"unit": "enquire_link_resp", "sequence": 901, "status": 0}),
        json!({"unit": "deliver_sm_resp", "sequence": 902, "status": 0}),
    ];
    assert_eq!(answers, expected);
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn a_long_text_travels_in_parts_or_in_one() {
    let mut peer = centre(json!({"password": "hunter2"})).await;
    let text = "0123456789".repeat(20);
    let mut settings = settings(peer.port, None);
    let smpp = Smpp::new(settings.clone(), clock());
    let sent = smpp.send(&sms(&text)).await;
    assert_delivered(&sent);
    assert_eq!(sent.reference.as_deref(), Some("m-1"), "the first part's");
    peer.next().await;
    let mut whole = Vec::new();
    for nth in 1..=2 {
        let unit = next(&mut peer, "submit_sm").await;
        assert_eq!(unit["esm_class"], 0x40);
        let octets: Vec<u8> = serde_json::from_value(unit["message"].clone()).unwrap();
        assert_eq!(octets[..6], [5, 0, 3, 0x4d, 2, nth]);
        whole.extend_from_slice(&octets[6..]);
    }
    assert_eq!(whole, text.as_bytes());
    settings.long_text = LongText::Payload;
    let smpp = Smpp::new(settings, clock());
    assert_delivered(&smpp.send(&sms(&text)).await);
    next(&mut peer, "bind_transmitter").await;
    let unit = next(&mut peer, "submit_sm").await;
    assert_eq!((&unit["esm_class"], &unit["message"]), (&json!(0), &json!([])));
    assert_eq!(unit["payload"], json!(text.as_bytes()));
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn statuses_tell_what_may_work_later() {
    let statuses = json!([0x58, 0x14, 0x0b, 0]);
    let mut peer = centre(json!({"password": "hunter2", "statuses": statuses})).await;
    let smpp = Smpp::new(settings(peer.port, None), clock());
    assert!(retried(smpp.send(&sms("x")).await).contains("throttled"));
    assert!(retried(smpp.send(&sms("x")).await).contains("queue full"));
    assert!(refused(smpp.send(&sms("x")).await).contains("invalid destination"));
    assert_delivered(&smpp.send(&sms("x")).await);
    peer.next().await;
    for _ in 0..4 {
        // No second bind among them.
        next(&mut peer, "submit_sm").await;
    }
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn a_session_that_ends_is_replaced() {
    let statuses = json!(["close", "unbind", 0, "never"]);
    let mut peer = centre(json!({"password": "hunter2", "statuses": statuses})).await;
    let mut settings = settings(peer.port, None);
    let smpp = Smpp::new(settings.clone(), clock());
    assert!(retried(smpp.send(&sms("x")).await).contains("session ended"));
    assert!(retried(smpp.send(&sms("x")).await).contains("session ended"));
    assert_delivered(&smpp.send(&sms("y")).await);
    let mut last = Value::Null;
    while last["message"] != json!(b"y") {
        last = peer.next().await;
    }
    settings.timeout = IMPATIENCE;
    let impatient = Smpp::new(settings, clock());
    assert!(retried(impatient.send(&sms("x")).await).contains("in time"));
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn many_messages_share_one_session() {
    let mut peer = centre(json!({"password": "hunter2"})).await;
    let smpp = Arc::new(Smpp::new(settings(peer.port, None), clock()));
    let sends = (0..50).map(|_| {
        let smpp = Arc::clone(&smpp);
        async move { smpp.send(&sms("x")).await }
    });
    let sent = crate::support::all_at_once(sends).await;
    let mut names: Vec<_> = sent.into_iter().map(|sent| sent.reference.unwrap()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), 50);
    assert_eq!(peer.next().await["unit"], "bind_transmitter");
    for _ in 0..50 {
        next(&mut peer, "submit_sm").await;
    }
}

#[tokio::test]
#[ignore = "needs python3 with `pip install -r tests/it/python/requirements.txt`; run with --include-ignored"]
async fn a_wrong_password_and_a_wrong_certificate_can_be_mended() {
    let certified = Certified::new();
    let peer = centre(certified.in_settings(json!({"password": "another"}))).await;
    let smpp = Smpp::new(settings(peer.port, Some(&certified)), clock());
    let why = retried(smpp.send(&sms("x")).await);
    assert!(
        why.contains("invalid password") && !why.contains("hunter2"),
        "{why}"
    );
    let other = Certified::new();
    let smpp = Smpp::new(settings(peer.port, Some(&other)), clock());
    let why = retried(smpp.send(&sms("x")).await);
    assert!(why.contains("certificate"), "{why}");
}

#[tokio::test]
async fn a_centre_that_falls_silent_is_left() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut settings = settings(listener.local_addr().unwrap().port(), None);
    settings.host = "127.0.0.1".to_owned();
    settings.enquire_link = Duration::from_millis(50);
    settings.timeout = Duration::from_secs(2);
    let smpp = Smpp::new(settings, clock());
    let mute = async {
        let (mut stream, _) = listener.accept().await.unwrap();
        // The bind, answered; then the message and the enquiry, which are not.
        let mut header = [0; 16];
        stream.read_exact(&mut header).await.unwrap();
        let mut body = vec![0; usize::from(header[3]) - 16];
        stream.read_exact(&mut body).await.unwrap();
        stream
            .write_all(&[0, 0, 0, 17, 0x80, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1, 0])
            .await
            .unwrap();
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).await.unwrap();
        rest
    };
    let message = sms("x");
    let (sent, rest) = tokio::join!(smpp.send(&message), mute);
    let why = retried(sent);
    assert!(why.contains("session ended") || why.contains("in time"), "{why}");
    let enquiry = [0, 0, 0, 16, 0, 0, 0, 0x15];
    assert!(rest.windows(8).any(|octets| octets == enquiry), "{rest:?}");
}
