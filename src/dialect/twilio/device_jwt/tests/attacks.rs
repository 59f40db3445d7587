//! What forgers try on JWTs, each against a device's token; see RFC 8725 for where these come from.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use proptest::prelude::*;

use super::super::{DeviceJwt, DeviceJwtError};
use super::{ACCOUNT, CREDENTIAL, NOW, device_claims, device_header, token_of};
use crate::crypto::jws::JwsError;
use crate::crypto::tests::device::{TestDevice, signing_input};
use crate::domain::access::{DeviceClaims, UnfitClaims};
use crate::domain::opaque::DevicePublicKey;

fn read(token: &str, key: &DevicePublicKey) -> Result<DeviceClaims, DeviceJwtError> {
    DeviceJwt::parse(token)?.claims(key)
}

fn header_with_algorithm(algorithm: &str) -> String {
    device_header().replace("\"ES256\"", algorithm)
}

/// A token with a right signature under a header or claims that are not.
fn signed(header: &str, claims: &str) -> Result<DeviceClaims, DeviceJwtError> {
    let device = TestDevice::new();
    read(&device.jws(header, claims), &device.key())
}

fn header_member(member: &str) -> Result<DeviceClaims, DeviceJwtError> {
    signed(
        &device_header().replacen('{', &format!("{{{member},"), 1),
        &device_claims(),
    )
}

fn claims(sub: &str, exp: &str, nbf: &str) -> Result<DeviceClaims, DeviceJwtError> {
    signed(
        &device_header(),
        &format!(r#"{{"sub":{sub},"exp":{exp},"nbf":{nbf}}}"#),
    )
}

const BAD_HEADER: DeviceJwtError = DeviceJwtError::Jws(JwsError::HeaderMember);
const BAD_ALGORITHM: DeviceJwtError = DeviceJwtError::Jws(JwsError::Algorithm);
const BAD_SIGNATURE: DeviceJwtError = DeviceJwtError::Jws(JwsError::Signature);
const BAD_LENGTH: DeviceJwtError = DeviceJwtError::Jws(JwsError::SignatureLength);
const BAD_PARTS: DeviceJwtError = DeviceJwtError::Jws(JwsError::Parts);
const BAD_BASE64: DeviceJwtError = DeviceJwtError::Jws(JwsError::Base64);
const BAD_JSON: DeviceJwtError = DeviceJwtError::Jws(JwsError::Json);

#[test]
fn no_algorithm_is_accepted_but_es256_even_under_a_right_signature() {
    for algorithm in [
        "\"none\"",
        "\"None\"",
        "\"NONE\"",
        "\"nOnE\"",
        "\"\"",
        "\"es256\"",
        "\"ES256 \"",
        "\"ES256K\"",
        "\"ES384\"",
        "\"ES512\"",
        "\"RS256\"",
        "\"PS256\"",
        "\"HS256\"",
        "\"EdDSA\"",
        "null",
        "256",
        "[\"ES256\"]",
        "{}",
    ] {
        assert_eq!(
            signed(&header_with_algorithm(algorithm), &device_claims()),
            Err(BAD_ALGORITHM),
            "{algorithm}"
        );
    }
    let missing = format!(r#"{{"cty":"twilio-pba;v=1","kid":"{CREDENTIAL}"}}"#);
    assert_eq!(signed(&missing, &device_claims()), Err(BAD_ALGORITHM));
}

#[test]
fn alg_none_without_signature_is_refused() {
    let key = TestDevice::new().key();
    for algorithm in ["\"none\"", "\"None\"", "\"NONE\""] {
        let input = signing_input(&header_with_algorithm(algorithm), &device_claims());
        assert_eq!(
            read(&format!("{input}."), &key),
            Err(BAD_ALGORITHM),
            "{algorithm}"
        );
        assert!(read(&input, &key).is_err(), "{algorithm}");
    }
}

#[test]
fn hs256_keyed_with_any_form_of_the_public_key_is_refused() {
    let key = TestDevice::new().key();
    let spki = key.to_spki_base64();
    let (x, y) = key.as_sec1_bytes()[1..].split_at(32);
    let (x, y) = (URL_SAFE_NO_PAD.encode(x), URL_SAFE_NO_PAD.encode(y));
    let pem = format!(
        "-----BEGIN PUBLIC KEY-----\n{}\n{}\n-----END PUBLIC KEY-----",
        &spki[..64],
        &spki[64..]
    );
    let secrets = [
        key.as_sec1_bytes().to_vec(),
        key.as_sec1_bytes()[1..].to_vec(),
        STANDARD.decode(&spki).unwrap(),
        spki.clone().into_bytes(),
        pem.clone().into_bytes(),
        format!("{pem}\n").into_bytes(),
        format!(r#"{{"kty":"EC","crv":"P-256","x":"{x}","y":"{y}"}}"#).into_bytes(),
        format!(r#"{{"crv":"P-256","kty":"EC","x":"{x}","y":"{y}"}}"#).into_bytes(),
    ];
    for secret in secrets {
        let mac_key = hmac::Key::new(hmac::HMAC_SHA256, &secret);
        for (algorithm, expected) in [("\"HS256\"", BAD_ALGORITHM), ("\"ES256\"", BAD_LENGTH)] {
            let input = signing_input(&header_with_algorithm(algorithm), &device_claims());
            let tag = hmac::sign(&mac_key, input.as_bytes());
            let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(tag.as_ref()));
            assert_eq!(read(&token, &key), Err(expected));
        }
    }
}

#[test]
fn signatures_of_other_algorithms_are_refused() {
    let key = TestDevice::new().key();
    let p384 = EcdsaKeyPair::generate(&ECDSA_P384_SHA384_FIXED_SIGNING).unwrap();
    for (algorithm, expected) in [("\"ES384\"", BAD_ALGORITHM), ("\"ES256\"", BAD_LENGTH)] {
        let input = signing_input(&header_with_algorithm(algorithm), &device_claims());
        let signature = p384.sign(&SystemRandom::new(), input.as_bytes()).unwrap();
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()));
        assert_eq!(read(&token, &key), Err(expected));
    }
    for (algorithm, expected) in [("\"RS256\"", BAD_ALGORITHM), ("\"ES256\"", BAD_LENGTH)] {
        let input = signing_input(&header_with_algorithm(algorithm), &device_claims());
        let token = format!("{input}.{}", URL_SAFE_NO_PAD.encode([0x5a; 256]));
        assert_eq!(read(&token, &key), Err(expected));
    }
}

#[test]
fn empty_zero_short_long_and_der_signatures_are_refused() {
    let device = TestDevice::new();
    let input = signing_input(&device_header(), &device_claims());
    let right = device.sign_fixed(input.as_bytes());
    let with = |signature: &[u8]| {
        read(
            &format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)),
            &device.key(),
        )
    };
    assert!(with(&right).is_ok());
    assert_eq!(with(b""), Err(BAD_LENGTH));
    assert_eq!(with(&right[..63]), Err(BAD_LENGTH));
    assert_eq!(with(&[right.as_slice(), b"\0"].concat()), Err(BAD_LENGTH));
    assert_eq!(with(&[b"\0", right.as_slice()].concat()), Err(BAD_LENGTH));
    assert_eq!(with(&device.sign_der(input.as_bytes())), Err(BAD_LENGTH));
    // CVE-2022-21449: a signature of zeros must not be everybody's.
    assert_eq!(with(&[0; 64]), Err(BAD_SIGNATURE));
    assert_eq!(with(&[0xff; 64]), Err(BAD_SIGNATURE));
    let swapped = [&right[32..], &right[..32]].concat();
    assert_eq!(with(&swapped), Err(BAD_SIGNATURE));
}

