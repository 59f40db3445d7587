//! A device that authenticates as the SDKs do, and what forgers try on its tokens.

use super::*;
use crate::crypto::tests::device::TestDevice;

mod attacks;

pub(in crate::dialect::twilio) const ACCOUNT: &str = "AC0123456789abcdef0123456789abcdef";
pub(in crate::dialect::twilio) const CREDENTIAL: &str = "CRfedcba9876543210fedcba9876543210";
const NOW: u64 = 1_790_000_000;

/// The token that an SDK would authenticate with now.
pub(in crate::dialect::twilio) fn token_of(device: &TestDevice) -> String {
    device.jws(&device_header(), &device_claims())
}

fn device_header() -> String {
    format!(r#"{{"cty":"twilio-pba;v=1","kid":"{CREDENTIAL}","typ":"JWT","alg":"ES256"}}"#)
}

fn device_claims() -> String {
    format!(r#"{{"sub":"{ACCOUNT}","exp":{},"nbf":{NOW}}}"#, NOW + 600)
}

#[test]
fn the_token_of_an_sdk_authenticates() {
    let device = TestDevice::new();
    let token = token_of(&device);
    let unverified = DeviceJwt::parse(&token).unwrap();
    assert_eq!(unverified.credential().to_string(), CREDENTIAL);
    let claims = unverified.claims(&device.key()).unwrap();
    let expected = DeviceClaims {
        account_sid: ACCOUNT.parse().unwrap(),
        not_before: Timestamp::from_seconds(NOW),
        expires: Timestamp::from_seconds(NOW + 600),
    };
    assert_eq!(claims, expected);
    let skew = std::time::Duration::from_secs(30);
    assert_eq!(claims.check(Timestamp::from_seconds(NOW), skew), Ok(()));
}

#[test]
fn the_type_may_be_left_out_and_members_stand_in_any_order() {
    let device = TestDevice::new();
    let header = format!(r#"{{"kid":"{CREDENTIAL}","alg":"ES256","cty":"twilio-pba;v=1"}}"#);
    let payload = format!(
        r#"{{"more":{{}},"exp":{},"nbf":{NOW},"sub":"{ACCOUNT}"}}"#,
        NOW + 600
    );
    let token = device.jws(&header, &payload);
    assert!(DeviceJwt::parse(&token).unwrap().claims(&device.key()).is_ok());
}

#[test]
fn debug_shows_no_part_of_the_token() {
    let token = token_of(&TestDevice::new());
    let unverified = DeviceJwt::parse(&token).unwrap();
    assert_eq!(format!("{unverified:?}"), format!("DeviceJwt({CREDENTIAL})"));
}
