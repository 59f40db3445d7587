//! `countersign keys`.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};

use super::admin::client::{AdminSession, ClientFlags};
use super::admin::{AdminRequest, DataKeysView, KeyRequest, MasterKeyText, Reply, render};
use super::progress::{ProgressLine, ProgressUnit};
use super::{Failure, key_file, open, output};
use crate::crypto::master_key::MasterKey;
use crate::domain::key_ring::KeyId;

#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Show the master keys and data keys of the store, and how far a change is
    List {
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Make a new data key, and write everything anew with it while the store is served; or change the master key
    Rotate {
        #[command(flatten)]
        master: NewMaster,
        #[command(flatten)]
        flags: ClientFlags,
    },
    /// Take an old data key away, or the old master key
    Retire {
        #[command(flatten)]
        which: Retired,
        #[command(flatten)]
        flags: ClientFlags,
    },
}

#[derive(Args, Debug)]
pub(super) struct NewMaster {
    /// Have another master key open the store, too, rather than make a data key
    #[arg(long, requires = "new_master_key_file")]
    master: bool,
    /// The file with the other master key
    #[arg(long, value_name = "FILE", requires = "master")]
    new_master_key_file: Option<PathBuf>,
}

#[derive(Args, Debug)]
#[group(required = true, multiple = false)]
pub(super) struct Retired {
    /// The number of the data key
    number: Option<u16>,
    /// Have the store open with the master key that the server was started with, and with no other one
    #[arg(long)]
    master: bool,
}

pub(super) async fn run(
    command: Command,
    environment: impl IntoIterator<Item = (OsString, OsString)>,
) -> Result<(), Failure> {
    let load = |flags: ClientFlags| {
        let json = flags.json();
        flags.load(environment).map(|config| (config, json))
    };
    let ((config, json), what) = match command {
        Command::List { flags } => (load(flags)?, KeyChange::None),
        Command::Rotate { master, flags } => {
            let what = match master.new_master_key_file {
                None => KeyChange::NewDataKey,
                Some(file) => KeyChange::NewMaster(read_new_master(&file)?),
            };
            (load(flags)?, what)
        }
        Command::Retire { which, flags } => {
            let (mut config, json) = load(flags)?;
            let what = if let Some(number) = which.number {
                KeyChange::WithoutDataKey(number)
            } else {
                // Which one that is must be said, for a server may run with another one.
                let kept = open::with_master_key(&mut config.storage, MasterKey::id)?;
                KeyChange::WithoutOtherMasters(kept)
            };
            ((config, json), what)
        }
    };
    let mut session = AdminSession::of(config).await?;
    let changed = change(&mut session, what, json).await;
    session.close().await?;
    changed
}

fn read_new_master(file: &Path) -> Result<MasterKeyText, Failure> {
    let key = key_file::read(file)?.ok_or_else(|| {
        let file = file.display();
        Failure::new(format!(
            "there is no {file}; make a master key with: (umask 077; head -c 32 /dev/urandom | base64 > {file})"
        ))
    })?;
    Ok(MasterKeyText::new(&key))
}

enum KeyChange {
    None,
    NewDataKey,
    NewMaster(MasterKeyText),
    WithoutDataKey(u16),
    /// But for this one.
    WithoutOtherMasters(KeyId),
}

async fn change(session: &mut AdminSession, what: KeyChange, json: bool) -> Result<(), Failure> {
    match what {
        KeyChange::None => {}
        KeyChange::NewDataKey => {
            done(session, KeyRequest::Rotate, json).await?;
            wait(session, |_| true).await?;
        }
        KeyChange::NewMaster(key) => done(session, KeyRequest::AddMaster { key }, json).await?,
        KeyChange::WithoutDataKey(number) => {
            // Whatever it seals is written anew first.
            wait(session, |_| true).await?;
            done(session, KeyRequest::Retire { number }, json).await?;
            wait(session, |keys| {
                keys.data_keys.iter().all(|key| key.number != number)
            })
            .await?;
        }
        KeyChange::WithoutOtherMasters(kept) => {
            done(session, KeyRequest::RetireMasters { kept }, json).await?;
        }
    }
    let reply = ask(session, KeyRequest::List).await?;
    output::say(&render(&reply, json)?);
    Ok(())
}

async fn done(session: &mut AdminSession, request: KeyRequest, json: bool) -> Result<(), Failure> {
    match ask(session, request).await? {
        Reply::Done(what) if !json => {
            output::say(&format!("{what}\n"));
            Ok(())
        }
        _ => Ok(()),
    }
}

async fn ask(session: &mut AdminSession, what: KeyRequest) -> Result<Reply, Failure> {
    session.ask(AdminRequest::AboutKeys { what }).await
}

/// Waits until everything was written anew, and `enough` is true. It goes on in the server if this is interrupted, and in the next
/// one if none runs.
async fn wait(session: &mut AdminSession, enough: impl Fn(&DataKeysView) -> bool) -> Result<(), Failure> {
    let line = ProgressLine::begin("writing anew", ProgressUnit::Words);
    loop {
        let Reply::DataKeys(keys) = ask(session, KeyRequest::Walk).await? else {
            return Err(Failure::new("the server is of another release: use its program"));
        };
        if !keys.under_way && enough(&keys) {
            line.end();
            return Ok(());
        }
        if let Some(why) = keys.what_stays() {
            line.end();
            return Err(Failure::new(why));
        }
        line.say(keys.progress());
    }
}
