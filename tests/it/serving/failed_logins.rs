//! Logins that fail, each in its own way: the log, the audit log and `countersign user show` say why in the same words.

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Output;
use std::time::Duration;

use countersign::domain::limits::Failures;
use countersign::domain::time::{Clock as _, SystemClock, Timestamp};
use serde_json::Value;
use tempfile::TempDir;

use super::decisions::{Asked, Told};
use super::process::{basic, program, stdout_of};
use crate::nodes::clocks::MovingClock;
use crate::support::Authenticator;

/// A way in which a login failed.
struct Way {
    what: &'static str,
    /// What `user show` is asked for.
    whom: String,
    /// What its entry is known by: the request, or the challenge that a device answered.
    key: String,
    /// A part of the reason; none where the outcome says it all.
    reason: &'static str,
}

/// Who failed, and how, so far.
pub(super) struct Failing<'a> {
    asked: &'a Asked,
    pub(super) service: String,
    pub(super) service_sid: String,
    ways: Vec<Way>,
    /// By how many seconds the server's clock is ahead.
    ahead: Cell<u64>,
}

impl<'a> Failing<'a> {
    pub(super) fn begin(asked: &'a Asked) -> Self {
        let service = asked
            .post("/v2/Services", "FriendlyName=Shop&CustomCodeEnabled=true")
            .body;
        let service_sid = text(&service["sid"]);
        Self {
            asked,
            service: format!("/v2/Services/{service_sid}"),
            service_sid,
            ways: Vec::new(),
            ahead: Cell::new(0),
        }
    }

    fn note(&mut self, what: &'static str, whom: &str, told: &Told, reason: &'static str) {
        self.ways.push(Way {
            what,
            whom: whom.to_owned(),
            key: told.id.clone(),
            reason,
        });
    }

    /// What a device answered to a challenge.
    fn note_answer(&mut self, what: &'static str, whom: &str, challenge: String, reason: &'static str) {
        self.ways.push(Way {
            what,
            whom: whom.to_owned(),
            key: challenge,
            reason,
        });
    }

    fn entity(&self, identity: &str) -> String {
        format!("{}/Entities/{identity}", self.service)
    }

    /// A TOTP factor that nobody has verified, and the app that shows its codes.
    pub(super) fn enrol(&self, identity: &str, seed: u8) -> (String, Authenticator) {
        let app = Authenticator::new(&[seed; 20]);
        let form = format!(
            "FriendlyName=Phone&FactorType=totp&Binding.Secret={}",
            app.base32()
        );
        let factor = self
            .asked
            .post(&format!("{}/Factors", self.entity(identity)), &form);
        (text(&factor.body["sid"]), app)
    }

    pub(super) fn enrol_verified(&self, identity: &str, seed: u8) -> (String, Authenticator, String) {
        let (factor, app) = self.enrol(identity, seed);
        let code = app.code_of(self.step());
        let path = format!("{}/Factors/{factor}", self.entity(identity));
        let verified = self.asked.post(&path, &format!("AuthPayload={code}"));
        assert_eq!(verified.body["status"], "verified", "{}", verified.body);
        (factor, app, code)
    }

    pub(super) fn challenge(&self, identity: &str, factor: &str, more: &str) -> Told {
        let path = format!("{}/Challenges", self.entity(identity));
        self.asked.post(&path, &format!("FactorSid={factor}{more}"))
    }

    pub(super) fn answer(&self, identity: &str, challenge: &Told, payload: &str) -> Told {
        let path = format!(
            "{}/Challenges/{}",
            self.entity(identity),
            text(&challenge.body["sid"])
        );
        self.asked.post(&path, &format!("AuthPayload={payload}"))
    }

    pub(super) fn check(&self, number: &str, code: &str) -> Told {
        let path = format!("{}/VerificationCheck", self.service);
        self.asked.post(&path, &format!("To=%2B{number}&Code={code}"))
    }

    pub(super) fn send(&self, number: &str) -> Told {
        let sent = self.try_to_send(number);
        assert_eq!(sent.status, 201, "{}", sent.body);
        sent
    }

    fn try_to_send(&self, number: &str) -> Told {
        let path = format!("{}/Verifications", self.service);
        let form = format!("To=%2B{number}&Channel=sms&CustomCode=314159");
        self.asked.post(&path, &form)
    }

