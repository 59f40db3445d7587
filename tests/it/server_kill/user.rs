//! Somebody with authenticator apps, who remembers every code that was sent and every answer that came.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::Sender;

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::domain::totp_algorithm::TotpAlgorithm;
use zeroize::Zeroizing;

use super::client::Client;
use super::random::Random;

pub(super) struct User {
    /// The path of the entities, with a beginning of identities that is this user's.
    path: String,
    random: Random,
    factors: Vec<Factor>,
    replays: usize,
}

/// An enrolled factor, and what is known of it.
pub(super) struct Factor {
    /// The path of its entity.
    entity: String,
    sid: String,
    secret: TotpSecret,
    round: u64,
    /// That it is verified was answered.
    verified: bool,
    /// The time steps whose codes were sent, answered or not.
    sent: BTreeSet<u64>,
    /// The time steps whose codes were accepted, as far as that was answered.
    accepted: BTreeSet<u64>,
    /// The challenges whose approval was answered.
    approved: BTreeSet<String>,
}

impl User {
    pub(super) fn new(number: u64, service: &str, seed: u64) -> Self {
        Self {
            path: format!("/v2/Services/{service}/Entities/user-{number:04}-"),
            random: Random::new(seed),
            factors: Vec::new(),
            replays: 0,
        }
    }

    pub(super) fn approvals(&self) -> usize {
        self.factors.iter().map(|factor| factor.approved.len()).sum()
    }

    pub(super) fn replays(&self) -> usize {
        self.replays
    }

    /// Enrols factors and uses them until the server is gone. Each answer is reported.
    pub(super) fn work(&mut self, client: &mut Client, round: u64, answered: &Sender<()>) {
        while self.use_one_factor(client, round, answered).is_ok() {}
    }

    fn use_one_factor(&mut self, client: &mut Client, round: u64, answered: &Sender<()>) -> io::Result<()> {
        // Nobody listens any more when the server is about to be killed.
        let report = || _ = answered.send(());
        // Every other entity gets one more factor.
        let identity = self.factors.len() / 2;
        let entity = format!("{}{identity:08}", self.path);
        let secret = secret_of_distinct_codes(&mut self.random);
        let factor = Factor::enrol(client, entity, secret, round)?;
        self.factors.push(factor);
        report();
        let factor = self.factors.last_mut().unwrap();
        // From the oldest code that is live for another while to the newest one.
        let now = current_step();
        factor.verify(client, now - 1)?;
        report();
        for step in now..=now + 2 {
            if !factor.verified {
                break;
            }
            let in_two_calls = self.random.below(2) == 0;
            factor.answer(client, step, in_two_calls)?;
            report();
            if self.random.below(3) == 0 {
                factor.replay(client, step)?;
                self.replays += 1;
                report();
            }
        }
        Ok(())
    }

    /// Checks all factors enrolled in `round` and later: what was answered is so, and no code that is still live is worth
    /// anything again.
    pub(super) fn check(&mut self, client: &mut Client, round: u64) {
        for factor in self.factors.iter_mut().filter(|factor| factor.round >= round) {
            factor.check(client).unwrap();
            let oldest_live = current_step() - 2;
            let live: Vec<u64> = factor.accepted.range(oldest_live..).copied().collect();
            for step in live {
                factor.replay(client, step).unwrap();
                self.replays += 1;
            }
            if let Some(step) = factor.unanswered() {
                // It may have been accepted or not: at the second time it certainly was.
                factor.answer(client, step, false).unwrap();
                factor.replay(client, step).unwrap();
                self.replays += 2;
            }
            factor.check(client).unwrap();
        }
    }
}

/// A secret whose codes all differ from each other while its factor is used and checked.
///
/// A replayed code that is by chance the code of another live time step as well is rightly accepted as that one. With up to
/// five live steps a replay that happens to one in some 300,000, and a run of 200 rounds replays some 35,000 codes.
fn secret_of_distinct_codes(random: &mut Random) -> TotpSecret {
    let now = current_step();
    loop {
        let bytes: [u8; 20] = random.bytes();
        let secret = TotpSecret::from_bytes(Zeroizing::new(bytes.to_vec())).unwrap();
        let steps = now - 5..now + 15;
        let codes: BTreeSet<String> = steps.clone().map(|step| code_of(&secret, step)).collect();
        if codes.len() == steps.count() {
            return secret;
        }
    }
}

