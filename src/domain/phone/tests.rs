//! One form for every spelling, and what the plans say of a dozen countries' numbers.

use proptest::prelude::*;

use super::*;

fn parsed(text: &str) -> String {
    PhoneNumber::parse(text, None)
        .unwrap_or_else(|why| panic!("{text:?}: {why}"))
        .into()
}

fn facts(text: &str) -> (Option<String>, LineKind) {
    let facts = PhoneNumber::parse(text, None)
        .unwrap_or_else(|why| panic!("{text:?}: {why}"))
        .facts();
    (
        facts.country.map(|country| country.as_str().to_owned()),
        facts.kind,
    )
}

#[test]
fn every_spelling_of_a_number_is_the_same_number() {
    for text in [
        "+14155552671",
        "+1 415 555 2671",
        " +1 415-555-2671 ",
        "+1(415)5552671",
        "(+1) 415.555.2671",
        "0014155552671",
        "00 1 (415) 555-2671",
        "+1/415/5552671",
        "+1 415 555 2671\n",
        "+1\u{a0}415\u{2011}555\u{202f}2671",
        "\u{200e}+14155552671",
        "\u{202a}+1 (415) 555\u{2013}2671\u{202c}",
        "\u{feff}+1\u{2009}415\u{200b}5552671\t",
    ] {
        assert_eq!(parsed(text), "+14155552671", "{text:?}");
    }
    for text in [
        "+447400123456",
        "+44 (0) 7400 123456",
        "+4407400123456",
        "00447400123456",
    ] {
        assert_eq!(parsed(text), "+447400123456", "{text:?}");
    }
    // A mobile phone of Argentina is dialled with 9 from abroad and with 15 at home.
    for text in ["+54 9 11 2345 6789", "+54 11 15 2345 6789"] {
        assert_eq!(parsed(text), "+5491123456789", "{text:?}");
    }
    // Nobody dials the 1 of Mexico's mobile phones any more.
    for text in ["+52 55 1234 5678", "+52 1 55 1234 5678", "0052 1 5512345678"] {
        assert_eq!(parsed(text), "+525512345678", "{text:?}");
    }
    // The zero of an Italian line belongs to it.
    assert_eq!(parsed("+39 06 698 12345"), "+390669812345");
}

#[test]
fn a_number_without_its_countrys_code_needs_the_country() {
    // An earlier release took letters of no country, too.
    let country = |text| Some(Country::stored(text).unwrap());
    let read = |text, at| PhoneNumber::parse(text, country(at)).map(String::from);
    assert!(PhoneNumber::parse("4155552671", None).is_err());
    assert!(PhoneNumber::parse("14155552671", None).is_err());
    assert_eq!(read("(415) 555-2671", "us").as_deref(), Ok("+14155552671"));
    assert_eq!(read("07400 123456", "GB").as_deref(), Ok("+447400123456"));
    assert_eq!(read("+1 415 555 2671", "GB").as_deref(), Ok("+14155552671"));
    // What is dialled before another country's code is each country's own.
    assert_eq!(read("00 1 415 555 2671", "DE").as_deref(), Ok("+14155552671"));
    assert_eq!(read("011 44 7400 123456", "US").as_deref(), Ok("+447400123456"));
    assert_eq!(read("0011 1 415 555 2671", "AU").as_deref(), Ok("+14155552671"));
    assert!(read("4155552671", "QQ").is_err());
}

#[test]
fn what_is_no_possible_number_is_refused() {
    for text in [
        "",
        " ",
        "+",
        "++14155552671",
        "+1+4155552671",
        "1+4155552671",
        "+1415",
        "+1415555267123",
        "+999123456789",
        "+0014155552671",
        "00014155552671",
        "+1415555CALL",
        "+14155552671 ext. 5",
        "+14155552671x5",
        "+14155552671;ext=5",
        "+14155552671,,5",
        "tel:+14155552671",
        "\u{ff0b}\u{ff11}\u{ff14}\u{ff11}\u{ff15}\u{ff15}\u{ff15}\u{ff12}\u{ff16}\u{ff17}\u{ff11}",
        "+\u{661}\u{664}\u{661}\u{665}\u{665}\u{665}\u{662}\u{666}\u{667}\u{661}",
        "+1415555267\u{ff11}",
        "ada@example.com",
    ] {
        assert!(PhoneNumber::parse(text, None).is_err(), "{text:?}");
    }
    assert!(PhoneNumber::parse(&format!("+14155552671{}", ")".repeat(29)), None).is_err());
    assert!(PhoneNumber::parse(&format!("+14155552671{}", ")".repeat(28)), None).is_ok());
}

