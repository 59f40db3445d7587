//! `countersign bench push`: every request is the signed approval of a push challenge.
//!
//! Key pairs, challenges and signatures are made in the set-up; the load only sends them.

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde_json::Value;

use crate::cli::device::key::{HeldKey, UnusableKey};
use crate::domain::push_guard::PushLimits;
use crate::domain::time::Timestamp;

use super::api::{Api, Quota, SetUp};
use super::load::{ExpectedAnswer, Work};
use super::target::{AccountCredentials, PreparedRequest, Target};

/// The approval of a challenge.
pub(super) const APPROVED: ExpectedAnswer = ExpectedAnswer {
    status: 200,
    body_contains: r#""status":"approved""#,
};

/// The signed approvals that were not sent yet.
pub(super) struct Approvals {
    target: Target,
    waiting: Mutex<Vec<PreparedApproval>>,
}

/// One signed approval.
struct PreparedApproval {
    path: Box<str>,
    device: Arc<AccountCredentials>,
    form: Box<str>,
}

impl Approvals {
    /// Enrols devices and signs approvals.
    pub(super) fn set_up(set_up: SetUp) -> Result<Self, String> {
        let stop = Arc::new(AtomicBool::new(false));
        let enrolment = Arc::new(PushEnrolment {
            entities: set_up.entities(),
            quota: set_up.quota(&stop),
            set_up,
        });
        let set_up = &enrolment.set_up;
        let prepare = |connection| Arc::clone(&enrolment).prepare(connection);
        let mut lanes = set_up.pool.work(&stop, prepare)?;
        let mut waiting = Vec::with_capacity(lanes.iter().map(Vec::len).sum());
        // One of each lane in turn, so that the devices are mixed in the load.
        while !lanes.is_empty() {
            waiting.extend(lanes.iter_mut().filter_map(Vec::pop));
            lanes.retain(|lane| !lane.is_empty());
        }
        Ok(Self {
            target: set_up.target.clone(),
            waiting: Mutex::new(waiting),
        })
    }

