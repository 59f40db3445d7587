//! The JWT that a device shows: forged, confused, stale, or another's.

use aws_lc_rs::hmac;
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use crate::support::world::answer;
use crate::support::{Answer, Credentials, Device, TestApp, User};

struct Enrolled {
    server: TestApp,
    user: User,
    device: Device,
}

impl Enrolled {
    async fn prepare() -> Self {
        let server = TestApp::new().await;
        let client = server.client();
        let user = User::create(&client).await;
        let device = user.device(&server, &client).await;
        Self { server, user, device }
    }

    async fn show(&self, token: &str) -> Answer {
        self.server
            .client_of(&Credentials::token(token))
            .get(self.device.path())
            .await
    }

    async fn is_nobody(&self, token: &str) {
        self.show(token).await.refused(401, 20003);
    }

    fn claims(&self) -> Value {
        let now = self.server.seconds();
        json!({"sub": self.device.account, "nbf": now, "exp": now + 600})
    }

    fn with_claim(&self, name: &str, value: Value) -> String {
        let mut claims = self.claims();
        claims[name] = value;
        self.device.jws(&self.device.jwt_header(), &claims)
    }

    fn with_header(&self, name: &str, value: Value) -> String {
        let mut header = self.device.jwt_header();
        header[name] = value;
        self.device.jws(&header, &self.claims())
    }
}

#[tokio::test]
async fn the_sdks_token_is_the_device() {
    let enrolled = Enrolled::prepare().await;
    let token = enrolled.device.jwt(enrolled.server.seconds());
    assert_eq!(enrolled.show(&token).await.ok()["status"], "verified");
}

/// The algorithm is the server's choice (`alg: none`, and HS256 keyed with what everybody knows).
#[tokio::test]
async fn no_algorithm_but_es256_authenticates() {
    let enrolled = Enrolled::prepare().await;
    let part = |json: &Value| URL_SAFE_NO_PAD.encode(json.to_string());
    for algorithm in [
        "none", "None", "NONE", "", "HS256", "ES384", "RS256", "es256", "ES256 ",
    ] {
        enrolled
            .is_nobody(&enrolled.with_header("alg", algorithm.into()))
            .await;
    }
    for algorithm in [Value::Null, json!(["ES256"]), json!(0)] {
        enrolled.is_nobody(&enrolled.with_header("alg", algorithm)).await;
    }
    let mut header = enrolled.device.jwt_header();
    for (algorithm, signatures) in [("none", vec!["", "AAAA"]), ("ES256", vec!["", "AA"])] {
        header["alg"] = algorithm.into();
        for signature in signatures {
            let token = format!("{}.{}.{signature}", part(&header), part(&enrolled.claims()));
            enrolled.is_nobody(&token).await;
        }
    }
    header["alg"] = "HS256".into();
    let input = format!("{}.{}", part(&header), part(&enrolled.claims()));
    let text = enrolled.device.public_key();
    let der = STANDARD.decode(&text).unwrap();
    let pem = format!("-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----\n");
    for key in [text.as_bytes(), &der, &der[26..], pem.as_bytes(), b""] {
        let mac = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), input.as_bytes());
        enrolled
            .is_nobody(&format!("{input}.{}", URL_SAFE_NO_PAD.encode(mac.as_ref())))
            .await;
    }
    let zero = URL_SAFE_NO_PAD.encode([0; 64]);
    enrolled
        .is_nobody(&format!(
            "{}.{}.{zero}",
            part(&enrolled.device.jwt_header()),
            part(&enrolled.claims())
        ))
        .await;
}

