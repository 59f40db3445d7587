//! A form from anywhere. What is read is what another reader finds in the bytes; of a name's values those count that are
//! not empty, and of them the last; and whatever was read and is written again reads as the same.

#![no_main]

use countersign::dialect::twilio::Form;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|body: &[u8]| {
    let pairs = read_by_hand(body);
    let Some(form) = Form::parse(body) else {
        assert!(
            pairs
                .iter()
                .any(|(name, value)| name.is_none() || value.is_none())
        );
        return;
    };
    let pairs: Vec<(String, String)> = pairs
        .into_iter()
        .map(|(name, value)| (name.expect("a readable name"), value.expect("a readable value")))
        .collect();
    let mut written = form_urlencoded::Serializer::new(String::new());
    let again = Form::parse(written.extend_pairs(&pairs).finish().as_bytes()).expect("well written");
    for (name, _) in &pairs {
        let expected: Vec<&str> = pairs
            .iter()
            .filter(|(other, value)| other == name && !value.is_empty())
            .map(|(_, value)| value.as_str())
            .collect();
        for form in [&form, &again] {
            assert_eq!(form.all(name).collect::<Vec<_>>(), expected);
            assert_eq!(form.filled(name), expected.last().copied());
            assert!(form.has(name));
        }
    }
});

/// The pairs in `body`; `None` for a name or value that is not UTF-8.
fn read_by_hand(body: &[u8]) -> Vec<(Option<String>, Option<String>)> {
    body.split(|byte| *byte == b'&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let middle = pair.iter().position(|byte| *byte == b'=');
            let (name, value) = match middle {
                Some(middle) => (&pair[..middle], &pair[middle + 1..]),
                None => (pair, &[][..]),
            };
            (decoded(name), decoded(value))
        })
        .collect()
}

fn decoded(text: &[u8]) -> Option<String> {
    let digit = |at: usize| text.get(at).and_then(|byte| char::from(*byte).to_digit(16));
    let (mut bytes, mut at) = (Vec::new(), 0);
    while at < text.len() {
        let byte = match (text[at], digit(at + 1), digit(at + 2)) {
            (b'%', Some(high), Some(low)) => {
                at += 2;
                u8::try_from(high * 16 + low).expect("two digits make a byte")
            }
            (b'+', ..) => b' ',
            (byte, ..) => byte,
        };
        bytes.push(byte);
        at += 1;
    }
    String::from_utf8(bytes).ok()
}
