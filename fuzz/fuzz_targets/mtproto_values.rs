//! Values as the streaming protocol writes them: what is read is no longer than what came, and written again it is the same.

#![no_main]

use countersign::dialect::telegram::tl::{TlReader, TlWriter};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut reader = TlReader::new(bytes);
    while let Ok(kind) = reader.word() {
        match kind % 4 {
            0 => {
                if let Ok(string) = reader.bytes() {
                    let written = TlWriter::default().bytes(string).done();
                    assert_eq!(TlReader::new(&written).bytes(), Ok(string));
                }
            }
            1 => {
                if let Ok(longs) = reader.longs(1000) {
                    assert!(longs.len() * 8 <= bytes.len() && longs.len() <= 1000);
                    let written = TlWriter::default().longs(&longs).done();
                    assert_eq!(TlReader::new(&written).longs(1000), Ok(longs));
                }
            }
            2 => drop(reader.long()),
            _ => drop(reader.string()),
        }
    }
});
