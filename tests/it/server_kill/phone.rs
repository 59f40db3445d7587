//! Somebody with phones that sign what they are asked, who remembers every signature.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind};
use std::sync::mpsc::Sender;
use std::time::Duration;

use countersign::domain::challenge::{Challenge, Outcome};
use countersign::domain::time::{Clock as _, SystemClock};
use serde_json::{Map, Value, json};

use super::histories::{Statuses, add_what_happened};
use super::line::Line;
use super::random::Random;
use super::receiver::Told;
use crate::support::Device;
use crate::support::device::borrowed;

pub(super) struct PhoneOwner {
    /// The path of the entities, with a beginning of identities that is this owner's.
    path: String,
    random: Random,
    phones: Vec<Phone>,
    /// Whether some challenges are left to end by themselves.
    lets_end: bool,
    /// How many entities were begun, answered or not.
    entities: usize,
    statuses: Statuses,
}

/// An enrolled phone, and what is known of it.
struct Phone {
    device: Device,
    round: u64,
    /// That it is verified was answered.
    verified: bool,
    asked: Vec<Asked>,
}

/// A challenge that was created.
struct Asked {
    /// The path of the challenge.
    path: String,
    /// What was signed and sent, and what it says: answered or not.
    sent: Option<(String, &'static str)>,
    /// That this was taken was answered.
    taken: bool,
}

impl PhoneOwner {
    pub(super) fn new(number: u64, service: &str, seed: u64, lets_end: bool) -> Self {
        Self {
            path: format!("/v2/Services/{service}/Entities/owner-{number:04}-"),
            random: Random::new(seed),
            phones: Vec::new(),
            lets_end,
            entities: 0,
            statuses: Statuses::default(),
        }
    }

    /// How many signed answers were taken.
    pub(super) fn answers(&self) -> usize {
        let asked = self.phones.iter().flat_map(|phone| &phone.asked);
        asked.filter(|asked| asked.taken).count()
    }

    /// Enrols phones and answers with them until it is over. Each answer is reported.
    pub(super) fn work(&mut self, line: &mut Line, round: u64, answered: &Sender<()>) {
        while !line.is_over() {
            // What was not answered is left as it is; `check` comes back to it.
            _ = self.use_one_phone(line, round, answered);
        }
    }

    fn use_one_phone(&mut self, line: &mut Line, round: u64, answered: &Sender<()>) -> io::Result<()> {
        // Nobody listens any more when enough was answered.
        let report = || _ = answered.send(());
        let entity = format!("{}{:08}", self.path, self.entities + 1);
        let device = enrol(line, entity);
        // While no server is up nothing is sent, as fast as a thread can: all that were begun are asked for in the end.
        if !matches!(&device, Err(error) if error.kind() == ErrorKind::NotConnected) {
            self.entities += 1;
        }
        let device = device?;
        report();
        self.phones.push(Phone {
            device,
            round,
            verified: false,
            asked: Vec::new(),
        });
        let (phone, statuses) = (self.phones.last_mut().unwrap(), &mut self.statuses);
        phone.verify(line)?;
        report();
        if self.lets_end && self.random.below(4) == 0 {
            phone.ask(line, Duration::from_secs(2))?;
            report();
        }
        for _ in 0..3 {
            phone.ask(line, LIFETIME)?;
            report();
            let status = if self.random.below(3) == 0 {
                "denied"
            } else {
                "approved"
            };
            phone.answer(line, statuses, status)?;
            report();
            if self.random.below(3) == 0 {
                phone.answer_again(line, statuses, phone.asked.len() - 1)?;
                report();
            }
        }
        Ok(())
    }

    /// Checks all phones enrolled in `round` and later: what was answered is so, and what was answered once cannot be answered
    /// again.
    pub(super) fn check(&mut self, line: &mut Line, round: u64) {
        let statuses = &mut self.statuses;
        for phone in self.phones.iter_mut().filter(|phone| phone.round >= round) {
            phone.check(line, statuses).unwrap();
        }
    }

    /// Adds what must have been told, by what the servers say now.
    pub(super) fn add_what_happened(&mut self, line: &mut Line, happened: &mut BTreeSet<Told>) {
        for number in 1..=self.entities {
            let entity = format!("{}{number:08}", self.path);
            add_what_happened(line, &entity, &mut self.statuses, happened);
        }
    }

    /// Takes out the records of this owner's challenges, and checks that each that was answered holds what was signed.
    pub(super) fn take_evidence(&self, records: &mut BTreeMap<String, Challenge>) {
        for phone in &self.phones {
            for asked in &phone.asked {
                let record = records.remove(asked.sid()).unwrap();
                let (status, answer) = match &record.outcome {
                    Outcome::Approved(answer) => ("approved", answer),
                    Outcome::Denied(answer) => ("denied", answer),
                    Outcome::Pending | Outcome::Expired => {
                        assert!(!asked.taken, "{} is forgotten", asked.sid());
                        continue;
                    }
                };
                let kept = answer.signed.as_deref().unwrap();
                let (sent, said) = asked.sent.as_ref().unwrap();
                assert_eq!((kept, status), (sent.as_str(), *said), "{}", asked.sid());
                assert!(phone.device.has_signed(kept), "{}", asked.sid());
            }
        }
    }
}

impl Asked {
    fn sid(&self) -> &str {
        self.path.rsplit('/').next().unwrap()
    }
}

impl Phone {
    fn verify(&mut self, line: &mut Line) -> io::Result<()> {
        verify(line, &self.device)?;
        self.verified = true;
        Ok(())
    }

    fn ask(&mut self, line: &mut Line, lasting: Duration) -> io::Result<()> {
        self.asked.push(Asked {
            path: ask(line, &self.device, lasting)?,
            sent: None,
            taken: false,
        });
        Ok(())
    }

