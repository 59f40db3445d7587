//! The reference page of the manual, made of the tables of settings.

use std::fmt::Write as _;

use super::SECTIONS;
use super::senders::keys::KEYS as SENDER_KEYS;
use super::setting::{Section, Setting, Unset};
use super::telegram::KEYS as APP_KEYS;
use super::templates::{KEYS as TEMPLATE_KEYS, TRANSLATION_KEYS};
use crate::delivery::codes::SenderKind;

/// The page, in Markdown: `src/manual/settings.md` is this.
#[must_use]
pub fn reference() -> String {
    let mut page = introduction();
    for section in SECTIONS {
        page += &tables(section);
    }
    page + &senders() + &templates() + &apps() + LINKS
}

fn introduction() -> String {
    let every = SECTIONS.iter().flat_map(|section| section.settings);
    let every: Vec<_> = every
        .filter(|setting| setting.flag.is_some_and(|flag| flag.of_every_command))
        .map(|setting| format!("`--{}`", setting.flag_name()))
        .collect();
    INTRODUCTION.replace("EVERY_COMMAND", &listed(&every))
}

fn tables(section: &Section) -> String {
    let mut text = format!("\n## {}\n\n", section.about.trim());
    text += &row(["setting", "flag", "default", "what it must be", "what it is for"]);
    text += &row(["---"; 5]);
    for setting in section.settings {
        text += &row([
            &name(setting),
            &setting
                .flag
                .map_or("none".to_owned(), |_| format!("`--{}`", setting.flag_name())),
            &match setting.default {
                Unset::Value("none") => "none".to_owned(),
                Unset::Value(value) => format!("`{value}`"),
                Unset::Words(words) => marked(words),
            },
            &marked(&setting.expected()),
            setting.doc.trim(),
        ]);
    }
    text
}

/// The name, and where the setting must not stand.
fn name(setting: &Setting) -> String {
    let variable = setting.variable();
    let name = setting.name;
    let own = if setting.is_own { "\\*" } else { "" };
    match (setting.is_secret(), setting.is_in_file) {
        (true, _) => format!("`{name}`{own} (only `{variable}`)"),
        (false, true) => format!("`{name}`{own}"),
        (false, false) => format!("`{name}`{own} (not in the file)"),
    }
}

fn senders() -> String {
    let mut text = SENDERS.to_owned() + &row(["key", "of", "what it is"]) + &row(["---"; 3]);
    for key in SENDER_KEYS {
        let all = SenderKind::ALL.iter().all(|kind| key.kinds.contains(kind));
        let kinds: Vec<_> = key.kinds.iter().map(|kind| kind.name()).collect();
        let kinds = if all { "all".to_owned() } else { kinds.join(", ") };
        let own = if key.is_own { "\\*" } else { "" };
        text += &row([&format!("`{}`{own}", key.name), &kinds, key.doc.trim()]);
    }
    text
}

fn templates() -> String {
    let mut text = TEMPLATES.to_owned();
    for (heading, keys) in [("key", TEMPLATE_KEYS), ("key of a translation", TRANSLATION_KEYS)] {
        text += "\n";
        text += &row([heading, "what it is"]);
        text += &row(["---"; 2]);
        for (name, what) in keys {
            text += &row([&format!("`{name}`"), what]);
        }
    }
    text
}

fn apps() -> String {
    let mut text = APPS.to_owned() + "\n" + &row(["key", "what it is"]) + &row(["---"; 2]);
    for (name, what) in APP_KEYS {
        text += &row([&format!("`{name}`"), what]);
    }
    text
}

fn row<const N: usize>(cells: [&str; N]) -> String {
    let mut line = "|".to_owned();
    for cell in cells {
        // Writing to a text does not fail.
        let _ = write!(line, " {} |", cell.replace('|', "\\|"));
    }
    line + "\n"
}

/// The text with its examples marked as code, which Markdown would take for links otherwise.
fn marked(text: &str) -> String {
    let words = text.split(' ').map(|word| {
        let bare = word.trim_end_matches(',');
        let example = ["://", "[", "mailto:"].iter().any(|part| bare.contains(part));
        if example {
            format!("`{bare}`{}", &word[bare.len()..])
        } else {
            word.to_owned()
        }
    });
    words.collect::<Vec<_>>().join(" ")
}

/// `a, b and c`.
fn listed(names: &[String]) -> String {
    match names.split_last() {
        Some((last, before)) if !before.is_empty() => format!("{} and {last}", before.join(", ")),
        _ => names.concat(),
    }
}

const INTRODUCTION: &str = "# Settings

Each setting can be a flag (`--ops-listen`), an environment variable (`COUNTERSIGN_OPS_LISTEN`) or a line of the TOML
file that `--config` names (`ops_listen = \"...\"`), and counts in this order. A variable has the name of its setting in
upper case behind such a beginning, and `_` for the point: `limits.push_pause_seconds` (in the file a line
`push_pause_seconds` of the table `[limits]`) is `COUNTERSIGN_LIMITS_PUSH_PAUSE_SECONDS`. Several values of one setting
are separated by commas; in the file they may be a list.

The flags EVERY_COMMAND belong to every command that uses the store, the others
to `serve`.

A name that nobody knows and a value that does not fit stop the start with one line that names it: a typing error must
not switch off what it was meant to switch on. (In Kubernetes, name the service `countersign` or set
`enableServiceLinks: false`: the variables it makes from other names are unknown ones.) Secrets stand in the environment
or in files of their own, never in the configuration file or on the command line.

Servers that share a [database] must have all of it alike but what has a star (\\*) behind its name: one that is set otherwise
does not start, unless it is `rolling`. (The master key is the same as well; the store knows its own.)
";

const SENDERS: &str = "
## Senders

Who sends codes by message. Each sender is a table `[[senders]]` in the configuration file; the first of them is the one
that is asked first. Without any, codes are written to the log. [Senders] shows one of each kind at work.

";

const TEMPLATES: &str = "
## Templates

What messages say. Each template is a table `[[templates]]` in the configuration file, beside the three that every server
has: see [Codes by message].
";

const APPS: &str = "
## Programs that log in over Telegram's protocol

Each is a table `[[telegram_apps]]` in the configuration file; others are told `API_ID_INVALID`. Without any, every program may
log in: see [Telegram's login codes].
";

const LINKS: &str = "
[Codes by message]: codes.md
[database]: database.md
[Senders]: senders.md
[Telegram's login codes]: telegram.md
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_end_where_they_should() {
        for line in reference().lines().filter(|line| line.starts_with('|')) {
            assert!(!line.contains("\\|") && !line.contains("  "), "{line}");
        }
    }

    #[test]
    fn the_manual_has_the_page_that_the_tables_make() {
        let page = include_str!("../manual/settings.md");
        assert!(
            page == reference(),
            "src/manual/settings.md is not up to date: cargo run -- config reference > src/manual/settings.md"
        );
    }
}
