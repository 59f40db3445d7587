//! All clients, and what is checked of their histories: the same whatever the servers keep their data in.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::io::Write as _;
use std::panic::resume_unwind;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{self, Receiver as Queue};
use std::sync::{Arc, Mutex};
use std::thread::{self, ScopedJoinHandle};
use std::time::{Duration, Instant};

use countersign::app::App;
use countersign::domain::challenge::Challenge;
use countersign::domain::factor::{Factor, FactorKind, FactorType};
use countersign::domain::sealing::SealedField;
use countersign::flows;
use countersign::store::records::decode;
use countersign::store::{Order, Scan};

use super::audit::check_audit;
use super::guesser::Guesser;
use super::line::{Line, Servers};
use super::phone::PhoneOwner;
use super::random::Random;
use super::receiver::{Receiver, Told};
use super::server::TOKEN;
use super::totp::FRIENDLY_NAME;
use super::user::User;

/// All clients, and who is told of what they do.
pub(crate) struct Everybody {
    service: String,
    receiver: Receiver,
    users: Vec<User>,
    owners: Vec<PhoneOwner>,
    guesser: Guesser,
    /// Lines of all clients began with so many servers in between.
    lines: usize,
    /// The requests to change something that were answered, by their identifiers.
    answered: BTreeMap<String, String>,
}

/// What clients were answered, one by one.
pub(crate) struct Answers(Queue<()>);

impl Answers {
    /// Waits for so many.
    pub(crate) fn wait_for(&self, number: u64) {
        for _ in 0..number {
            self.0
                .recv_timeout(PATIENCE)
                .expect("servers answer until they are killed, or soon after");
        }
    }

    /// Forgets those that came so far.
    pub(crate) fn forget(&self) {
        while self.0.try_recv().is_ok() {}
    }
}

impl Everybody {
    /// Clients of servers that are up and new.
    pub(crate) fn new(servers: &Arc<Servers>, random: &mut Random) -> Self {
        Self::with(servers, random, true)
    }

    /// Those of servers whose clocks differ: no challenge ends while somebody looks at it, as it does so at another moment for
    /// each server.
    pub(crate) fn of_different_clocks(servers: &Arc<Servers>, random: &mut Random) -> Self {
        Self::with(servers, random, false)
    }

    fn with(servers: &Arc<Servers>, random: &mut Random, lets_end: bool) -> Self {
        let receiver = Receiver::start();
        let mut line = servers.line(0);
        let service = create_service(&mut line, &receiver.url());
        let user = |number| User::new(number, &service, random.below(u64::MAX));
        let users = (0..USERS).map(user).collect();
        let owner = |number| PhoneOwner::new(number, &service, random.below(u64::MAX), lets_end);
        Self {
            users,
            owners: (0..PHONE_OWNERS).map(owner).collect(),
            guesser: Guesser::new(&service),
            receiver,
            service,
            lines: 0,
            answered: servers.take_answered(),
        }
    }

