//! `countersign config`: what settings there are, what is in force, and whether it would do.

use std::ffi::OsString;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::flags::ServeFlags;
use super::table::TextTable;
use super::{Failure, named_files, output};
use crate::config::inspection::{Inspection, SettingInForce, SettingOrigin, inspect};
use crate::config::reference;

/// What is asked about settings.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Say all that is wrong with the settings and the files that they name, without starting a server.
    ///
    /// It takes the flags of `serve`, and looks at the same variables and file. It opens no store and no connection, and runs no
    /// command that the settings name.
    Check(LookArgs),
    /// Print the reference of all settings (Markdown), a page of the manual.
    Reference,
    /// Show each setting in force, and whether it is a default or which file, variable or flag it comes from.
    ///
    /// Secrets and passwords in URLs are not shown, and of command lines only the program.
    Show(LookArgs),
}

/// The settings that are looked at.
#[derive(Debug, Args)]
pub(super) struct LookArgs {
    #[command(flatten)]
    flags: ServeFlags,
    /// Print JSON.
    #[arg(long)]
    json: bool,
}

impl Command {
    pub(super) fn run(self, environment: Vec<(OsString, OsString)>) -> Result<(), Failure> {
        match self {
            Self::Check(LookArgs { flags, json }) => {
                check(&inspect(flags.into_settings(), environment), json)
            }
            Self::Reference => {
                output::say(&reference());
                Ok(())
            }
            Self::Show(LookArgs { flags, json }) => show(&inspect(flags.into_settings(), environment), json),
        }
    }
}

fn check(looked: &Inspection, json: bool) -> Result<(), Failure> {
    let mut faults: Vec<String> = looked.faults.iter().map(ToString::to_string).collect();
    if let Some(config) = &looked.config {
        let unusable = named_files::unusable(config);
        faults.extend(unusable.into_iter().map(|failure| failure.line));
    }
    if json {
        output::say(&format!(
            "{}\n",
            json!({"ok": faults.is_empty(), "faults": faults})
        ));
    }
    let given = looked
        .settings
        .iter()
        .filter(|setting| setting.origin != SettingOrigin::Default);
    match faults.as_slice() {
        [] if json => Ok(()),
        [] => {
            output::say(&format!(
                "Nothing is wrong with the settings ({} given) and the files that they name.\n",
                given.count()
            ));
            Ok(())
        }
        [only] => Err(Failure::misused(only)),
        several => {
            for fault in several {
                output::complain(fault);
            }
            Err(Failure::misused(format!(
                "{} things are wrong with the settings",
                several.len()
            )))
        }
    }
}

/// What is in force is shown whatever is wrong with it: whoever looks may be looking for that.
fn show(looked: &Inspection, json: bool) -> Result<(), Failure> {
    output::say(&if json {
        format!("{}\n", looked.settings.iter().map(object).collect::<Value>())
    } else {
        table(&looked.settings)
    });
    match looked.faults.len() {
        0 => Ok(()),
        count => Err(Failure::misused(format!(
            "a server would not start with these settings, {count} of which are wrong or not known: countersign config check \
             says what"
        ))),
    }
}

fn object(setting: &SettingInForce) -> Value {
    let (source, place) = source(&setting.origin);
    json!({"setting": setting.name, "value": setting.value, "source": source, "place": place})
}

/// What kind of source it is, and which.
fn source(origin: &SettingOrigin) -> (&'static str, Option<String>) {
    match origin {
        SettingOrigin::Default => ("default", None),
        SettingOrigin::Environment(variable) => ("environment", Some(variable.clone())),
        SettingOrigin::File(path) => ("file", Some(path.display().to_string())),
        SettingOrigin::Flag(flag) => ("flag", Some(flag.clone())),
    }
}

fn table(settings: &[SettingInForce]) -> String {
    let mut table = TextTable::new(["SETTING", "VALUE", "FROM"], "No settings.");
    for setting in settings {
        let (source, place) = source(&setting.origin);
        let from = place.map_or_else(|| source.to_owned(), |place| format!("{source} {place}"));
        table.row([setting.name.clone(), setting.value.clone(), from]);
    }
    table.text()
}
