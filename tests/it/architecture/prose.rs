//! What every file has, and what none has.

use super::source::Source;

/// What is wrong with a file.
pub(super) fn violations(source: &Source) -> Vec<String> {
    let problems = [
        too_long(source),
        named_for_nothing(source),
        undocumented(source),
        unfinished(source),
        of_one_machine(source),
    ];
    let at = |problem| format!("{}: {problem}", source.path());
    problems.into_iter().flatten().map(at).collect()
}

/// What a record must not be derived with.
pub(super) fn shifted_fields(source: &Source) -> Vec<String> {
    let attributes = ["flatten", "skip_serializing_if", "tag =", "untagged"];
    let shifts =
        |line: &str| line.contains("serde(") && attributes.iter().any(|attribute| line.contains(attribute));
    source
        .code()
        .filter(|(_, line)| shifts(line))
        .map(|(number, line)| format!("{}:{number}: `{}`", source.path(), line.trim()))
        .collect()
}

fn too_long(source: &Source) -> Option<String> {
    let lines = source.without_tests().lines().count();
    (lines > MOST_LINES && !source.is_test()).then(|| format!("{lines} lines without its tests: split it"))
}

fn named_for_nothing(source: &Source) -> Option<String> {
    let name = source.path().rsplit('/').next()?;
    let stem = source
        .path()
        .trim_end_matches("/mod.rs")
        .trim_end_matches(".rs")
        .rsplit('/')
        .next()?;
    let vague = ["common", "helper", "helpers", "misc", "util", "utils"].contains(&stem);
    vague.then(|| format!("`{name}` says nothing of what is in it"))
}

fn undocumented(source: &Source) -> Option<String> {
    let documented = source.text().starts_with("//! ");
    (!documented).then(|| "it does not begin with what the module is for".to_owned())
}

/// The words are put together here, so that this file does not hold them. A test that needs a program that is not ours is
/// not unfinished: what it needs is all that it may be left out for.
fn unfinished(source: &Source) -> Option<String> {
    let text = FOREIGN.iter().fold(source.text().to_owned(), |text, program| {
        text.replace(&format!("{}ore = \"needs {program} ", "#[ign"), "")
    });
    let words = [
        concat!("to", "do!("),
        concat!("unimpl", "emented!("),
        concat!("#[ign", "ore"),
        concat!("#[all", "ow("),
        concat!("#![all", "ow("),
        concat!("TO", "DO"),
        concat!("FIX", "ME"),
    ];
    let found = words.into_iter().find(|word| text.contains(word))?;
    Some(format!("`{found}`"))
}

/// Absolute paths of where somebody works.
fn of_one_machine(source: &Source) -> Option<String> {
    let places = [
        concat!("/ho", "me/"),
        concat!("/Us", "ers/"),
        concat!("/ro", "ot/"),
        concat!("/wo", "rk/"),
        concat!("/work", "space"),
        concat!("/t", "mp/"),
        concat!("C:", "\\"),
    ];
    let found = places.into_iter().find(|place| source.text().contains(place))?;
    Some(format!("`{found}` is on one machine only"))
}

/// The programs that tests may need.
const FOREIGN: [&str; 3] = ["node", "oathtool", "python3"];

const MOST_LINES: usize = 500;

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, text: &str) -> Vec<String> {
        violations(&Source::new(path, text))
    }

    #[test]
    fn a_good_file_is_good() {
        assert_eq!(found("src/store/keys.rs", "//! Keys.\n\nfn f() {}\n"), [""; 0]);
    }

    #[test]
    fn fields_that_may_be_left_out_are_found() {
        for bad in [
            "#[serde(skip_serializing_if = \"Option::is_none\")]",
            "    #[serde(default, flatten)]",
            "#[serde(untagged)]",
        ] {
            assert_eq!(
                shifted_fields(&Source::new("src/domain/a.rs", bad)).len(),
                1,
                "{bad}"
            );
        }
        let good = "#[serde(transparent)]\n#[serde(default)]\n#[serde(with = \"serde_bytes\")]";
        assert_eq!(shifted_fields(&Source::new("src/domain/a.rs", good)), [""; 0]);
    }

    #[test]
    fn long_files_are_found_and_tests_do_not_count() {
        let lines = "fn f() {}\n".repeat(499);
        let long = format!("//! Keys.\n{lines}");
        assert_eq!(
            found(
                "src/a.rs",
                &format!("{long}\n#[cfg(test)]\nmod tests {{\n{lines}}}")
            ),
            [""; 0]
        );
        assert_eq!(found("tests/it/a.rs", &format!("{long}{lines}")), [""; 0]);
        assert_eq!(
            found("src/a.rs", &format!("{long}{lines}")),
            ["src/a.rs: 999 lines without its tests: split it"]
        );
    }

    #[test]
    fn vague_names_are_found() {
        for path in ["src/util.rs", "src/store/helpers/mod.rs", "tests/it/common.rs"] {
            assert_eq!(found(path, "//! Things.\n").len(), 1, "{path}");
        }
    }

    #[test]
    fn a_file_without_a_word_about_it_is_found() {
        for text in ["", "use std::fmt;\n//! Late.\n", "// Not this.\n", "//!\n"] {
            assert_eq!(found("src/a.rs", text).len(), 1, "{text}");
        }
    }

    #[test]
    fn unfinished_work_is_found() {
        for word in [
            "to do!()",
            "unimpl emented!()",
            "#[ign ore]",
            "#[ign ore = \"needs work\"]",
            "#[ign ore = \"slow\"]",
            "#[all ow(dead_code)]",
            "// TO DO: later",
        ] {
            let text = format!(
                "//! Things.\n{}\n",
                word.replacen(' ', "", usize::from(!word.starts_with("//")))
            );
            let text = text.replace("TO DO", concat!("TO", "DO"));
            assert_eq!(found("src/a.rs", &text).len(), 1, "{text}");
        }
    }

    #[test]
    fn tests_that_need_a_program_may_be_left_out() {
        for program in FOREIGN {
            let text = format!("//! Things.\n{}ore = \"needs {program} 3\"]\n", "#[ign");
            assert_eq!(found("tests/it/a.rs", &text), [""; 0]);
        }
    }

    #[test]
    fn paths_of_one_machine_are_found() {
        for place in ["ho me/ann", "Us ers/ann", "t mp/x", "wo rk/main"] {
            let text = format!("//! Things.\nconst X: &str = \"/{}\";\n", place.replace(' ', ""));
            assert_eq!(found("src/a.rs", &text).len(), 1, "{text}");
        }
    }
}