    /// Lets everybody work while something is done to the servers, and until that is done.
    pub(crate) fn work(&mut self, servers: &Arc<Servers>, round: u64, trouble: impl FnOnce(&Answers)) {
        let (answered, answers) = mpsc::channel();
        servers.begin_again();
        let mut line = || {
            self.lines += 1;
            servers.line(self.lines)
        };
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for user in &mut self.users {
                let (mut line, answered) = (line(), answered.clone());
                clients.push(scope.spawn(move || user.work(&mut line, round, &answered)));
            }
            for owner in &mut self.owners {
                let (mut line, answered) = (line(), answered.clone());
                clients.push(scope.spawn(move || owner.work(&mut line, round, &answered)));
            }
            let mut lines: Vec<Line> = (0..servers.number()).map(|_| line()).collect();
            let guesser = &mut self.guesser;
            clients.push(scope.spawn(move || guesser.work(&mut lines, &answered)));
            let end = EndWhenDropped(servers);
            trouble(&Answers(answers));
            drop(end);
            clients.into_iter().for_each(join);
        });
        self.answered.append(&mut servers.take_answered());
    }

    /// Checks whatever was answered since `round`.
    pub(crate) fn check(&mut self, servers: &Arc<Servers>, round: u64) {
        let path = format!("/v2/Services/{}", self.service);
        servers.line(0).call("GET", &path, &[]).unwrap().expect(200);
        self.everybody_asks(
            servers,
            |user, line| user.check(line, round),
            |owner, line| owner.check(line, round),
        );
        self.answered.append(&mut servers.take_answered());
    }

    /// Waits until all that happened was told, and checks that nothing else was.
    pub(crate) fn check_events(&mut self, servers: &Arc<Servers>) {
        let happened = self.what_happened(servers);
        let begin = Instant::now();
        let mut taken = self.receiver.taken();
        while !taken.is_superset(&happened) && begin.elapsed() < PATIENCE {
            thread::sleep(Duration::from_millis(50));
            taken = self.receiver.taken();
        }
        let missing: Vec<_> = happened.difference(&taken).collect();
        assert!(missing.is_empty(), "never told: {missing:?}");
        let happened = self.what_happened(servers);
        let invented: Vec<_> = taken.difference(&happened).collect();
        assert!(invented.is_empty(), "told, but not so: {invented:?}");
        self.receiver.check_order();
        eprintln!(
            "{} events, told {} times, {:?} until the last one",
            taken.len(),
            self.receiver.tries(),
            begin.elapsed()
        );
    }

    /// Checks what no answer shows: that all in the store fits together, and that what phones signed is in it.
    pub(crate) async fn check_records(&self, app: &App) {
        let report = flows::check_store::check_store(app).await.unwrap();
        assert!(report.is_healthy(), "{report}");
        check_audit(app, &self.answered).await;
        let scan = Scan {
            prefix: b"e".to_vec(),
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        let entries = app.store.scan(scan).await.unwrap();
        let challenges = entries
            .iter()
            .filter_map(|(_, entry)| decode::<Challenge>(&entry.value).ok());
        let mut records: BTreeMap<String, Challenge> = challenges
            .map(|challenge| (challenge.sid.to_string(), challenge))
            .collect();
        for owner in &self.owners {
            owner.take_evidence(&mut records);
        }
        // Those whose creation was not answered.
        let unasked = records
            .values()
            .filter(|challenge| challenge.factor_type == FactorType::Push);
        for challenge in unasked {
            assert!(challenge.answer().is_none(), "{challenge:?}");
        }
    }

    /// Checks that the seed of every factor is the one that was enrolled, whatever keys seal it by now: its codes are the same.
    pub(crate) async fn check_seeds(&self, app: &App) {
        let scan = Scan {
            prefix: b"e".to_vec(),
            after: None,
            order: Order::Ascending,
            limit: usize::MAX,
        };
        let mut seeds = BTreeMap::new();
        for (key, entry) in app.store.scan(scan).await.unwrap() {
            if let Ok(Factor {
                sid,
                kind: FactorKind::Totp(totp),
                ..
            }) = decode(&entry.value)
            {
                let seed = app.vault.open(&key, SealedField::TotpSecret, &totp.secret);
                seeds.insert(sid.to_string(), seed.unwrap());
            }
        }
        let enrolled = self.users.iter().flat_map(User::seeds);
        let mut count = 0;
        for (sid, secret) in enrolled {
            assert_eq!(seeds[sid].as_slice(), secret.as_bytes(), "{sid}");
            count += 1;
        }
        assert!(count > 0, "nobody enrolled anything");
    }

    /// Checks that no secret is in any file below these directories, where names are that are none.
    pub(crate) fn check_files(&self, directories: &[&Path]) {
        let public = Needles(vec![FRIENDLY_NAME.as_bytes().to_vec()]);
        for directory in directories {
            assert_ne!(
                public.found(directory),
                "",
                "{} holds no names",
                directory.display()
            );
        }
        let mut secret = Needles(vec![TOKEN.as_bytes().to_vec()]);
        for user in &self.users {
            for totp in user.secrets() {
                let bytes = totp.as_bytes();
                secret.0.push(bytes.to_vec());
                secret.0.push(totp.to_base32().as_bytes().to_vec());
                secret.0.push(hex(bytes).into_bytes());
            }
        }
        for directory in directories {
            assert_eq!(secret.found(directory), "", "these files hold secrets");
        }
    }

    /// Checks that nobody was told of anything a second time.
    pub(crate) fn check_told_once(&self) {
        assert_eq!(self.receiver.tries(), self.receiver.taken().len());
    }

    pub(crate) fn summarize(&self, servers: &Servers, rounds: u64) {
        let approvals: usize = self.users.iter().map(User::approvals).sum();
        let replays: usize = self.users.iter().map(User::replays).sum();
        let answers: usize = self.owners.iter().map(PhoneOwner::answers).sum();
        let guesses = self.guesser.guesses();
        eprintln!(
            "{approvals} approvals by code, {replays} replays, {answers} signed answers, {guesses} guesses; {}",
            servers.slowest_answer()
        );
        let enough = usize::try_from(rounds).unwrap();
        assert!(
            approvals > enough && replays > enough && answers > enough / 2 && guesses > rounds / 2,
            "too little was done to prove anything"
        );
    }

    fn what_happened(&mut self, servers: &Arc<Servers>) -> BTreeSet<Told> {
        let all = Mutex::new(BTreeSet::new());
        let add = |mut some| all.lock().unwrap().append(&mut some);
        self.guesser
            .add_what_happened(&mut servers.line(0), &mut all.lock().unwrap());
        self.everybody_asks(
            servers,
            |user, line| {
                let mut some = BTreeSet::new();
                user.add_what_happened(line, &mut some);
                add(some);
            },
            |owner, line| {
                let mut some = BTreeSet::new();
                owner.add_what_happened(line, &mut some);
                add(some);
            },
        );
        all.into_inner().unwrap()
    }

    fn everybody_asks(
        &mut self,
        servers: &Arc<Servers>,
        user_asks: impl Fn(&mut User, &mut Line) + Sync,
        owner_asks: impl Fn(&mut PhoneOwner, &mut Line) + Sync,
    ) {
        let (user_asks, owner_asks) = (&user_asks, &owner_asks);
        thread::scope(|scope| {
            let mut clients = Vec::new();
            for (number, user) in self.users.iter_mut().enumerate() {
                let mut line = servers.line(number);
                clients.push(scope.spawn(move || user_asks(user, &mut line)));
            }
            for (number, owner) in self.owners.iter_mut().enumerate() {
                let mut line = servers.line(number);
                clients.push(scope.spawn(move || owner_asks(owner, &mut line)));
            }
            clients.into_iter().for_each(join);
        });
    }
}

