//! An example for each command, which its help ends in.
//!
//! To add a command: a row here, too; a test reads each example as the program reads it.

use clap::Command;

/// `command` and all below it, each with its example.
pub(super) fn with_examples(command: Command) -> Command {
    explained(command, "")
}

fn explained(command: Command, path: &str) -> Command {
    let names: Vec<String> = command
        .get_subcommands()
        .map(|below| below.get_name().to_owned())
        .collect();
    if names.is_empty() {
        return match of(path) {
            Some(example) => command.after_help(
                format!("Example:\n  countersign {path} {example}")
                    .trim_end()
                    .to_owned(),
            ),
            None => command,
        };
    }
    names.into_iter().fold(command, |command, name| {
        let path = format!("{path} {name}");
        command.mut_subcommand(name, |below| explained(below, path.trim_start()))
    })
}

/// What stands behind the command at `path` in its example.
fn of(path: &str) -> Option<&'static str> {
    let row = EXAMPLES.iter().find(|(command, _)| *command == path);
    row.map(|(_, example)| *example)
}

const EXAMPLES: &[(&str, &str)] = &[
    ("serve", "--listen 127.0.0.1:8080 --data /var/lib/countersign"),
    ("account create", "--name 'Web shop'"),
    ("account list", "--json"),
    ("account rotate-token", "AC0123456789abcdef0123456789abcdef"),
    (
        "account rotate-webhook-secret",
        "AC0123456789abcdef0123456789abcdef --overlap 24h",
    ),
    ("account suspend", "AC0123456789abcdef0123456789abcdef"),
    ("account resume", "AC0123456789abcdef0123456789abcdef"),
    ("key create", "AC0123456789abcdef0123456789abcdef"),
    ("key import", "--key abcd1234 --secret-file /run/secrets/vonage"),
    ("key list", "--json"),
    ("key revoke", "SK0123456789abcdef0123456789abcdef"),
    ("token create", "--signal"),
    ("token list", "--json"),
    ("token revoke", "BT0123456789abcdef0123456789abcdef"),
    ("outbox list", "--json"),
    ("outbox retry", "--all"),
    ("outbox drop", "EV0123456789abcdef0123456789abcdef"),
    ("node list", "--json"),
    ("audit list", "--json"),
    ("audit export", "> audit.jsonl"),
    ("audit follow", "--json"),
    ("audit verify", ""),
    ("user show", "+12025550123 --full-numbers"),
    ("user unlock", "ada-lovelace"),
    ("user reset", "ada-lovelace --yes"),
    ("user delete", "ada-lovelace --all-services"),
    ("backup create", "--to /backups/countersign.age"),
    ("backup verify", "--from /backups/countersign.age"),
    (
        "backup restore",
        "--from /backups/countersign.age --data /var/lib/countersign",
    ),
    ("keys list", "--json"),
    ("keys rotate", ""),
    ("keys retire", "1"),
    ("store check", "--data /var/lib/countersign"),
    (
        "store convert",
        "--from /var/lib/countersign --to postgres://countersign@db.example/countersign",
    ),
    ("store export", "--to countersign.export"),
    ("store import", "--from countersign.export"),
    ("store migrate", "--data /var/lib/countersign"),
    (
        "senders test",
        "sms-one +12025550123 --config /etc/countersign.toml",
    ),
    ("telegram key", "> server.pem"),
    ("config check", "--config /etc/countersign.toml"),
    ("config reference", "> settings.md"),
    ("config show", "--config /etc/countersign.toml"),
    (
        "device enroll",
        "--url http://127.0.0.1:8080 --service VA0123456789abcdef0123456789abcdef --identity ada-lovelace --access-token TOKEN \
         --name Phone --state phone.json",
    ),
    ("device list", "--state phone.json"),
    ("device watch", "--state phone.json"),
    ("device approve", "--state phone.json"),
    (
        "device deny",
        "--state phone.json YC0123456789abcdef0123456789abcdef",
    ),
    ("device remove", "--state phone.json"),
    ("totp", "--uri -"),
    (
        "bench totp",
        "--url http://127.0.0.1:8080 --account AC0123456789abcdef0123456789abcdef:TOKEN",
    ),
    (
        "bench push",
        "--url http://127.0.0.1:8080 --account AC0123456789abcdef0123456789abcdef:TOKEN",
    ),
    (
        "bench verify",
        "--url http://127.0.0.1:8080 --account AC0123456789abcdef0123456789abcdef:TOKEN",
    ),
    (
        "bench signal",
        "--url http://127.0.0.1:8080 --account AC0123456789abcdef0123456789abcdef:TOKEN --token BEARER",
    ),
    (
        "bench vonage",
        "--url http://127.0.0.1:8080 --account AC0123456789abcdef0123456789abcdef:TOKEN",
    ),
    (
        "bench waiters",
        "--url http://127.0.0.1:8080 --account AC0123456789abcdef0123456789abcdef:TOKEN",
    ),
    (
        "bench fill",
        "--data /var/lib/filled --factors 1000 --seed any-text",
    ),
    ("bench floor", ""),
    ("manual", "settings"),
    ("tls init", "--host verify.twilio.com --host api.nexmo.com"),
    ("tls renew", "countersign-tls"),
    ("completions", "bash > /etc/bash_completion.d/countersign"),
    ("man", "/usr/local/share/man/man1"),
];

#[cfg(test)]
mod tests {
    use std::fs;

    use super::super::command_line;
    use super::*;
    use crate::config::CommandLine;

    fn paths_below(command: &Command, path: &str, all: &mut Vec<String>) {
        if command.get_subcommands().next().is_none() {
            all.push(path.to_owned());
        }
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            paths_below(below, format!("{path} {}", below.get_name()).trim_start(), all);
        }
    }

    #[test]
    fn each_command_has_one_example_which_its_help_shows() {
        let mut commands = Vec::new();
        paths_below(&command_line(), "", &mut commands);
        let mut listed: Vec<_> = EXAMPLES.iter().map(|(path, _)| (*path).to_owned()).collect();
        listed.sort_unstable();
        commands.sort_unstable();
        assert_eq!(listed, commands);
        for path in commands {
            let arguments = ["countersign"]
                .into_iter()
                .chain(path.split(' '))
                .chain(["--help"]);
            let help = command_line()
                .try_get_matches_from(arguments)
                .unwrap_err()
                .to_string();
            assert!(
                help.contains(&format!("Example:\n  countersign {path}")),
                "{help}"
            );
        }
    }

    #[test]
    fn each_example_is_what_the_program_takes() {
        // One is read when the command line is.
        let secret = tempfile::NamedTempFile::new().unwrap();
        fs::write(secret.path(), "a-secret-of-elsewhere").unwrap();
        let mut refused = Vec::new();
        for (path, example) in EXAMPLES {
            // Where it goes is for the shell.
            let words = example.split_once("> ").map_or(*example, |(before, _)| before);
            let words = words.replace("/run/secrets/vonage", secret.path().to_str().unwrap());
            let line = CommandLine::parse(&format!("countersign {path} {words}")).unwrap();
            let arguments = [line.program].into_iter().chain(line.arguments);
            let taken = command_line().try_get_matches_from(arguments);
            if let Err(error) = taken {
                refused.push(format!("{path} {example}: {error}"));
            }
        }
        assert!(refused.is_empty(), "{}", refused.join("\n"));
    }
}
