//! An enrolled device talking to its server: signs each request, and sets its clock by the server's when told to.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{Method, Response};

use crate::domain::time::Clock;

use super::HeldDevice;
use super::error::DeviceError;
use super::http::{DeviceAnswer, DeviceRequest, ServerUrl, read_certificate};
use super::key::HeldKey;
use super::state::{DeviceState, StateFile};

/// An enrolled device and its server.
pub(super) struct DeviceSession<'a> {
    server: ServerUrl,
    key: HeldKey,
    clock: &'a dyn Clock,
    pub(super) state: DeviceState,
    pub(super) file: StateFile,
}

impl<'a> DeviceSession<'a> {
    /// Opens the device whose state file `device` names.
    pub(super) fn open(device: &HeldDevice, clock: &'a dyn Clock) -> Result<Self, DeviceError> {
        let (file, mut state) = StateFile::load(&device.state)?;
        if let Some(path) = &device.ca {
            state.ca_certificate = Some(read_certificate(path)?);
        }
        let server = ServerUrl::new(&state.url, state.ca_certificate.as_deref())?;
        let key = HeldKey::from_secret(&state.private_key.0)
            .map_err(|error| DeviceError::Input(error.to_string()))?;
        Ok(Self::new(server, key, clock, state, file))
    }

    /// A device that was enrolled a moment ago.
    pub(super) fn new(
        server: ServerUrl,
        key: HeldKey,
        clock: &'a dyn Clock,
        state: DeviceState,
        file: StateFile,
    ) -> Self {
        Self {
            server,
            key,
            clock,
            state,
            file,
        }
    }

    pub(super) fn key(&self) -> &HeldKey {
        &self.key
    }

    /// The path of this device's factor.
    pub(super) fn factor(&self) -> String {
        let parent = entity_path(&self.state.service_sid, &self.state.identity);
        format!("{parent}/Factors/{}", self.state.factor_sid)
    }

    /// The path of the challenges, or of one of them when `sid` follows.
    pub(super) fn challenges(&self, sid: Option<&str>) -> String {
        let parent = entity_path(&self.state.service_sid, &self.state.identity);
        match sid {
            Some(sid) => format!("{parent}/Challenges/{}", segment(sid)),
            None => format!("{parent}/Challenges"),
        }
    }

    /// Sends a request with a fresh JWT. A 401 that tells the server's time sets this device's clock by it and is
    /// tried once more, as the SDKs do.
    pub(super) async fn send(
        &mut self,
        method: Method,
        path: String,
        pairs: &[(&str, String)],
    ) -> Result<DeviceAnswer, DeviceError> {
        let request = DeviceRequest { method, path, pairs };
        let answer = self.server.send(&request, &self.jwt()?).await?;
        let (401, Some(date)) = (answer.status, answer.date) else {
            return answer.success();
        };
        self.state.clock_offset_seconds = date.saturating_sub(self.local_seconds());
        self.file.save(&self.state)?;
        self.server.send(&request, &self.jwt()?).await?.success()
    }

    /// Opens the event stream of this device's factor, behind the event `last_id` if there is one. The clock is set as by
    /// [`DeviceSession::send`].
    pub(super) async fn listen(&mut self, last_id: Option<&str>) -> Result<Response, DeviceError> {
        let path = format!("{}/Events", self.factor());
        let answer = self.server.listen(&path, last_id, &self.jwt()?).await?;
        let refused = match answer {
            Ok(stream) => return Ok(stream),
            Err(refused) => refused,
        };
        let (401, Some(date)) = (refused.status, refused.date) else {
            return Err(refused.into_error());
        };
        self.state.clock_offset_seconds = date.saturating_sub(self.local_seconds());
        self.file.save(&self.state)?;
        let answer = self.server.listen(&path, last_id, &self.jwt()?).await?;
        answer.map_err(DeviceAnswer::into_error)
    }

    fn jwt(&self) -> Result<String, DeviceError> {
        let now = self
            .local_seconds()
            .saturating_add(self.state.clock_offset_seconds);
        self.key
            .device_jwt(&self.state.credential_sid, &self.state.account_sid, now)
            .map_err(|error| DeviceError::Input(error.to_string()))
    }

    fn local_seconds(&self) -> i64 {
        i64::try_from(self.clock.now().seconds()).unwrap_or(i64::MAX)
    }
}

/// The path of an entity below `/v2/`.
pub(super) fn entity_path(service_sid: &str, identity: &str) -> String {
    format!("Services/{}/Entities/{}", segment(service_sid), segment(identity))
}

fn segment(text: &str) -> String {
    utf8_percent_encode(text, SEGMENT).to_string()
}

const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