/// What a client found wrong is what the test fails with, not that some thread failed.
fn join(client: ScopedJoinHandle<'_, ()>) {
    client.join().unwrap_or_else(|found| resume_unwind(found));
}

/// Tells everybody that it is over, also if whoever was to tell them panics: they would go on for ever.
struct EndWhenDropped<'a>(&'a Servers);

impl Drop for EndWhenDropped<'_> {
    fn drop(&mut self) {
        self.0.end();
    }
}

/// Texts and bytes to look for.
struct Needles(Vec<Vec<u8>>);

impl Needles {
    /// The files below the directory that hold one.
    fn found(&self, directory: &Path) -> String {
        let mut grep = Command::new("grep")
            .args([
                "--recursive",
                "--files-with-matches",
                "--text",
                "--fixed-strings",
                "--file=-",
            ])
            .arg(directory)
            .env("LC_ALL", "C")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut patterns = grep.stdin.take().unwrap();
        // What holds the end of a line, or of a text, cannot be asked for.
        let askable = |needle: &&Vec<u8>| !needle.contains(&b'\n') && !needle.contains(&0);
        for needle in self.0.iter().filter(askable) {
            patterns.write_all(needle).unwrap();
            patterns.write_all(b"\n").unwrap();
        }
        drop(patterns);
        let output = grep.wait_with_output().unwrap();
        assert!(matches!(output.status.code(), Some(0 | 1)), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}

/// A service whose events go to this URL.
pub(crate) fn create_service(line: &mut Line, url: &str) -> String {
    let name = [("FriendlyName", "Kill me")];
    let created = line.call("POST", "/v2/Services", &name).unwrap().expect(201);
    let service = created["sid"].as_str().unwrap().to_owned();
    let mut form = vec![("FriendlyName", "all"), ("WebhookUrl", url), ("Version", "v2")];
    let events = [
        "factor.created",
        "factor.verified",
        "challenge.approved",
        "challenge.denied",
        "challenge.expired",
    ];
    form.extend(events.map(|event| ("EventTypes", event)));
    let path = format!("/v2/Services/{service}/Webhooks");
    line.call("POST", &path, &form).unwrap().expect(201);
    service
}

const USERS: u64 = 6;
const PHONE_OWNERS: u64 = 3;
/// For what comes by itself, on a machine that does other things as well.
const PATIENCE: Duration = Duration::from_mins(2);