#[test]
fn the_plans_tell_countries_that_share_a_code_apart() {
    for (number, country) in [
        ("+1 415 555 2671", "US"),
        ("+1 416 555 0123", "CA"),
        ("+1 876 555 0123", "JM"),
        ("+1 787 234 5678", "PR"),
        ("+1 242 357 1234", "BS"),
        ("+7 916 123 45 67", "RU"),
        ("+7 701 123 45 67", "KZ"),
        ("+44 7400 123456", "GB"),
        ("+44 7781 123456", "GG"),
        ("+44 7797 712345", "JE"),
        ("+44 7624 412345", "IM"),
        ("+61 412 345 678", "AU"),
        ("+47 406 12 345", "NO"),
        ("+599 9 518 1234", "CW"),
        ("+383 43 201 234", "XK"),
    ] {
        assert_eq!(facts(number).0.as_deref(), Some(country), "{number}");
    }
}

#[test]
fn the_plans_tell_kinds_of_lines_apart() {
    for (number, country, kind) in [
        ("+1 415 555 2671", Some("US"), LineKind::FixedLineOrMobile),
        ("+1 800 234 5678", Some("US"), LineKind::TollFree),
        ("+1 900 234 5678", Some("US"), LineKind::PremiumRate),
        ("+44 20 7946 0018", Some("GB"), LineKind::FixedLine),
        ("+44 7400 123456", Some("GB"), LineKind::Mobile),
        ("+44 70 1234 5678", Some("GB"), LineKind::Other),
        ("+44 9012 345678", Some("GB"), LineKind::PremiumRate),
        ("+44 56 1234 5678", Some("GB"), LineKind::Voip),
        ("+49 30 123456", Some("DE"), LineKind::FixedLine),
        ("+49 1512 3456789", Some("DE"), LineKind::Mobile),
        ("+33 6 12 34 56 78", Some("FR"), LineKind::Mobile),
        ("+33 1 23 45 67 89", Some("FR"), LineKind::FixedLine),
        ("+33 9 12 34 56 78", Some("FR"), LineKind::Voip),
        ("+91 81234 56789", Some("IN"), LineKind::Mobile),
        ("+86 131 2345 6789", Some("CN"), LineKind::Mobile),
        ("+81 90 1234 5678", Some("JP"), LineKind::Mobile),
        ("+55 11 96123-4567", Some("BR"), LineKind::Mobile),
        ("+52 222 123 4567", Some("MX"), LineKind::FixedLineOrMobile),
        ("+234 802 123 4567", Some("NG"), LineKind::Mobile),
        ("+972 50 234 5678", Some("IL"), LineKind::Mobile),
        ("+881 612 345 678", None, LineKind::Mobile),
        ("+882 16 1234567", None, LineKind::Voip),
        ("+800 1234 5678", None, LineKind::TollFree),
        ("+808 1234 5678", None, LineKind::SharedCost),
        ("+979 123 456 789", None, LineKind::PremiumRate),
    ] {
        assert_eq!(facts(number), (country.map(str::to_owned), kind), "{number}");
    }
}

#[test]
fn a_range_that_is_not_given_out_is_taken_and_called_unknown() {
    // Ofcom keeps these numbers for films.
    assert_eq!(facts("+447700900123"), (Some("GB".to_owned()), LineKind::Unknown));
    assert_eq!(
        facts("+1 999 234 5678"),
        (Some("US".to_owned()), LineKind::Unknown)
    );
}

#[test]
fn a_stored_number_of_no_plan_has_no_facts() {
    let number = PhoneNumber::try_from("+9991234567".to_owned()).unwrap();
    assert_eq!(
        number.facts(),
        NumberFacts {
            country: None,
            kind: LineKind::Unknown
        }
    );
}

#[test]
fn neither_form_nor_masked_number_shows_it() {
    let number = PhoneNumber::parse("+1 415 555 2671", None).unwrap();
    assert_eq!(format!("{number:?}"), "+14*******71");
}

fn spelled() -> impl Strategy<Value = String> {
    prop_oneof![
        "[+]?[0-9 ().-]{0,24}",
        "[+](1|7|20|39|44|49|52|54|55|61|81|86|91|599|881)[0-9]{4,12}",
        "\\PC{0,45}",
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_is_read_is_the_only_form_of_its_number(text in spelled(), letters in "[A-Z]{2}", known in any::<bool>()) {
        let country = known.then(|| Country::stored(&letters).unwrap());
        if let Ok(number) = PhoneNumber::parse(&text, country) {
            let form = number.as_str().to_owned();
            prop_assert!(PhoneNumber::try_from(form.clone()).is_ok(), "{}", form);
            prop_assert_eq!(&PhoneNumber::parse(&form, None).unwrap(), &number);
            prop_assert_eq!(&PhoneNumber::parse(&form, country).unwrap(), &number);
            prop_assert_eq!(&PhoneNumber::parse(&form.replacen('+', "00", 1), None).unwrap(), &number);
            let _ = number.facts();
        }
    }

    /// Blanks and brackets within a number never make another one of it.
    #[test]
    fn what_stands_between_digits_does_not_count(digits in "[1-9][0-9]{6,13}", at in 1_usize..7, between in "[ ().-]{1,3}") {
        let plain = format!("+{digits}");
        let mut spaced = plain.clone();
        spaced.insert_str(at, &between);
        prop_assert_eq!(PhoneNumber::parse(&spaced, None), PhoneNumber::parse(&plain, None));
    }
}
