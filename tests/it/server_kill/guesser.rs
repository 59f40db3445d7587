//! Somebody who guesses: neither a kill nor a new challenge gives back a try.

use std::io;
use std::sync::mpsc::Sender;

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::time::{Clock as _, SystemClock};
use countersign::domain::totp_algorithm::TotpAlgorithm;
use zeroize::Zeroizing;

use super::client::Client;

pub(super) struct Guesser {
    /// The path of its entity.
    entity: String,
    victim: Option<Victim>,
    enrolled: u8,
    guesses: u64,
}

/// The factor whose code is to be guessed.
struct Victim {
    sid: String,
    secret: TotpSecret,
    /// Guesses that were answered to be wrong.
    wrong: u32,
    challenge: Option<Challenge>,
}

struct Challenge {
    path: String,
    wrong: u32,
    /// Answered or not.
    sent: u32,
}

impl Guesser {
    pub(super) fn new(service: &str) -> Self {
        Self {
            entity: format!("/v2/Services/{service}/Entities/guesser-1"),
            victim: None,
            enrolled: 0,
            guesses: 0,
        }
    }

    pub(super) fn guesses(&self) -> u64 {
        self.guesses
    }

    /// Guesses a few times; fewer if the server is gone before.
    pub(super) fn work(&mut self, client: &mut Client, answered: &Sender<()>) {
        for _ in 0..GUESSES_A_ROUND {
            if self.guess(client).is_err() {
                return;
            }
            // Nobody listens any more when the server is about to be killed.
            _ = answered.send(());
        }
    }

    fn guess(&mut self, client: &mut Client) -> io::Result<()> {
        let Some(victim) = &mut self.victim else {
            self.enrolled += 1;
            self.victim = Some(Victim::enrol(client, &self.entity, self.enrolled)?);
            return Ok(());
        };
        let Some(challenge) = &mut victim.challenge else {
            let form = [("FactorSid", victim.sid.as_str())];
            let created = client
                .call("POST", &format!("{}/Challenges", self.entity), &form)?
                .expect(201);
            victim.challenge = Some(Challenge {
                path: format!("{}/Challenges/{}", self.entity, created["sid"].as_str().unwrap()),
                wrong: 0,
                sent: 0,
            });
            return Ok(());
        };
        let code = wrong_code(&victim.secret);
        challenge.sent += 1;
        let answer = client.call("POST", &challenge.path, &[("AuthPayload", &code)])?;
        self.guesses += 1;
        match (answer.status, answer.body["code"].as_u64()) {
            (200, _) => {
                assert_eq!(answer.body["status"], "pending");
                challenge.wrong += 1;
                victim.wrong += 1;
                assert!(
                    challenge.wrong <= 5,
                    "a sixth code was tried on {}",
                    challenge.path
                );
                assert!(
                    victim.wrong <= 10,
                    "an eleventh code was tried on {} without delay",
                    victim.sid
                );
            }
            (429, Some(TRIES_USED_UP)) => {
                assert!(
                    challenge.sent > 5,
                    "only {} codes were sent to {}",
                    challenge.sent - 1,
                    challenge.path
                );
                victim.challenge = None;
            }
            (429, Some(DELAYED)) => self.victim = None,
            _ => panic!("{answer:?}"),
        }
        Ok(())
    }
}

impl Victim {
    fn enrol(client: &mut Client, entity: &str, number: u8) -> io::Result<Self> {
        let secret = TotpSecret::from_bytes(Zeroizing::new(vec![number; 20])).unwrap();
        let form = [
            ("FriendlyName", "victim"),
            ("FactorType", "totp"),
            ("Binding.Secret", &secret.to_base32()),
            ("Config.CodeLength", "8"),
        ];
        let created = client
            .call("POST", &format!("{entity}/Factors"), &form)?
            .expect(201);
        let sid = created["sid"].as_str().unwrap().to_owned();
        let code = code_at(&secret, TotpAlgorithm::Sha1, 8, current_step()).unwrap();
        let form = [("AuthPayload", code.reveal())];
        let updated = client
            .call("POST", &format!("{entity}/Factors/{sid}"), &form)?
            .expect(200);
        assert_eq!(updated["status"], "verified");
        Ok(Self {
            sid,
            secret,
            wrong: 0,
            challenge: None,
        })
    }
}

/// A code that belongs to no time step near now.
fn wrong_code(secret: &TotpSecret) -> String {
    let now = current_step();
    let near: Vec<String> = (now - 5..=now + 5)
        .map(|step| {
            code_at(secret, TotpAlgorithm::Sha1, 8, step)
                .unwrap()
                .reveal()
                .to_owned()
        })
        .collect();
    let mut candidates = (0..).map(|number| format!("{number:08}"));
    candidates.find(|code| !near.contains(code)).unwrap()
}

fn current_step() -> u64 {
    SystemClock.now().seconds() / 30
}

const GUESSES_A_ROUND: u32 = 5;
const TRIES_USED_UP: u64 = 60308;
const DELAYED: u64 = 20429;
