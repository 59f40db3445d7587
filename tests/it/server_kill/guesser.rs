//! Somebody who guesses, at all servers at the same moment: neither a kill nor a new challenge nor another server gives back
//! a try.

use std::collections::BTreeSet;
use std::io;
use std::sync::mpsc::Sender;
use std::thread;
use std::time::Instant;

use countersign::domain::limits::Failures;

use super::client::Answer;
use super::histories::{Statuses, add_what_happened};
use super::line::Line;
use super::receiver::Told;
use super::totp::{Totp, current_step, secret_of};

pub(super) struct Guesser {
    /// The path of its entity.
    entity: String,
    victim: Option<Victim>,
    enrolled: u8,
    guesses: u64,
    statuses: Statuses,
}

/// The factor whose code is to be guessed.
struct Victim {
    totp: Totp,
    /// Guesses that were answered to be wrong.
    wrong: u32,
    /// When the first of those was sent that were answered together last.
    last: Instant,
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
            statuses: Statuses::default(),
        }
    }

    pub(super) fn guesses(&self) -> u64 {
        self.guesses
    }

    /// Guesses a few times over each of the lines; fewer if it is over before.
    pub(super) fn work(&mut self, lines: &mut [Line], answered: &Sender<()>) {
        for _ in 0..GUESSES_A_ROUND {
            if lines[0].is_over() {
                return;
            }
            if self.guess(lines).is_ok() {
                // Nobody listens any more when enough was answered.
                _ = answered.send(());
            }
        }
    }

    /// Adds what must have been told, by what the servers say now.
    pub(super) fn add_what_happened(&mut self, line: &mut Line, happened: &mut BTreeSet<Told>) {
        add_what_happened(line, &self.entity, &mut self.statuses, happened);
    }

    fn guess(&mut self, lines: &mut [Line]) -> io::Result<()> {
        let Some(victim) = &mut self.victim else {
            self.enrolled += 1;
            self.victim = Some(Victim::enrol(&mut lines[0], &self.entity, self.enrolled)?);
            return Ok(());
        };
        let Some(challenge) = &mut victim.challenge else {
            let form = [("FactorSid", victim.totp.sid.as_str())];
            let path = format!("{}/Challenges", self.entity);
            let created = lines[0].call("POST", &path, &form)?.expect(201);
            self.statuses.observe(&created);
            victim.challenge = Some(Challenge {
                path: format!("{path}/{}", created["sid"].as_str().unwrap()),
                wrong: 0,
                sent: 0,
            });
            return Ok(());
        };
        let code = victim.totp.wrong_code();
        let begin = Instant::now();
        let path = challenge.path.as_str();
        let answers: Vec<io::Result<Answer>> = thread::scope(|scope| {
            let form = [("AuthPayload", code.as_str())];
            let guessing = |line| scope.spawn(move || Line::call(line, "POST", path, &form));
            let guesses: Vec<_> = lines.iter_mut().map(guessing).collect();
            guesses.into_iter().map(|guess| guess.join().unwrap()).collect()
        });
        challenge.sent += u32::try_from(answers.len()).unwrap();
        let (mut failed, mut used_up, mut delayed, mut looked_at) = (None, false, false, false);
        let waited = victim.last.elapsed();
        for answer in answers {
            let answer = match answer {
                Ok(answer) => answer,
                Err(error) => {
                    failed = Some(error);
                    continue;
                }
            };
            self.guesses += 1;
            match (answer.status, answer.body["code"].as_u64()) {
                (200, _) => {
                    assert_eq!(answer.body["status"], "pending");
                    self.statuses.observe(&answer.body);
                    challenge.wrong += 1;
                    victim.wrong += 1;
                    victim.last = begin;
                    looked_at = true;
                }
                (429, Some(TRIES_USED_UP)) => used_up = true,
                (429, Some(DELAYED)) => delayed = true,
                _ => panic!("{answer:?}"),
            }
        }
        assert!(
            challenge.wrong <= 5,
            "a sixth code was tried on {}",
            challenge.path
        );
        // One that is delayed again, behind an eleventh that was not, is what must be.
        assert!(
            !looked_at || victim.wrong <= Failures::DELAYED_FROM || waited >= Failures::FIRST_DELAY,
            "an eleventh code was tried on {} after {waited:?}",
            victim.totp.sid
        );
        assert!(
            !used_up || challenge.sent > 5,
            "only {} codes were sent to {}",
            challenge.sent - 1,
            challenge.path
        );
        if used_up {
            victim.challenge = None;
        }
        if delayed {
            self.victim = None;
        }
        failed.map_or(Ok(()), Err)
    }
}

impl Victim {
    fn enrol(line: &mut Line, entity: &str, number: u8) -> io::Result<Self> {
        let totp = Totp::enrol(line, entity.to_owned(), secret_of([number; 20]), DIGITS)?;
        assert!(totp.verify(line, current_step())?);
        Ok(Self {
            totp,
            wrong: 0,
            last: Instant::now(),
            challenge: None,
        })
    }
}

const DIGITS: u8 = 8;
const GUESSES_A_ROUND: u32 = 5;
const TRIES_USED_UP: u64 = 60308;
const DELAYED: u64 = 20429;
