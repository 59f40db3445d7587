//! Words of one protocol, which only its dialect says.

use super::source::Source;

/// Where no protocol is known by its name, nor by the names of what it sends.
const MODULES: &[&str] = &["domain", "flows", "memory", "server", "store", "web"];

/// A word is found in any case, and within longer ones. Paths are a dialect's, too.
const WORDS: &[&str] = &[
    "/v1/",
    "/v2/",
    "authpayload",
    "more_info",
    "signal",
    "telegram",
    "twilio",
    "vonage",
    "zitadel",
];

/// Where the code of a file says what it must not. Comments may name the source of a rule.
pub(super) fn violations(source: &Source) -> Vec<String> {
    let module = source.module();
    if source.is_test() || !module.first().is_some_and(|top| MODULES.contains(top)) {
        return Vec::new();
    }
    let said = source.code().flat_map(|(number, line)| {
        let lower = line.to_lowercase();
        let words = WORDS.iter().filter(move |word| lower.contains(**word));
        let words = words.copied().chain(dotted_names(line));
        words.map(move |word| format!("{}:{number}: `{word}` is a word of one protocol", source.path()))
    });
    said.collect()
}

/// Names of parameters such as `Config.Alg`: two words with capital letters around a dot, which is nothing in Rust.
fn dotted_names(line: &str) -> impl Iterator<Item = &str> {
    let names = line.split(|c: char| !c.is_ascii_alphanumeric() && !matches!(c, '_' | '.'));
    let is_capital = |word: &str| word.len() > 1 && word.starts_with(|c: char| c.is_ascii_uppercase());
    names.filter(move |name| {
        let words: Vec<_> = name.split('.').collect();
        words
            .windows(2)
            .any(|pair| pair.iter().all(|word| is_capital(word)))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> usize {
        violations(&Source::new(path, text)).len()
    }

    #[test]
    fn words_are_found_in_names_and_texts_but_not_in_comments() {
        for bad in [
            "const ID: &str = \"twilio-request-id\";",
            "fn json() { let more_info = 1; }",
            "use crate::dialect::Vonage;",
            "struct TelegramStream;",
            "refuse(\"create one with POST /v2/Services\");",
            "refuse(\"set Push.ApnCredentialSid\");",
            "const SETTING: &str = \"Config.Alg\";",
        ] {
            assert_eq!(found("src/web/failure.rs", bad), 1, "{bad}");
            assert_eq!(found("src/server/http1.rs", bad), 1, "{bad}");
            assert_eq!(found("src/domain/verification/mod.rs", bad), 1, "{bad}");
            assert_eq!(found("src/domain/verification/tests/samples.rs", bad), 0, "{bad}");
        }
        for good in ["self.0.Some", "a.B", "\"Done. Next\"", "\"see example.Com\""] {
            assert_eq!(found("src/web/body.rs", good), 0, "{good}");
        }
        let comments = "//! As Twilio does.\nfn f() {} // for zitadel";
        assert_eq!(found("src/web/body.rs", comments), 0);
        assert_eq!(found("src/dialect/twilio/call.rs", "struct Twilio;"), 0);
    }
}
