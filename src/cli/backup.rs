//! `countersign backup`.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use clap::Subcommand;
use serde_json::json;
use tracing::level_filters::LevelFilter;
use zeroize::Zeroizing;

use super::flags::StoreFlags;
use super::open;
use super::progress::{WatchedExport, WatchedWriter};
use super::store::{copy_out, fill, refuse_json_beside, report_left_out, verified};
use super::whole_file::WholeFile;
use super::{Failure, logging, output};
use crate::app::App;
use crate::config::Config;
use crate::crypto::age::{AgeIdentity, AgeRecipient};
use crate::domain::entropy::SystemEntropy;
use crate::domain::factor::FactorType;
use crate::domain::text::FriendlyName;
use crate::domain::time::{Clock as _, SystemClock, Timestamp};
use crate::flows::backup::{BackupFile, BackupWriter, LetsIn, show_what_lets_in};
use crate::store::transfer::{self, ExportSummary, LeftOut, NotVerified};

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
        /// Answer in JSON
        #[arg(long)]
        json: bool,
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
        /// Answer in JSON
        #[arg(long)]
        json: bool,
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
    let load = |flags: StoreFlags| -> Result<Config, Failure> {
        let config = Config::load(flags.into_settings(), environment)?;
        logging::start(&config.log.at_most(LevelFilter::WARN));
        Ok(config)
    };
    match command {
        Command::Create {
            to,
            recipients,
            json,
            flags,
        } => Box::pin(create(load(flags)?, &to, recipients, json)).await,
        Command::Verify {
            from,
            identity,
            json,
            flags,
        } => verify(load(flags)?, &from, identity.as_deref(), json),
        Command::Restore {
            from,
            identity,
            factors,
            leave_out_forged,
            json,
            flags,
        } => {
            let choices = RestoreChoices {
                lists_factors: factors,
                leave_out_forged,
                json,
            };
            Box::pin(restore(load(flags)?, &from, identity.as_deref(), choices)).await
        }
    }
}

async fn create(
    mut config: Config,
    to: &Path,
    mut recipients: Vec<AgeRecipient>,
    json: bool,
) -> Result<(), Failure> {
    if recipients.is_empty() {
        recipients.push(own_identity(&mut config)?.recipient());
    }
    if to == Path::new("-") {
        refuse_json_beside(json)?;
        let (_, written) = Box::pin(write(config, io::stdout(), &recipients)).await?;
        return report_left_out(&written.left_out);
    }
    let failure =
        |error: io::Error| Failure::new(format!("cannot write the backup to {}: {error}", to.display()));
    let file = WholeFile::begin(to).map_err(failure)?;
    let (file, ExportSummary { entries, left_out }) = Box::pin(write(config, file, &recipients)).await?;
    file.keep().map_err(failure)?;
    output::tell(
        json,
        || json!({"entries": entries, "to": to.display().to_string(), "left_out": left_out.count}),
        || format!("{entries} entries backed up to {}\n", to.display()),
    );
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
    let mut watched = WatchedWriter::begin("backing up", backup);
    let entries = copy_out(config, &mut watched).await?;
    Ok((watched.end().finish().map_err(failure)?, entries))
}

fn verify(mut config: Config, from: &Path, identity: Option<&Path>, json: bool) -> Result<(), Failure> {
    let mut backup = WatchedExport::begin(opened(&mut config, from, identity)?, None);
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
    backup.end();
    output::tell(
        json,
        || json!({"entries": entries, "origin_verified": identity.is_none()}),
        || format!("{entries} entries, all sound\n"),
    );
    Ok(())
}

/// What else is to be done with a backup.
struct RestoreChoices {
    lists_factors: bool,
    leave_out_forged: bool,
    json: bool,
}

async fn restore(
    mut config: Config,
    from: &Path,
    identity: Option<&Path>,
    choices: RestoreChoices,
) -> Result<(), Failure> {
    let mut backup = WatchedExport::begin(opened(&mut config, from, identity)?, None);
    let filled = open::open_to_fill(config.storage).await?;
    let restored = async {
        let (app, entries, left_out) =
            fill(&filled, config.policy, &mut backup, choices.leave_out_forged).await?;
        backup.end();
        WhatIsBack::begin(choices, entries, &left_out).tell(&app).await?;
        report_left_out(&left_out)
    };
    let restored = Box::pin(restored).await;
    filled.close().await?;
    restored
}

