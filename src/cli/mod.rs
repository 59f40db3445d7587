//! The commands of the binary.
//!
//! Without a command it serves. What a command shows goes to standard output, as JSON with `--json`; what went wrong is one line on
//! standard error, and the exit status is one of `ExitStatus`.
//!
//! To add a command: a module with its arguments and a `run`, a variant of `Command`, an arm in `run_command`, a row in `examples`.

mod account;
mod admin;
mod audit;
mod backup;
mod backup_shelf;
mod banner;
mod bench;
mod child_group;
mod config;
mod convert;
mod data_directory;
mod device;
mod examples;
mod failure;
mod flags;
mod key;
mod key_command;
mod key_file;
mod keys;
mod logging;
mod manual;
mod named_files;
mod no_dumps;
mod node;
mod open;
mod outbox;
mod output;
mod progress;
mod sender_test;
mod senders;
mod serve;
mod shells;
mod signals;
mod store;
mod table;
mod telegram;
mod tls;
mod token;
mod totp;
mod user;
mod whole_file;
mod witness;
mod write_beside;

use std::ffi::OsString;
use std::future::Future;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use self::failure::ExitStatus;
pub(crate) use self::failure::Failure;
use crate::config::Config;

/// A self-hosted second factor: TOTP and push challenges over the API that your clients already speak.
#[derive(Debug, Parser)]
#[command(name = "countersign", version = VERSION, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: flags::ServeFlags,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve the API (the default).
    Serve(flags::ServeFlags),
    /// Create, list, suspend and resume accounts, and replace their auth tokens.
    #[command(subcommand)]
    Account(account::Command),
    /// Create, list and revoke the API keys of an account.
    #[command(subcommand)]
    Key(key::Command),
    /// Create, list and revoke bearer tokens, for protocols that know no user names.
    #[command(subcommand)]
    Token(token::Command),
    /// See what waits to be delivered and what was given up, and put it back or forget it.
    #[command(subcommand)]
    Outbox(outbox::Command),
    /// See which servers run on the database.
    #[command(subcommand)]
    Node(node::Command),
    /// See who did what, and whether the audit log is whole.
    #[command(subcommand)]
    Audit(audit::Command),
    /// See how things stand with a user and why, and open again what is closed.
    #[command(subcommand)]
    User(user::Command),
    /// Make encrypted backups of what is stored, verify and restore them.
    #[command(subcommand)]
    Backup(backup::Command),
    /// See and change the keys that the store is sealed with.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Check, export, import and convert what is stored.
    #[command(subcommand)]
    Store(store::Command),
    /// Try a sender of codes.
    #[command(subcommand)]
    Senders(sender_test::Command),
    /// Show what clients of Telegram's login codes need.
    #[command(subcommand)]
    Telegram(telegram::Command),
    /// Say what settings there are, which are in force, and what is wrong with them.
    #[command(subcommand)]
    Config(config::Command),
    /// Play a phone: enrol a push factor and answer its challenges.
    Device(device::Args),
    /// Print the code of an otpauth URI, as an authenticator app would.
    Totp(totp::Args),
    /// Load a running server and say what it reaches, or fill a store for that.
    Bench(bench::Args),
    /// Show the manual, or one of its pages.
    Manual(manual::Args),
    /// Print what a shell completes this command line with.
    Completions(shells::CompletionsArgs),
    /// Print or write manual pages for man.
    Man(shells::ManArgs),
    /// Make certificates of a private authority.
    #[command(subcommand)]
    Tls(tls::Command),
}

/// This program's release, and the commit that it was built from.
pub(crate) const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("BUILT_FROM"), ")");

/// All commands and their options, for whoever checks what is said of them.
#[must_use]
pub fn command_line() -> clap::Command {
    examples::with_examples(Cli::command())
}

/// Runs the command that `arguments` (the program's name first) and `environment` ask for.
#[must_use]
pub fn main(
    arguments: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> ExitCode {
    // Nothing below depends on the iterators' types: all of it is compiled with the library, once.
    run(arguments.into_iter().collect(), environment.into_iter().collect())
}

fn run(arguments: Vec<OsString>, environment: Vec<(OsString, OsString)>) -> ExitCode {
    let cli = match parsed(arguments) {
        Ok(cli) => cli,
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            output::say(&error.to_string());
            return ExitStatus::Done.into();
        }
        Err(error) => return Failure::usage(&error).report(),
    };
    no_dumps::leave_no_core_dumps(&environment);
    let done = {
        // Also if it panics.
        let _written = logging::WrittenAtEnd;
        run_command(cli, environment)
    };
    match done {
        Ok(()) => ExitStatus::Done.into(),
        Err(failure) => failure.report(),
    }
}

