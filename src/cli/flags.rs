//! The settings that can be given on the command line, out of the table of settings. Their values are checked where all
//! settings are.

use std::time::Duration;

use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};

use crate::config::{Flag, SECTIONS, Setting, Unset};

/// What was given: the names of settings, and their values.
type GivenFlags = Vec<(&'static str, String)>;

/// What the command line gives of the settings of `serve`.
#[derive(Debug, Default)]
pub(super) struct ServeFlags(GivenFlags);

/// The settings of every command that uses the store.
#[derive(Debug, Default)]
pub(super) struct StoreFlags(GivenFlags);

impl ServeFlags {
    pub(super) fn into_settings(self) -> GivenFlags {
        self.0
    }
}

impl StoreFlags {
    pub(super) fn into_settings(self) -> GivenFlags {
        self.0
    }
}

impl Args for ServeFlags {
    fn augment_args(command: Command) -> Command {
        let command = StoreFlags::augment_args(command);
        command.args(flags(|flag| !flag.of_every_command).map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl Args for StoreFlags {
    fn augment_args(command: Command) -> Command {
        command.args(flags(|flag| flag.of_every_command).map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for ServeFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self(
            flags(|_| true).filter_map(|flag| given(flag, matches)).collect(),
        ))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl FromArgMatches for StoreFlags {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let flags = flags(|flag| flag.of_every_command);
        Ok(Self(flags.filter_map(|flag| given(flag, matches)).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn flags(wanted: impl Fn(Flag) -> bool) -> impl Iterator<Item = (&'static Setting, Flag)> {
    let settings = SECTIONS.iter().flat_map(|section| section.settings);
    let flags = settings.filter_map(|setting| Some((setting, setting.flag?)));
    flags.filter(move |(_, flag)| wanted(*flag))
}

fn argument((setting, flag): (&'static Setting, Flag)) -> Arg {
    let argument = Arg::new(setting.name)
        .long(setting.flag_name())
        .value_name(flag.placeholder)
        .help(help(setting));
    match flag.alone {
        None => argument,
        Some(value) => argument
            .num_args(0..=1)
            .default_missing_value(value)
            .require_equals(true),
    }
}

/// The first sentence of what a setting is, and its default.
fn help(setting: &Setting) -> String {
    let doc = setting.doc.trim();
    let sentence = doc.split_once(". ").map_or(doc, |(sentence, _)| sentence);
    let sentence = sentence.trim_end_matches('.');
    match setting.default {
        Unset::Value(default) | Unset::Words(default) if !["none", "false"].contains(&default) => {
            format!("{sentence} [default: {default}]")
        }
        _ => sentence.to_owned(),
    }
}

fn given((setting, _): (&'static Setting, Flag), matches: &ArgMatches) -> Option<(&'static str, String)> {
    let text = matches.get_one::<String>(setting.name)?;
    Some((setting.name, text.clone()))
}

/// A duration as people write one.
///
/// # Errors
/// What it must be.
pub(super) fn duration(text: &str) -> Result<Duration, &'static str> {
    const EXPECTED: &str = "must be a number and s, m, h or d, such as 90d";
    let unit = text.trim_start_matches(|c: char| c.is_ascii_digit());
    let number: u64 = text[..text.len() - unit.len()].parse().map_err(|_| EXPECTED)?;
    let seconds = match unit {
        "" if number == 0 => 0,
        "s" => 1,
        "m" => 60,
        "h" => 3600,
        "d" => 24 * 3600,
        _ => return Err(EXPECTED),
    };
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or(EXPECTED)
}
