//! Commands, options, settings, variables and metrics: those that are named exist, and those that exist are named.

use std::collections::BTreeSet;
use std::fs;

use clap::Command;
use countersign::cli::command_line;
use countersign::config::SECTIONS;

use super::page::{Document, documents, page};
use super::root;
use super::server::Server;

#[test]
fn commands_and_options_exist() {
    let mut wrong = Vec::new();
    for document in documents() {
        for (line, words) in command_lines(&document) {
            if let Err(why) = check(&command_line(), &words) {
                wrong.push(format!(
                    "{}:{line}: countersign {}: {why}",
                    document.path,
                    words.join(" ")
                ));
            }
        }
        let commands = command_line();
        let options = all_options(&commands);
        for (line, span) in document.spans() {
            let option = span.split([' ', '=']).next().unwrap().strip_prefix("--");
            if option.is_some_and(|option| !options.contains(option) && !FOREIGN.contains(&option)) {
                wrong.push(format!("{}:{line}: no command has {span}", document.path));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
}

/// The table of all commands has them all, with no other beside them.
#[test]
fn every_command_is_in_the_table_of_commands() {
    let administering = page("administering");
    let rows = administering
        .prose()
        .filter(|(_, line)| line.starts_with("| `countersign "));
    let mut listed = BTreeSet::new();
    for (_, row) in rows {
        let cell = row.split('|').nth(1).unwrap();
        let mut names = cell.split('`').skip(1).step_by(2);
        let first = names.next().unwrap().trim_start_matches("countersign ");
        let group = first
            .rsplit_once(' ')
            .map_or(String::new(), |(group, _)| format!("{group} "));
        listed.insert(first.to_owned());
        listed.extend(names.map(|name| format!("{group}{name}")));
    }
    let mut existing = BTreeSet::new();
    leaves(&command_line(), "", &mut existing);
    assert_eq!(listed, existing);
}

#[test]
fn variables_exist() {
    let mut known = variables_of_settings();
    known.extend(variables_of_commands(&command_line()));
    known.extend(OF_DEVELOPERS.map(str::to_owned));
    for document in documents() {
        for name in names(&document.text, "COUNTERSIGN_", |c| {
            c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_'
        }) {
            let of_sender = name.starts_with("COUNTERSIGN_SENDER_");
            assert!(of_sender || known.contains(&name), "{}: {name}", document.path);
        }
    }
}

#[test]
fn variables_of_commands_are_named() {
    let text: String = documents()
        .iter()
        .map(|document| document.text.as_str())
        .collect();
    for variable in variables_of_commands(&command_line()) {
        assert!(text.contains(&variable), "{variable}");
    }
}

/// What stands in backticks and looks like a setting is one, and the reference has each.
#[test]
fn settings_exist_and_are_in_the_reference() {
    let variables = variables_of_settings();
    let variable = |name: &str| format!("COUNTERSIGN_{}", name.replace('.', "_").to_uppercase());
    let tables = ["codes.", "devices.", "limits.", "retention."];
    for document in documents() {
        for (line, span) in document.spans() {
            let name = span.split(' ').next().unwrap();
            let plain = name
                .bytes()
                .all(|byte| byte.is_ascii_lowercase() || matches!(byte, b'.' | b'_'));
            if plain && tables.iter().any(|table| name.starts_with(table)) {
                assert!(
                    variables.contains(&variable(name)),
                    "{}:{line}: {name}",
                    document.path
                );
            }
        }
    }
    let reference: BTreeSet<_> = page("settings")
        .spans()
        .iter()
        .map(|(_, span)| variable(span))
        .collect();
    let missing: Vec<_> = variables.difference(&reference).collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn metrics_exist_and_are_in_the_chapter_on_monitoring() {
    let answer = Server::start().metrics();
    let served = answer.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let served: BTreeSet<_> = served
        .map(|line| match line.split_once(' ').unwrap() {
            (name, "counter") => format!("{name}_total"),
            (name, _) => name.to_owned(),
        })
        .collect();
    let histograms = answer.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    let histograms: BTreeSet<_> = histograms
        .filter_map(|line| line.strip_suffix(" histogram"))
        .collect();
    let in_name = |c: char| c.is_ascii_lowercase() || c == '_';
    for document in documents() {
        for name in names(&document.text, "countersign_", in_name) {
            let is_table =
                ["countersign_entries", "countersign_schema", "countersign_witness"].contains(&name.as_str());
            let of_histogram = ["_bucket", "_count", "_sum"]
                .iter()
                .filter_map(|part| name.strip_suffix(part))
                .any(|name| histograms.contains(name));
            assert!(
                is_table || of_histogram || served.contains(&name),
                "{}: {name}",
                document.path
            );
        }
    }
    let named = names(&page("deploying").text, "countersign_", in_name);
    assert_eq!(served.difference(&named).collect::<Vec<_>>(), [""; 0]);
}

/// The numbers of errors that stand in the code of Twilio's dialect are those of the chapter, and each has its row.
#[test]
fn numbers_of_errors_are_in_the_chapter_on_errors() {
    let chapter = page("errors").text;
    let mut given = BTreeSet::new();
    let mut folders = vec![root().join("src/dialect/twilio")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                given.extend(error_numbers(&fs::read_to_string(path).unwrap()));
            }
        }
    }
    let named = error_numbers(&chapter);
    assert!(given.len() > 50, "{given:?}");
    assert_eq!(given.symmetric_difference(&named).collect::<Vec<_>>(), [""; 0]);
    for number in named {
        let row = format!("\n| [{number}](https://www.twilio.com/docs/errors/{number}) | ");
        assert_eq!(chapter.matches(&row).count(), 1, "{number}");
    }
}

/// Five digits that begin as Twilio's numbers of errors do, outside of comments.
fn error_numbers(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with("//"));
    let words = lines.flat_map(|line| line.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'));
    let numbers = words.filter(|word| {
        word.len() == 5
            && (word.starts_with("20") || word.starts_with("60"))
            && word.bytes().all(|byte| byte.is_ascii_digit())
    });
    numbers.map(str::to_owned).collect()
}

/// The words behind `countersign`, wherever it is called, with the number of the line.
fn command_lines(document: &Document) -> Vec<(usize, Vec<String>)> {
    let mut texts = Vec::new();
    for block in document
        .blocks()
        .into_iter()
        .filter(|block| CALLERS.contains(&block.language.as_str()))
    {
        let lines = block.text.replace("\\\n", " ");
        let lines = lines.lines().enumerate();
        for (index, line) in lines.filter(|(_, line)| !NO_CALLS.iter().any(|other| line.starts_with(other))) {
            texts.push((block.line + index, line.to_owned()));
        }
    }
    texts.extend(
        document
            .spans()
            .into_iter()
            .filter(|(_, span)| span.starts_with("countersign ")),
    );
    let mut calls = Vec::new();
    for (line, text) in texts {
        let text = text.split_once(" #").map_or(text.as_str(), |(code, _)| code);
        // A word that ends in it is the program, wherever it lies and whatever it stands in.
        let words: Vec<_> = text.split_whitespace().collect();
        let program = |word: &str| word.rsplit(['/', '(', '"', '=']).next() == Some("countersign");
        for start in (0..words.len()).filter(|index| program(words[*index])) {
            // The name of something else: an option's value, or the user who calls it.
            let before = start.checked_sub(1).map(|before| words[before]);
            let other = before.is_some_and(|before| NAMING.contains(&before));
            if other || words.get(start + 1).is_some_and(|word| program(word)) {
                continue;
            }
            let arguments = words[start + 1..].iter();
            let end = |word: &&&str| !["|", "||", "&", "&&", ";", ">", "2>&1"].contains(*word);
            let arguments = arguments
                .take_while(end)
                .map(|word| word.trim_matches(['"', '\'', ')', ',']).to_owned());
            calls.push((line, arguments.collect()));
        }
    }
    calls
}

/// Whether there is such a command with such options.
fn check(root: &Command, words: &[String]) -> Result<(), String> {
    let mut command = root;
    let mut descending = true;
    for word in words {
        if let Some(option) = word.strip_prefix("--") {
            descending = false;
            let option = option.split('=').next().unwrap();
            let known = command
                .get_arguments()
                .any(|argument| argument.get_long() == Some(option));
            if !known && option != "help" && option != "version" {
                return Err(format!("there is no --{option}"));
            }
        } else if descending && command.has_subcommands() {
            command = command
                .find_subcommand(word)
                .ok_or(format!("there is no {word}"))?;
        } else {
            descending = false;
        }
    }
    Ok(())
}

fn all_options(command: &Command) -> BTreeSet<&str> {
    let own = command.get_arguments().filter_map(clap::Arg::get_long);
    let below = command.get_subcommands().flat_map(all_options);
    own.chain(below).chain(["help"]).collect()
}

fn variables_of_settings() -> BTreeSet<String> {
    let settings = SECTIONS.iter().flat_map(|section| section.settings);
    settings.map(countersign::config::Setting::variable).collect()
}

fn variables_of_commands(command: &Command) -> BTreeSet<String> {
    let own = command.get_arguments().filter_map(clap::Arg::get_env);
    let own = own.map(|name| name.to_str().unwrap().to_owned());
    let below = command.get_subcommands().flat_map(variables_of_commands);
    own.chain(below).collect()
}

/// The commands that have none below them, as they are written.
fn leaves(command: &Command, path: &str, found: &mut BTreeSet<String>) {
    for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
        let path = format!("{path}{}", below.get_name());
        if below.has_subcommands() {
            leaves(below, &format!("{path} "), found);
        } else {
            found.insert(path);
        }
    }
}

/// Everything in the text that begins like this and goes on with such characters.
fn names(text: &str, beginning: &str, goes_on: impl Fn(char) -> bool) -> BTreeSet<String> {
    let found = text.match_indices(beginning).map(|(start, _)| {
        let rest = &text[start..];
        let length = rest[beginning.len()..].find(|c| !goes_on(c));
        rest[..length.map_or(rest.len(), |length| beginning.len() + length)].to_owned()
    });
    found.collect()
}

/// Languages in which commands are called.
const CALLERS: &[&str] = &["dockerfile", "ini", "sh"];

/// What lines begin with that move the program or make room for it.
const NO_CALLS: &[&str] = &["COPY ", "RUN ", "cp ", "sudo install ", "sudo useradd "];

/// Words behind which stands a name.
const NAMING: &[&str] = &["--name", "-o", "-s", "-t", "-u"];

/// Options of other programs that stand in sentences.
const FOREIGN: &[&str] = &[];

const OF_DEVELOPERS: [&str; 10] = [
    "COUNTERSIGN_BACKUP",
    "COUNTERSIGN_CORE_DUMPS",
    "COUNTERSIGN_KEY_ROUNDS",
    "COUNTERSIGN_KILL_ROUNDS",
    "COUNTERSIGN_SENDER_",
    "COUNTERSIGN_TEST_ALL",
    "COUNTERSIGN_TEST_IDLE",
    "COUNTERSIGN_TEST_PYTHON",
    "COUNTERSIGN_TEST_STORE",
    "COUNTERSIGN_TIMING_SAMPLES",
];
