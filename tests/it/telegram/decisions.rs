//! What was decided about a call is a line in the log, under the identifiers by which the client knows the call.

use countersign::dialect::telegram::schema::AUTH_SIGN_IN;
use tempfile::TempDir;

use super::raw::{about, attempt_of, in_layer, send_code_to};
use super::tcp::{TcpClient, keys_in, start};
use crate::support::messages::next_number;

#[test]
fn a_wrong_code_is_a_line_with_its_reason_and_the_call_of_the_client() {
    let data = TempDir::new().unwrap();
    let keys = keys_in(data.path(), 1);
    let (server, address) = start(data.path(), &[], &[("COUNTERSIGN_LOG", "info")]);
    let number = next_number();
    let mut client = TcpClient::begin(&address, &keys[0], 1);
    let sent = client.call(&in_layer(229, &send_code_to(&number))).unwrap();
    let line = server.wait_for_log(&format!("the code for {number} by sms is "));
    let code = line.split(" by sms is ").nth(1).unwrap();
    let wrong = if code.starts_with("00000") {
        "00001"
    } else {
        "00000"
    };
    let sign_in = about(AUTH_SIGN_IN, &number, &attempt_of(&sent), Some(wrong));
    let told = client.call(&in_layer(229, &sign_in));
    assert_eq!(told, Err("PHONE_CODE_INVALID".to_owned()));
    let line = server.wait_for_log("check_verification refused");
    let key = format!("request=\"{:016x}", keys[0].id().cast_unsigned());
    for part in [
        " INFO ",
        &key,
        " dialect=\"telegram\" ",
        " to=\"+",
        " from=\"127.0.0.1\" ",
        " reason=\"wrong code\"",
        " ms=",
    ] {
        assert!(line.contains(part), "{part:?} is not in {line}");
    }
    assert!(!line.contains(&number), "{line}");
}
