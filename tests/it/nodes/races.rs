//! 64 requests with one code, or with one signature, at the same moment and over three servers: one of them counts.
//!
//! `COUNTERSIGN_NODE_RACE_ROUNDS` sets how often they race (20 unless told).

use std::collections::BTreeSet;
use std::sync::mpsc::{self, Receiver as Queue, Sender};
use std::sync::{Arc, Barrier};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::json;

use super::servers::Nodes;
use crate::server_kill::client::{Answer, Client};
use crate::server_kill::everybody::create_service;
use crate::server_kill::line::{Line, Servers};
use crate::server_kill::phone;
use crate::server_kill::random::Random;
use crate::server_kill::receiver::{Receiver, Told};
use crate::server_kill::server::CREDENTIALS;
use crate::server_kill::totp::{Totp, current_step, secret_of};
use crate::support::number_from;

/// Where the races are, and who is told of who won.
struct Course {
    nodes: Nodes,
    line: Line,
    service: String,
    receiver: Receiver,
    crowd: Crowd,
    won: BTreeSet<Told>,
    /// How long each race took.
    times: Vec<Duration>,
}

impl Course {
    fn open() -> Option<Self> {
        let nodes = Nodes::start(3)?;
        let servers = nodes.servers();
        let mut line = servers.line(0);
        let receiver = Receiver::start();
        Some(Self {
            service: create_service(&mut line, &receiver.url()),
            crowd: Crowd::gather(&servers),
            nodes,
            line,
            receiver,
            won: BTreeSet::new(),
            times: Vec::new(),
        })
    }

    fn entity(&self, name: &str, number: usize) -> String {
        format!("/v2/Services/{}/Entities/{name}-{number:08}", self.service)
    }

    fn race(&mut self, requests: Vec<Request>) -> Vec<Answer> {
        let begin = Instant::now();
        let answers = self.crowd.ask_at_once(requests);
        self.times.push(begin.elapsed());
        answers
    }

    fn won(&mut self, status: &str, factor: &str, challenge: &str) {
        self.won.insert(Told {
            event: format!("challenge.{status}"),
            factor: factor.to_owned(),
            challenge: Some(challenge.to_owned()),
        });
    }

    /// Each race has one winner for everybody who is told of it, too.
    fn close(mut self) {
        let begin = Instant::now();
        let told = || {
            let taken = self.receiver.taken().into_iter();
            // Those that lost end by themselves after a while.
            let answered = taken.filter(|told| told.challenge.is_some() && told.event != "challenge.expired");
            answered.collect::<BTreeSet<_>>()
        };
        while !told().is_superset(&self.won) && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(told(), self.won);
        self.receiver.check_order();
        self.times.sort_unstable();
        let (number, sum) = (self.times.len(), self.times.iter().sum::<Duration>());
        eprintln!(
            "{number} races of {RACERS}, {sum:?} in all, median {:?}, longest {:?}",
            self.times[number / 2],
            self.times[number - 1]
        );
        drop(self.nodes);
    }
}

#[test]
fn of_64_that_send_one_code_to_three_servers_at_once_one_gets_in() {
    let Some(mut course) = Course::open() else { return };
    let rounds = number_from("COUNTERSIGN_NODE_RACE_ROUNDS", 20);
    let mut random = Random::new(1);
    for round in 0..rounds {
        // A new one for each race: a factor has no more than so many challenges in an hour.
        let entity = course.entity("racer", round);
        let totp = Totp::enrol(&mut course.line, entity, secret_of(random.bytes()), 8).unwrap();
        let now = current_step();
        assert!(totp.verify(&mut course.line, now - 1).unwrap());
        let code = totp.code(now);
        // With new challenges, with ones that wait, five tries each, and with both.
        let waiting = [0, 13, 8][round % 3];
        let mut requests = Vec::new();
        for _ in 0..waiting {
            let created = course
                .line
                .call("POST", &totp.challenges(), &[("FactorSid", &totp.sid)])
                .unwrap()
                .expect(201);
            let path = format!("{}/{}", totp.challenges(), created["sid"].as_str().unwrap());
            requests.extend((0..5).map(|_| Request::new(&path, &[("AuthPayload", &code)])));
        }
        let form = [("FactorSid", totp.sid.as_str()), ("AuthPayload", &code)];
        requests.resize_with(RACERS.max(requests.len()), || {
            Request::new(&totp.challenges(), &form)
        });
        requests.truncate(RACERS);
        // Who comes first, and to which server, changes from round to round.
        requests.rotate_left(round * 13 % RACERS);
        let (mut approved, mut created) = (Vec::new(), waiting);
        for answer in course.race(requests) {
            created += usize::from(answer.status == 201);
            match answer.status {
                200 | 201 if answer.body["status"] == "approved" => {
                    approved.push(answer.body["sid"].as_str().unwrap().to_owned());
                }
                200 | 201 => assert_eq!(answer.body["status"], "pending"),
                // Each replay is one of its challenge's tries; an approved challenge takes no more.
                _ => {
                    let refusals = [TRIES_USED_UP, ANSWERED, TOO_MANY_CHALLENGES].map(|code| json!(code));
                    assert!(refusals.contains(&answer.body["code"]), "{answer:?}");
                }
            }
        }
        assert_eq!(created, [50, 13, 32][round % 3]);
        let [winner] = &approved[..] else {
            panic!("round {round}: {approved:?} were approved by one code")
        };
        course.won("approved", &totp.sid, winner);
    }
    course.close();
}

