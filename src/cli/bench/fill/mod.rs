//! `countersign bench fill`: puts many factors into a store that no server uses, to see what a large one costs.
//!
//! Each is enrolled by the flows that the API calls, with a clock and identifiers that follow from the seed, and what they
//! write goes to the store a thousand factors at a time. They come in the order of their numbers, so a fill that was
//! interrupted, or is to go on, begins behind the last one that is there.

mod gathering;
mod population;

use std::ffi::OsString;
use std::sync::Arc;

use serde_json::json;
use tokio::task::JoinHandle;
use tracing::level_filters::LevelFilter;

pub(super) use self::population::Population;

use self::gathering::GatheringStore;
use self::population::EnrolmentTurn;
use super::totp::{SKEW, STEP};
use crate::app::{App, Policy};
use crate::cli::flags::StoreFlags;
use crate::cli::open;
use crate::cli::progress::{ProgressLine, ProgressUnit};
use crate::cli::{Failure, logging, output};
use crate::config::Config;
use crate::crypto::totp::code_at;
use crate::domain::audit::AuditDetail;
use crate::domain::entity::EntityName;
use crate::domain::factor::{FactorStatus, KeyProof, Skew, TimeStep};
use crate::domain::opaque::DevicePublicKey;
use crate::domain::service::ServiceChanges;
use crate::domain::sid::FactorSid;
use crate::domain::text::{FriendlyName, Invalid, ServiceName};
use crate::domain::totp_algorithm::TotpAlgorithm;
use crate::domain::{entity, factor, service};
use crate::flows::access::Actor;
use crate::flows::factor::{EnrolmentProof, FactorChanges, NewTotpFactor};
use crate::flows::{self, Error, Fault};
use crate::store::records::Record as _;
use crate::store::{Batch, CommitError, keys};

#[derive(Debug, clap::Args)]
pub(super) struct FillArgs {
    /// How many factors there are to be in the end, each of an entity of its own. Those that are there already count.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=MOST_FACTORS))]
    factors: u64,
    /// What everybody follows from, the account's token and all secrets included: whoever knows it knows them.
    #[arg(long, value_name = "TEXT")]
    seed: String,
    /// Fill a store that has other accounts. It cannot be undone.
    #[arg(long)]
    beside_others: bool,
    /// Answer in JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    flags: StoreFlags,
}

/// Fills the store and says what is in it.
pub(super) async fn run(args: FillArgs, environment: Vec<(OsString, OsString)>) -> Result<(), Failure> {
    if args.seed.len() < SHORTEST_SEED {
        return Err(NotFilled::SeedTooShort.into());
    }
    let config = Config::load(args.flags.into_settings(), environment)?;
    logging::start(&config.log.at_most(LevelFilter::WARN));
    let opened = open::open_for_command(config).await?;
    let population = Population::of(&args.seed);
    let line = ProgressLine::begin("filling", ProgressUnit::Pieces);
    line.of(args.factors);
    let filled = Fill {
        app: &opened.app,
        population: &population,
        beside_others: args.beside_others,
    }
    .up_to(args.factors, &mut |number| line.at(number))
    .await;
    line.end();
    let closed = opened.close().await;
    let there = filled?;
    closed?;
    let (service, account, token) = (population.service(), population.account(), population.token());
    output::tell(
        args.json,
        || {
            json!({
                "factors": there, "service_sid": service.to_string(), "account_sid": account.to_string(),
                "auth_token": token.reveal(),
            })
        },
        || {
            let token = token.reveal();
            format!("{there} factors in the service {service}\nCOUNTERSIGN_ACCOUNT={account}:{token}\n")
        },
    );
    Ok(())
}

