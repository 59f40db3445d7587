//! Somebody with authenticator apps, who remembers every code that was sent and every answer that came.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::Sender;

use countersign::crypto::totp::{TotpSecret, code_at};
use countersign::domain::totp_algorithm::TotpAlgorithm;
use serde_json::Value;

use super::histories::{Statuses, add_what_happened};
use super::line::Line;
use super::random::Random;
use super::receiver::Told;
use super::totp::{Totp, current_step, secret_of};

pub(super) struct User {
    /// The path of the entities, with a beginning of identities that is this user's.
    path: String,
    random: Random,
    factors: Vec<Factor>,
    statuses: Statuses,
    replays: usize,
}

/// An enrolled factor, and what is known of it.
struct Factor {
    totp: Totp,
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
            statuses: Statuses::default(),
            replays: 0,
        }
    }

    pub(super) fn approvals(&self) -> usize {
        self.factors.iter().map(|factor| factor.approved.len()).sum()
    }

    pub(super) fn replays(&self) -> usize {
        self.replays
    }

    /// Enrols factors and uses them until it is over. Each answer is reported.
    pub(super) fn work(&mut self, line: &mut Line, round: u64, answered: &Sender<()>) {
        while !line.is_over() {
            // What was not answered is left as it is; `check` comes back to it.
            _ = self.use_one_factor(line, round, answered);
        }
    }

    fn use_one_factor(&mut self, line: &mut Line, round: u64, answered: &Sender<()>) -> io::Result<()> {
        // Nobody listens any more when enough was answered.
        let report = || _ = answered.send(());
        let entity = self.entity(self.factors.len());
        let secret = secret_of_distinct_codes(&mut self.random);
        let factor = Factor::enrol(line, entity, secret, round)?;
        self.factors.push(factor);
        report();
        let (factor, statuses) = (self.factors.last_mut().unwrap(), &mut self.statuses);
        // From the oldest code that is live for another while to the newest one.
        let now = current_step();
        factor.verify(line, now - 1)?;
        report();
        for step in now..=now + 2 {
            if !factor.verified {
                break;
            }
            let in_two_calls = self.random.below(2) == 0;
            factor.answer(line, statuses, step, in_two_calls)?;
            report();
            // One that was out of the window may still come into it.
            if factor.accepted.contains(&step) && self.random.below(3) == 0 {
                factor.replay(line, statuses, step)?;
                self.replays += 1;
                report();
            }
        }
        Ok(())
    }

    /// Checks all factors enrolled in `round` and later: what was answered is so, and no code that is still live is worth
    /// anything again.
    pub(super) fn check(&mut self, line: &mut Line, round: u64) {
        let statuses = &mut self.statuses;
        for factor in self.factors.iter_mut().filter(|factor| factor.round >= round) {
            factor.check(line, statuses).unwrap();
            let oldest_live = current_step() - 2;
            let replayable: Vec<u64> = factor.accepted.range(oldest_live..).copied().collect();
            for step in replayable {
                factor.replay(line, statuses, step).unwrap();
                self.replays += 1;
            }
            if let Some(step) = factor.unanswered() {
                // It may have been accepted or not: at the second time it certainly was, unless it is out of the window of
                // a server whose clock differs. `Factor::check` counts.
                factor.answer(line, statuses, step, false).unwrap();
                if factor.accepted.contains(&step) {
                    factor.replay(line, statuses, step).unwrap();
                } else {
                    factor.answer(line, statuses, step, false).unwrap();
                }
                self.replays += 2;
            }
            factor.check(line, statuses).unwrap();
        }
    }

    /// Adds what must have been told, by what the servers say now.
    pub(super) fn add_what_happened(&mut self, line: &mut Line, happened: &mut BTreeSet<Told>) {
        for number in (0..=self.factors.len()).step_by(FACTORS_OF_AN_ENTITY) {
            add_what_happened(line, &self.entity(number), &mut self.statuses, happened);
        }
    }

    /// What nobody but this user may know.
    pub(super) fn secrets(&self) -> impl Iterator<Item = &TotpSecret> {
        self.factors.iter().map(|factor| &factor.totp.secret)
    }

    /// The factors with what was enrolled.
    pub(super) fn seeds(&self) -> impl Iterator<Item = (&str, &TotpSecret)> {
        let totps = self.factors.iter().map(|factor| &factor.totp);
        totps.map(|totp| (totp.sid.as_str(), &totp.secret))
    }

    /// The path of the entity of the factor of this number.
    fn entity(&self, number: usize) -> String {
        format!("{}{:08}", self.path, number / FACTORS_OF_AN_ENTITY)
    }
}

/// Some entities have more than one.
const FACTORS_OF_AN_ENTITY: usize = 2;

