//! What a message centre sends: units are taken off the front one by one, none is longer than allowed, and what is left out
//! of a read is never needed for it.

#![no_main]

use countersign::delivery::codes::smpp::pdu::{MOST_OCTETS, Pdu};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let mut rest = octets;
    loop {
        let Ok(read) = Pdu::read(rest) else {
            // Whatever comes behind it does not change that.
            assert!(Pdu::read(&rest[..4]).is_err());
            return;
        };
        let Some((pdu, taken)) = read else {
            assert!(rest.len() < MOST_OCTETS);
            return;
        };
        assert!((16..=MOST_OCTETS).contains(&taken));
        assert_eq!(pdu.body.as_slice(), &rest[16..taken]);
        assert_eq!(pdu.sequence.to_be_bytes(), rest[12..16]);
        assert_eq!(Pdu::read(&rest[..taken - 1]), Ok(None));
        assert_eq!(Pdu::read(&rest[..taken]), Ok(Some((pdu.clone(), taken))));
        assert!(pdu.name().bytes().all(|letter| letter.is_ascii_graphic()));
        rest = &rest[taken..];
    }
});