    /// The time step that it is for the server.
    fn step(&self) -> u64 {
        (seconds() + self.ahead.get()) / 30
    }

    /// A device that was enrolled for the user.
    fn phone(&self, directory: &Path, identity: &str) -> Phone {
        let tokens = format!("{}/AccessTokens", self.service);
        let form = format!("Identity={identity}&FactorType=push");
        let token = self.asked.post(&tokens, &form);
        let state = directory.join(format!("{identity}.json"));
        let enrolled = program(&["device", "enroll", "--url", &self.asked.server.url])
            .args(["--service", &self.service_sid, "--identity", identity])
            .args(["--name", "Phone", "--state"])
            .arg(&state)
            .env("COUNTERSIGN_ACCESS_TOKEN", text(&token.body["token"]))
            .output()
            .unwrap();
        assert!(enrolled.status.success(), "{enrolled:?}");
        let kept: Value = serde_json::from_slice(&std::fs::read(&state).unwrap()).unwrap();
        Phone {
            factor: find_text(&kept, "YF").unwrap(),
            state,
        }
    }

    /// Codes of an app.
    fn fail_with_codes(&mut self) {
        let (factor, app, used) = self.enrol_verified(ADA, 1);
        let told = self.challenge(ADA, &factor, "&AuthPayload=nonsense");
        self.note("no code at all", ADA, &told, "none of the factor's length");
        let told = self.challenge(ADA, &factor, &format!("&AuthPayload={}", wrong(&app, 0)));
        self.note("a wrong code", ADA, &told, "wrong code");
        let told = self.challenge(ADA, &factor, &format!("&AuthPayload={used}"));
        self.note("a replayed code", ADA, &told, "replayed");
        let early = app.code_of(step() + 20);
        let told = self.challenge(ADA, &factor, &format!("&AuthPayload={early}"));
        self.note("a clock that is ahead", ADA, &told, "outside the window by ");

        let answered = self.challenge(ADA, &factor, &format!("&AuthPayload={}", app.code_of(step() + 1)));
        assert_eq!(answered.body["status"], "approved", "{}", answered.body);
        let told = self.answer(ADA, &answered, &wrong(&app, 1));
        self.note("answered before", ADA, &told, "answered already");
        let tried = self.challenge(ADA, &factor, "");
        for number in 2..7 {
            self.answer(ADA, &tried, &wrong(&app, number));
        }
        let told = self.answer(ADA, &tried, &wrong(&app, 7));
        self.note("a challenge's tries used up", ADA, &told, "5 codes were tried");
        let short = Timestamp::from_seconds(seconds() + 5).to_string();
        let expired = self.challenge(ADA, &factor, &format!("&ExpirationDate={short}"));
        while seconds() < Timestamp::parse_iso8601(&short).unwrap().seconds() {
            std::thread::sleep(Duration::from_millis(100));
        }
        let told = self.answer(ADA, &expired, &wrong(&app, 8));
        self.note("too late", ADA, &told, "has expired");
        let nothing = format!("{}/Challenges/YC{}", self.entity(ADA), "0".repeat(32));
        let told = self.asked.post(&nothing, "AuthPayload=123456");
        self.note("no such challenge", ADA, &told, "no such challenge");

        let (factor, app) = self.enrol(BEN, 2);
        let told = self.challenge(BEN, &factor, "");
        self.note("not verified", BEN, &told, "not verified");
        let path = format!("{}/Factors/{factor}", self.entity(BEN));
        for number in 0..5 {
            self.asked
                .post(&path, &format!("AuthPayload={}", wrong(&app, number)));
        }
        let told = self.asked.post(&path, &format!("AuthPayload={}", wrong(&app, 6)));
        self.note("the enrolment's tries used up", BEN, &told, "5 codes were tried");

        let (factor, app, _) = self.enrol_verified(CLEO, 3);
        for number in 0..10 {
            let payload = format!("&AuthPayload={}", wrong(&app, number));
            self.challenge(CLEO, &factor, &payload);
        }
        let told = self.challenge(
            CLEO,
            &factor,
            &format!("&AuthPayload={}", app.code_of(step() + 1)),
        );
        self.note("delayed", CLEO, &told, "wrong codes");

        let (factor, ..) = self.enrol_verified(DAN, 4);
        let (_, other, _) = self.enrol_verified("user-0005", 5);
        let deleted = self
            .asked
            .request("DELETE", &format!("{}/Factors/{factor}", self.entity(DAN)));
        assert_eq!(deleted, 204);
        let payload = format!("&AuthPayload={}", other.code_of(step()));
        let told = self.challenge(DAN, &factor, &payload);
        self.note("a deleted factor", DAN, &told, "no such factor");
        let told = self.challenge("user-9999", &factor, &payload);
        self.note("nobody", "user-9999", &told, "no such");
    }