impl Factor {
    fn enrol(client: &mut Client, entity: String, secret: TotpSecret, round: u64) -> io::Result<Self> {
        let form = [
            ("FriendlyName", "phone"),
            ("FactorType", "totp"),
            ("Binding.Secret", &secret.to_base32()),
            ("Config.Skew", "2"),
        ];
        let created = client
            .call("POST", &format!("{entity}/Factors"), &form)?
            .expect(201);
        Ok(Self {
            entity,
            sid: created["sid"].as_str().unwrap().to_owned(),
            secret,
            round,
            verified: false,
            sent: BTreeSet::new(),
            accepted: BTreeSet::new(),
            approved: BTreeSet::new(),
        })
    }

    fn verify(&mut self, client: &mut Client, step: u64) -> io::Result<()> {
        self.sent.insert(step);
        let code = self.code(step);
        let form = [("AuthPayload", code.as_str())];
        let updated = client
            .call("POST", &format!("{}/Factors/{}", self.entity, self.sid), &form)?
            .expect(200);
        // It would not be verified if the code had gone out of its window on the way.
        self.verified = updated["status"] == "verified";
        if self.verified {
            self.accepted.insert(step);
        }
        Ok(())
    }

    /// Has a challenge approved by the code of `step`, unless that went out of its window.
    fn answer(&mut self, client: &mut Client, step: u64, in_two_calls: bool) -> io::Result<()> {
        self.sent.insert(step);
        let code = self.code(step);
        let challenge = self.challenge(client, &code, in_two_calls)?;
        if challenge["status"] == "approved" {
            assert!(
                self.accepted.insert(step),
                "{}: the code of step {step} was accepted twice",
                self.sid
            );
            self.approved
                .insert(challenge["sid"].as_str().unwrap().to_owned());
        }
        Ok(())
    }

    /// Sends a code that was accepted before.
    fn replay(&mut self, client: &mut Client, step: u64) -> io::Result<()> {
        let code = self.code(step);
        let challenge = self.challenge(client, &code, false)?;
        assert_eq!(
            challenge["status"], "pending",
            "{}: the code of step {step} is worth something again",
            self.sid
        );
        Ok(())
    }

    fn challenge(
        &self,
        client: &mut Client,
        code: &str,
        in_two_calls: bool,
    ) -> io::Result<serde_json::Value> {
        let path = format!("{}/Challenges", self.entity);
        let (factor, code) = (("FactorSid", self.sid.as_str()), ("AuthPayload", code));
        if !in_two_calls {
            return Ok(client.call("POST", &path, &[factor, code])?.expect(201));
        }
        let created = client.call("POST", &path, &[factor])?.expect(201);
        let path = format!("{path}/{}", created["sid"].as_str().unwrap());
        Ok(client.call("POST", &path, &[code])?.expect(200))
    }

    /// Compares the server's answers with what is known.
    fn check(&self, client: &mut Client) -> io::Result<()> {
        let factor = client
            .call("GET", &format!("{}/Factors/{}", self.entity, self.sid), &[])?
            .expect(200);
        let verified = factor["status"] == "verified";
        assert!(
            verified || !self.verified,
            "{}: it is not verified any more",
            self.sid
        );
        for sid in &self.approved {
            let path = format!("{}/Challenges/{sid}", self.entity);
            let challenge = client.call("GET", &path, &[])?.expect(200);
            assert_eq!(challenge["status"], "approved", "{sid}");
        }
        let path = format!(
            "{}/Challenges?FactorSid={}&Status=approved&PageSize=100",
            self.entity, self.sid
        );
        let listed = client.call("GET", &path, &[])?.expect(200);
        let listed: BTreeSet<&str> = listed["challenges"]
            .as_array()
            .unwrap()
            .iter()
            .map(|c| c["sid"].as_str().unwrap())
            .collect();
        assert!(
            self.approved.iter().all(|sid| listed.contains(sid.as_str())),
            "{}: {listed:?}",
            self.sid
        );
        // Each code that was ever sent is good for one approval, the first one for the enrolment.
        let uses = listed.len() + usize::from(verified);
        assert!(
            uses <= self.sent.len(),
            "{}: {uses} uses of the codes of {:?}",
            self.sid,
            self.sent
        );
        Ok(())
    }

    /// The time step whose code was sent last, if it was not answered and can still be a challenge's.
    fn unanswered(&self) -> Option<u64> {
        let last = self.sent.last().filter(|step| !self.accepted.contains(*step))?;
        (self.verified && *last >= current_step()).then_some(*last)
    }

    fn code(&self, step: u64) -> String {
        code_of(&self.secret, step)
    }
}

fn code_of(secret: &TotpSecret, step: u64) -> String {
    let code = code_at(secret, TotpAlgorithm::Sha1, 6, step).unwrap();
    code.reveal().to_owned()
}

fn current_step() -> u64 {
    SystemClock.now().seconds() / 30
}
