//! `countersign store`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use tracing::level_filters::LevelFilter;

use super::admin::client;
use super::convert::{StorePlace, convert};
use super::data_directory::require_store;
use super::flags::StoreFlags;
use super::open::{self, StoreToFill};
use super::{Failure, key_file, logging, output};
use crate::app::{App, Policy};
use crate::config::{Config, KeySource, password_file};
use crate::crypto::master_key::MasterKey;
use crate::domain::audit::AuditAct;
use crate::flows::audit::{AuditScope, record_act, within};
use crate::flows::check_store::check_store;
use crate::store::postgres::PostgresStore;
use crate::store::transfer;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read everything that is stored: every key, every record, every index, every seal; no server may be running in it
    Check {
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Copy a store to another place, entry by entry, and verify the copy; no server may be running in either
    Convert {
        /// Where the store is: a data directory, or the URL of a database
        #[arg(long, value_name = "PLACE")]
        from: StorePlace,
        /// Where it goes: a data directory without a store, which is made if need be, or the URL of a database
        #[arg(long, value_name = "PLACE")]
        to: StorePlace,
    },
    /// Write everything that is stored, as it is at one moment, to a file; a running server goes on meanwhile
    Export {
        /// The new file; `-` is standard output
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Fill a new data directory with what was exported; no server may be running in it
    Import {
        /// The file that `store export` wrote
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Make the tables of a database (--store), or bring them to the form of this release; servers may go on meanwhile
    Migrate {
        #[command(flatten)]
        flags: StoreFlags,
    },
}

pub(super) async fn run(
    command: Command,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let environment: Vec<(OsString, OsString)> = environment.into_iter().collect();
    let password_file = password_file(&environment);
    let load = |flags: StoreFlags| -> Result<Config, Failure> {
        let config = Config::load(flags.into_settings(), environment.clone())?;
        logging::start(config.log.min(LevelFilter::WARN));
        Ok(config)
    };
    match command {
        Command::Check { flags } => check(load(flags)?).await,
        Command::Convert { from, to } => {
            logging::start(LevelFilter::WARN);
            convert(
                &from,
                &to,
                password_file.as_deref(),
                given_master_key(&environment)?,
            )
            .await
        }
        Command::Export { to, flags } => export(load(flags)?, &to).await,
        Command::Import { from, flags } => import(load(flags)?, &from).await,
        Command::Migrate { flags } => migrate(&load(flags)?).await,
    }
}

/// The master key of the store that is converted, if the environment has it.
fn given_master_key(environment: &[(OsString, OsString)]) -> Result<Option<MasterKey>, Failure> {
    let config = Config::load(StoreFlags::default().into_settings(), environment.to_vec())?;
    match config.storage.master_key {
        KeySource::Given(key) => Ok(Some(key)),
        KeySource::File(path) => key_file::read(&path),
        KeySource::InDirectory => Ok(None),
    }
}

async fn check(config: Config) -> Result<(), Failure> {
    require_store(&config.storage)?;
    let opened = open::open_for_command(config).await?;
    let checked = check_store(&opened.app).await;
    opened.close().await?;
    let report = checked.map_err(|error| Failure::new(error.to_string()))?;
    let counts = report
        .counts()
        .iter()
        .map(|(kind, count)| format!("{count:>10}  {kind}\n"));
    output::say(&counts.collect::<String>());
    if report.is_healthy() {
        output::say(&format!("{} entries, all sound\n", report.entries()));
        return Ok(());
    }
    let problems = report.problems().iter().map(|problem| format!("{problem}\n"));
    output::say(&problems.collect::<String>());
    let unlisted = report.unlisted_problems();
    let count = report.problems().len() as u64 + unlisted;
    Err(Failure::new(format!(
        "{count} problems ({unlisted} not shown); keep the directory, and restore the last export into a new one"
    )))
}

async fn export(config: Config, file: &Path) -> Result<(), Failure> {
    if file == Path::new("-") {
        copy_out(config, Box::new(io::stdout())).await?;
        return Ok(());
    }
    let failure =
        |error: io::Error| Failure::new(format!("cannot write the export to {}: {error}", file.display()));
    // What is in it is sealed where it is secret, but names and times are not.
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(failure)?;
    let output = written.try_clone().map_err(failure)?;
    let copied = copy_out(config, Box::new(BufWriter::new(output))).await;
    match copied.and_then(|count| written.sync_all().map(|()| count).map_err(failure)) {
        Ok(count) => {
            output::say(&format!("{count} entries exported to {}\n", file.display()));
            Ok(())
        }
        Err(failure) => {
            let _unfinished = fs::remove_file(file);
            Err(failure)
        }
    }
}

/// Writes everything to `output`: what a running server sends, or what is in the store that nobody has open.
async fn copy_out(config: Config, mut output: Box<dyn Write + Send>) -> Result<u64, Failure> {
    if let Some(count) = client::export(&config.storage.directory, output.as_mut()).await? {
        return Ok(count);
    }
    require_store(&config.storage)?;
    let opened = open::open_for_command(config).await?;
    note_act(&opened.app, AuditAct::Export).await;
    let exported = transfer::export(opened.app.engine.as_ref(), output.as_mut()).await;
    opened.close().await?;
    exported.map_err(|error| Failure::new(error.to_string()))
}

async fn import(config: Config, file: &Path) -> Result<(), Failure> {
    let input = File::open(file);
    let input = input.map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    let mut input = BufReader::new(input);
    let filled = open::open_to_fill(config.storage).await?;
    let imported = fill(&filled, config.policy, &mut input).await;
    filled.close().await?;
    output::say(&format!("{} entries imported\n", imported?));
    Ok(())
}

/// Every entry is verified before the first is written.
async fn fill(filled: &StoreToFill, policy: Policy, input: &mut BufReader<File>) -> Result<u64, Failure> {
    let verified = transfer::verify_export(input, &filled.master_key);
    verified.map_err(|error| Failure::new(format!("the export is not imported: {error}")))?;
    let engine = filled.engine.as_ref();
    let imported = transfer::import(engine, input).await;
    let count = imported.map_err(|error| Failure::new(error.to_string()))?;
    let opened = Box::pin(filled.use_with(policy)).await;
    let app = opened.map_err(|error| Failure::new(format!("everything was imported, but {error}")))?;
    note_act(&app, AuditAct::Import).await;
    Ok(count)
}

/// Has the audit log tell what this command does.
async fn note_act(app: &App, act: AuditAct) {
    let scope = AuditScope::of_operator(client::own_user());
    Box::pin(within(scope, record_act(app, act))).await;
}

async fn migrate(config: &Config) -> Result<(), Failure> {
    let Some(url) = &config.storage.database else {
        return Err(Failure::new(
            "there is nothing to migrate in a data directory; say which database it is with --store",
        ));
    };
    let address = open::database(url, &config.storage)?;
    let migrated = PostgresStore::migrate(&address).await;
    let migrated = migrated.map_err(|error| Failure::new(format!("cannot migrate {address}: {error}")))?;
    output::say(&if migrated.from == migrated.to {
        format!(
            "{address} has the tables of this release (version {})\n",
            migrated.to
        )
    } else {
        format!(
            "{address} was brought from version {} to version {}\n",
            migrated.from, migrated.to
        )
    });
    Ok(())
}