#[test]
fn of_64_that_send_one_signature_to_three_servers_at_once_one_counts() {
    let Some(mut course) = Course::open() else { return };
    let rounds = number_from("COUNTERSIGN_NODE_RACE_ROUNDS", 20);
    let mut phone = None;
    for round in 0..rounds {
        if round % 8 == 0 {
            let entity = course.entity("owner", round);
            let device = phone::enrol(&mut course.line, entity).unwrap();
            phone::verify(&mut course.line, &device).unwrap();
            phone = Some(device);
        }
        let device = phone.as_ref().unwrap();
        let path = phone::ask(&mut course.line, device, Duration::from_mins(5)).unwrap();
        // In every other round there is one that says no as well, in the others the same is signed twice.
        let statuses = [["approved", "approved"], ["approved", "denied"]][round % 2];
        let signed = statuses.map(|status| phone::sign(&mut course.line, device, &path, status).unwrap());
        let credentials = phone::credentials(device);
        let requests = (0..RACERS).map(|racer| Request {
            credentials: credentials.clone(),
            ..Request::new(&path, &[("AuthPayload", &signed[racer / 3 % 2])])
        });
        let answers = course.race(requests.collect());
        let (taken, refused): (Vec<_>, Vec<_>) = answers.iter().partition(|answer| answer.status == 200);
        let [winner] = taken[..] else {
            panic!("round {round}: {} answers were taken", taken.len())
        };
        for answer in refused {
            assert_eq!(
                (answer.status, &answer.body["code"]),
                (403, &json!(ANSWERED)),
                "{answer:?}"
            );
        }
        let shown = course.line.call("GET", &path, &[]).unwrap().expect(200);
        assert_eq!(shown["status"], winner.body["status"]);
        let text = |name: &str| shown[name].as_str().unwrap().to_owned();
        course.won(&text("status"), &device.factor, &text("sid"));
    }
    course.close();
}

/// Many who send at the same moment, each over a connection that is kept, to one server after the other.
struct Crowd(Vec<Racer>);

struct Racer {
    requests: Sender<Request>,
    answers: Queue<Answer>,
}

struct Request {
    credentials: String,
    path: String,
    form: Vec<(String, String)>,
}

impl Request {
    fn new(path: &str, form: &[(&str, &str)]) -> Self {
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Self {
            credentials: CREDENTIALS.to_owned(),
            path: path.to_owned(),
            form: form.iter().map(own).collect(),
        }
    }
}

impl Crowd {
    fn gather(servers: &Arc<Servers>) -> Self {
        let addresses = servers.addresses();
        let barrier = Arc::new(Barrier::new(RACERS));
        let racer = |number: usize| {
            let address = addresses[number % addresses.len()].clone();
            let (requests, asked) = mpsc::channel::<Request>();
            let (answer, answers) = mpsc::channel();
            let barrier = Arc::clone(&barrier);
            thread::spawn(move || {
                let mut client = Client::connect(&address, CREDENTIALS);
                for request in asked {
                    let form: Vec<(&str, &str)> = request
                        .form
                        .iter()
                        .map(|(name, value)| (name.as_str(), value.as_str()))
                        .collect();
                    barrier.wait();
                    let answered = client.call_as(&request.credentials, "POST", &request.path, &form);
                    answer.send(answered.unwrap()).unwrap();
                }
            });
            Racer { requests, answers }
        };
        Self((0..RACERS).map(racer).collect())
    }

    /// Sends each request over a connection of its own; returns the answers in their order.
    fn ask_at_once(&self, requests: Vec<Request>) -> Vec<Answer> {
        assert_eq!(requests.len(), self.0.len());
        for (racer, request) in self.0.iter().zip(requests) {
            racer.requests.send(request).unwrap();
        }
        let answer = |racer: &Racer| racer.answers.recv_timeout(PATIENCE).unwrap();
        self.0.iter().map(answer).collect()
    }
}

const RACERS: usize = 64;
const PATIENCE: Duration = Duration::from_mins(1);
/// What a challenge is that takes no more codes.
const TRIES_USED_UP: u64 = 60308;
/// What a factor has that gets no more for now.
const TOO_MANY_CHALLENGES: u64 = 60312;
/// What a challenge is that was answered.
const ANSWERED: u64 = 60322;
