//! A server that is killed between two answers: it gives no guess back, and lets no code in again.

use std::path::Path;

use countersign::dialect::telegram::envelope::AuthKey;
use countersign::dialect::telegram::schema::{
    AUTH_AUTHORIZATION, AUTH_SIGN_IN, INPUT_USER_SELF, USERS_GET_USERS,
};
use countersign::dialect::telegram::tl::{TlReader, TlWriter, VECTOR};
use tempfile::TempDir;

use super::raw::{about, attempt_of, in_layer, send_code_to};
use super::tcp::{TcpClient, keys_in, start};
use crate::serving::process::Process;
use crate::support::messages::next_number;

/// A server that is killed after each call.
struct Killed<'a> {
    data: &'a Path,
    process: Option<Process>,
    address: String,
    calls: i64,
}

impl<'a> Killed<'a> {
    fn start(data: &'a Path) -> Self {
        let (process, address) = start(data, &[], &[]);
        Self {
            data,
            process: Some(process),
            address,
            calls: 0,
        }
    }

    /// Calls a method over a new connection, and kills the server right after its answer.
    fn call(&mut self, key: &AuthKey, method: &[u8]) -> Result<Vec<u8>, String> {
        self.calls += 1;
        let answer = TcpClient::begin(&self.address, key, self.calls).call(&in_layer(229, method));
        self.kill();
        answer
    }

    /// Has a code sent; the attempt, and the code.
    fn send_code(&mut self, key: &AuthKey, number: &str) -> (String, String) {
        self.calls += 1;
        let mut client = TcpClient::begin(&self.address, key, self.calls);
        let sent = client.call(&in_layer(229, &send_code_to(number))).unwrap();
        let process = self.process.as_ref().expect("one is there between two kills");
        let line = process.wait_for_log(&format!("the code for {number} by sms is "));
        let code = line.split(" by sms is ").nth(1).unwrap();
        let code = code.split_whitespace().next().unwrap().to_owned();
        self.kill();
        (attempt_of(&sent), code)
    }

    fn kill(&mut self) {
        // It ends with SIGKILL, and has the data until then.
        drop(self.process.take());
        let (process, address) = start(self.data, &[], &[]);
        (self.process, self.address) = (Some(process), address);
    }
}

#[test]
fn no_kill_gives_back_a_guess_or_lets_a_code_in_again() {
    let data = TempDir::new().unwrap();
    let keys = keys_in(data.path(), 2);
    let mut server = Killed::start(data.path());

    let number = next_number();
    let (attempt, code) = server.send_code(&keys[0], &number);
    let wrong = if code == "00000" { "00001" } else { "00000" };
    let guess = |code| about(AUTH_SIGN_IN, &number, &attempt, Some(code));
    for _ in 0..5 {
        let told = server.call(&keys[0], &guess(wrong));
        assert_eq!(told, Err("PHONE_CODE_INVALID".to_owned()));
    }
    let told = server.call(&keys[0], &guess(&code)).unwrap_err();
    assert!(told.starts_with("FLOOD_WAIT_"), "{told}");

    let number = next_number();
    let (attempt, code) = server.send_code(&keys[0], &number);
    let sign_in = about(AUTH_SIGN_IN, &number, &attempt, Some(&code));
    let signed_in = server.call(&keys[0], &sign_in).unwrap();
    assert_eq!(TlReader::new(&signed_in).word(), Ok(AUTH_AUTHORIZATION));
    for key in &keys {
        let told = server.call(key, &sign_in);
        assert_eq!(told, Err("PHONE_CODE_EXPIRED".to_owned()), "it is used");
    }
    let own = TlWriter::of(USERS_GET_USERS)
        .word(VECTOR)
        .word(1)
        .word(INPUT_USER_SELF)
        .done();
    let users = server.call(&keys[0], &own).unwrap();
    let digits = &number.as_bytes()[1..];
    let is_there = users.windows(digits.len()).any(|part| part == digits);
    assert!(is_there, "the login outlived all kills");
    let nobody = server.call(&keys[1], &own);
    assert_eq!(nobody, Err("AUTH_KEY_UNREGISTERED".to_owned()));
}
