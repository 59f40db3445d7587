//! Texts from anywhere in an answer: the XML that is written parses, by another reader, to the same texts, with U+FFFD for
//! what XML has no way to write; and so does the JSON.

#![no_main]

use countersign::dialect::vonage::VerifyReply;
use libfuzzer_sys::fuzz_target;
use quick_xml::Reader;
use quick_xml::escape::unescape;
use quick_xml::events::Event;

fuzz_target!(|texts: Vec<String>| {
    let mut reply = VerifyReply::new("verify_response");
    for text in &texts {
        let item = VerifyReply::new("check").with("code", &**text);
        reply = reply
            .with("error_text", &**text)
            .with_list("checks", "check", vec![item]);
    }
    let xml = reply.xml();
    let mut reader = Reader::from_str(&xml);
    let (mut found, mut depth) = (vec![String::new()], 0_usize);
    loop {
        match reader.read_event().expect("it is well formed") {
            Event::Start(_) => {
                depth += 1;
                found.push(String::new());
            }
            Event::End(_) => depth -= 1,
            Event::Empty(_) => found.push(String::new()),
            Event::Text(text) => {
                let text = text.decode().expect("UTF-8");
                let last = found.last_mut().expect("one at least");
                last.push_str(&unescape(&text).expect("known entities"));
            }
            Event::GeneralRef(name) => {
                let name = name.decode().expect("UTF-8");
                let last = found.last_mut().expect("one at least");
                last.push_str(&unescape(&format!("&{name};")).expect("a known entity"));
            }
            Event::Eof => break,
            _ => {}
        }
    }
    assert_eq!(depth, 0);
    let is_char = |c: &char| matches!(c, '\t' | '\n' | ' '..='\u{fffd}' | '\u{10000}'..);
    let expected = texts.iter().map(|text| {
        text.chars()
            .map(|c| if is_char(&c) { c } else { '\u{fffd}' })
            .collect::<String>()
    });
    let expected: Vec<_> = expected
        .flat_map(|text| [text.clone(), text])
        .filter(|text| !text.is_empty())
        .collect();
    let found: Vec<_> = found
        .into_iter()
        .map(|text| text.trim_start_matches('\n').to_owned())
        .filter(|text| !text.is_empty())
        .collect();
    let trimmed = |texts: Vec<String>| -> Vec<String> {
        let texts = texts
            .into_iter()
            .map(|text| text.trim_start_matches('\n').to_owned());
        texts.filter(|text| !text.is_empty()).collect()
    };
    assert_eq!(found, trimmed(expected));
    let json: serde_json::Map<String, serde_json::Value> =
        serde_json::from_str(&reply.json()).expect("it is JSON");
    assert!(json.len() <= 2);
});