    /// What keeps a user from being asked too often, and from being asked by somebody else.
    fn fail_with_limits(&mut self, directory: &Path) {
        let message = "&Details.Message=Log+in%3F";
        let phone = self.phone(directory, FAY);
        let asked: Vec<_> = (0..5)
            .map(|_| self.challenge(FAY, &phone.factor, message))
            .collect();
        let told = self.challenge(FAY, &phone.factor, message);
        self.note("too many wait", FAY, &told, "5 challenges of this factor wait");
        let locks = shown(&directory.join("data"), FAY)["places"][0]["factors"][0]["locks"].to_string();
        assert!(locks.contains("\"pending\""), "{locks}");
        for challenge in &asked {
            phone.deny(challenge, &[]);
        }
        for _ in 5..10 {
            phone.deny(&self.challenge(FAY, &phone.factor, message), &[]);
        }
        let told = self.challenge(FAY, &phone.factor, message);
        self.note(
            "asked too often",
            FAY,
            &told,
            "10 pushes were sent to this factor",
        );
        let locks = shown(&directory.join("data"), FAY)["places"][0]["factors"][0]["locks"].to_string();
        assert!(locks.contains("asked as often as may be"), "{locks}");

        let phone = self.phone(directory, GUS);
        let matching = format!("{message}&Details.NumberMatching=3");
        for _ in 0..3 {
            let challenge = self.challenge(GUS, &phone.factor, &matching);
            let number = text(&challenge.body["number_matching"]["number"]);
            let other = if number == "123" { "124" } else { "123" };
            let answered = phone.approve(&challenge, other);
            self.note_answer(
                "a wrong number",
                GUS,
                answered,
                "the number that was typed is wrong",
            );
        }
        let told = self.challenge(GUS, &phone.factor, &matching);
        self.note("wrong numbers in a row", GUS, &told, "typed 3 wrong numbers");

        let (factor, app, _) = self.enrol_verified(HAL, 8);
        for _ in 0..50 {
            let created = self.challenge(HAL, &factor, "");
            assert_eq!(created.status, 201, "{}", created.body);
        }
        let payload = format!("&AuthPayload={}", app.code_of(step() + 1));
        let told = self.challenge(HAL, &factor, &payload);
        self.note(
            "too many challenges",
            HAL,
            &told,
            "too many challenges were created",
        );
    }

    /// Guards against toll fraud.
    fn fail_with_guards(&mut self) {
        for (what, number, reason) in [
            ("a country", "447400123456", "not sent to this country"),
            (
                "a premium number",
                "499001234567",
                "a premium-rate or shared-cost one",
            ),
        ] {
            let told = self.try_to_send(number);
            assert!(told.status >= 400, "{}", told.body);
            self.note(what, &format!("+{number}"), &told, reason);
        }
        for _ in 0..3 {
            let sent = self.send("4915112345680");
            let path = format!("{}/Verifications/{}", self.service, text(&sent.body["sid"]));
            self.asked.post(&path, "Status=canceled");
        }
        let told = self.try_to_send("4915112345680");
        self.note(
            "a number's budget",
            "+4915112345680",
            &told,
            "as many codes as may be in a day were sent to this number",
        );
        // The right code, for another number than the one that it was sent to.
        self.send("4915112345681");
        let told = self.check("4915112345682", "314159");
        self.note("another number", "+4915112345682", &told, "no such verification");
    }

