//! A phone number from anywhere: what is read has one form, which reads as itself, whatever the default country.

#![no_main]

use countersign::domain::country::Country;
use countersign::domain::phone::PhoneNumber;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: (Option<[u8; 2]>, &str)| {
    let (letters, text) = input;
    let country = letters.map(|letters| letters.map(|byte| b'A' + byte % 26));
    let country = country.and_then(|letters| Country::parse(std::str::from_utf8(&letters).ok()?).ok());
    let Ok(number) = PhoneNumber::parse(text, country) else {
        return;
    };
    let form = number.as_str();
    assert!(PhoneNumber::try_from(form.to_owned()).is_ok());
    assert_eq!(PhoneNumber::parse(form, None).as_ref(), Ok(&number));
    assert_eq!(PhoneNumber::parse(form, country).as_ref(), Ok(&number));
    assert_eq!(
        PhoneNumber::parse(&form.replacen('+', "00", 1), None).as_ref(),
        Ok(&number)
    );
    let _ = number.facts();
});
