//! An authenticator app, written from RFC 4226 and RFC 6238 and not from the code under test.

use aws_lc_rs::hmac;

use super::TestApp;
use crate::doubles::watch;

/// An authenticator app with one secret.
#[derive(Clone, Debug)]
pub(crate) struct Authenticator {
    pub(crate) secret: Vec<u8>,
    pub(crate) algorithm: &'static str,
    pub(crate) digits: u32,
    pub(crate) period: u64,
}

impl Authenticator {
    /// With what every authenticator app takes for granted.
    pub(crate) fn new(secret: &[u8]) -> Self {
        let app = Self {
            secret: secret.to_vec(),
            algorithm: "sha1",
            digits: 6,
            period: 30,
        };
        watch::secret(&app.base32());
        watch::secret(&String::from_utf8_lossy(secret));
        app
    }

    /// What the app shows now, if its clock is right.
    pub(crate) fn code(&self, server: &TestApp) -> String {
        self.code_off(server, 0)
    }

    /// What the app shows if its clock is `steps` time steps off.
    pub(crate) fn code_off(&self, server: &TestApp, steps: i64) -> String {
        let step = server.seconds() / self.period;
        self.code_of(step.checked_add_signed(steps).unwrap())
    }

    /// The code of a time step.
    pub(crate) fn code_of(&self, step: u64) -> String {
        let algorithm = match self.algorithm {
            "sha256" => hmac::HMAC_SHA256,
            "sha512" => hmac::HMAC_SHA512,
            _ => hmac::HMAC_SHA1_FOR_LEGACY_USE_ONLY,
        };
        let mac = hmac::sign(&hmac::Key::new(algorithm, &self.secret), &step.to_be_bytes());
        let mac = mac.as_ref();
        let offset = usize::from(mac[mac.len() - 1] & 15);
        let word: [u8; 4] = mac[offset..offset + 4].try_into().unwrap();
        let number = u64::from(u32::from_be_bytes(word) & 0x7fff_ffff) % 10_u64.pow(self.digits);
        format!("{number:0width$}", width = self.digits as usize)
    }

    /// The secret as it is typed in.
    pub(crate) fn base32(&self) -> String {
        base32::encode(base32::Alphabet::Rfc4648 { padding: false }, &self.secret)
    }

    /// Whether none of the time steps around now have this code, how ever far the clocks may differ.
    fn is_wrong(&self, server: &TestApp, code: &str) -> bool {
        (-3..=3).all(|steps| self.code_off(server, steps) != code)
    }
}

/// A code of the right form that is wrong now, another one for each `nth`.
pub(crate) fn wrong_code(server: &TestApp, app: &Authenticator, nth: usize) -> String {
    let width = app.digits as usize;
    let all = (0..10_u64.pow(app.digits)).map(|number| format!("{number:0width$}"));
    all.filter(|code| app.is_wrong(server, code)).nth(nth).unwrap()
}