/// A token cannot bring its own key, name another's, or say a thing twice.
#[tokio::test]
async fn headers_that_point_elsewhere_or_say_things_twice_are_refused() {
    let enrolled = Enrolled::prepare().await;
    let client = enrolled.server.client();
    let other = enrolled.user.device(&enrolled.server, &client).await;
    enrolled
        .is_nobody(&enrolled.with_header("kid", other.credential.clone().into()))
        .await;
    for kid in [
        "",
        "CR00000000000000000000000000000000",
        &enrolled.device.factor,
        "../../etc/passwd",
        "' OR 1=1 --",
    ] {
        enrolled.is_nobody(&enrolled.with_header("kid", kid.into())).await;
    }
    for (name, value) in [
        ("jwk", json!({"kty": "EC"})),
        ("jku", json!("https://attacker.example/keys")),
        ("x5u", json!("https://attacker.example/cert")),
        ("x5c", json!(["MIIB"])),
        ("crit", json!(["exp"])),
        ("b64", json!(false)),
        ("zip", json!("DEF")),
        ("cty", json!("JWT")),
        ("typ", json!("JWE")),
    ] {
        enrolled.is_nobody(&enrolled.with_header(name, value)).await;
    }
    let (kid, theirs, now) = (
        &enrolled.device.credential,
        &other.credential,
        enrolled.server.seconds(),
    );
    let header = enrolled.device.jwt_header().to_string();
    let claims = enrolled.claims().to_string();
    let sub = &enrolled.device.account;
    for (header, claims) in [
        (
            format!(r#"{{"alg":"ES256","alg":"ES256","cty":"twilio-pba;v=1","kid":"{kid}"}}"#),
            claims.clone(),
        ),
        (
            format!(r#"{{"alg":"ES256","cty":"twilio-pba;v=1","kid":"{theirs}","kid":"{kid}"}}"#),
            claims.clone(),
        ),
        (
            header.clone(),
            format!(r#"{{"sub":"{sub}","nbf":{now},"exp":1,"exp":{}}}"#, now + 600),
        ),
        (
            header.clone(),
            format!(r#"{{"sub":"x","sub":"{sub}","nbf":{now},"exp":{}}}"#, now + 600),
        ),
        (header.clone(), format!("{claims}{claims}")),
    ] {
        enrolled
            .is_nobody(&enrolled.device.jws_of(&header, &claims))
            .await;
    }
}

/// A claim of the wrong type counted as absent (CVE-2026-25537, jsonwebtoken), and absent as "for ever".
#[tokio::test]
async fn times_are_whole_seconds_near_now() {
    let enrolled = Enrolled::prepare().await;
    let now = enrolled.server.seconds();
    for name in ["exp", "nbf"] {
        for value in [
            Value::Null,
            json!((now + 600).to_string()),
            json!(-1),
            json!(true),
            json!([now]),
            json!({}),
            json!(1.5),
            json!(1e300),
            json!(u64::MAX),
        ] {
            enrolled.is_nobody(&enrolled.with_claim(name, value)).await;
        }
        let mut claims = enrolled.claims();
        claims.as_object_mut().unwrap().remove(name);
        enrolled
            .is_nobody(&enrolled.device.jws(&enrolled.device.jwt_header(), &claims))
            .await;
    }
    enrolled.is_nobody(&enrolled.with_claim("exp", json!(now))).await;
    enrolled
        .is_nobody(&enrolled.with_claim("exp", json!(now + 3601)))
        .await;
    for sub in [
        json!(enrolled.server.account.password),
        json!(null),
        json!("AC00000000000000000000000000000000"),
    ] {
        enrolled.is_nobody(&enrolled.with_claim("sub", sub)).await;
    }
}

#[tokio::test]
async fn a_device_whose_clock_is_off_by_more_than_a_minute_is_told_so() {
    let enrolled = Enrolled::prepare().await;
    let now = enrolled.server.seconds();
    for good in [now - 659, now - 60, now + 60] {
        enrolled.show(&enrolled.device.jwt(good)).await.ok();
    }
    for bad in [now - 660, now + 61, now + 24 * 3600, 0] {
        enrolled.is_nobody(&enrolled.device.jwt(bad)).await;
    }
    let token = enrolled.device.jwt(now);
    enrolled.server.wait(660);
    enrolled.is_nobody(&token).await;
    enrolled.server.set_clock(-24 * 3600);
    enrolled.is_nobody(&token).await;
}

/// What is signed for one purpose is no answer to another.
#[tokio::test]
async fn a_device_token_is_no_proof_and_a_proof_is_no_token() {
    let enrolled = Enrolled::prepare().await;
    let (server, device) = (&enrolled.server, &enrolled.device);
    let challenge = enrolled.user.push_challenge(&server.client(), device).await;
    let approval = device.signed(server, &challenge, "approved").await;
    enrolled.is_nobody(&approval).await;
    enrolled.is_nobody(&device.proof(&device.factor)).await;
    let before = server.dump().await;
    for payload in [
        device.jwt(server.seconds()),
        device.proof(&device.factor),
        device.proof(&challenge),
    ] {
        answer(&device.on(server), &challenge, &payload)
            .await
            .refused(403, 60324);
    }
    for payload in [
        approval,
        device.proof("YF00000000000000000000000000000000"),
        device.jwt(server.seconds()),
    ] {
        device
            .on(server)
            .post(device.path(), &[("AuthPayload", &payload)])
            .await
            .refused(403, 60311);
    }
    assert_eq!(server.dump().await, before);
}

/// A point that is on no curve, or a key of another kind, must not get in at enrolment (CVE-2022-21449 began with r = s = 0).
#[tokio::test]
async fn keys_that_are_none_are_refused_at_enrolment() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let good = STANDARD.decode(Device::new().public_key()).unwrap();
    let changed = |place: usize, byte: u8| {
        let mut der = good.clone();
        der[place] = byte;
        STANDARD.encode(der)
    };
    let infinity: Vec<u8> = good[..26].iter().copied().chain([4]).chain([0; 64]).collect();
    let beyond: Vec<u8> = good[..27].iter().copied().chain([255; 64]).collect();
    let before = server.dump().await;
    for key in [
        changed(90, good[90] ^ 1),
        changed(26, 3),
        changed(22, 0x22),
        STANDARD.encode(infinity),
        STANDARD.encode(beyond),
        STANDARD.encode(&good[..90]),
        STANDARD.encode(&good[26..]),
        format!("{} ", STANDARD.encode(&good)),
        "AAAA".to_owned(),
        "A".repeat(5000),
    ] {
        let form = [
            ("FriendlyName", "x"),
            ("FactorType", "push"),
            ("Binding.Alg", "ES256"),
            ("Binding.PublicKey", &key),
            ("Config.AppId", "x"),
            ("Config.SdkVersion", "1"),
            ("Config.NotificationPlatform", "none"),
        ];
        let refused = client.post(format!("{}/Factors", user.path), &form).await;
        refused.refused(400, 60314).naming("Binding.PublicKey");
    }
    assert_eq!(server.dump().await, before);
}

/// Until its holder has proved the key, a factor answers nothing.
#[tokio::test]
async fn an_unverified_device_is_asked_nothing_and_answers_nothing() {
    let server = TestApp::new().await;
    let client = server.client();
    let user = User::create(&client).await;
    let mut device = Device::new();
    device.enrol(&client, &user.path).await.ok();
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
    ];
    client
        .post(format!("{}/Challenges", user.path), &form)
        .await
        .refused(403, 60318);
    let thief = device.imitated();
    let forged = thief.proof(&device.factor);
    client
        .post(device.path(), &[("AuthPayload", &forged)])
        .await
        .refused(403, 60311);
    thief.on(&server).get(device.path()).await.refused(401, 20003);
    assert_eq!(client.get(device.path()).await.ok()["status"], "unverified");
    device.verify(&server).await.ok();
}