    /// What time ends, and what it takes many wrong codes to close; each by a clock that is moved.
    fn fail_in_time(&mut self, clock: &MovingClock) {
        let wait = |seconds: u64| {
            self.ahead.set(self.ahead.get() + seconds);
            clock.set(self.ahead.get().try_into().unwrap());
        };
        // A request of this protocol outlives its code.
        let form = "number=4915112345683&brand=Shop&pin_expiry=60&workflow_id=6";
        let begun = self.asked.post("/verify/json", form);
        assert_eq!(begun.body["status"], "0", "{}", begun.body);
        self.send("4915112345684");
        wait(90);
        let form = format!("request_id={}&code=2718", text(&begun.body["request_id"]));
        let late = self.asked.post("/verify/check/json", &form);
        assert_eq!(late.body["status"], "16", "{}", late.body);
        wait(10 * 60);
        let too_late = self.check("4915112345684", "314159");

        for wrong in [5, 5, 1] {
            self.send(LOCKED);
            for _ in 0..wrong {
                self.check(LOCKED, "271828");
            }
            if wrong == 5 {
                wait(11 * 60);
            }
        }
        let locked = self.check(LOCKED, "314159");

        let (factor, app, _) = self.enrol_verified(IDA, 9);
        for number in 0..Failures::DISABLED_AT {
            let code = wrong_at(&app, number.try_into().unwrap(), self.step());
            let told = self.challenge(IDA, &factor, &format!("&AuthPayload={code}"));
            assert_eq!(told.status, 201, "{number}: {}", told.body);
            if number + 1 >= Failures::DELAYED_FROM {
                wait(Failures::LONGEST_DELAY.as_secs() + 1);
            }
        }
        let code = app.code_of(self.step());
        let disabled = self.challenge(IDA, &factor, &format!("&AuthPayload={code}"));

        self.note("a code's end", "+4915112345683", &late, "the code has expired");
        self.note(
            "a verification's end",
            "+4915112345684",
            &too_late,
            "or it is over",
        );
        let whom = format!("+{LOCKED}");
        self.note(
            "a locked number",
            &whom,
            &locked,
            "too many wrong codes were given",
        );
        self.note(
            "a disabled factor",
            IDA,
            &disabled,
            "disabled after 100 wrong codes",
        );
    }

    /// A device that is asked.
    fn fail_with_a_device(&mut self, directory: &Path) {
        let phone = self.phone(directory, EVE);
        let message = "&Details.Message=Log+in%3F";

        let asked = self.challenge(EVE, &phone.factor, message);
        let told = self.answer(EVE, &asked, "e30.e30.e30");
        self.note("a bad signature", EVE, &told, "does not belong to this challenge");
        let denied = phone.deny(&asked, &[]);
        self.note_answer("denied", EVE, denied, "");
        let asked = self.challenge(EVE, &phone.factor, message);
        let reported = phone.deny(&asked, &["--reason", "not-me"]);
        self.note_answer("reported", EVE, reported, "its holder did not ask for it");
        let told = self.challenge(EVE, &phone.factor, message);
        self.note("paused", EVE, &told, "reported a challenge");
    }

    /// Codes that were sent.
    fn fail_with_numbers(&mut self) {
        let told = self.check("4915112345670", "271828");
        self.note(
            "nothing was sent",
            "+4915112345670",
            &told,
            "no such verification",
        );
        self.send("4915112345671");
        let told = self.check("4915112345671", "271828");
        self.note("a wrong sent code", "+4915112345671", &told, "wrong code");
        for _ in 1..5 {
            self.check("4915112345671", "271828");
        }
        let told = self.check("4915112345671", "314159");
        self.note("tries used up", "+4915112345671", &told, "are used up");
        let sent = self.send("4915112345672");
        let path = format!("{}/Verifications/{}", self.service, text(&sent.body["sid"]));
        self.asked.post(&path, "Status=canceled");
        let told = self.check("4915112345672", "314159");
        self.note("canceled", "+4915112345672", &told, "or it is over");
    }
}

/// A user's device.
struct Phone {
    state: PathBuf,
    factor: String,
}

impl Phone {
    /// Denies a challenge; its SID.
    fn deny(&self, challenge: &Told, more: &[&str]) -> String {
        let sid = text(&challenge.body["sid"]);
        let denied = self.answer("deny", &sid, more);
        assert!(denied.status.success(), "{denied:?}");
        sid
    }

    /// Approves a challenge with a number that is not the one shown; its SID.
    fn approve(&self, challenge: &Told, number: &str) -> String {
        let sid = text(&challenge.body["sid"]);
        let told = self.answer("approve", &sid, &["--number", number]);
        let why = String::from_utf8(told.stderr).unwrap();
        assert!(why.contains("the number was wrong"), "{why}");
        sid
    }

    fn answer(&self, how: &str, sid: &str, more: &[&str]) -> Output {
        let mut command = program(&["device", how, "--state"]);
        command.arg(&self.state).arg(sid).args(more).output().unwrap()
    }
}

