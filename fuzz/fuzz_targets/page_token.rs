//! A page token from anywhere: there is one right text for a place in a list, but for the case of its digits; and every
//! place has one.

#![no_main]

use countersign::dialect::twilio::{parse_page_token, print_page_token};
use countersign::flows::page::Cursor;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    if let Ok(text) = std::str::from_utf8(bytes)
        && let Some(cursor) = parse_page_token(text)
    {
        let printed = print_page_token(cursor).expect("what was read is printed");
        assert!(printed.eq_ignore_ascii_case(text) && printed[..2] == text[..2]);
    }
    if let Some(sid) = bytes.first_chunk::<16>() {
        for cursor in [Cursor::After(*sid), Cursor::Before(*sid)] {
            let printed = print_page_token(cursor).expect("a place in a list is printed");
            assert_eq!(parse_page_token(&printed), Some(cursor));
        }
    }
});
