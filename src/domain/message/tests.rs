//! Every language on every channel, and that a text message costs one.

use proptest::prelude::*;

use super::super::text::{AppHash, ServiceName};
use super::template::Templates;
use super::*;

/// The longest code, and the longest names: in the 7-bit alphabet, outside of it, and of surrogate pairs.
const CODE: &str = "9876543210";

fn names() -> Vec<String> {
    let pairs = "\u{1d400}".repeat(32);
    let names = [
        "Acme",
        "n",
        &"M".repeat(32),
        &"я".repeat(32),
        &"網".repeat(32),
        &pairs,
    ];
    for name in names {
        assert!(ServiceName::parse(name).is_ok(), "{name}");
    }
    names.map(str::to_owned).to_vec()
}

fn request<'a>(locale: &'a Locale, channel: Channel, name: &'a str) -> MessageRequest<'a> {
    MessageRequest {
        channel,
        locale,
        friendly_name: name,
        code: CODE,
        warning: false,
        psd2: None,
        app_hash: None,
        custom: None,
        template: None,
    }
}

fn every_locale() -> Vec<Locale> {
    locales().map(|tag| Locale::parse(tag).unwrap()).collect()
}

fn occurrences(text: &str, of: &str) -> usize {
    text.matches(of).count()
}

fn text(request: &MessageRequest<'_>) -> String {
    render(request).unwrap().text.to_string()
}

#[test]
fn every_text_message_of_every_language_takes_one_segment() {
    for locale in every_locale() {
        for name in names() {
            for (warning, app_hash) in [
                (false, None),
                (true, None),
                (false, Some("He42w354ol9")),
                (true, Some("He42w354ol9")),
            ] {
                let request = MessageRequest {
                    warning,
                    app_hash,
                    ..request(&locale, Channel::Sms, &name)
                };
                let message = render(&request).unwrap();
                let text = &*message.text;
                let context = format!("{locale} {name} {warning} {app_hash:?}: {text}");
                assert_eq!(message.segments.unwrap().segments, 1, "{context}");
                assert_eq!(occurrences(text, CODE), 1, "{context}");
                assert_eq!(message.locale_used, locale, "{context}");
                assert!(!text.contains(['{', '}']), "{context}");
                let words = words::of(&locale).1;
                assert_eq!(text.contains(words.warning), warning, "{context}");
                assert_eq!(app_hash.is_some(), text.starts_with("<#> "), "{context}");
                assert_eq!(app_hash.is_some(), text.ends_with("\nHe42w354ol9"), "{context}");
            }
        }
    }
}

/// What most services send keeps the whole sentence.
#[test]
fn a_short_name_and_a_code_of_six_digits_fit_with_their_sentence() {
    for locale in every_locale() {
        let request = MessageRequest {
            code: "123456",
            ..request(&locale, Channel::Sms, "Acme")
        };
        let text = text(&request);
        assert!(
            text.contains("Acme") && text.contains("123456"),
            "{locale}: {text}"
        );
        let request = MessageRequest {
            warning: true,
            ..request
        };
        let message = render(&request).unwrap();
        let words = words::of(&locale).1;
        let short = [&words.short.replace("{{code}}", "123456"), words.stop].concat();
        assert!(!message.text.starts_with(&short), "{locale}: {}", &*message.text);
    }
}

#[test]
fn a_long_name_is_left_out_before_the_sentence_is() {
    let locale = Locale::parse("ru").unwrap();
    let name = "Я".repeat(32);
    let with = |warning, app_hash| {
        text(&MessageRequest {
            warning,
            app_hash,
            ..request(&locale, Channel::Sms, &name)
        })
    };
    // 70 characters, the most there may be.
    assert_eq!(
        with(false, None),
        format!("Ваш код подтверждения для {name}: 9876543210")
    );
    assert_eq!(
        with(true, None),
        "Ваш код подтверждения: 9876543210. Никому его не сообщайте."
    );
    assert_eq!(
        with(true, Some("He42w354ol9")),
        "<#> Код: 9876543210. Никому его не сообщайте.\nHe42w354ol9"
    );
}

#[test]
fn a_name_that_holds_the_code_is_left_out() {
    let locale = Locale::english();
    for channel in [Channel::Sms, Channel::Email, Channel::Whatsapp] {
        let request = MessageRequest {
            code: "2026",
            ..request(&locale, channel, "Fair 2026")
        };
        let message = render(&request).unwrap();
        assert_eq!(occurrences(&message.text, "2026"), 1);
        assert!(!message.subject.unwrap_or_default().contains("2026"));
    }
}