/// A secret whose codes all differ from each other while its factor is used and checked.
///
/// A replayed code that is by chance the code of another live time step as well is rightly accepted as that one. With up to
/// five live steps a replay that happens to one in some 300,000, and a run of 200 rounds replays some 35,000 codes.
fn secret_of_distinct_codes(random: &mut Random) -> TotpSecret {
    let now = current_step();
    loop {
        let secret = secret_of(random.bytes());
        let steps = now - 5..now + 15;
        let codes: BTreeSet<String> = steps.clone().map(|step| code_of(&secret, step)).collect();
        if codes.len() == steps.count() {
            return secret;
        }
    }
}

impl Factor {
    fn enrol(line: &mut Line, entity: String, secret: TotpSecret, round: u64) -> io::Result<Self> {
        Ok(Self {
            totp: Totp::enrol(line, entity, secret, DIGITS)?,
            round,
            verified: false,
            sent: BTreeSet::new(),
            accepted: BTreeSet::new(),
            approved: BTreeSet::new(),
        })
    }

    fn verify(&mut self, line: &mut Line, step: u64) -> io::Result<()> {
        self.sent.insert(step);
        self.verified = self.totp.verify(line, step)?;
        if self.verified {
            self.accepted.insert(step);
        }
        Ok(())
    }

    /// Has a challenge approved by the code of `step`, unless that went out of its window.
    fn answer(
        &mut self,
        line: &mut Line,
        statuses: &mut Statuses,
        step: u64,
        in_two_calls: bool,
    ) -> io::Result<()> {
        self.sent.insert(step);
        let code = self.totp.code(step);
        let challenge = self.challenge(line, statuses, &code, in_two_calls)?;
        if challenge["status"] == "approved" {
            assert!(
                self.accepted.insert(step),
                "{}: the code of step {step} was accepted twice",
                self.totp.sid
            );
            self.approved
                .insert(challenge["sid"].as_str().unwrap().to_owned());
        }
        Ok(())
    }

    /// Sends a code that was accepted before.
    fn replay(&mut self, line: &mut Line, statuses: &mut Statuses, step: u64) -> io::Result<()> {
        let code = self.totp.code(step);
        let challenge = self.challenge(line, statuses, &code, false)?;
        assert_eq!(
            challenge["status"], "pending",
            "{}: the code of step {step} is worth something again",
            self.totp.sid
        );
        Ok(())
    }

    fn challenge(
        &self,
        line: &mut Line,
        statuses: &mut Statuses,
        code: &str,
        in_two_calls: bool,
    ) -> io::Result<Value> {
        let path = self.totp.challenges();
        let (factor, code) = (("FactorSid", self.totp.sid.as_str()), ("AuthPayload", code));
        if !in_two_calls {
            let answered = line.call("POST", &path, &[factor, code])?.expect(201);
            statuses.observe(&answered);
            return Ok(answered);
        }
        let created = line.call("POST", &path, &[factor])?.expect(201);
        statuses.observe(&created);
        let path = format!("{path}/{}", created["sid"].as_str().unwrap());
        let answered = line.call("POST", &path, &[code])?.expect(200);
        statuses.observe(&answered);
        Ok(answered)
    }

    /// Compares the server's answers with what is known.
    fn check(&self, line: &mut Line, statuses: &mut Statuses) -> io::Result<()> {
        let factor = line.call("GET", &self.totp.path(), &[])?.expect(200);
        let verified = factor["status"] == "verified";
        assert!(
            verified || !self.verified,
            "{}: it is not verified any more",
            self.totp.sid
        );
        let path = format!(
            "{}/Challenges?FactorSid={}&Status=approved&PageSize=100",
            self.totp.entity, self.totp.sid
        );
        let listed = line.call("GET", &path, &[])?.expect(200);
        let listed = listed["challenges"].as_array().unwrap();
        for challenge in listed {
            statuses.observe(challenge);
        }
        let listed: BTreeSet<&str> = listed.iter().map(|c| c["sid"].as_str().unwrap()).collect();
        assert!(
            self.approved.iter().all(|sid| listed.contains(sid.as_str())),
            "{}: {listed:?}",
            self.totp.sid
        );
        // By itself, too.
        if let Some(sid) = self.approved.last() {
            let path = format!("{}/{sid}", self.totp.challenges());
            let challenge = line.call("GET", &path, &[])?.expect(200);
            statuses.observe(&challenge);
            assert_eq!(challenge["status"], "approved", "{sid}");
        }
        // Each code that was ever sent is good for one approval, the first one for the enrolment.
        let uses = listed.len() + usize::from(verified);
        assert!(
            uses <= self.sent.len(),
            "{}: {uses} uses of the codes of {:?}",
            self.totp.sid,
            self.sent
        );
        Ok(())
    }

    /// The time step whose code was sent last, if it was not answered and can still be a challenge's.
    fn unanswered(&self) -> Option<u64> {
        let last = self.sent.last().filter(|step| !self.accepted.contains(*step))?;
        (self.verified && *last >= current_step()).then_some(*last)
    }
}

fn code_of(secret: &TotpSecret, step: u64) -> String {
    let code = code_at(secret, TotpAlgorithm::Sha1, DIGITS, step).unwrap();
    code.reveal().to_owned()
}

const DIGITS: u8 = 6;