const ADA: &str = "user-0001";
const BEN: &str = "user-0002";
const CLEO: &str = "user-0003";
const DAN: &str = "user-0004";
const EVE: &str = "user-0006";
const FAY: &str = "user-0007";
const GUS: &str = "user-0008";
const HAL: &str = "user-0009";
const IDA: &str = "user-0010";
/// A number that many wrong codes were given for.
const LOCKED: &str = "4915112345685";

pub(super) fn text(value: &Value) -> String {
    value.as_str().unwrap_or_else(|| panic!("{value}")).to_owned()
}

fn seconds() -> u64 {
    SystemClock.now().seconds()
}

fn step() -> u64 {
    seconds() / 30
}

/// A code that is of no time step nearby, another one for each number.
pub(super) fn wrong(app: &Authenticator, number: usize) -> String {
    wrong_at(app, number, step())
}

fn wrong_at(app: &Authenticator, number: usize, step: u64) -> String {
    let near: Vec<_> = (step - 150..step + 150).map(|step| app.code_of(step)).collect();
    let mut others = (100_000..).map(|code: u32| code.to_string());
    others
        .by_ref()
        .filter(|code| !near.contains(code))
        .nth(number)
        .unwrap()
}

/// The first text in a JSON value that begins like this.
fn find_text(value: &Value, beginning: &str) -> Option<String> {
    match value {
        Value::String(text) if text.starts_with(beginning) => Some(text.clone()),
        Value::Array(items) => items.iter().find_map(|item| find_text(item, beginning)),
        Value::Object(fields) => fields.values().find_map(|item| find_text(item, beginning)),
        _ => None,
    }
}

pub(super) fn shown(data: &Path, whom: &str) -> Value {
    let text = stdout_of(data, &["user", "show", whom, "--limit", "200", "--json"]);
    serde_json::from_str(&text).unwrap()
}

/// The entry that is known by `key`.
fn entry<'e>(entries: impl IntoIterator<Item = &'e Value>, key: &str) -> Option<&'e Value> {
    let is_it = |entry: &&Value| {
        entry["request_id"] == key
            || entry["challenge_sid"] == key
                && entry["act"] == "answer_challenge"
                && entry["outcome"] == "denied"
    };
    entries.into_iter().find(is_it)
}

/// Each way is in the audit log, in what is shown of the user, and in the log, with the same reason.
fn assert_explained(data: &Path, log: &[String], ways: &[Way]) {
    let listed = stdout_of(data, &["audit", "list", "--json", "--limit", "1000"]);
    let audited: Vec<Value> = listed
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    for Way {
        what,
        whom,
        key,
        reason,
    } in ways
    {
        let told = entry(&audited, key).unwrap_or_else(|| panic!("{what} is not in the audit log"));
        let why = told["reason"].as_str().unwrap_or_default();
        assert!(why.contains(reason), "{what}: {why}");
        let user = shown(data, whom);
        let seen = entry(user["decisions"].as_array().unwrap(), key);
        let seen = seen.unwrap_or_else(|| panic!("{what} is not shown: {user}"));
        assert_eq!(
            (&seen["reason"], &seen["outcome"], &seen["act"]),
            (&told["reason"], &told["outcome"], &told["act"]),
            "{what}"
        );
        let outcome = format!("{} {}", text(&told["act"]), text(&told["outcome"]));
        let line = log
            .iter()
            .find(|line| line.contains(key.as_str()) && line.contains(&outcome) && line.contains(why));
        assert!(line.is_some(), "{what}: {outcome} of {key} is not in the log");
        let table = stdout_of(data, &["user", "show", whom, "--limit", "200"]);
        assert!(table.contains(why), "{what}: {table}");
        assert!(!table.contains("1511234567"), "{table}");
    }
}