#[test]
fn engines_read_the_code_digit_by_digit_and_twice() {
    for locale in every_locale() {
        for warning in [false, true] {
            let request = MessageRequest {
                warning,
                ..request(&locale, Channel::Call, "Acme")
            };
            let message = render(&request).unwrap();
            let spoken = "9, 8, 7, 6, 5, 4, 3, 2, 1, 0";
            assert_eq!(
                occurrences(&message.text, spoken),
                2,
                "{locale}: {}",
                &*message.text
            );
            assert!(!message.text.contains("98"), "{locale}");
            assert!(message.segments.is_none() && message.subject.is_none());
        }
    }
    let english = Locale::english();
    let request = MessageRequest {
        code: "1234",
        ..request(&english, Channel::Call, "Acme")
    };
    assert_eq!(
        text(&request),
        "Your Acme verification code is: 1, 2, 3, 4. Once again: 1, 2, 3, 4."
    );
}

#[test]
fn an_email_has_a_subject_without_the_code() {
    for locale in every_locale() {
        let request = MessageRequest {
            warning: true,
            ..request(&locale, Channel::Email, "Acme")
        };
        let message = render(&request).unwrap();
        let subject = message.subject.unwrap();
        assert!(subject.contains("Acme") && !subject.contains(CODE), "{subject}");
        assert_eq!(occurrences(&message.text, CODE), 1, "{locale}");
        assert!(
            message.text.contains("Acme") && message.text.ends_with('\n'),
            "{locale}"
        );
    }
}

#[test]
fn a_payment_is_told_on_every_channel() {
    let (amount, payee) = ("€39.99", "Acme Inc");
    for locale in every_locale() {
        for channel in Channel::ALL
            .into_iter()
            .filter(|channel| *channel != Channel::Sna)
        {
            let request = MessageRequest {
                psd2: Some((amount, payee)),
                warning: true,
                ..request(&locale, channel, "Bank")
            };
            let message = render(&request).unwrap();
            let said = if channel == Channel::Call { "9, 8, 7" } else { CODE };
            for part in [amount, payee, said] {
                assert!(
                    message.text.contains(part),
                    "{locale} {channel:?}: {}",
                    &*message.text
                );
            }
            let segments = message.segments.map_or(1, |segments| segments.segments);
            assert!(segments <= 3, "{locale}: {segments}");
        }
    }
}

#[test]
fn silent_authentication_has_no_text() {
    let locale = Locale::english();
    assert!(
        render(&request(&locale, Channel::Sna, "Acme"))
            .unwrap()
            .text
            .is_empty()
    );
}

#[test]
fn a_custom_message_must_hold_the_code() {
    let locale = Locale::english();
    let custom = |channel, custom| {
        let request = MessageRequest {
            code: "1234",
            custom: Some(custom),
            ..request(&locale, channel, "Acme")
        };
        render(&request).map(|message| message.text.to_string())
    };
    assert_eq!(
        custom(Channel::Sms, "{{friendly_name}} says {{code}}, {{x}}").as_deref(),
        Ok("Acme says 1234, {{x}}")
    );
    assert_eq!(custom(Channel::Sms, "Say 1234!").as_deref(), Ok("Say 1234!"));
    assert_eq!(
        custom(Channel::Call, "Say 1234!").as_deref(),
        Ok("Say 1, 2, 3, 4!")
    );
    assert_eq!(
        custom(Channel::Call, "Say {{code}}!").as_deref(),
        Ok("Say 1, 2, 3, 4!")
    );
    assert_eq!(custom(Channel::Sms, "Hello"), Err(Unrenderable::CodeMissing));
    let long = format!("{{{{code}}}}{}", "a".repeat(6 * 153));
    assert_eq!(
        custom(Channel::Sms, &long),
        Err(Unrenderable::TooLong { segments: 7 })
    );
}

#[test]
fn a_custom_message_that_hides_a_payment_gives_way() {
    let locale = Locale::english();
    let custom = |custom| {
        text(&MessageRequest {
            code: "1234",
            psd2: Some(("€1", "Eve")),
            custom: Some(custom),
            ..request(&locale, Channel::Sms, "Acme")
        })
    };
    assert_eq!(
        custom("Your prize: {{code}}"),
        "Payment: €1, payee: Eve. Your Acme verification code is: 1234"
    );
    assert_eq!(custom("{{amount}} to {{payee}}: {{code}}"), "€1 to Eve: 1234");
}

#[test]
fn hashes_of_apps_are_told_from_what_is_none() {
    assert_eq!(AppHash::parse("He42w354ol9").unwrap().as_str(), "He42w354ol9");
    for text in ["", "He42w354ol", "He42w354ol99", "He42w354 l9", "He42w354o\n9"] {
        assert!(AppHash::parse(text).is_err(), "{text:?}");
    }
}

#[test]
fn nothing_that_is_sent_can_be_printed() {
    let locale = Locale::english();
    let request = MessageRequest {
        custom: Some("secret {{code}}"),
        ..request(&locale, Channel::Sms, "Acme")
    };
    let shown = format!("{request:?} {:?}", render(&request).unwrap());
    assert!(!shown.contains(CODE) && !shown.contains("secret"), "{shown}");
}

