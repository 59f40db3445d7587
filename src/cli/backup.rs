//! `countersign backup`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::flags::StoreFlags;
use super::open;
use super::progress::ProgressLine;
use super::store::{copy_out, fill, report_left_out, verified};
use super::whole_file::WholeFile;
use super::{Failure, logging, output};
use crate::app::App;
use crate::config::Config;
use crate::crypto::age::{AgeIdentity, AgeRecipient};
use crate::domain::entropy::SystemEntropy;
use crate::domain::factor::FactorType;
use crate::domain::time::{Clock as _, SystemClock};
use crate::flows::backup::{BackupFile, BackupWriter, LetsIn, show_what_lets_in};
use crate::store::transfer::{self, ExportSummary, NotVerified};

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write everything that is stored, as it is at one moment, to an encrypted file; a running server goes on meanwhile
    Create {
        /// The new file; `-` is standard output
        #[arg(long, value_name = "FILE")]
        to: PathBuf,
        /// Encrypt it to this recipient of age (age1...) instead of the master key; can be given several times
        #[arg(long = "recipient", value_name = "RECIPIENT")]
        recipients: Vec<AgeRecipient>,
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Read all of a backup, and say whether it can be restored
    Verify {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The file with the identity of age that the backup was encrypted to, if that is not the master key
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        #[command(flatten)]
        flags: StoreFlags,
    },
    /// Fill an empty data directory or database with a backup, and void what was decided before; no server may be running
    Restore {
        /// The backup
        #[arg(long, value_name = "FILE")]
        from: PathBuf,
        /// The file with the identity of age that the backup was encrypted to, if that is not the master key
        #[arg(long, value_name = "FILE")]
        identity: Option<PathBuf>,
        /// Also list every factor that is back, not only how many there are
        #[arg(long)]
        factors: bool,
        /// Leave out entries that no server of the store wrote, rather than refuse the backup
        #[arg(long)]
        leave_out_forged: bool,
        #[command(flatten)]
        flags: StoreFlags,
    },
}

pub(super) async fn run(
    command: Command,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let load = |flags: StoreFlags| -> Result<Config, Failure> {
        let config = Config::load(flags.into_settings(), environment)?;
        logging::start(&config.log.at_most(LevelFilter::WARN));
        Ok(config)
    };
    match command {
        Command::Create {
            to,
            recipients,
            flags,
        } => Box::pin(create(load(flags)?, &to, recipients)).await,
        Command::Verify {
            from,
            identity,
            flags,
        } => verify(load(flags)?, &from, identity.as_deref()),
        Command::Restore {
            from,
            identity,
            factors,
            leave_out_forged,
            flags,
        } => {
            let choices = RestoreChoices {
                lists_factors: factors,
                leave_out_forged,
            };
            Box::pin(restore(load(flags)?, &from, identity.as_deref(), choices)).await
        }
    }
}

async fn create(mut config: Config, to: &Path, mut recipients: Vec<AgeRecipient>) -> Result<(), Failure> {
    if recipients.is_empty() {
        recipients.push(own_identity(&mut config)?.recipient());
    }
    if to == Path::new("-") {
        let (_, written) = Box::pin(write(config, io::stdout(), &recipients)).await?;
        return report_left_out(&written.left_out);
    }
    let failure =
        |error: io::Error| Failure::new(format!("cannot write the backup to {}: {error}", to.display()));
    let file = WholeFile::begin(to).map_err(failure)?;
    let (file, ExportSummary { entries, left_out }) = Box::pin(write(config, file, &recipients)).await?;
    file.keep().map_err(failure)?;
    output::say(&format!("{entries} entries backed up to {}\n", to.display()));
    report_left_out(&left_out)
}

/// Writes a backup to `target`, and says what is in it.
async fn write<W: Write + Send>(
    config: Config,
    target: W,
    recipients: &[AgeRecipient],
) -> Result<(W, ExportSummary), Failure> {
    let failure = |error: io::Error| Failure::new(format!("cannot write the backup: {error}"));
    let backup = BackupWriter::begin(target, recipients, &SystemEntropy).map_err(failure)?;
    let mut watched = WatchedWriter {
        inner: backup,
        line: ProgressLine::begin(),
        bytes: 0,
    };
    let copied = copy_out(config, &mut watched).await;
    watched.line.end();
    let entries = copied?;
    Ok((watched.inner.finish().map_err(failure)?, entries))
}

fn verify(mut config: Config, from: &Path, identity: Option<&Path>) -> Result<(), Failure> {
    let mut backup = opened(&mut config, from, identity)?;
    let failure =
        |error: NotVerified| Failure::new(format!("{} cannot be restored: {error}", from.display()));
    let entries = transfer::read_through(&mut backup).map_err(|error| failure(error.into()))?;
    // Whoever has another identity need not have the master key: then it is not known who wrote the entries.
    if identity.is_none() {
        let sifted = open::with_master_key(&mut config.storage, |key| {
            verified(key, &mut backup, false, SystemClock.now())
        })?;
        sifted.map_err(failure)?;
    }
    output::say(&format!("{entries} entries, all sound\n"));
    Ok(())
}

