//! A query and a body from anywhere, in both syntaxes. What is read of a form is what another reader finds in the bytes, and
//! what is read is the same when it is written again.

#![no_main]

use countersign::dialect::vonage::{BodySyntax, RequestParameters};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let middle = data.iter().position(|byte| *byte == 0).unwrap_or(data.len());
    let (query, body) = (&data[..middle], data.get(middle + 1..).unwrap_or_default());
    let _whatever = RequestParameters::read(query, BodySyntax::Json, body);
    let Ok(read) = RequestParameters::read(query, BodySyntax::Form, body) else {
        return;
    };
    let pairs: Vec<(String, String)> = form_urlencoded::parse(query)
        .chain(form_urlencoded::parse(body))
        .filter(|(_, value)| !value.is_empty())
        .map(|(name, value)| (name.into_owned(), value.into_owned()))
        .collect();
    let mut written = form_urlencoded::Serializer::new(String::new());
    let written = written.extend_pairs(&pairs).finish();
    let again =
        RequestParameters::read(written.as_bytes(), BodySyntax::Form, b"").expect("it is well written");
    for (name, _) in &pairs {
        let named = pairs.iter().filter(|(other, _)| other == name);
        let expected: Vec<_> = named.map(|(_, value)| value.as_str()).collect();
        assert_eq!(read.all(name).collect::<Vec<_>>(), expected);
        assert_eq!(again.all(name).collect::<Vec<_>>(), expected);
    }
});