#[test]
fn built_in_templates_say_the_code_in_every_language() {
    let templates = Templates::default();
    for template in templates.iter() {
        for locale in every_locale() {
            for channel in template.channels() {
                let request = MessageRequest {
                    template: Some((template, &[])),
                    ..request(&locale, *channel, "Acme")
                };
                let message = render(&request).unwrap();
                assert_eq!(message.locale_used, locale);
                assert!(!message.text.contains(['{', '}']));
                let (said, times) = match channel {
                    Channel::Call => ("9, 8, 7, 6, 5, 4, 3, 2, 1, 0", 2),
                    _ => (CODE, 1),
                };
                assert_eq!(occurrences(&message.text, said), times, "{locale}");
            }
        }
    }
}

fn locale_text() -> impl Strategy<Value = String> {
    prop_oneof![
        proptest::sample::select(locales().collect::<Vec<_>>()).prop_map(str::to_owned),
        "[a-z]{2}(-[A-Z]{2})?",
    ]
}

proptest! {
    #[test]
    fn any_name_and_code_make_one_text_message(
        name in "[\\p{L}\\p{N} _-]{1,32}",
        code in "[0-9]{4,10}",
        locale in locale_text(),
        warning in any::<bool>(),
        hash in proptest::option::of("[A-Za-z+/]{11}"),
    ) {
        let locale = Locale::parse(&locale).unwrap();
        let request = MessageRequest {
            code: &code,
            warning,
            app_hash: hash.as_deref(),
            ..request(&locale, Channel::Sms, &name)
        };
        let message = render(&request).unwrap();
        prop_assert_eq!(message.segments.unwrap().segments, 1);
        prop_assert_eq!(occurrences(&message.text, &code), 1, "{}", &*message.text);
    }

    #[test]
    fn nothing_that_callers_give_panics(
        name in "\\PC{0,64}",
        code in "\\PC{0,10}",
        custom in proptest::option::of("([{}a-z ]|\\PC){0,80}"),
        payee in proptest::option::of("\\PC{0,30}"),
        channel in proptest::sample::select(Channel::ALL.to_vec()),
    ) {
        let locale = Locale::english();
        let request = MessageRequest {
            code: &code,
            custom: custom.as_deref(),
            psd2: payee.as_deref().map(|payee| ("1 EUR", payee)),
            ..request(&locale, channel, &name)
        };
        let _ = render(&request);
    }
}

mod templates {
    //! What templates of an operator's own do.

    use super::super::super::sid::TemplateSid;
    use super::super::template::{Template, Translation};
    use super::*;

    fn template() -> Template {
        let translation = |locale, text: &str, default| Translation {
            locale: Locale::parse(locale).unwrap(),
            text: text.to_owned(),
            default,
        };
        let translations = vec![
            translation(
                "en",
                "{{code}}: order {{order}} at {{shop}}, {{friendly_name}}",
                false,
            ),
            translation("de", "{{code}}: Bestellung {{order}}", true),
        ];
        Template::new(
            TemplateSid::from_bytes([1; 16]),
            "Order",
            vec![Channel::Sms],
            translations,
        )
        .unwrap()
    }

    fn rendered(locale: &str, substitutions: &[(&str, &str)]) -> Result<(String, String), Unrenderable> {
        let (template, locale) = (template(), Locale::parse(locale).unwrap());
        let substitutions: Vec<_> = substitutions
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect();
        let request = MessageRequest {
            template: Some((&template, &substitutions)),
            ..request(&locale, Channel::Sms, "Acme")
        };
        render(&request).map(|message| (message.text.to_string(), message.locale_used.to_string()))
    }

    #[test]
    fn places_are_filled_and_unknown_substitutions_ignored() {
        let given = [
            ("order", "7"),
            ("shop", "{{code}}"),
            ("code", "0000"),
            ("more", "x"),
        ];
        let text = "9876543210: order 7 at {{code}}, Acme".to_owned();
        assert_eq!(rendered("en-GB", &given), Ok((text, "en".to_owned())));
        let text = "9876543210: Bestellung 7".to_owned();
        assert_eq!(rendered("fr", &given), Ok((text, "de".to_owned())));
    }

    #[test]
    fn what_is_missing_is_listed() {
        let error = rendered("en", &[("more", "x")]).unwrap_err();
        assert_eq!(
            error,
            Unrenderable::SubstitutionsMissing(vec!["order".to_owned(), "shop".to_owned()])
        );
        assert_eq!(
            error.to_string(),
            "the template has places that nothing was given for: order, shop"
        );
    }

    #[test]
    fn substitutions_are_bounded() {
        for value in ["7".repeat(65), "7\r\n".to_owned()] {
            assert_eq!(
                rendered("de", &[("order", &value)]),
                Err(Unrenderable::SubstitutionUnfit)
            );
        }
        assert!(rendered("de", &[("order", &"7".repeat(64))]).is_ok());
    }

    #[test]
    fn a_template_is_for_its_channels_only() {
        let (template, locale) = (template(), Locale::english());
        let request = MessageRequest {
            template: Some((&template, &[])),
            ..request(&locale, Channel::Call, "Acme")
        };
        assert!(matches!(render(&request), Err(Unrenderable::TemplateUnfit)));
    }
}