/// What else is to be done with a backup.
struct RestoreChoices {
    lists_factors: bool,
    leave_out_forged: bool,
}

async fn restore(
    mut config: Config,
    from: &Path,
    identity: Option<&Path>,
    choices: RestoreChoices,
) -> Result<(), Failure> {
    let mut backup = opened(&mut config, from, identity)?;
    let filled = open::open_to_fill(config.storage).await?;
    let restored = async {
        let (app, entries, left_out) =
            fill(&filled, config.policy, &mut backup, choices.leave_out_forged).await?;
        output::say(&format!(
            "{entries} entries restored; codes, challenges and access tokens of before this are void\n"
        ));
        report(&app, choices.lists_factors).await?;
        report_left_out(&left_out)
    };
    let restored = Box::pin(restored).await;
    filled.close().await?;
    restored
}

/// Says what may have been revoked after the backup, and how it is revoked again.
async fn report(app: &App, lists_factors: bool) -> Result<(), Failure> {
    output::say(
        "What was revoked after the backup was made is back, and nobody knows what that was. See to what is listed here, by \
         the time that it was created; when it was used last is not stored.\n",
    );
    let (mut push, mut totp) = (0_u64, 0_u64);
    let mut show = |found: LetsIn| match found {
        LetsIn::Account(account, is_active) => {
            let state = if is_active { "active" } else { "suspended" };
            let (sid, name) = (account.sid, shown(account.friendly_name.as_str()));
            output::say(&format!(
                "{}  account {name}, {state}: countersign account rotate-token {sid}\n",
                account.date_created
            ));
        }
        LetsIn::ApiKey(key) => output::say(&format!(
            "{}  API key {} of {}: countersign key revoke {}\n",
            key.date_created,
            shown(key.friendly_name.as_str()),
            key.account,
            key.sid
        )),
        LetsIn::BearerToken(token) => output::say(&format!(
            "{}  bearer token {} of {}: countersign token revoke {}\n",
            token.date_created,
            shown(token.friendly_name.as_str()),
            token.account,
            token.sid
        )),
        LetsIn::Factor(owner, kind, factor) => {
            let name = match kind {
                FactorType::Push => {
                    push += 1;
                    "device"
                }
                FactorType::Totp => {
                    totp += 1;
                    "authenticator app"
                }
            };
            if lists_factors {
                output::say(&format!(
                    "{}  {name} {}: DELETE /v2/Services/{}/Entities/{}/Factors/{}\n",
                    factor.date_created,
                    shown(factor.friendly_name.as_str()),
                    owner.service,
                    owner.identity.as_str(),
                    factor.sid
                ));
            }
        }
    };
    let shown = show_what_lets_in(app, &mut show).await;
    shown.map_err(|error| Failure::new(format!("everything was restored, but {error}")))?;
    let how = if lists_factors {
        ""
    } else {
        "; --factors lists them"
    };
    output::say(&format!(
        "{push} devices and {totp} authenticator apps are back{how}\n"
    ));
    Ok(())
}

/// A name that somebody gave, on one line.
fn shown(name: &str) -> String {
    format!("\"{}\"", name.escape_debug())
}

fn opened(config: &mut Config, from: &Path, identity: Option<&Path>) -> Result<BackupFile, Failure> {
    let identity = match identity {
        Some(path) => {
            let failure = |why: &dyn std::fmt::Display| {
                Failure::new(format!("cannot use the identity in {}: {why}", path.display()))
            };
            let text = Zeroizing::new(fs::read_to_string(path).map_err(|error| failure(&error))?);
            AgeIdentity::parse(&text).map_err(|error| failure(&error))?
        }
        None => own_identity(config)?,
    };
    let file = File::open(from);
    let file = file.map_err(|error| Failure::new(format!("cannot read {}: {error}", from.display())))?;
    Ok(BackupFile::new(file, identity))
}

/// What opens the backups that are sealed for the master key.
fn own_identity(config: &mut Config) -> Result<AgeIdentity, Failure> {
    let identity = open::with_master_key(&mut config.storage, AgeIdentity::of_master_key)?;
    identity.ok_or_else(|| Failure::new("nothing can be sealed for this master key: make another one"))
}

/// Shows on a terminal how much was written.
struct WatchedWriter<W> {
    inner: W,
    line: ProgressLine,
    bytes: u64,
}

impl<W: Write> Write for WatchedWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.bytes += written as u64;
        let megabytes = self.bytes / 1_000_000;
        self.line.show(SystemClock.now(), || {
            format!("backing up: {megabytes} MB before compression")
        });
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}