    /// How many approvals are waiting.
    pub(super) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Every request that is left: a number, the path, the authorization and the form.
    pub(super) fn into_lines(self) -> impl Iterator<Item = String> {
        let waiting = self.waiting.into_inner().unwrap_or_else(PoisonError::into_inner);
        waiting.into_iter().enumerate().map(|(number, approval)| {
            let PreparedApproval { path, device, form } = approval;
            format!("{number}\t{path}\t{}\t{form}", device.reveal())
        })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<PreparedApproval>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A device with one challenge that it can approve.
pub(super) struct Station {
    device: BenchDevice,
    approval: PreparedApproval,
}

impl Station {
    /// The path of the challenge.
    pub(super) fn challenge(&self) -> &str {
        &self.approval.path
    }

    /// The path of the device's event stream.
    pub(super) fn events(&self) -> String {
        format!("{}/Factors/{}/Events", self.device.entity, self.device.factor)
    }

    /// The device's credentials.
    pub(super) fn device(&self) -> &AccountCredentials {
        &self.device.basic
    }

    /// Replaces `request` by the approval.
    pub(super) fn write_approval(&self, target: &Target, request: &mut Vec<u8>) {
        self.approval.write(target, request);
    }
}

/// Enrols as many devices as are wanted, and creates a challenge for each.
pub(super) fn stations(set_up: SetUp) -> Result<Vec<Station>, String> {
    let stop = Arc::new(AtomicBool::new(false));
    let enrolment = Arc::new(PushEnrolment {
        entities: set_up.entities(),
        quota: set_up.quota(&stop),
        set_up,
    });
    let prepare = |connection| Arc::clone(&enrolment).prepare_stations(connection);
    let lanes = enrolment.set_up.pool.work(&stop, prepare)?;
    Ok(lanes.into_iter().flatten().collect())
}

impl PreparedApproval {
    fn write(&self, target: &Target, request: &mut Vec<u8>) {
        let parts = PreparedRequest {
            method: "POST",
            path: &self.path,
            form: &self.form,
        };
        target.write(request, &self.device, &parts);
    }
}

impl Work for Approvals {
    type Piece = ();

    fn take(&self, request: &mut Vec<u8>) -> Option<()> {
        let approval = self.lock().pop()?;
        approval.write(&self.target, request);
        Some(())
    }

    fn give_back(&self, (): ()) {}
}

struct PushEnrolment {
    set_up: SetUp,
    entities: String,
    quota: Quota,
}

/// A verified device and what all its requests share.
struct BenchDevice {
    entity: String,
    factor: String,
    key: HeldKey,
    basic: Arc<AccountCredentials>,
}

impl PushEnrolment {
    async fn prepare(self: Arc<Self>, connection: usize) -> Result<Vec<PreparedApproval>, String> {
        let mut api = Api::open(self.set_up.target.clone()).await?;
        let mut approvals = Vec::new();
        let mut fields = None;
        for number in 1.. {
            let device = self
                .enrol(&mut api, format!("{}-{connection}-{number}", self.entities))
                .await?;
            for _ in 0..CHALLENGES_OF_A_DEVICE {
                if self.quota.next(approvals.len()).is_none() {
                    return Ok(approvals);
                }
                approvals.push(self.approval(&mut api, &device, &mut fields).await?);
            }
        }
        Ok(approvals)
    }

    async fn prepare_stations(self: Arc<Self>, connection: usize) -> Result<Vec<Station>, String> {
        let mut api = Api::open(self.set_up.target.clone()).await?;
        let mut stations = Vec::new();
        let mut fields = None;
        while self.quota.next(stations.len()).is_some() {
            let entity = format!("{}-{connection}-{}", self.entities, stations.len());
            let device = self.enrol(&mut api, entity).await?;
            let approval = self.approval(&mut api, &device, &mut fields).await?;
            stations.push(Station { device, approval });
        }
        Ok(stations)
    }

    async fn enrol(&self, api: &mut Api, entity: String) -> Result<BenchDevice, String> {
        let key = HeldKey::generate().map_err(text)?;
        let created = api
            .call(
                &self.set_up.account,
                "POST",
                &format!("{entity}/Factors"),
                &[
                    ("FriendlyName", "bench"),
                    ("FactorType", "push"),
                    ("Binding.Alg", "ES256"),
                    ("Binding.PublicKey", &key.public_key().map_err(text)?),
                    ("Config.AppId", "dev.countersign.bench"),
                    ("Config.SdkVersion", env!("CARGO_PKG_VERSION")),
                    ("Config.NotificationPlatform", "none"),
                ],
            )
            .await?;
        let factor = created.text("/sid")?.to_owned();
        let jwt = key
            .device_jwt(
                created.text("/config/credential_sid")?,
                created.text("/account_sid")?,
                unix_seconds(self.set_up.clock.now()),
            )
            .map_err(text)?;
        let basic = Arc::new(AccountCredentials::new("token", &jwt));
        let proof = key.factor_proof(&factor).map_err(text)?;
        let path = format!("{entity}/Factors/{factor}");
        let verified = api
            .call(&basic, "POST", &path, &[("AuthPayload", &proof)])
            .await?;
        if verified.text("/status")? != "verified" {
            return Err(format!("the server does not verify the push factor {factor}"));
        }
        Ok(BenchDevice {
            entity,
            factor,
            key,
            basic,
        })
    }

    async fn approval(
        &self,
        api: &mut Api,
        device: &BenchDevice,
        fields: &mut Option<String>,
    ) -> Result<PreparedApproval, String> {
        let created = api
            .call(
                &self.set_up.account,
                "POST",
                &format!("{}/Challenges", device.entity),
                &[
                    ("FactorSid", &device.factor),
                    ("Details.Message", "Log in?"),
                    (
                        "ExpirationDate",
                        &(self.set_up.clock.now() + LIFETIME).to_string(),
                    ),
                ],
            )
            .await?;
        let path = format!("{}/Challenges/{}", device.entity, created.text("/sid")?);
        // What is to be signed is the same for all challenges: one look for each connection.
        if fields.is_none() {
            let fetched = api.call(&device.basic, "GET", &path, &[]).await?;
            *fields = fetched.signature_fields;
        }
        let fields = fields
            .as_deref()
            .ok_or("the server does not say what to sign (Twilio-Verify-Signature-Fields)")?;
        let jwt = answer(&device.key, &created.body, fields)?;
        Ok(PreparedApproval {
            path: path.into(),
            device: Arc::clone(&device.basic),
            form: format!("AuthPayload={jwt}").into(),
        })
    }
}

fn answer(key: &HeldKey, challenge: &Value, fields: &str) -> Result<String, String> {
    key.answer_jwt(challenge, fields, "approved", None)
        .map_err(|error| error.to_string())
}

fn unix_seconds(now: Timestamp) -> i64 {
    i64::try_from(now.seconds()).unwrap_or(i64::MAX)
}

fn text(error: UnusableKey) -> String {
    error.to_string()
}

/// As many as may wait at once if the server's operator chose nothing else. None is approved before the load.
const CHALLENGES_OF_A_DEVICE: usize = PushLimits::DEFAULT_PENDING;
const LIFETIME: Duration = Duration::from_mins(50);