    /// Answers the last challenge.
    fn answer(&mut self, line: &mut Line, statuses: &mut Statuses, status: &'static str) -> io::Result<()> {
        let asked = self.asked.last_mut().unwrap();
        let signed = sign(line, &self.device, &asked.path, status)?;
        asked.sent = Some((signed, status));
        self.send(line, statuses, self.asked.len() - 1)
    }

    /// Sends what was signed.
    fn send(&mut self, line: &mut Line, statuses: &mut Statuses, number: usize) -> io::Result<()> {
        let credentials = credentials(&self.device);
        let asked = &mut self.asked[number];
        let (signed, status) = asked.sent.as_ref().unwrap();
        let answered = line
            .call_as(&credentials, "POST", &asked.path, &[("AuthPayload", signed)])?
            .expect(200);
        statuses.observe(&answered);
        assert_eq!(answered["status"], *status, "{}", asked.path);
        asked.taken = true;
        Ok(())
    }

    /// Sends what was taken before.
    fn answer_again(&self, line: &mut Line, statuses: &mut Statuses, number: usize) -> io::Result<()> {
        let asked = &self.asked[number];
        let (signed, status) = asked.sent.as_ref().unwrap();
        let form = [("AuthPayload", signed.as_str())];
        let again = line.call_as(&credentials(&self.device), "POST", &asked.path, &form)?;
        assert_eq!(
            (again.status, &again.body["code"]),
            (403, &json!(ANSWERED)),
            "{again:?}"
        );
        let shown = line.call("GET", &asked.path, &[])?.expect(200);
        statuses.observe(&shown);
        assert_eq!(shown["status"], *status, "{}", asked.path);
        Ok(())
    }

    fn check(&mut self, line: &mut Line, statuses: &mut Statuses) -> io::Result<()> {
        let factor = line.call("GET", &self.device.path(), &[])?.expect(200);
        assert!(
            factor["status"] == "verified" || !self.verified,
            "{}: it is not verified any more",
            self.device.factor
        );
        for number in 0..self.asked.len() {
            let path = &self.asked[number].path;
            let shown = line.call("GET", path, &[])?.expect(200);
            statuses.observe(&shown);
            let asked = &mut self.asked[number];
            let Some((_, status)) = &asked.sent else {
                assert!(
                    shown["status"] == "pending" || shown["status"] == "expired",
                    "{shown}"
                );
                continue;
            };
            if shown["status"] == *status {
                asked.taken = true;
            } else {
                // It was not answered, so it may not have come.
                assert!(!asked.taken && shown["status"] == "pending", "{shown}");
                self.send(line, statuses, number)?;
            }
            self.answer_again(line, statuses, number)?;
        }
        Ok(())
    }
}

/// A phone that is enrolled at this entity.
///
/// # Errors
/// As [`Line::call`], as with all of these.
pub(crate) fn enrol(line: &mut Line, entity: String) -> io::Result<Device> {
    let mut device = Device::new();
    let form = device.enrolment();
    let created = line
        .call("POST", &format!("{entity}/Factors"), &borrowed(&form))?
        .expect(201);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    device.account = text(&created["account_sid"]);
    device.factor = text(&created["sid"]);
    device.credential = text(&created["config"]["credential_sid"]);
    device.entity = entity;
    Ok(device)
}

/// Proves the enrolment.
pub(crate) fn verify(line: &mut Line, device: &Device) -> io::Result<()> {
    let proof = device.proof(&device.factor);
    let form = [("AuthPayload", proof.as_str())];
    let verified = line
        .call_as(&credentials(device), "POST", &device.path(), &form)?
        .expect(200);
    assert_eq!(verified["status"], "verified");
    Ok(())
}

/// Asks the phone's holder; the path of the challenge.
///
/// # Errors
/// As [`Line::call`]; also when it ended before it was asked, as behind a database that was away for longer than it lasts.
pub(crate) fn ask(line: &mut Line, device: &Device, lasting: Duration) -> io::Result<String> {
    let end = SystemClock.now() + lasting;
    let form = [
        ("FactorSid", device.factor.as_str()),
        ("Details.Message", "Log in?"),
        ("ExpirationDate", &end.to_string()),
    ];
    let path = format!("{}/Challenges", device.entity);
    let answer = line.call("POST", &path, &form)?;
    if answer.status == 400 && SystemClock.now() >= end {
        return Err(io::Error::other(answer.body.to_string()));
    }
    let created = answer.expect(201);
    Ok(format!("{path}/{}", created["sid"].as_str().unwrap()))
}

/// Signs an answer as the SDK does: fetches the challenge, and signs what the header names.
pub(crate) fn sign(line: &mut Line, device: &Device, challenge: &str, status: &str) -> io::Result<String> {
    let shown = line.call_as(&credentials(device), "GET", challenge, &[])?;
    let fields = shown.header("twilio-verify-signature-fields").map(str::to_owned);
    let shown = shown.expect(200);
    let fields = fields.unwrap();
    let members = fields
        .split(',')
        .map(|name| (name.to_owned(), shown[name].clone()));
    let mut payload: Map<String, Value> = members.collect();
    payload.insert("status".to_owned(), status.into());
    Ok(device.jws(&json!({"typ": "JWT", "alg": "ES256"}), &payload.into()))
}

/// The phone's, of now.
pub(crate) fn credentials(device: &Device) -> String {
    format!("token:{}", device.jwt(SystemClock.now().seconds()))
}

/// Longer than a round takes.
const LIFETIME: Duration = Duration::from_mins(30);
/// What a challenge is that was answered.
const ANSWERED: u64 = 60322;