/// The command line, read as [`command_line`] describes it.
fn parsed(arguments: Vec<OsString>) -> Result<Cli, clap::Error> {
    let mut command = command_line();
    let matches = command.try_get_matches_from_mut(arguments)?;
    Cli::from_arg_matches(&matches).map_err(|error| error.format(&mut command))
}

fn run_command(cli: Cli, environment: Vec<(OsString, OsString)>) -> Result<(), Failure> {
    match cli.command.unwrap_or(Command::Serve(cli.serve)) {
        Command::Serve(flags) => {
            let config = Config::load(flags.into_settings(), environment)?;
            logging::start_server(&config.log, config.log_format);
            block_on(serve::serve(config))
        }
        Command::Account(command) => {
            let (request, flags) = command.into_request();
            block_on(admin::client::run(request, flags, environment))
        }
        Command::Key(command) => {
            let (request, flags) = command.into_request();
            block_on(admin::client::run(request, flags, environment))
        }
        Command::Token(command) => {
            let (request, flags) = command.into_request();
            block_on(admin::client::run(request, flags, environment))
        }
        Command::Outbox(command) => {
            let (request, flags) = command.into_request();
            block_on(admin::client::run(request, flags, environment))
        }
        Command::Node(command) => {
            let (request, flags) = command.into_request();
            block_on(admin::client::run(request, flags, environment))
        }
        Command::Audit(command) => block_on(audit::run(command, environment)),
        Command::User(command) => block_on(user::run(command, environment)),
        Command::Backup(command) => block_on(backup::run(command, environment)),
        Command::Keys(command) => block_on(keys::run(command, environment)),
        Command::Store(command) => block_on(store::run(command, environment)),
        Command::Senders(command) => block_on(sender_test::run(command, environment)),
        Command::Telegram(command) => telegram::run(command, environment),
        Command::Config(command) => command.run(environment),
        Command::Device(args) => block_on(async { device::run(args).await.map_err(Failure::new) }),
        Command::Totp(args) => block_on(async { totp::run(args).await.map_err(Failure::new) }),
        Command::Bench(args) => block_on(bench::run(args, environment)),
        Command::Manual(args) => block_on(manual::run(args)),
        Command::Completions(args) => {
            shells::completions(&args, command_line());
            Ok(())
        }
        Command::Man(args) => shells::man(args, command_line()),
        Command::Tls(command) => tls::run(command),
    }
}

fn block_on(work: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::new(format!("cannot start threads: {error}")))?;
    let done = runtime.block_on(work);
    // Connections that outstayed the drain are not waited for.
    runtime.shutdown_background();
    done
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        command_line().debug_assert();
    }

    #[test]
    fn what_is_nearly_a_command_or_a_flag_is_told_with_what_is_meant() {
        for (wrong, meant) in [
            (["countersign", "usr"].as_slice(), "'user'"),
            (&["countersign", "account", "lst"], "'list'"),
            (&["countersign", "serve", "--lisen", "none"], "'--listen'"),
        ] {
            let refused = command_line().try_get_matches_from(wrong).unwrap_err();
            let line = Failure::usage(&refused).line;
            assert!(line.contains("similar") && line.contains(meant), "{line}");
            assert_eq!(line.lines().count(), 1, "{line}");
        }
    }

    #[test]
    fn a_wrong_command_line_is_one_line() {
        for wrong in [
            ["countersign", "--nonsense"].as_slice(),
            &["countersign", "nonsense"],
            &["countersign", "key", "revoke"],
            &["countersign", "serve", "--listen"],
        ] {
            let failure = Failure::usage(&Cli::try_parse_from(wrong).unwrap_err());
            assert_eq!(
                (failure.line.lines().count(), failure.status),
                (1, ExitStatus::Misused),
                "{failure:?}"
            );
        }
        let failure = Failure::usage(&Cli::try_parse_from(["countersign", "key", "revoke"]).unwrap_err());
        assert!(failure.line.contains("<SID>"), "{}", failure.line);
    }
}