#[test]
fn a_login_that_fails_in_many_ways_is_explained_by_the_log_the_audit_log_and_user_show_alike() {
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let asked = Asked::start_in(&data, &[("COUNTERSIGN_LOG", "info")]);
    let mut failing = Failing::begin(&asked);
    failing.fail_with_codes();
    failing.fail_with_a_device(directory.path());
    failing.fail_with_numbers();
    let service = failing.service.clone();
    let ways = failing.ways;
    assert!(ways.len() >= 20, "{}", ways.len());

    // Who is not let in is nobody's user.
    let stranger = asked.post_as(&basic(&asked.account, "none of its tokens"), &service, "x=y");
    assert_eq!(stranger.status, 401);
    let mut log = asked.server.log_until("authenticate refused");
    let form = format!("Identity={ADA}&FactorType=push");
    let token = asked.post(&format!("{service}/AccessTokens"), &form);
    stdout_of(&data, &["account", "suspend", &asked.account]);
    // Whoever has right credentials is told so, whatever they are.
    let enrolling = asked.post_as(
        &basic("token", &text(&token.body["token"])),
        &format!("{service}/Entities/{ADA}/Factors"),
        "FactorType=push",
    );
    let state = directory.path().join(format!("{EVE}.json"));
    let listed = program(&["device", "list", "--state", state.to_str().unwrap()])
        .output()
        .unwrap();
    assert!(!listed.status.success(), "{listed:?}");
    for author in ["by=access token ", "by=device "] {
        log.extend(asked.server.log_until(author));
        let line = log.last().unwrap();
        assert!(
            line.contains("authenticate refused") && line.contains("suspended"),
            "{line}"
        );
        assert_eq!(
            line.contains(&enrolling.id),
            author == "by=access token ",
            "{line}"
        );
    }
    let suspended = asked.post(&service, "x=y");
    assert!(suspended.status >= 400, "{}", suspended.body);
    log.extend(asked.server.log_until(&suspended.id));

    assert_explained(&data, &log, &ways);

    // How things stand now.
    let user = shown(&data, "user-0003");
    assert_eq!(user["places"][0]["factors"][0]["failures"], 10);
    assert_eq!(user["account_status"], "suspended");
    let reasons = user["refused_now"].to_string();
    assert!(reasons.contains("is suspended"), "{reasons}");
    let not_let_in = user["not_let_in"].to_string();
    assert!(
        not_let_in.contains(&suspended.id) && not_let_in.contains("wrong credentials"),
        "{not_let_in}"
    );
    let paused = shown(&data, "user-0006");
    assert_eq!(paused["places"][0]["factors"][0]["locks"][0]["reason"], "report");
    let closed = shown(&data, "+4915112345671");
    assert_eq!(
        closed["destinations"][0]["locks"][0]["reason"], "max_attempts",
        "{closed}"
    );
    let masked = text(&closed["destinations"][0]["destination"]);
    assert!(masked.starts_with("+49") && masked.contains("***"), "{masked}");
}

#[test]
fn what_limits_guards_and_time_refuse_is_explained_alike() {
    let Some(clock) = MovingClock::ahead_by(0) else {
        return;
    };
    let directory = TempDir::new().unwrap();
    let data = directory.path().join("data");
    std::fs::create_dir(&data).unwrap();
    let file = directory.path().join("countersign.toml");
    let settings = "[codes]\nblocked_countries = [\"GB\"]\nsends_per_number_per_day = 3\n";
    std::fs::write(&file, settings).unwrap();
    let moving = clock.variables();
    let mut variables: Vec<_> = moving
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    variables.extend([
        // By how much the clock jumps is a number as long as a code, and nothing that is asked here.
        ("COUNTERSIGN_LOG", "info,countersign::cli::serve::machine=error"),
        ("COUNTERSIGN_CONFIG", file.to_str().unwrap()),
    ]);
    let asked = Asked::start_in(&data, &variables);
    let mut failing = Failing::begin(&asked);
    failing.fail_with_limits(directory.path());
    failing.fail_with_guards();
    let sent = shown(&data, "+4915112345681");
    let verification = &sent["destinations"][0]["verifications"][0];
    assert_eq!(
        (&verification["status"], &verification["failures"]),
        (&"pending".into(), &0.into()),
        "no code was given for the number that it was sent to: {sent}"
    );
    failing.fail_in_time(&clock);
    let ways = failing.ways;
    let log = asked.server.log_until(&ways.last().unwrap().key);
    assert_explained(&data, &log, &ways);

    let user = shown(&data, IDA);
    assert_eq!(user["places"][0]["factors"][0]["status"], "disabled");
    let reasons = user["refused_now"].to_string();
    assert!(reasons.contains("only a new enrolment helps"), "{reasons}");
    let blocked = shown(&data, "+447400123456");
    assert_eq!(
        blocked["destinations"][0]["locks"][0]["reason"], "country",
        "{blocked}"
    );
}