#[test]
fn keys_that_the_token_brings_itself_are_refused() {
    for member in [
        r#""jwk":{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}"#,
        r#""jku":"https://example.org/keys""#,
        r#""x5u":"https://example.org/certificate""#,
        r#""x5c":["AA"]"#,
        r#""x5t":"AA""#,
        r#""x5t#S256":"AA""#,
    ] {
        assert_eq!(header_member(member), Err(BAD_HEADER), "{member}");
    }
}

#[test]
fn extensions_are_refused() {
    for member in [
        r#""crit":["exp"]"#,
        r#""crit":[]"#,
        r#""b64":false"#,
        r#""zip":"DEF""#,
        r#""enc":"A256GCM""#,
        r#""iss":"x""#,
        r#""ALG":"ES256""#,
        r#""":"""#,
    ] {
        assert_eq!(header_member(member), Err(BAD_HEADER), "{member}");
    }
}

#[test]
fn two_signatures_are_refused() {
    let device = TestDevice::new();
    let token = token_of(&device);
    let signature = token.rsplit_once('.').unwrap().1;
    assert_eq!(
        read(&format!("{token}.{signature}"), &device.key()),
        Err(BAD_PARTS)
    );
    assert_eq!(read(&format!("{token}."), &device.key()), Err(BAD_PARTS));
    assert_eq!(read(&format!(".{token}"), &device.key()), Err(BAD_PARTS));
    let input = signing_input(&device_header(), &device_claims());
    let doubled = device.sign_fixed(input.as_bytes()).repeat(2);
    assert_eq!(
        read(
            &format!("{input}.{}", URL_SAFE_NO_PAD.encode(doubled)),
            &device.key()
        ),
        Err(BAD_LENGTH)
    );
    let mut parts = token.split('.');
    let (header, payload) = (parts.next().unwrap(), parts.next().unwrap());
    let one = format!(r#"{{"protected":"{header}","signature":"{signature}"}}"#);
    let json = format!(r#"{{"payload":"{payload}","signatures":[{one},{one}]}}"#);
    assert!(read(&json, &device.key()).is_err());
    assert!(read(&format!("{token},{token}"), &device.key()).is_err());
}

#[test]
fn duplicate_names_are_refused_in_header_and_claims() {
    assert_eq!(header_member(r#""alg":"none""#), Err(BAD_JSON));
    assert_eq!(header_member(r#""alg":"ES256""#), Err(BAD_JSON));
    assert_eq!(header_member(r#""\u0061lg":"ES256""#), Err(BAD_JSON));
    assert_eq!(header_member(&format!(r#""kid":"{CREDENTIAL}""#)), Err(BAD_JSON));
    let exp = NOW + 600;
    for twice in [
        format!(
            r#"{{"sub":"{ACCOUNT}","exp":{exp},"nbf":{NOW},"exp":{}}}"#,
            exp + 1
        ),
        format!(r#"{{"sub":"{ACCOUNT}","sub":"{ACCOUNT}","exp":{exp},"nbf":{NOW}}}"#),
        format!(r#"{{"sub":"{ACCOUNT}","exp":{exp},"nbf":{NOW},"x":{{"y":1,"y":2}}}}"#),
    ] {
        assert_eq!(signed(&device_header(), &twice), Err(BAD_JSON), "{twice}");
    }
}

#[test]
fn exp_and_nbf_are_whole_seconds_and_nothing_else() {
    let (sub, exp, nbf) = (format!("\"{ACCOUNT}\""), (NOW + 600).to_string(), NOW.to_string());
    assert!(claims(&sub, &exp, &nbf).is_ok());
    for wrong in [
        "null",
        "true",
        "\"1790000600\"",
        "1790000600.0",
        "1.79e9",
        "-1",
        "-1790000600",
        "1e400",
        "[1790000600]",
        "{}",
        "18446744073709551616",
        "99999999999999999999999999",
    ] {
        assert!(claims(&sub, wrong, &nbf).is_err(), "exp {wrong}");
        assert!(claims(&sub, &exp, wrong).is_err(), "nbf {wrong}");
    }
    assert_eq!(claims(&sub, "\"1\"", &nbf), Err(DeviceJwtError::Claim("exp")));
    assert_eq!(claims(&sub, &exp, "1.5"), Err(DeviceJwtError::Claim("nbf")));
    // The largest number there is reads as the last moment there is; such a token lives too long.
    let huge = claims(&sub, "18446744073709551615", &nbf).unwrap();
    let now = crate::domain::time::Timestamp::from_seconds(NOW);
    assert_eq!(
        huge.check(now, std::time::Duration::ZERO),
        Err(UnfitClaims::LiveTooLong)
    );
}

#[test]
fn missing_claims_are_refused() {
    let (sub, exp, nbf) = (
        format!(r#""sub":"{ACCOUNT}""#),
        format!(r#""exp":{}"#, NOW + 600),
        format!(r#""nbf":{NOW}"#),
    );
    let missing = |a: &str, b: &str| signed(&device_header(), &format!("{{{a},{b}}}"));
    assert_eq!(missing(&exp, &nbf), Err(DeviceJwtError::Claim("sub")));
    assert_eq!(missing(&sub, &nbf), Err(DeviceJwtError::Claim("exp")));
    assert_eq!(missing(&sub, &exp), Err(DeviceJwtError::Claim("nbf")));
    assert_eq!(signed(&device_header(), "{}"), Err(DeviceJwtError::Claim("sub")));
    for payload in ["", "null", "[]", "\"x\""] {
        assert_eq!(signed(&device_header(), payload), Err(BAD_JSON), "{payload}");
    }
}

#[test]
fn the_subject_is_an_account() {
    let (exp, nbf) = ((NOW + 600).to_string(), NOW.to_string());
    for wrong in [
        "null",
        "1",
        "\"\"",
        "[]",
        &format!("\"{CREDENTIAL}\""),
        &format!("[\"{ACCOUNT}\"]"),
        &format!("\"{ACCOUNT} \""),
    ] {
        assert_eq!(
            claims(wrong, &exp, &nbf),
            Err(DeviceJwtError::Claim("sub")),
            "{wrong}"
        );
    }
}

#[test]
fn another_key_id_content_type_or_type_is_refused() {
    let swap = |from: &str, to: &str| signed(&device_header().replace(from, to), &device_claims());
    for kid in ["", "CR", ACCOUNT, &format!("{CREDENTIAL}0"), "../../etc"] {
        assert_eq!(swap(CREDENTIAL, kid), Err(DeviceJwtError::KeyId), "{kid}");
    }
    for cty in ["twilio-pba;v=2", "twilio-fpa;v=1", "twilio-pba;v=1 ", ""] {
        assert_eq!(
            swap("twilio-pba;v=1", cty),
            Err(DeviceJwtError::ContentType),
            "{cty}"
        );
    }
    assert_eq!(
        swap("\"typ\":\"JWT\"", "\"typ\":\"JOSE\""),
        Err(DeviceJwtError::Type)
    );
    assert_eq!(swap("\"typ\":\"JWT\"", "\"typ\":null"), Err(DeviceJwtError::Type));
    let without = |member: &str| signed(&device_header().replace(member, ""), &device_claims());
    assert_eq!(
        without(&format!("\"kid\":\"{CREDENTIAL}\",")),
        Err(DeviceJwtError::KeyId)
    );
    assert_eq!(
        without("\"cty\":\"twilio-pba;v=1\","),
        Err(DeviceJwtError::ContentType)
    );
}

#[test]
fn another_devices_signature_is_refused() {
    let (device, other) = (TestDevice::new(), TestDevice::new());
    assert_eq!(read(&token_of(&device), &other.key()), Err(BAD_SIGNATURE));
}

#[test]
fn parts_cannot_be_put_together_anew() {
    let device = TestDevice::new();
    let first = token_of(&device);
    let second = device.jws(&device_header(), &device_claims().replace("AC0", "AC1"));
    let (first, second): (Vec<_>, Vec<_>) = (first.split('.').collect(), second.split('.').collect());
    let mixed = [first[0], second[1], first[2]].join(".");
    assert_eq!(read(&mixed, &device.key()), Err(BAD_SIGNATURE));
}

#[test]
fn base64_has_one_spelling() {
    let device = TestDevice::new();
    let token = token_of(&device);
    let input = signing_input(&device_header(), &device_claims());
    let signature = device.sign_fixed(input.as_bytes());
    let respelt = [
        format!("{input}.{}", URL_SAFE.encode(&signature)),
        format!("{input}.{}\n", URL_SAFE_NO_PAD.encode(&signature)),
        format!(" {token}"),
        format!("{token}\0"),
    ];
    for token in respelt {
        assert_eq!(read(&token, &device.key()), Err(BAD_BASE64), "{token}");
    }
    // 64 bytes leave four bits over in the last digit; set, they must not spell the same signature again.
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let last = alphabet
        .iter()
        .position(|letter| token.as_bytes().last() == Some(letter))
        .unwrap();
    for low_bits in 1..16 {
        let respelt = format!(
            "{}{}",
            &token[..token.len() - 1],
            char::from(alphabet[last | low_bits])
        );
        assert_eq!(read(&respelt, &device.key()), Err(BAD_BASE64), "{low_bits}");
    }
}

#[test]
fn long_tokens_are_not_even_decoded() {
    let device = TestDevice::new();
    let padding = |length: usize| {
        format!(
            r#"{},"x":"{}"}}"#,
            device_claims().trim_end_matches('}'),
            "a".repeat(length)
        )
    };
    assert!(signed(&device_header(), &padding(40_000)).is_ok());
    assert_eq!(
        signed(&device_header(), &padding(46_200)),
        Err(DeviceJwtError::Jws(JwsError::TooLong))
    );
    for text in ["", ".", "..", "...", "a.b.c", "\u{e9}.\u{e9}.\u{e9}"] {
        assert!(read(text, &device.key()).is_err(), "{text}");
    }
}

#[test]
fn no_flipped_bit_of_a_token_verifies() {
    let device = TestDevice::new();
    let token = token_of(&device);
    assert!(read(&token, &device.key()).is_ok());
    for bit in 0..token.len() * 8 {
        let mut bytes = token.clone().into_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(text) = String::from_utf8(bytes) {
            assert!(read(&text, &device.key()).is_err(), "bit {bit}: {text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn no_flipped_bit_under_the_base64_verifies(
        members in "[a-z]{0,40}",
        part in 0_usize..3,
        position in any::<proptest::sample::Index>(),
        bit in 0_u8..8,
    ) {
        let device = TestDevice::new();
        let claims = format!(r#"{},"x":"{members}"}}"#, device_claims().trim_end_matches('}'));
        let token = device.jws(&device_header(), &claims);
        prop_assert!(read(&token, &device.key()).is_ok());
        let mut parts: Vec<Vec<u8>> = token.split('.').map(|part| URL_SAFE_NO_PAD.decode(part).unwrap()).collect();
        let length = parts[part].len();
        parts[part][position.index(length)] ^= 1 << bit;
        let forged: Vec<String> = parts.iter().map(|part| URL_SAFE_NO_PAD.encode(part)).collect();
        prop_assert!(read(&forged.join("."), &device.key()).is_err());
    }
}
