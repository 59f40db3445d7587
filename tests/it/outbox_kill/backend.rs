//! A backend that changes things, and remembers which of them it knows to have happened.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::Sender;
use std::time::Duration;

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::domain::totp_algorithm::TotpAlgorithm;
use zeroize::Zeroizing;

use crate::server_kill::client::Client;
use crate::server_kill::random::Random;
use crate::server_kill::receiver::Told;

pub(super) struct Backend {
    /// The path of the entities, with a beginning of identities that is this backend's.
    path: String,
    random: Random,
    /// Each has an entity of its own.
    factors: Vec<Factor>,
}

struct Factor {
    /// The path of its entity.
    entity: String,
    /// Unless its creation was not answered.
    sid: Option<String>,
    /// Whether that was answered.
    verified: bool,
    /// The challenges that were answered to be approved.
    approved: BTreeSet<String>,
    /// Whether its deletion was answered.
    deleted: bool,
}

impl Backend {
    pub(super) fn new(number: u64, service: &str, seed: u64) -> Self {
        Self {
            path: format!("/v2/Services/{service}/Entities/user-{number:04}-"),
            random: Random::new(seed),
            factors: Vec::new(),
        }
    }

    /// Goes through the lives of factors until the server is gone. Each answer is reported.
    pub(super) fn work(&mut self, client: &mut Client, answered: &Sender<()>) {
        while self.live(client, answered).is_ok() {}
    }

    fn live(&mut self, client: &mut Client, answered: &Sender<()>) -> io::Result<()> {
        // Nobody listens any more when the server is about to be killed.
        let report = || _ = answered.send(());
        let entity = format!("{}{:08}", self.path, self.factors.len());
        let secret: [u8; 20] = self.random.bytes();
        self.factors.push(Factor {
            entity: entity.clone(),
            sid: None,
            verified: false,
            approved: BTreeSet::new(),
            deleted: false,
        });
        let factor = self.factors.last_mut().unwrap();
        let secret = TotpSecret::from_bytes(Zeroizing::new(secret.to_vec())).unwrap();
        let form = [
            ("FriendlyName", "phone"),
            ("FactorType", "totp"),
            ("Binding.Secret", &secret.to_base32()),
            ("Config.Skew", "2"),
        ];
        let created = client
            .call("POST", &format!("{entity}/Factors"), &form)?
            .expect(201);
        let sid = created["sid"].as_str().unwrap().to_owned();
        factor.sid = Some(sid.clone());
        report();
        let path = format!("{entity}/Factors/{sid}");
        let now = SystemClock.now().seconds() / 30;
        let code = |step| {
            let code = code_at(&secret, TotpAlgorithm::Sha1, 6, step).unwrap();
            code.reveal().to_owned()
        };
        let proof = code(now - 1);
        let form = [("AuthPayload", proof.as_str())];
        factor.verified = client.call("POST", &path, &form)?.expect(200)["status"] == "verified";
        report();
        if !factor.verified {
            return Ok(());
        }
        let challenges = format!("{entity}/Challenges");
        for step in now..=now + 2 {
            let code = code(step);
            let form = [("FactorSid", sid.as_str()), ("AuthPayload", code.as_str())];
            let challenge = client.call("POST", &challenges, &form)?.expect(201);
            if challenge["status"] == "approved" {
                let sid = challenge["sid"].as_str().unwrap();
                factor.approved.insert(sid.to_owned());
            }
            report();
        }
        // Of a factor that is gone no end of a challenge is told, so it is either of both.
        if self.random.below(2) == 0 {
            let end = (SystemClock.now() + Duration::from_secs(2)).to_string();
            let form = [("FactorSid", sid.as_str()), ("ExpirationDate", &end)];
            client.call("POST", &challenges, &form)?.expect(201);
        } else {
            client.call("DELETE", &path, &[])?.expect(204);
            factor.deleted = true;
        }
        report();
        Ok(())
    }

    /// Adds what must have been told, by what the server says now. What was answered has to be there.
    pub(super) fn add_what_happened(&self, client: &mut Client, happened: &mut BTreeSet<Told>) {
        for factor in &self.factors {
            factor.add_what_happened(client, happened).unwrap();
        }
    }
}

impl Factor {
    fn add_what_happened(&self, client: &mut Client, happened: &mut BTreeSet<Told>) -> io::Result<()> {
        let listed = client.call("GET", &format!("{}/Factors", self.entity), &[])?;
        if listed.status == 404 {
            assert_eq!(self.sid, None, "{} is gone", self.entity);
            return Ok(());
        }
        let listed = listed.expect(200);
        let there = listed["factors"].as_array().unwrap().first();
        let sid = there.map(|factor| factor["sid"].as_str().unwrap().to_owned());
        let (Some(sid), deleted) = (sid.clone().or(self.sid.clone()), sid.is_none()) else {
            return Ok(());
        };
        assert!(deleted || !self.deleted, "{sid} is there again");
        let mut add = |event: &str, challenge: Option<&str>| {
            happened.insert(Told {
                event: event.to_owned(),
                factor: sid.clone(),
                challenge: challenge.map(str::to_owned),
            });
        };
        add("factor.created", None);
        let verified = there.map_or(self.verified, |factor| factor["status"] == "verified");
        assert!(verified || !self.verified, "{sid}");
        if verified {
            add("factor.verified", None);
        }
        if deleted {
            add("factor.deleted", None);
        }
        let path = format!("{}/Challenges?PageSize=100", self.entity);
        let mut approved = BTreeSet::new();
        for challenge in client.call("GET", &path, &[])?.expect(200)["challenges"]
            .as_array()
            .unwrap()
        {
            let sid = challenge["sid"].as_str().unwrap();
            match challenge["status"].as_str().unwrap() {
                "approved" => {
                    add("challenge.approved", Some(sid));
                    approved.insert(sid.to_owned());
                }
                "expired" => add("challenge.expired", Some(sid)),
                // It ends in a moment, or it got a code that had gone out of its window on the way.
                "pending" => {
                    let end = challenge["expiration_date"].as_str().unwrap().to_owned();
                    if end < (SystemClock.now() + Duration::from_mins(1)).to_string() {
                        add("challenge.expired", Some(sid));
                    }
                }
                other => panic!("{sid} is {other}"),
            }
        }
        assert!(self.approved.is_subset(&approved), "{sid}: an approval is lost");
        Ok(())
    }
}