/// Why a store was not filled.
#[derive(Debug, thiserror::Error)]
enum NotFilled {
    #[error(
        "the seed has fewer than {SHORTEST_SEED} letters: whoever guesses it has the account's token and all secrets, so draw \
         one with: openssl rand -hex 16"
    )]
    SeedTooShort,
    #[error("servers run on the store, or did so a minute ago ({0}): stop them first")]
    ServersRun(usize),
    #[error(
        "the store has {0} other accounts: what is filled is for measurements and thrown away afterwards, so take a new \
         store; --beside-others fills this one all the same"
    )]
    OtherAccounts(usize),
    #[error("another process writes to the same store: stop it, and run the same command again")]
    Busy,
    #[error("factor {0} was not verified by a correct code")]
    Unverified(u64),
    #[error("a committing task stopped")]
    Stopped,
    #[error(transparent)]
    Invalid(#[from] Invalid),
    #[error(transparent)]
    Fault(#[from] Fault),
    #[error("the entities cannot be read: {0}")]
    Entity(Error<entity::Refusal>),
    #[error("factor {0} cannot be enrolled: {1}")]
    Factor(u64, Error<factor::Refusal>),
    #[error("the service cannot be made: {0}")]
    Service(#[from] Error<service::Refusal>),
}

impl From<NotFilled> for Failure {
    fn from(why: NotFilled) -> Self {
        Self::new(why.to_string())
    }
}

/// Who is to be filled into what.
struct Fill<'a> {
    app: &'a App,
    population: &'a Population,
    beside_others: bool,
}

impl Fill<'_> {
    /// Enrols those up to this number who are not there yet; how many there are then.
    async fn up_to(&self, last: u64, progress: &mut (dyn FnMut(u64) + Send)) -> Result<u64, NotFilled> {
        let turn = Arc::new(EnrolmentTurn::new(self.population.clone()));
        self.prepare(&turn).await?;
        let there = self.count().await?;
        let service = self.population.service();
        let unused = vec![
            [&[entity::Entity::KIND][..], service.as_bytes()].concat(),
            keys::entity_order(service).bytes().to_vec(),
        ];
        let gathering = Arc::new(GatheringStore::new(Arc::clone(&self.app.store), unused));
        let enrolling = App {
            store: Arc::clone(&gathering) as _,
            ..self.app_of(&turn)
        };
        // While one thousand is written, the next is enrolled.
        let mut committing: Option<JoinHandle<Result<(), CommitError>>> = None;
        let mut next = there + 1;
        while next <= last {
            let end = last.min(next + AT_ONCE - 1);
            for number in next..=end {
                turn.begin(number);
                self.enrol(&enrolling, number).await?;
            }
            let batch = gathering.take();
            if let Some(before) = committing.take() {
                finished(before).await?;
            }
            committing = Some(self.commit(batch));
            progress(end);
            next = end + 1;
        }
        if let Some(before) = committing {
            finished(before).await?;
        }
        Ok(there.max(last))
    }

    /// The account and the service, if they are not there yet.
    async fn prepare(&self, turn: &Arc<EnrolmentTurn>) -> Result<(), NotFilled> {
        let running = flows::nodes::list(self.app).await?.len();
        if running > 0 {
            return Err(NotFilled::ServersRun(running));
        }
        let (ours, token) = (self.population.account(), self.population.token());
        let accounts = flows::account::list(self.app).await?;
        let is_there = accounts.iter().any(|account| account.sid == ours);
        let others = accounts.len() - usize::from(is_there);
        if others > 0 && !self.beside_others {
            return Err(NotFilled::OtherAccounts(others));
        }
        let app = self.app_of(turn);
        if !is_there {
            let name = FriendlyName::parse("bench fill")?;
            flows::account::create_as(&app, ours, token.reveal(), name).await?;
        }
        match flows::service::fetch(&app, ours, self.population.service()).await {
            Ok(_) => Ok(()),
            Err(Error::Refused(service::Refusal::NotFound)) => {
                let name = ServiceName::parse("bench fill")?;
                flows::service::create(&app, ours, name, ServiceChanges::default()).await?;
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// The wired parts for those whose turn it is.
    fn app_of(&self, turn: &Arc<EnrolmentTurn>) -> App {
        App {
            clock: Arc::clone(turn) as _,
            sids: Arc::clone(turn) as _,
            policy: Policy {
                entity_creations_per_second: None,
                // Nobody did what is not real.
                audit_detail: AuditDetail::Off,
                ..self.app.policy.clone()
            },
            ..self.app.clone()
        }
    }

    /// How many are there. They came in the order of their numbers.
    async fn count(&self) -> Result<u64, NotFilled> {
        let (mut present, mut absent) = (0, MOST_FACTORS + 1);
        while present + 1 < absent {
            let middle = u64::midpoint(present, absent);
            match flows::entity::fetch(self.app, self.population.account(), &self.name(middle)?).await {
                Ok(_) => present = middle,
                Err(Error::Refused(entity::Refusal::NotFound)) => absent = middle,
                Err(error) => return Err(NotFilled::Entity(error)),
            }
        }
        Ok(present)
    }

    /// Enrols one as the API does in two requests.
    async fn enrol(&self, app: &App, number: u64) -> Result<(), NotFilled> {
        let (account, name) = (self.population.account(), self.name(number)?);
        let new = NewTotpFactor {
            friendly_name: Population::friendly_name(number)?,
            secret: Some(self.population.secret(number)),
            algorithm: Some(TotpAlgorithm::Sha1),
            skew: Some(Skew::new(SKEW)?),
            code_length: None,
            time_step: Some(TimeStep::new(STEP)?),
            metadata: None,
        };
        let refused = |error| NotFilled::Factor(number, error);
        let enrolled = flows::factor::create_totp(app, account, None, &name, new).await;
        let enrolled = enrolled.map_err(refused)?;
        let step = app.clock.now().seconds() / u64::from(STEP);
        let secret = &enrolled.uri.secret;
        let code = code_at(secret, TotpAlgorithm::Sha1, enrolled.uri.digits, step);
        let proof = EnrolmentProof {
            code: code.as_ref().map_or("", |code| code.reveal()),
            key: &NoDeviceKey,
        };
        let (actor, changes) = (Actor::Account(account), FactorChanges::default());
        let sid = enrolled.factor.sid;
        let verified = flows::factor::update(app, actor, &name, sid, changes, Some(proof)).await;
        match verified.map_err(refused)?.1.status {
            FactorStatus::Verified => Ok(()),
            FactorStatus::Unverified { .. } | FactorStatus::Disabled => Err(NotFilled::Unverified(number)),
        }
    }

    fn name(&self, number: u64) -> Result<EntityName, NotFilled> {
        Ok(EntityName {
            service: self.population.service(),
            identity: self.population.identity(number)?,
        })
    }

    fn commit(&self, batch: Batch) -> JoinHandle<Result<(), CommitError>> {
        let store = Arc::clone(&self.app.store);
        tokio::spawn(async move { store.commit(batch).await })
    }
}

async fn finished(committing: JoinHandle<Result<(), CommitError>>) -> Result<(), NotFilled> {
    match committing.await.map_err(|_| NotFilled::Stopped)? {
        Ok(()) => Ok(()),
        Err(CommitError::Conflict) => Err(NotFilled::Busy),
        Err(CommitError::Store(error)) => Err(Fault::from(error).into()),
    }
}

/// The proof of whoever has no device.
struct NoDeviceKey;

impl KeyProof for NoDeviceKey {
    fn is_signed(&self, _factor: FactorSid, _key: &DevicePublicKey) -> bool {
        false
    }
}

/// How many letters a seed has at the least.
const SHORTEST_SEED: usize = 16;

/// How many are written in one commit: few enough that none takes long, many enough that a sync is not felt.
const AT_ONCE: u64 = 1000;

/// More than any machine of today has room for.
pub(super) const MOST_FACTORS: u64 = 100_000_000;

#[cfg(test)]
mod tests;
