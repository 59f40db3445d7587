//! An `Authorization` header from anywhere: who is read from it, is read from the one way to write them, too; and whatever
//! the header's bytes are as user name and password, they arrive as they were sent.

#![no_main]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use countersign::web::basic::BasicCredentials;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|header: &[u8]| {
    if let Some(read) = BasicCredentials::parse(header) {
        assert!(!read.user().contains(':'));
        assert_same(
            &read,
            &BasicCredentials::parse(&written(read.user(), read.reveal_password())).expect("a good header"),
        );
    }
    let Ok(text) = std::str::from_utf8(header) else {
        return;
    };
    let credentials = text.split_once(':');
    let read = BasicCredentials::parse(format!("Basic {}", STANDARD.encode(text)).as_bytes());
    let short = STANDARD.encode(text).len() <= 16 * 1024;
    assert_eq!(read.is_some(), credentials.is_some() && short);
    if let (Some(read), Some((user, password))) = (read, credentials) {
        assert_eq!((read.user(), read.reveal_password()), (user, password));
    }
});

fn written(user: &str, password: &str) -> Vec<u8> {
    format!("bAsIc {}", STANDARD.encode(format!("{user}:{password}"))).into_bytes()
}

fn assert_same(one: &BasicCredentials, other: &BasicCredentials) {
    assert_eq!(
        (one.user(), one.reveal_password()),
        (other.user(), other.reveal_password())
    );
}
