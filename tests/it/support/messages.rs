//! What messages would say: the codes of verifications, as the store keeps them sealed.

use std::sync::atomic::{AtomicU32, Ordering};

use countersign::domain::sealing::SealedField;
use countersign::domain::verification::Verification;
use countersign::store::keys;
use countersign::store::records::decode;

use super::{Answer, Client, Service, TestApp};

impl TestApp {
    /// The records of all verifications.
    pub(crate) async fn verifications(&self) -> Vec<Verification> {
        let entries = self.scan(b"v".to_vec()).await;
        let records = entries.iter().map(|(_, entry)| decode(&entry.value).unwrap());
        records.collect()
    }

    /// The verification's record.
    pub(crate) async fn verification(&self, sid: &str) -> Verification {
        let records = self.verifications().await;
        records
            .into_iter()
            .find(|verification: &Verification| verification.sid.to_string() == sid)
            .unwrap()
    }

    /// All codes that were made for the verification, the last one at the end.
    pub(crate) async fn codes(&self, sid: &str) -> Vec<String> {
        let verification = self.verification(sid).await;
        let key = keys::verification(verification.service, verification.sid);
        let open = |sealed| {
            let opened = self
                .app
                .vault
                .open(key.bytes(), SealedField::Code, sealed)
                .unwrap();
            String::from_utf8(opened.to_vec()).unwrap()
        };
        verification.codes.iter().map(|code| open(&code.sealed)).collect()
    }

    /// The code that counts.
    pub(crate) async fn message_code(&self, sid: &str) -> String {
        self.codes(sid).await.pop().unwrap()
    }
}

impl Service {
    /// Sends a code.
    pub(crate) async fn send(&self, client: &Client<'_>, to: &str, form: &[(&str, &str)]) -> Answer {
        let channel = if to.contains('@') { "email" } else { "sms" };
        let form = [&[("To", to), ("Channel", channel)], form].concat();
        client.post(format!("{}/Verifications", self.path), &form).await
    }

    /// Checks a code.
    pub(crate) async fn check(&self, client: &Client<'_>, to: &str, code: &str) -> Answer {
        let form = [("To", to), ("Code", code)];
        client
            .post(format!("{}/VerificationCheck", self.path), &form)
            .await
    }
}

/// A mobile phone's number that no test has used so far.
pub(crate) fn next_number() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("+4915113{:06}", NEXT.fetch_add(1, Ordering::Relaxed))
}

/// A code of as many digits that is not this one.
pub(crate) fn another_code(code: &str) -> String {
    let number: u64 = code.parse().unwrap();
    let most = 10_u64.pow(u32::try_from(code.len()).unwrap());
    format!("{:0width$}", (number + 1) % most, width = code.len())
}