/// What may have been revoked after the backup, and how it is revoked again. It is said as it is found: it may be much.
struct WhatIsBack {
    choices: RestoreChoices,
    listed: u64,
    devices: u64,
    authenticator_apps: u64,
}

/// Something that lets somebody in.
struct BackAgain {
    created: Timestamp,
    what: &'static str,
    name: FriendlyName,
    /// Of what it is, or how it stands.
    more: String,
    /// The command or the request that revokes it.
    remedy: String,
}

impl WhatIsBack {
    fn begin(choices: RestoreChoices, entries: u64, left_out: &LeftOut) -> Self {
        output::say(&if choices.json {
            let left_out = left_out.count;
            format!("{{\"entries\":{entries},\"left_out\":{left_out},\"back\":[")
        } else {
            format!(
                "{entries} entries restored; codes, challenges and access tokens of before this are void\n\
                 What was revoked after the backup was made is back, and nobody knows what that was. See to what is listed here, \
                 by the time that it was created; when it was used last is not stored.\n"
            )
        });
        Self {
            choices,
            listed: 0,
            devices: 0,
            authenticator_apps: 0,
        }
    }

    async fn tell(mut self, app: &App) -> Result<(), Failure> {
        let shown = show_what_lets_in(app, &mut |found| self.found(found)).await;
        let (devices, apps) = (self.devices, self.authenticator_apps);
        output::say(&if self.choices.json {
            format!("],\"devices\":{devices},\"authenticator_apps\":{apps}}}\n")
        } else {
            let how = if self.choices.lists_factors {
                ""
            } else {
                "; --factors lists them"
            };
            format!("{devices} devices and {apps} authenticator apps are back{how}\n")
        });
        shown.map_err(|error| Failure::new(format!("everything was restored, but {error}")))
    }

    fn found(&mut self, found: LetsIn) {
        let back = match found {
            LetsIn::Account(account, is_active) => BackAgain {
                created: account.date_created,
                what: "account",
                name: account.friendly_name,
                more: if is_active { ", active" } else { ", suspended" }.to_owned(),
                remedy: format!("countersign account rotate-token {}", account.sid),
            },
            LetsIn::ApiKey(key) => BackAgain {
                created: key.date_created,
                what: "API key",
                name: key.friendly_name,
                more: format!(" of {}", key.account),
                remedy: format!("countersign key revoke {}", key.sid),
            },
            LetsIn::BearerToken(token) => BackAgain {
                created: token.date_created,
                what: "bearer token",
                name: token.friendly_name,
                more: format!(" of {}", token.account),
                remedy: format!("countersign token revoke {}", token.sid),
            },
            LetsIn::Factor(owner, kind, factor) => {
                let what = match kind {
                    FactorType::Push => {
                        self.devices += 1;
                        "device"
                    }
                    FactorType::Totp => {
                        self.authenticator_apps += 1;
                        "authenticator app"
                    }
                };
                if !self.choices.lists_factors {
                    return;
                }
                BackAgain {
                    created: factor.date_created,
                    what,
                    name: factor.friendly_name,
                    more: String::new(),
                    remedy: format!(
                        "DELETE /v2/Services/{}/Entities/{}/Factors/{}",
                        owner.service,
                        owner.identity.as_str(),
                        factor.sid
                    ),
                }
            }
        };
        self.say(&back);
    }

    fn say(&mut self, back: &BackAgain) {
        let BackAgain {
            created,
            what,
            name,
            more,
            remedy,
        } = back;
        output::say(&if self.choices.json {
            let comma = if self.listed == 0 { "" } else { "," };
            let value = json!({
                "created": created.to_string(), "what": what, "name": name.as_str(), "remedy": remedy,
            });
            format!("{comma}{value}")
        } else {
            format!("{created}  {what} {}{more}: {remedy}\n", shown(name.as_str()))
        });
        self.listed += 1;
    }
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
