//! `countersign store`.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Subcommand;
use serde_json::{Value, json};
use tracing::level_filters::LevelFilter;

use super::admin::client;
use super::convert::{ConversionKeys, HowToConvert, StorePlace, convert};
use super::data_directory::require_store;
use super::flags::StoreFlags;
use super::open::{self, StoreToFill};
use super::progress::{ProgressLine, ProgressUnit, WatchedExport, WatchedWriter};
use super::{Failure, key_command, key_file, logging, output};
use crate::app::{App, Policy};
use crate::config::{Config, KeySource, LogDirectives, password_file};
use crate::crypto::master_key::MasterKey;
use crate::crypto::vault::Vault;
use crate::domain::audit::AuditAct;
use crate::domain::events::EventType;
use crate::domain::key_ring::SealedDataKey;
use crate::domain::store_epoch::StoreEpoch;
use crate::domain::time::{Clock as _, SystemClock, Timestamp};
use crate::flows::audit::{AuditScope, record_act, tell_accounts, within};
use crate::flows::check_store::{StoreReport, check_store_shown};
use crate::flows::{data_keys, epoch};
use crate::store::postgres::PostgresStore;
use crate::store::transfer::{self, EpochAfterImport, ExportSummary, LeftOut, NotVerified, Rewind, Sieve};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Read everything that is stored: every key, every record, every index, every seal; no server may be running in it
    Check {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
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
        /// Go on without the entries that no server of the store wrote
        #[arg(long)]
        leave_out_forged: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
    },
    /// Write everything that is stored, as it is at one moment, to a file; a running server goes on meanwhile
    Export {
        /// The new file; `-` is standard output
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Fill a new data directory with what was exported; no server may be running in it
    Import {
        /// The file that `store export` wrote
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// Go on without the entries that no server of the store wrote
        #[arg(long)]
        leave_out_forged: bool,
        /// Answer in JSON
        #[arg(long)]
        json: bool,
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Make the tables of a database (--store), or bring them to the form of this release; servers may go on meanwhile
    Migrate {
        /// Answer in JSON
        #[arg(long)]
        json: bool,
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
        logging::start(&config.log.at_most(LevelFilter::WARN));
        Ok(config)
    };
    match command {
        Command::Check { json, flags } => check(load(flags)?, json).await,
        Command::Convert {
            from,
            to,
            leave_out_forged,
            json,
        } => {
            logging::start(&LogDirectives::of(LevelFilter::WARN));
            let given = Config::load(StoreFlags::default().into_settings(), environment.clone())?;
            let keys = ConversionKeys {
                password_file: password_file.as_deref(),
                given: given_master_key(given.storage.master_key)?,
            };
            let how = HowToConvert {
                policy: given.policy,
                leave_out_forged,
                json,
            };
            convert(&from, &to, keys, how).await
        }
        Command::Export { to, json, flags } => Box::pin(export(load(flags)?, &to, json)).await,
        Command::Import {
            from,
            leave_out_forged,
            json,
            flags,
        } => import(load(flags)?, &from, leave_out_forged, json).await,
        Command::Migrate { json, flags } => migrate(&load(flags)?, json).await,
    }
}

/// The master key of the store that is converted, if the environment has it.
fn given_master_key(source: KeySource) -> Result<Option<MasterKey>, Failure> {
    match source {
        KeySource::Command(line) => key_command::ask(&line, &AtomicBool::new(false)).map(Some),
        KeySource::Given(key) => Ok(Some(key)),
        KeySource::File(path) => key_file::read(&path),
        KeySource::InDirectory => Ok(None),
    }
}

async fn check(config: Config, json: bool) -> Result<(), Failure> {
    require_store(&config.storage)?;
    let opened = open::open_to_read(config).await?;
    let line = ProgressLine::begin("checking entries", ProgressUnit::Pieces);
    let checked = check_store_shown(&opened.app, &mut |seen| line.at(seen)).await;
    line.end();
    let keys = data_keys::list(&opened.app).await;
    let epoch = epoch::stored(&opened.app).await;
    opened.close().await?;
    let report = checked.map_err(|error| Failure::new(error.to_string()))?;
    // What cannot be read of them is one of the problems.
    let keys = keys.map(|keys| keys.ring.data).unwrap_or_default();
    let keys: Vec<_> = keys
        .iter()
        .map(|key| {
            let count = report.keys().get(&key.number).copied().unwrap_or_default();
            (key, count)
        })
        .collect();
    // What cannot be read of it is one of the problems, too.
    let void_before = match epoch {
        Ok(Some(StoreEpoch {
            number: 1.., began, ..
        })) => Some(began),
        _ => None,
    };
    output::tell(
        json,
        || check_value(&report, &keys, void_before),
        || check_text(&report, &keys, void_before),
    );
    if report.is_healthy() {
        return Ok(());
    }
    let unlisted = report.unlisted_problems();
    let count = report.problems().len() as u64 + unlisted;
    Err(Failure::new(format!(
        "{count} problems ({unlisted} not shown); keep the directory, and restore the last backup into a new one"
    )))
}

fn check_value(
    report: &StoreReport,
    keys: &[(&SealedDataKey, u64)],
    void_before: Option<Timestamp>,
) -> Value {
    let keys = keys.iter().map(|(key, count)| {
        json!({
            "number": key.number, "state": key.state.name(), "since": key.since.to_string(), "entries": count,
        })
    });
    json!({
        "ok": report.is_healthy(), "entries": report.entries(), "kinds": report.counts(), "data_keys": keys.collect::<Value>(),
        "void_before": void_before.map(|began| began.to_string()), "problems": report.problems(),
        "unlisted_problems": report.unlisted_problems(),
    })
}

fn check_text(
    report: &StoreReport,
    keys: &[(&SealedDataKey, u64)],
    void_before: Option<Timestamp>,
) -> String {
    let mut text = String::new();
    for (kind, count) in report.counts() {
        let _ = writeln!(text, "{count:>10}  {kind}");
    }
    for (key, count) in keys {
        let (number, state, since) = (key.number, key.state.name(), key.since);
        let _ = writeln!(text, "{count:>10}  of data key {number}, {state} since {since}");
    }
    if let Some(began) = void_before {
        let _ = writeln!(
            text,
            "what was decided before {began} is void: the last epoch began then"
        );
    }
    for problem in report.problems() {
        let _ = writeln!(text, "{problem}");
    }
    if report.is_healthy() {
        let _ = writeln!(text, "{} entries, all sound", report.entries());
    }
    text
}

async fn export(config: Config, file: &Path, json: bool) -> Result<(), Failure> {
    if file == Path::new("-") {
        refuse_json_beside(json)?;
        let exported = copy_out(config, &mut WatchedWriter::begin("exporting", io::stdout())).await?;
        return report_left_out(&exported.left_out);
    }
    let failure = |error: io::Error| {
        let shown = file.display();
        Failure::new(if error.kind() == io::ErrorKind::AlreadyExists {
            format!(
                "there is a file {shown} already, and it was left as it is; remove it, or choose another name"
            )
        } else {
            format!("cannot write the export to {shown}: {error}")
        })
    };
    // What is in it is sealed where it is secret, but names and times are not.
    let written = File::options()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(file)
        .map_err(failure)?;
    let output = written.try_clone().map_err(failure)?;
    let mut watched = WatchedWriter::begin("exporting", BufWriter::new(output));
    let copied = copy_out(config, &mut watched).await;
    drop(watched);
    match copied.and_then(|exported| written.sync_all().map(|()| exported).map_err(failure)) {
        Ok(ExportSummary { entries, left_out }) => {
            output::tell(
                json,
                || json!({"entries": entries, "to": file.display().to_string(), "left_out": left_out.count}),
                || format!("{entries} entries exported to {}\n", file.display()),
            );
            report_left_out(&left_out)
        }
        Err(failure) => {
            let _unfinished = fs::remove_file(file);
            Err(failure)
        }
    }
}

/// What is copied to standard output leaves no place there to say anything.
pub(super) fn refuse_json_beside(json: bool) -> Result<(), Failure> {
    if json {
        return Err(Failure::misused(
            "--json says on standard output what was copied, and so does not go with --to -: name a file",
        ));
    }
    Ok(())
}

/// Writes everything to `output`: what a running server sends, or what is in the store that nobody has open.
pub(super) async fn copy_out(
    config: Config,
    output: &mut (dyn Write + Send),
) -> Result<ExportSummary, Failure> {
    if let Some(exported) = client::export(&config.storage.directory, output).await? {
        return Ok(exported);
    }
    require_store(&config.storage)?;
    let opened = open::open_to_read(config).await?;
    note_act(&opened.app, AuditAct::Export, EventType::StoreExported).await;
    let exported = match Sieve::new(Arc::clone(&opened.app.vault), SystemClock.now()) {
        Ok(sieve) => transfer::export(opened.app.store.as_ref(), Some(&sieve), output).await,
        Err(error) => Err(error.into()),
    };
    opened.close().await?;
    exported.map_err(|error| Failure::new(error.to_string()))
}

/// Names what was left out of a copy that is good for use otherwise.
pub(super) fn report_left_out(left_out: &LeftOut) -> Result<(), Failure> {
    if left_out.is_nothing() {
        return Ok(());
    }
    for name in &left_out.names {
        output::complain(&format!("left out: {name}"));
    }
    Err(Failure::incomplete(format!(
        "{} entries were left out that no server of the store wrote: somebody else changed it; an export of before that has them \
         as they were",
        left_out.count
    )))
}

async fn import(config: Config, file: &Path, leave_out_forged: bool, json: bool) -> Result<(), Failure> {
    let input = File::open(file);
    let input = input.map_err(|error| Failure::new(format!("cannot read {}: {error}", file.display())))?;
    let length = input.metadata().ok().map(|metadata| metadata.len());
    let mut input = WatchedExport::begin(BufReader::new(input), length);
    let filled = open::open_to_fill(config.storage).await?;
    let imported = fill(&filled, config.policy, &mut input, leave_out_forged).await;
    input.end();
    filled.close().await?;
    let (_, count, left_out) = imported?;
    output::tell(
        json,
        || json!({"entries": count, "left_out": left_out.count}),
        || format!("{count} entries imported\n"),
    );
    report_left_out(&left_out)
}

/// Fills a store with an export, of which every entry is verified before the first is written, and begins an epoch: nobody knows how
/// old it is, and what was used since.
pub(super) async fn fill(
    filled: &StoreToFill,
    policy: Policy,
    input: &mut impl Rewind,
    leave_out_forged: bool,
) -> Result<(Arc<App>, u64, LeftOut), Failure> {
    let engine = filled.engine.as_ref();
    let now = SystemClock.now();
    let (vault, sieve, left_out) = verified(&filled.master_key, input, leave_out_forged, now)
        .map_err(|error| Failure::new(format!("the export is not imported: {error}")))?;
    let epoch = EpochAfterImport {
        vault: &vault,
        at: now,
        drift: policy.totp_drift,
    };
    let imported = transfer::import(engine, input, Some(&sieve), Some(epoch)).await;
    let count = imported.map_err(|error| Failure::new(error.to_string()))?;
    let opened = Box::pin(filled.use_with(policy)).await;
    let app = opened.map_err(|error| Failure::new(format!("everything was imported, but {error}")))?;
    note_act(&app, AuditAct::Import, EventType::StoreImported).await;
    Ok((app, count, left_out))
}

/// The keys of an export, and what of it is not to be taken.
pub(super) fn verified(
    master_key: &MasterKey,
    input: &mut impl Rewind,
    leave_out_forged: bool,
    now: Timestamp,
) -> Result<(Arc<Vault>, Sieve, LeftOut), NotVerified> {
    let vault = Arc::new(transfer::keys_of_export(input, master_key)?);
    let sieve = Sieve::new(Arc::clone(&vault), now)?;
    let left_out = transfer::verify_export(input, &sieve)?;
    if !leave_out_forged {
        left_out.refuse()?;
    }
    Ok((vault, sieve, left_out))
}

/// Has the audit log tell what this command does, and the accounts' webhooks hear of it when a server runs.
async fn note_act(app: &App, act: AuditAct, event_type: EventType) {
    let scope = AuditScope::of_operator(client::own_user());
    Box::pin(within(scope, record_act(app, act))).await;
    Box::pin(tell_accounts(app, event_type)).await;
}

async fn migrate(config: &Config, json: bool) -> Result<(), Failure> {
    let Some(url) = &config.storage.database else {
        return Err(Failure::new(
            "there is nothing to migrate in a data directory; say which database it is with --store",
        ));
    };
    let address = open::database(url, &config.storage)?;
    let migrated = PostgresStore::migrate(&address).await;
    let migrated = migrated.map_err(|error| Failure::new(format!("cannot migrate {address}: {error}")))?;
    let (from, to) = (migrated.from, migrated.to);
    output::tell(
        json,
        || json!({"database": address.to_string(), "from": from, "to": to}),
        || {
            if from == to {
                format!("{address} has the tables of this release (version {to})\n")
            } else {
                format!("{address} was brought from version {from} to version {to}\n")
            }
        },
    );
    Ok(())
}
